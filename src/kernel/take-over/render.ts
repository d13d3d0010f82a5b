/**
 * A take-over in iproute2's words.
 *
 * @module
 */
import { assertNever } from '../../errors.ts'
import type { Act, Entry } from './model.ts'

const GEN_MODES = ['eui64', 'none', 'stable_secret', 'random']

/** The commands that do the same; a line that starts with `#` says what no command does. */
export function renderAct(act: Act): readonly string[] {
  switch (act.act) {
    case 'bridge.add': {
      const { bridge, mac, mtuBytes, alias } = act
      const kind = 'type bridge stp_state 0 forward_delay 0 mcast_snooping 0'
      return [
        `ip link add name ${bridge} address ${mac} mtu ${mtuBytes} ${kind}`,
        `ip link set dev ${bridge} alias "${alias}" addrgenmode none up`,
      ]
    }
    case 'bridge.remove':
      return [`ip link delete dev ${act.bridge}`]
    case 'join':
      return [`ip link set dev ${act.link} master ${act.bridge}`]
    case 'leave':
      return [`ip link set dev ${act.link} nomaster`]
    case 'await':
      return [`# wait until ${act.bridge} has a carrier`]
    case 'put':
    case 'drop':
    case 'settle':
      return [renderEntry(act.act, act.entry, act.on)]
    case 'genmode':
      return [`ip link set dev ${act.link} addrgenmode ${GEN_MODES[act.mode] ?? act.mode}`]
    case 'setting':
      return [`sysctl -w net/${sysctlPath(act.name)}=${act.value}`]
    case 'rider':
      return [`ip link set dev ${act.link} type vxlan dev ${act.on}`]
    default:
      return assertNever(act)
  }
}

const VERBS = {
  addr: { put: 'add', drop: 'del', settle: 'change' },
  route: { put: 'append', drop: 'del', settle: 'replace' },
  neigh: { put: 'replace', drop: 'del', settle: 'replace' },
  rule: { put: 'add', drop: 'del', settle: 'add' },
} as const

function renderEntry(verb: 'put' | 'drop' | 'settle', entry: Entry, on: string): string {
  const { kind, family, words, isProbed } = entry
  const six = family === 6 ? 'ip -6' : 'ip'
  const more = kind === 'addr' && verb === 'put' && isProbed === true ? ' nodad' : ''
  return `${six} ${kind} ${VERBS[kind][verb]} ${words.replaceAll('%', on)}${more}`
}

/** A name with its link may have dots of its own: eth0.5. */
export const sysctlPath = (name: string): string => {
  const [family = '', conf = '', ...rest] = name.split('.')
  const key = rest.pop() ?? ''
  return [family, conf, rest.join('.'), key].join('/')
}
