/**
 * What every router uses, and when it last chose anew: from BIRD's log lines, and from
 * looks at simulated speakers.
 */

import type { Ip, Prefix } from '../../src/net/mod.ts'
import { ownerOf, type Topology } from '../../test/bgp/differential/topology.ts'

/** When a router's choice of a prefix became another. */
export interface Choice {
  readonly router: number
  readonly prefix: string
  /** Milliseconds; of BIRD's since 1970, simulated ones virtual. */
  readonly ms: number
  /** Whose it is: the next hop's router; `own`; empty: there is none. */
  readonly via: string
}

/** Lines that a daemon's log is to have; `export` because only that sees best routes alone. */
export const WATCHERS: readonly string[] = ['', ' ng'].flatMap((version, index) => {
  const [family, name] = index === 0 ? ['ipv4', 'watch4'] : ['ipv6', 'watch6']
  return [
    `protocol rip${version} ${name} {`,
    '  debug { routes };',
    `  ${family} { import none; export filter {`,
    '    if dest = RTD_UNREACHABLE then print "CHOICE ", net, " -";',
    '    else if source = RTS_STATIC then print "CHOICE ", net, " own";',
    '    else print "CHOICE ", net, " ", bgp_next_hop;',
    '    accept;',
    '  }; };',
    '}',
  ]
})

const CHOSEN = /^(\S+ \S+) <INFO> CHOICE (\S+) (\S+)/
const GONE = /^(\S+ \S+) <TRACE> watch[46]\S* [<>] removed (\S+)/
const COMMAND = /^(\S+ \S+) <INFO> (Enabling|Disabling) protocol (\S+)/

/** Milliseconds since 1970, of `2026-11-22 21:00:41.518390` in UTC. */
export function logMs(text: string): number {
  const [seconds = '', micros = ''] = text.split('.')
  return Date.parse(`${seconds.replace(' ', 'T')}Z`) + Number(micros) / 1000
}

export interface Log {
  readonly choices: readonly Choice[]
  /** When a protocol was told to begin or to end. */
  readonly commands: readonly { readonly ms: number; readonly name: string }[]
}

export function parseLog(router: number, text: string): Log {
  const choices: Choice[] = []
  const commands: { ms: number; name: string }[] = []
  const now = new Map<string, string>()
  const add = (at: string, prefix: string, via: string): void => {
    if ((now.get(prefix) ?? '') === via) return
    now.set(prefix, via)
    choices.push({ router, prefix, ms: logMs(at), via })
  }
  for (const line of text.split('\n')) {
    const [, at = '', prefix = '', hop = ''] = CHOSEN.exec(line) ?? []
    if (at !== '') add(at, prefix, viaOf(hop))
    const [, time = '', lost = ''] = GONE.exec(line) ?? []
    if (time !== '') add(time, lost, '')
    const [, when = '', , name = ''] = COMMAND.exec(line) ?? []
    if (when !== '') commands.push({ ms: logMs(when), name })
  }
  return { choices, commands }
}

const viaOf = (hop: string): string =>
  hop === '-' ? '' : hop === 'own' ? 'own' : String(ownerOf(hop as Ip))

/** Where every router stands after these. */
export function standing(choices: readonly Choice[]): ReadonlyMap<string, string> {
  const found = new Map<string, string>()
  for (const { router, prefix, via } of choices) {
    if (via === '') found.delete(`${router} ${prefix}`)
    else found.set(`${router} ${prefix}`, via)
  }
  return found
}

/** What differs, as text; undefined: nothing. */
export function firstDifference(
  ours: ReadonlyMap<string, string>,
  theirs: ReadonlyMap<string, string>,
): string | undefined {
  for (const key of new Set([...ours.keys(), ...theirs.keys()])) {
    const [one = 'none', other = 'none'] = [ours.get(key), theirs.get(key)]
    if (one !== other) return `router and prefix ${key}: ours ${one}, theirs ${other}`
  }
  return undefined
}

/** All prefixes of a network. */
export const prefixesOf = ({ routers }: Topology): readonly Prefix[] => [
  ...new Set(routers.flatMap(({ originate }) => originate.map(({ prefix }) => prefix))),
]
