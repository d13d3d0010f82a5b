/**
 * The same story for both implementations of BGP in the simulator: the exact engine's
 * speakers over a simulated TCP, and the scaled engine's columns. What happened to
 * switches and sessions, and what everybody knows at the end, is given in one form.
 */
import { BgpAnnouncements } from '../../../simulator/bgp/announce-bgp.ts'
import { planRouting } from '../../../simulator/bgp/plan.ts'
import { Engine, EVENT, TICKS_PER_MS } from '../../../simulator/clock.ts'
import { FabricPaths } from '../../../simulator/fabric-paths.ts'
import { generateTopology } from '../../../simulator/fabric-topology.ts'
import { ScaledBgp } from '../../../simulator/scaled/bgp/announcements.ts'
import { ScaledQueue } from '../../../simulator/scaled/queue.ts'
import type { RoutingWords } from '../../../simulator/scenario-routing.ts'
import { planRacks } from '../../../simulator/underlay.ts'
import type { NetworkRecord } from '../../../src/cluster/view.ts'
import type { Ip, Prefix } from '../../../src/net/mod.ts'

export type Action =
  | { readonly kind: 'start' | 'stop' | 'off' | 'on'; readonly node: number }
  | { readonly kind: 'add' | 'remove'; readonly node: number; readonly pod: number }
  | { readonly kind: 'down' | 'up'; readonly device: number }
  | { readonly kind: 'cut' | 'mend'; readonly link: number }

export interface Story {
  readonly nodes: number
  readonly racks: number
  readonly spines: number
  readonly linkTicks: number
  readonly convergeTicks: number
  readonly hasHosts: boolean
  readonly words: RoutingWords
  readonly actions: readonly (Action & { readonly tick: number })[]
}

/** When a speaker's session with another came up, or ended. */
type SessionMoment = readonly [tick: number, speaker: number, peer: number, isUp: boolean]

/** What a switch was told. */
type SwitchMoment = readonly [tick: number, device: number, ...rest: unknown[]]

/** By switch; what one is told in one tick has no order: own prefixes of who was in a flock are said in another. */
const byDevice = (left: SwitchMoment, right: SwitchMoment): number =>
  left[0] - right[0] || left[1] - right[1] || (String(left[2]) < String(right[2]) ? -1 : 1)

/** Timers that end in one tick have no order that means anything. */
const byMoment = (left: SessionMoment, right: SessionMoment): number =>
  left[0] - right[0] || left[1] - right[1] || left[2] - right[2]

export interface Told {
  readonly tick: number
  /** Events that are not compared. */
  readonly events: number
  readonly switches: readonly unknown[]
  readonly sessions: readonly unknown[]
  readonly figure: unknown
  readonly best: readonly (readonly string[])[]
}

const PATIENCE_TICKS = 3_600_000 * TICKS_PER_MS

/** A node's blocks are of its own; a pod is one of its addresses, or all of a block. */
const prefixOf = ({ hasHosts }: Story, node: number, pod: number): Prefix =>
  (hasHosts ? `10.1.${node}.${pod}/32` : `10.${pod}.${node}.0/24`) as Prefix

const POOLS = Array.from({ length: 8 }, (_, pod) => `10.${pod}.0.0/16` as Prefix)

/** What speakers report of their sessions, which is nobody's to hear but their owner's. */
function hearSessions(
  bgp: BgpAnnouncements,
  onSession: (speaker: number, peer: number, isUp: boolean) => void,
): void {
  const { speakers } = bgp.plan
  const byAddress = new Map(speakers.map(({ config }, index) => [config.routerId, index]))
  for (const [index, speaker] of bgp.speakers.entries()) {
    const { world } = speaker as unknown as {
      world: { report: (report: { event: string; peer: Ip }) => void }
    }
    const { report } = world
    world.report = (said) => {
      const isUp = said.event === 'up'
      if (isUp || said.event === 'down') onSession(index, byAddress.get(said.peer) ?? -1, isUp)
      report(said)
    }
  }
}

/** What either does about a node's power and its speaker. */
function power(
  bgp: Pick<BgpAnnouncements, 'agent' | 'silence' | 'speak'>,
  kind: 'start' | 'stop' | 'off' | 'on',
  node: number,
): void {
  if (kind === 'on') bgp.speak(node)
  if (kind === 'off') bgp.silence(node)
  else bgp.agent(node, kind !== 'stop')
}

const NETWORK: NetworkRecord = {
  name: 'pods',
  mode: 'route',
  pools: POOLS.map((cidr) => ({ cidr, blockLength: 24 })),
  options: { vni: 0, vlanId: 0, vxlanPort: 0, masquerade: true },
  createdMs: 0,
}

