/** The stories of BGP over the simulated network; over real sockets: test/e2e/bgp-contract.test.ts. */
import t from 'tap'
import { BgpAnnouncements } from '../../simulator/bgp/announce-bgp.ts'
import { daemonNamed } from '../../simulator/bgp/daemons.ts'
import type { RoutingPlan, SessionPlan, SpeakerPlan } from '../../simulator/bgp/plan.ts'
import { Engine } from '../../simulator/clock.ts'
import { FabricPaths } from '../../simulator/fabric-paths.ts'
import { routingSchema } from '../../simulator/scenario-routing.ts'
import type { PeerConfig } from '../../src/bgp/config.ts'
import type { Policy } from '../../src/bgp/policy/policy.ts'
import { routeJson } from '../../src/bgp/speaker/json.ts'
import type { Ip } from '../../src/net/mod.ts'
import { bgpStories, linesOf, type Stage, type StageOptions } from '../contract/bgp-stories.ts'
import { mustIp, mustPrefix } from './support.ts'

const ALL: Policy = { name: 'all', rules: [], otherwise: 'accept' }
const addressOf = (index: number): Ip => mustIp(`192.0.2.${index + 1}`)

/** All routers are at one switch, as nodes are. */
function planOf({ actors, restarts }: StageOptions): RoutingPlan {
  const indexOf = (name: string): number => actors.findIndex((actor) => actor.name === name)
  const speakers = actors.map(({ name, asn, originates, peers }, node): SpeakerPlan => {
    const configs = peers.map((peer): PeerConfig => {
      const other = indexOf(peer.name)
      return {
        address: addressOf(other),
        asn: actors[other]?.asn ?? 0,
        localAddress: addressOf(node),
        families: ['ipv4'],
        importPolicy: ALL,
        exportPolicy: ALL,
        gracefulRestart: restarts ? { restartSeconds: 120 } : false,
        ...(peer.isClient && { isClient: true }),
      }
    })
    const originate = originates.map((prefix) => ({ prefix: mustPrefix(prefix) }))
    const config = { asn, routerId: addressOf(node), peers: configs, originate }
    return { name, node, device: 0, daemon: daemonNamed('trivium'), config }
  })
  const sessions = actors.flatMap(({ peers }, one) =>
    peers
      .map(({ name }) => indexOf(name))
      .filter((other) => other > one)
      .map((other): SessionPlan => {
        const addresses = [addressOf(one), addressOf(other)] as const
        const ips = [[addresses[0]], [addresses[1]]] as const
        return { ends: [one, other], addresses, ips, way: { kind: 'port' } }
      }),
  )
  const idle = { asn: 1, routerId: mustIp('198.51.100.1'), peers: [], originate: [] }
  const daemon = daemonNamed('trivium')
  return {
    speakers: [...speakers, { name: 'tor', node: undefined, device: 0, daemon, config: idle }],
    sessions,
    nodes: actors.length,
    words: routingSchema.parse({ protocol: 'bgp' }),
    isFabric: true,
    pools: [],
    hasHosts: true,
    summed: [],
    shares: [],
  }
}

bgpStories(t, (_t, options): Stage => {
  const engine = new Engine()
  const topology = { devices: [{ name: 'tor', role: 'tor', rack: 0 } as const], links: [] }
  const paths = new FabricPaths(engine, topology, 0, () => {})
  const plan = planOf(options)
  const bgp = new BgpAnnouncements(engine, {
    ...{ plan, paths, seed: 1 },
    onRoute: () => {},
    onReset: () => {},
  })
  bgp.start()
  const indexOf = (name: string): number => plan.speakers.findIndex((each) => each.name === name)
  const nameOf = (ip: string): string =>
    plan.speakers.find(({ config }) => config.routerId === ip)?.name ?? ip
  // Some virtual seconds more than anything takes, but less than a restart may.
  const wait = (): boolean => engine.run(() => false, engine.tick + 20_000_000)
  return {
    start: (name) => bgp.agent(indexOf(name), true),
    kill: (name) => bgp.agent(indexOf(name), false),
    async table(name) {
      wait()
      const routes = bgp.speakers[indexOf(name)]?.core?.routes('ipv4') ?? []
      return linesOf([...routes].map(routeJson), nameOf)
    },
  }
})
