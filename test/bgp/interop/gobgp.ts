/**
 * GoBGP 3.10: its configuration, and its table by way of `gobgp -j`.
 *
 * @module
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { inNetns, must } from '../../../src/lab/exec.ts'
import { ip } from '../../support/e2e.ts'
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

function familyConfig(family: 'ipv4' | 'ipv6', peer: PeerSpec): string {
  const [receive, send] = [peer.addPath !== 'send', peer.addPath !== 'receive']
  return `[[neighbors.afi-safis]]
[neighbors.afi-safis.config]
afi-safi-name = "${family}-unicast"
${peer.restartSeconds === undefined ? '' : '[neighbors.afi-safis.mp-graceful-restart.config]\nenabled = true\n'}${
  peer.addPath === undefined
    ? ''
    : `[neighbors.afi-safis.add-paths.config]\nreceive = ${receive}\n${send ? 'send-max = 8\n' : ''}`
}${
  peer.prefixesMax === undefined
    ? ''
    : `[neighbors.afi-safis.prefix-limit.config]\nmax-prefixes = ${peer.prefixesMax}\n`
}`
}

function peerConfig(place: Place, spec: RouterSpec, peer: PeerSpec): string {
  const hold = peer.holdSeconds ?? 90
  return `[[neighbors]]
[neighbors.config]
neighbor-address = "${peer.address}"
peer-as = ${peer.asn}
${peer.password === undefined ? '' : `auth-password = "${peer.password}"`}
[neighbors.transport.config]
local-address = "${place[familyOf(peer.address)]}"
passive-mode = ${peer.passive === true}
[neighbors.timers.config]
connect-retry = 1
idle-hold-time-after-reset = 1
hold-time = ${hold}
keepalive-interval = ${Math.max(1, Math.floor(hold / 3))}
${
  peer.restartSeconds === undefined
    ? ''
    : `[neighbors.graceful-restart.config]\nenabled = true\nrestart-time = ${peer.restartSeconds}\n`
}${
  peer.isClient === true
    ? `[neighbors.route-reflector.config]\nroute-reflector-client = true\nroute-reflector-cluster-id = "${spec.routerId}"\n`
    : ''
}${peer.families.map((family) => familyConfig(family, peer)).join('')}`
}

export const gobgpConfig = (place: Place, spec: RouterSpec): string =>
  `[global.config]
as = ${spec.asn}
router-id = "${spec.routerId}"
${spec.peers.map((peer) => peerConfig(place, spec, peer)).join('')}`

/** Attributes as GoBGP prints them: an object each, by its code. */
interface JsonAttribute {
  readonly type: number
  readonly value?: unknown
  readonly nexthop?: string
  readonly metric?: number
  readonly as_paths?: readonly { readonly asns: readonly number[] }[]
  readonly communities?: readonly number[]
}
interface JsonPath {
  readonly nlri: { readonly prefix: string }
  readonly attrs: readonly JsonAttribute[]
  readonly 'neighbor-ip'?: string
  readonly 'source-id'?: string
}

const EXTENDED: Readonly<Record<number, string>> = { 2: 'rt', 3: 'ro' }

function extendedOf(value: unknown): readonly string[] {
  const list = (value ?? []) as readonly { type: number; subtype: number; value: string }[]
  return list.map(({ subtype, value }) => `${EXTENDED[subtype] ?? subtype}:${value}`)
}

function largeOf(value: unknown): readonly string[] {
  const list = (value ?? []) as readonly { ASN: number; LocalData1: number; LocalData2: number }[]
  return list.map(({ ASN, LocalData1, LocalData2 }) => `${ASN}:${LocalData1}:${LocalData2}`)
}