export function exactly(story: Story): Told {
  const engine = new Engine()
  const link = { latencyTicks: story.linkTicks, lossPpm: 0, mbps: undefined }
  const { nodes, racks, spines, words, hasHosts } = story
  const topology = generateTopology({
    ...{ kind: 'leaf-spine', racks, spines, groups: 1, aggregations: 1, cores: 1 },
    ...{ dataCenters: 1, wanRouters: 1, link, wan: link },
  })
  const paths = new FabricPaths(engine, topology, story.convergeTicks, () => {})
  const places = planRacks(nodes, racks, [4])
  const plan = planRouting({
    ...{ words, racks: places, topology, hasHosts, summed: [], shares: [] },
    pools: POOLS,
    networks: [NETWORK],
  })
  const switches: SwitchMoment[] = []
  const sessions: SessionMoment[] = []
  const bgp = new BgpAnnouncements(engine, {
    ...{ plan, paths, seed: 1 },
    onRoute: (device, prefix, hops, since) =>
      switches.push([engine.tick, device, prefix, hops.length > 0, since]),
    onReset: (device) => switches.push([engine.tick, device, 'reset']),
  })
  hearSessions(bgp, (...moment) => sessions.push([engine.tick, ...moment]))
  const act = (action: Action): void => {
    const change = (up: boolean, target: Parameters<FabricPaths['change']>[0][0]['target']) =>
      paths.change([{ up, target }])
    if ('device' in action) {
      change(action.kind === 'up', { kind: 'device', device: action.device })
    } else if ('link' in action) {
      change(action.kind === 'mend', { kind: 'link', link: action.link })
    } else if ('pod' in action) {
      const entry = prefixOf(story, action.node, action.pod)
      const announced = { table: 'host', entry, cost: 1 } as const
      const add = action.kind === 'add'
      bgp.send(action.node, { add, entry: announced, pods: 0, atTick: engine.tick })
    } else power(bgp, action.kind, action.node)
  }
  let left = story.actions.length
  for (const action of story.actions) {
    engine.later(action.tick, EVENT.fault, 0, 0, () => {
      left--
      act(action)
    })
  }
  bgp.start()
  engine.run(() => left === 0 && bgp.pending + paths.pending === 0, PATIENCE_TICKS)
  const figure = bgp.figure()
  return {
    tick: engine.tick,
    events: engine.events,
    switches: switches.sort(byDevice),
    sessions: sessions.sort(byMoment),
    figure: {
      ...{ established: figure.established, ended: figure.ended, routes: figure.routes },
      ...{ messages: figure.messages, bytes: figure.bytes },
      ...{ upTick: bgp.counter.upTick, learnedTick: bgp.counter.learnedTick },
      told: bgp.counter.prefixesTold,
      sessions: figure.sessions,
    },
    best: bgp.speakers.map(({ core }) =>
      core === undefined ? [] : [...core.routes('ipv4')].map(({ prefix }) => prefix).sort(),
    ),
  }
}

/** @param shares Whether clients in lockstep share a table. */
export function inColumns(story: Story, shares = true): Told {
  const queue = new ScaledQueue()
  const clock = {
    tick: 0,
    post: (ticks: number, kind: number, a: number, b: number) =>
      queue.post(clock.tick + ticks, clock.tick, kind, a, b),
  }
  const { nodes, racks, spines, linkTicks, words, hasHosts } = story
  const switches: SwitchMoment[] = []
  const sessions: SessionMoment[] = []
  const bgp: ScaledBgp = new ScaledBgp({
    shape: { nodes, racks, spines, linkTicks, words, hasHosts },
    ...{ clock, shares },
    onRoute: (device, prefix, isThere, since) =>
      switches.push([clock.tick, device, names[prefix], isThere, since]),
    onReset: (device) => switches.push([clock.tick, device, 'reset']),
    onSession: (...session) => sessions.push([clock.tick, ...session]),
  })
  let unknown = 0
  const follow = (change: Parameters<ScaledBgp['follow']>[0]): void => {
    unknown++
    bgp.follow(change, 'happened')
    changes.push(change)
    queue.post(clock.tick + story.convergeTicks, clock.tick, KNOWN, changes.length - 1, 0)
  }
  const changes: Parameters<ScaledBgp['follow']>[0][] = []
  const names: Prefix[] = []
  const numberOf = (node: number, prefix: Prefix): number => {
    const known = names.indexOf(prefix)
    if (known >= 0) return known
    names.push(prefix)
    return bgp.prefixes.add(node, hasHosts ? 32 : 24)
  }
  const act = (action: Action): void => {
    if ('device' in action) {
      follow({ kind: 'device', index: action.device, up: action.kind === 'up' })
    } else if ('link' in action) {
      follow({ kind: 'link', index: action.link, up: action.kind === 'mend' })
    } else if ('pod' in action) {
      const { node, pod, kind } = action
      bgp.send(node, numberOf(node, prefixOf(story, node, pod)), kind === 'add')
    } else power(bgp, action.kind, action.node)
  }
  for (const [index, { tick }] of story.actions.entries()) queue.post(tick, 0, ACTION, index, 0)
  bgp.start()
  let left = story.actions.length
  let events = 0
  while (left > 0 || bgp.pending + unknown > 0) {
    if (!queue.pop() || queue.tick > PATIENCE_TICKS) break
    const { kind, a, b } = queue
    if (kind > KNOWN && !bgp.isCurrent(kind, a, b)) continue
    clock.tick = queue.tick
    events++
    if (kind === ACTION) {
      left--
      act(story.actions[a]!)
    } else if (kind === KNOWN) {
      unknown--
      bgp.follow(changes[a]!, 'known')
    } else bgp.serve(kind, a, b)
  }
  return {
    ...{ tick: clock.tick, events, sessions: sessions.sort(byMoment) },
    switches: switches.sort(byDevice),
    figure: figureOf(bgp),
    best: bgp.speakers.map((_, index) =>
      Array.from(bgp.bestOf(index), (prefix) => names[prefix]!).sort(),
    ),
  }
}

function figureOf(bgp: ScaledBgp): unknown {
  const { sent, established, ended, routes, upTick, learnedTick } = bgp.figure()
  const { bytes, ...messages } = sent
  return {
    ...{ established, ended, routes, messages: { ...messages, refresh: 0 }, bytes },
    ...{ upTick, learnedTick, told: bgp.prefixesTold, sessions: bgp.plan.sessions },
  }
}

const ACTION = 1
const KNOWN = 2
