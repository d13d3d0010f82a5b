/**
 * ExaBGP 4.2: its configuration; what it was sent, from the events that it tells an API process.
 *
 * @module
 */
import { appendFileSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  FAMILIES,
  familyOf,
  type Implementation,
  type PeerSpec,
  type Place,
  type Router,
  type RouterSpec,
  type RouteSeen,
  type RouteSpec,
  some,
} from './spec.ts'
import { insist, startProgram } from './world.ts'

const ADD_PATH = { send: 'send', receive: 'receive', both: 'send/receive' } as const
const EXTENDED: Readonly<Record<string, string>> = { rt: 'target', ro: 'origin' }

function routeConfig(place: Place, route: RouteSpec): string {
  const extended = (route.extended ?? []).map((each) =>
    each.replace(/^\w+/, (kind) => EXTENDED[kind] ?? kind),
  )
  const parts = [
    `route ${route.prefix} next-hop ${place[familyOf(route.prefix)]}`,
    ...(route.pathId === undefined ? [] : [`path-information 0.0.0.${route.pathId}`]),
    ...(route.med === undefined ? [] : [`med ${route.med}`]),
    ...(route.communities === undefined ? [] : [`community [ ${route.communities.join(' ')} ]`]),
    ...(route.large === undefined ? [] : [`large-community [ ${route.large.join(' ')} ]`]),
    ...(route.extended === undefined ? [] : [`extended-community [ ${extended.join(' ')} ]`]),
  ]
  return `    ${parts.join(' ')};\n`
}

function peerConfig(place: Place, spec: RouterSpec, peer: PeerSpec): string {
  const routes = spec.routes.filter(({ prefix }) => peer.families.includes(familyOf(prefix)))
  return `neighbor ${peer.address} {
  router-id ${spec.routerId};
  local-address ${place[familyOf(peer.address)]};
  local-as ${spec.asn}; peer-as ${peer.asn};
  adj-rib-out true;
  hold-time ${peer.holdSeconds ?? 90};
  ${peer.passive === true ? 'passive true;' : ''}
  ${peer.password === undefined ? '' : `md5-password "${peer.password}"; md5-base64 false;`}
  capability {
    route-refresh enable;
    ${peer.restartSeconds === undefined ? '' : `graceful-restart ${peer.restartSeconds};`}
    ${peer.addPath === undefined ? '' : `add-path ${ADD_PATH[peer.addPath]};`}
  }
  family { ${peer.families.map((family) => `${family} unicast;`).join(' ')} }
  api {
    processes [ teller ];
    neighbor-changes;
    receive { parsed; update; refresh; open; notification; }
  }
  static {
${routes.map((route) => routeConfig(place, route)).join('')}  }
}
`
}

export const exabgpConfig = (place: Place, spec: RouterSpec): string =>
  `process teller { run ${join(place.folder, 'teller')}; encoder json; }
${spec.peers.map((peer) => peerConfig(place, spec, peer)).join('')}`

/** Passes events to one file, and what is appended to another one as commands. */
const teller = (folder: string): string => `#!/bin/sh
tail -n +1 -f '${folder}/commands' &
exec cat >>'${folder}/events'
`

type JsonAttributes = Readonly<Record<string, unknown>>
interface JsonEvent {
  readonly neighbor?: {
    readonly address?: { readonly peer: string }
    readonly message?: {
      readonly update?: {
        readonly attribute?: JsonAttributes
        readonly announce?: Readonly<Record<string, Readonly<Record<string, readonly JsonNlri[]>>>>
        readonly withdraw?: Readonly<Record<string, readonly JsonNlri[]>>
      }
    }
  }
}
interface JsonNlri {
  readonly nlri: string
  readonly 'path-information'?: string
}

function seenOf(
  from: string,
  prefix: string,
  nextHop: string,
  attributes: JsonAttributes,
): RouteSeen {
  const paths = attributes['as-path']
  const asPath = Array.isArray(paths)
    ? paths
    : Object.values((paths ?? {}) as Record<string, { value: number[] }>).flatMap(
        ({ value }) => value,
      )
  const extended = (attributes['extended-community'] ?? []) as { string: string }[]
  const joined = (key: string): string[] =>
    ((attributes[key] ?? []) as number[][]).map((each) => each.join(':'))
  return {
    prefix,
    from,
    nextHop,
    asPath: asPath as number[],
    ...some({
      med: attributes['med'] as number,
      localPref: attributes['local-preference'] as number,
    }),
    communities: joined('community'),
    extended: extended.map(({ string }) =>
      string.replace(/^target/, 'rt').replace(/^origin/, 'ro'),
    ),
    large: joined('large-community'),
    ...some({
      originatorId: attributes['originator-id'] as string,
      clusterList: attributes['cluster-list'] as string[],
    }),
  }
}

