/**
 * FRR 8.4: the configuration of its bgpd, and the table by way of its terminal's socket.
 *
 * zebra runs beside it, as everywhere: without one bgpd knows no link, takes no IPv6 next
 * hop that has a link-local address, and names IPv4-mapped ones itself.
 *
 * @module
 */
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { must } from '../../../src/lab/exec.ts'
import {
  FAMILIES,
  type Implementation,
  type PeerSpec,
  type Place,
  type Router,
  type RouterSpec,
  type RouteSeen,
  type RouteSpec,
  some,
} from './spec.ts'
import { askSocket, insist, startProgram } from './world.ts'

function neighbour(place: Place, peer: PeerSpec): readonly string[] {
  const local = peer.address.includes(':') ? place.ipv6 : place.ipv4
  const hold = peer.holdSeconds ?? 90
  const line = (text: string): string => ` neighbor ${peer.address} ${text}`
  return [
    line(`remote-as ${peer.asn}`),
    line(`update-source ${local}`),
    line(`timers ${Math.max(1, Math.floor(hold / 3))} ${hold}`),
    line('timers connect 1'),
    line('advertisement-interval 0'),
    line('capability extended-nexthop'),
    ...(peer.passive === true ? [line('passive')] : []),
    ...(peer.password === undefined ? [] : [line(`password ${peer.password}`)]),
  ]
}

function inFamily(family: 'ipv4' | 'ipv6', spec: RouterSpec): readonly string[] {
  const line = ({ address }: PeerSpec, text: string): string => `  neighbor ${address} ${text}`
  const networks = spec.routes
    .map((route, index) => ({ route, index }))
    .filter(({ route }) => route.prefix.includes(':') === (family === 'ipv6'))
  return [
    ` address-family ${family} unicast`,
    ...networks.map(({ route, index }) => `  network ${route.prefix} route-map rich${index}`),
    ...spec.peers
      .filter(({ families }) => families.includes(family))
      .flatMap((peer) => [
        line(peer, 'activate'),
        ...(peer.isClient === true ? [line(peer, 'route-reflector-client')] : []),
        ...(peer.addPath === 'send' || peer.addPath === 'both'
          ? [line(peer, 'addpath-tx-all-paths')]
          : []),
        ...(peer.addPath === 'send' ? [line(peer, 'disable-addpath-rx')] : []),
        ...(peer.prefixesMax === undefined
          ? []
          : [line(peer, `maximum-prefix ${peer.prefixesMax}`)]),
      ]),
    ' exit-address-family',
  ]
}

const routeMap = (route: RouteSpec, index: number): readonly string[] => [
  `route-map rich${index} permit 10`,
  ...(route.communities === undefined ? [] : [` set community ${route.communities.join(' ')}`]),
  ...(route.large === undefined ? [] : [` set large-community ${route.large.join(' ')}`]),
  ...(route.extended === undefined
    ? []
    : [` set extcommunity rt ${route.extended.map((each) => each.replace('rt:', '')).join(' ')}`]),
  ...(route.med === undefined ? [] : [` set metric ${route.med}`]),
]

export function frrConfig(place: Place, spec: RouterSpec): string {
  const restart = spec.peers.find(({ restartSeconds }) => restartSeconds !== undefined)
  return [
    'log stdout',
    `router bgp ${spec.asn}`,
    ` bgp router-id ${spec.routerId}`,
    ' no bgp ebgp-requires-policy',
    ' no bgp network import-check',
    ' no bgp default ipv4-unicast',
    ' coalesce-time 0',
    ...(restart === undefined
      ? []
      : [
          ' bgp graceful-restart',
          ' bgp graceful-restart preserve-fw-state',
          ` bgp graceful-restart restart-time ${restart.restartSeconds}`,
        ]),
    ...spec.peers.flatMap((peer) => neighbour(place, peer)),
    ...FAMILIES.flatMap((family) => inFamily(family, spec)),
    'exit',
    ...spec.routes.flatMap((route, index) => routeMap(route, index)),
    '',
  ].join('\n')
}

/** As vtysh talks to a daemon: a line and a zero; the answer ends with three zeros and a status. */
async function ask(socket: string, ...lines: readonly string[]): Promise<string> {
  const question = ['enable', ...lines].map((line) => `${line}\0`).join('')
  const whole = (all: Buffer): boolean => ends(all).length >= lines.length + 1
  const answer = await askSocket(socket, question, whole)
  return answer
    .split('\0\0\0')
    .slice(1)
    .map((part) => part.slice(1))
    .join('\n')
}

function ends(all: Buffer): readonly number[] {
  const found: number[] = []
  for (
    let at = all.indexOf('\0\0\0');
    at >= 0 && at + 3 < all.length;
    at = all.indexOf('\0\0\0', at + 4)
  ) {
    found.push(at)
  }
  return found
}