function seenOf(path: JsonPath): RouteSeen {
  const of = (type: number): JsonAttribute | undefined =>
    path.attrs.find((attribute) => attribute.type === type)
  const communities = of(8)?.communities ?? []
  return {
    prefix: path.nlri.prefix,
    from: path['neighbor-ip'] ?? '',
    nextHop: of(3)?.nexthop ?? of(14)?.nexthop ?? '',
    asPath: (of(2)?.as_paths ?? []).flatMap(({ asns }) => asns),
    ...some({ med: of(4)?.metric, localPref: of(5)?.value as number | undefined }),
    communities: communities.map((each) => `${Math.floor(each / 0x1_0000)}:${each % 0x1_0000}`),
    extended: extendedOf(of(16)?.value),
    large: largeOf(of(32)?.value),
    ...some({
      originatorId: of(9)?.value as string | undefined,
      clusterList: of(10)?.value as string[] | undefined,
    }),
  }
}

const addition = (place: Place, route: RouteSpec): readonly string[] => [
  ...['global', 'rib', '-a', familyOf(route.prefix), 'add', route.prefix],
  ...['nexthop', place[familyOf(route.prefix)]],
  ...(route.communities === undefined ? [] : ['community', route.communities.join(',')]),
  ...(route.large === undefined ? [] : ['large-community', route.large.join(',')]),
  ...(route.extended ?? []).flatMap((each) => each.split(/:(.*)/s).filter(Boolean)),
  ...(route.med === undefined ? [] : ['med', String(route.med)]),
]

interface JsonNeighbour {
  readonly state: {
    readonly session_state?: number
    readonly messages?: { readonly received?: { readonly update?: number } }
  }
}

export const gobgp: Implementation = {
  name: 'gobgp',
  program: '/usr/bin/gobgpd',
  lacks: {
    'refresh-ask': 'GoBGP keeps what it was sent, and never asks for it again',
    'refresh-enhanced': 'GoBGP 3.10 has no enhanced route refresh',
  },
  async start(place, spec, isRestart = false): Promise<Router> {
    const file = join(place.folder, 'gobgpd.toml')
    writeFileSync(file, gobgpConfig(place, spec))
    const flags = [
      '-f',
      file,
      '-p',
      '--log-level',
      'info',
      '--pprof-disable',
      '--api-hosts',
      '127.0.0.1:50051',
    ]
    // Its routes are no part of its configuration: nobody may hear of it before it has them.
    const held = isRestart ? spec.peers.map(({ address }) => address) : []
    for (const address of held) await ip(place.netns, 'route', 'add', 'blackhole', address)
    const program = startProgram(place, ['gobgpd', ...flags, ...(isRestart ? ['-r'] : [])], {
      GOMAXPROCS: '1',
    })
    const ask = async (...args: readonly string[]): Promise<string> =>
      must(inNetns(place.netns, ['gobgp', '-j', ...args]))
    await insist(program, () => ask('global'))
    for (const route of spec.routes) await ask(...addition(place, route))
    for (const address of held) await ip(place.netns, 'route', 'del', 'blackhole', address)
    return {
      name: 'gobgp',
      place,
      pid: program.pid,
      async session(peer) {
        const told = await ask('neighbor', peer)
        const { state } = JSON.parse(told) as JsonNeighbour
        const updates = state.messages?.received?.update ?? 0
        return { isUp: state.session_state === 6, updates, told }
      },
      async routes() {
        const tables = FAMILIES.map(async (family) => {
          const text = await ask('global', 'rib', '-a', family)
          const found = JSON.parse(text || '{}') as Record<string, readonly JsonPath[]>
          return Object.values(found).flat().map(seenOf)
        })
        return (await Promise.all(tables))
          .flat()
          .filter(({ from }) => from !== '' && from !== '<nil>')
      },
      refresh: async (peer) => void (await ask('neighbor', peer, 'softresetin')),
      reset: async (peer) => void (await ask('neighbor', peer, 'reset')),
      signal: (signal) => program.signal(signal),
      kill: () => program.kill(),
      log: () => program.log(),
    }
  },
}