/** What came since a session was last up, by peer, prefix and path. */
interface Told {
  readonly routes: Map<string, RouteSeen>
  readonly up: Set<string>
  readonly updates: Map<string, number>
}

function follow(lines: readonly string[]): Told {
  const told: Told = { routes: new Map(), up: new Set(), updates: new Map() }
  for (const line of lines) {
    // What it tells of a state's reasons, of refreshes and notifications is not always JSON.
    const state = /"type": "state".*"peer": "([^"]+)".*"state": "(\w+)"/.exec(line)
    if (state !== null) changed(told, state[1] ?? '', state[2] ?? '')
    if (!line.includes('"type": "update"')) continue
    const { neighbor } = JSON.parse(line) as JsonEvent
    updated(told, neighbor?.address?.peer ?? '', neighbor?.message?.update ?? {})
  }
  return told
}

function changed({ routes, up }: Told, peer: string, state: string): void {
  if (state === 'up') up.add(peer)
  if (state !== 'down') return
  up.delete(peer)
  for (const key of routes.keys()) if (key.startsWith(`${peer} `)) routes.delete(key)
}

type Message = NonNullable<NonNullable<NonNullable<JsonEvent['neighbor']>['message']>['update']>

function updated({ routes, updates }: Told, peer: string, message: Message): void {
  const key = (each: JsonNlri): string => `${peer} ${each.nlri} ${each['path-information'] ?? ''}`
  updates.set(peer, (updates.get(peer) ?? 0) + 1)
  for (const gone of Object.values(message.withdraw ?? {}).flat()) routes.delete(key(gone))
  for (const byNextHop of Object.values(message.announce ?? {})) {
    for (const [nextHop, list] of Object.entries(byNextHop)) {
      // Of a global and a link-local address, the global one.
      const isSecond = nextHop.startsWith('fe80:') && Object.keys(byNextHop).length > 1
      for (const each of Array.isArray(list) && !isSecond ? list : []) {
        if (each.nlri === undefined) continue
        routes.set(key(each), seenOf(peer, each.nlri, nextHop, message.attribute ?? {}))
      }
    }
  }
}

const refreshes = (file: string): string =>
  readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line.includes('"type": "refresh"'))
    .join('\n')

const NO_RIB = 'ExaBGP keeps no table: it tells what it is sent'

export const exabgp: Implementation = {
  name: 'exabgp',
  program: '/usr/sbin/exabgp',
  enhancedRefresh: /"type": "refresh".*"begin/,
  lacks: {
    table: NO_RIB,
    reflector: `${NO_RIB}, and passes nothing on`,
    'restart-helper': NO_RIB,
    'prefix-limit': NO_RIB,
  },
  async start(place, spec): Promise<Router> {
    const file = join(place.folder, 'exabgp.conf')
    const events = join(place.folder, 'events')
    const commands = join(place.folder, 'commands')
    rmSync(events, { force: true })
    writeFileSync(file, exabgpConfig(place, spec))
    writeFileSync(commands, '')
    writeFileSync(join(place.folder, 'teller'), teller(place.folder), { mode: 0o700 })
    const program = startProgram(place, ['exabgp', file], {
      exabgp_daemon_user: 'root',
      exabgp_log_level: 'INFO',
      exabgp_api_ack: 'false',
      exabgp_api_cli: 'false',
      ...(spec.peers.some(({ passive }) => passive === true)
        ? { exabgp_tcp_bind: `${place.ipv4} ${place.ipv6}`, exabgp_tcp_port: '179' }
        : {}),
    })
    const read = (): Told =>
      follow(
        readFileSync(events, 'utf8')
          .split('\n')
          .slice(0, -1)
          .filter((line) => line.startsWith('{')),
      )
    await insist(program, async () => {
      if (!existsSync(events)) throw new Error('no API process yet')
    })
    const command = async (text: string): Promise<void> => appendFileSync(commands, `${text}\n`)
    return {
      name: 'exabgp',
      place,
      pid: program.pid,
      async session(peer) {
        const { up, updates } = read()
        return {
          isUp: up.has(peer),
          updates: updates.get(peer) ?? 0,
          told: `${refreshes(events)}\n${program.log().slice(-4000)}`,
        }
      },
      routes: async () => [...read().routes.values()],
      async refresh(peer) {
        for (const family of FAMILIES)
          await command(`neighbor ${peer} announce route-refresh ${family} unicast`)
      },
      reset: (peer) => command(`neighbor ${peer} teardown 4`),
      signal: (signal) => program.signal(signal),
      kill: () => program.kill(),
      log: () => program.log(),
    }
  },
}