interface JsonPath {
  readonly aspath?: { readonly string: string }
  readonly metric?: number
  readonly locPrf?: number
  readonly community?: { readonly list: readonly string[] }
  readonly extendedCommunity?: { readonly string: string }
  readonly largeCommunity?: { readonly list: readonly string[] }
  readonly originatorId?: string
  readonly clusterList?: { readonly list: readonly string[] }
  readonly nexthops: readonly { readonly ip: string; readonly scope?: string }[]
  readonly peer?: { readonly peerId: string }
}

const lower = (text: string): string => text.toLowerCase()

function seenOf(prefix: string, path: JsonPath): RouteSeen {
  const global = path.nexthops.find(({ scope }) => scope !== 'link-local')
  const paths = path.aspath?.string ?? ''
  return {
    prefix,
    from: path.peer?.peerId ?? '',
    nextHop: global?.ip ?? '',
    asPath: paths === 'Local' ? [] : paths.split(' ').filter(Boolean).map(Number),
    ...some({ med: path.metric, localPref: path.locPrf }),
    communities: path.community?.list ?? [],
    extended: (path.extendedCommunity?.string ?? '').split(' ').filter(Boolean).map(lower),
    large: path.largeCommunity?.list ?? [],
    ...some({ originatorId: path.originatorId, clusterList: path.clusterList?.list }),
  }
}

async function routesOf(socket: string): Promise<readonly RouteSeen[]> {
  const tables = FAMILIES.map(async (family) => {
    const answer = await ask(socket, `show bgp ${family} unicast json detail`)
    const { routes = {} } = JSON.parse(answer.trim() || '{}') as JsonTable
    // The first of a prefix is its heading.
    return Object.entries(routes).flatMap(([prefix, paths]) =>
      paths.flatMap((path) => ('nexthops' in path ? [seenOf(prefix, path)] : [])),
    )
  })
  return (await Promise.all(tables)).flat().filter(({ from }) => !OWN.includes(from))
}

/** What stands for the peer of a route of its own. */
const OWN: readonly string[] = ['', '0.0.0.0', '::', '(unspec)']

interface JsonTable {
  readonly routes?: Readonly<Record<string, readonly (JsonPath | { readonly version: number })[]>>
}

interface JsonNeighbour {
  readonly bgpState?: string
  readonly messageStats?: { readonly updatesRecv: number }
}

/** Unlike bgpd, zebra insists on giving up being root; its folder is its user's. */
async function startZebra(place: Place, home: string): Promise<void> {
  mkdirSync(home)
  for (const folder of [dirname(place.folder), place.folder]) chmodSync(folder, 0o711)
  await must(['chown', 'frr:frr', home])
  const file = join(home, 'zebra.conf')
  writeFileSync(file, 'log stdout\n')
  const flags = ['-P', '0', '-i', `${home}/pid`, '--vty_socket', home, '-z', `${home}/zserv.api`]
  const zebra = startProgram(place, ['/usr/lib/frr/zebra', ...flags, '-f', file])
  await insist(zebra, () => ask(join(home, 'zebra.vty'), 'show version'))
}

export const frr: Implementation = {
  name: 'frr',
  program: '/usr/lib/frr/bgpd',
  enhancedRefresh: /"enhancedRouteRefresh":"advertisedAndReceived"/,
  lacks: {
    'restart-self':
      'FRR 8.4 says End-of-RIB as soon as it is back, seconds before its own networks',
  },
  async start(place, spec, isRestart = false): Promise<Router> {
    const file = join(place.folder, 'bgpd.conf')
    const socket = join(place.folder, 'bgpd.vty')
    writeFileSync(file, frrConfig(place, spec))
    const home = join(place.folder, 'zebra')
    if (!isRestart) await startZebra(place, home)
    const runAs = ['-S', '-u', 'root', '-g', 'root', '-i', join(place.folder, 'pid')]
    const sockets = ['-P', '0', '--vty_socket', place.folder, '-z', join(home, 'zserv.api')]
    const program = startProgram(place, ['/usr/lib/frr/bgpd', ...runAs, ...sockets, '-f', file])
    await insist(program, () => ask(socket, 'show version'))
    return {
      name: 'frr',
      place,
      pid: program.pid,
      async session(peer) {
        const told = await ask(socket, `show bgp neighbors ${peer} json`)
        const all = JSON.parse(told.trim() || '{}') as Record<string, JsonNeighbour>
        const { bgpState = '', messageStats } = all[peer] ?? {}
        return { isUp: bgpState === 'Established', updates: messageStats?.updatesRecv ?? 0, told }
      },
      routes: () => routesOf(socket),
      async refresh(peer) {
        for (const family of FAMILIES) await ask(socket, `clear bgp ${family} unicast ${peer} in`)
      },
      reset: async (peer) => void (await ask(socket, `clear bgp ${peer}`)),
      signal: (signal) => program.signal(signal),
      kill: () => program.kill(),
      log: () => program.log(),
    }
  },
}
