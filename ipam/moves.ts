/**
 * Networks that change their road under living pods. Nothing is switched at once:
 * each node opens the new road, says so in its record, sends by it to those who said
 * so, and closes the old one when nobody sends by it any more. So every state in
 * between carries packets, and stays as it is where an agent is away.
 *
 * @module
 */
import { TriviumError } from '../src/errors.ts'
import { prefixFamily } from '../src/net/mod.ts'
import type { NetworkRecord, NodeRecord, Road, RoadName, Standing } from './records.ts'

/** undefined: its packets take no road of ours. */
export function roadOf({ mode, options, alternate }: NetworkRecord): Road | undefined {
  if (mode !== 'vxlan' && mode !== 'route') return undefined
  const { vni, vxlanPort, flavour, crossSubnet } = options
  return {
    mode,
    vni,
    vxlanPort,
    ...(flavour === 'lightweight' && { flavour }),
    ...(crossSubnet === true && { crossSubnet }),
    ...(alternate === true && { alternate }),
  }
}

/** Whether a receiver finds no difference; of the names of links nobody else knows. */
const sameTunnel = (left: Road, right: Road): boolean =>
  left.mode === right.mode &&
  left.vni === right.vni &&
  left.vxlanPort === right.vxlanPort &&
  left.flavour === right.flavour

/** Without tunnels, nothing but the mode matters. */
export const sameRoad = (left: Road, right: Road): boolean =>
  left.mode === 'route'
    ? right.mode === 'route'
    : sameTunnel(left, right) && left.crossSubnet === right.crossSubnet

/** The road that the network's nodes go to; undefined while it never changed under them. */
export function wantedRoad(network: NetworkRecord): RoadName | undefined {
  const [road, { move }] = [roadOf(network), network]
  if (road === undefined || move === undefined) return undefined
  if (sameRoad(road, move.new)) return 'new'
  return sameRoad(road, move.old) ? 'old' : undefined
}

/** How far a node is. One that has said nothing of this move has not heard of it. */
export function standingOf(node: NodeRecord, { name, move }: NetworkRecord): Standing {
  const told = node.moves?.[name]
  const serial = move?.serial ?? 0
  return told?.serial === serial ? told : { serial, takes: ['old'], uses: ['old'] }
}

/** Whether packets of the road are taken by the node: those without tunnel always are. */
export function takesRoad(node: NodeRecord, network: NetworkRecord, road: RoadName): boolean {
  const { move } = network
  if (move === undefined || move[road].mode === 'route' || sameTunnel(move.old, move.new))
    return true
  return standingOf(node, network).takes.includes(road)
}

/** Whether the node has the wanted road and no other. */
export const hasMoved = (node: NodeRecord, network: NetworkRecord, wanted: RoadName): boolean => {
  const { takes, uses } = standingOf(node, network)
  return [...takes, ...uses].every((road) => road === wanted)
}

/** Names of nodes that are still on their way. */
export function notYetMoved(
  network: NetworkRecord,
  nodes: Iterable<NodeRecord>,
): readonly string[] {
  const wanted = wantedRoad(network)
  if (wanted === undefined) return []
  return [...nodes].filter((node) => !hasMoved(node, network, wanted)).map(({ name }) => name)
}

/** VNIs of the network's tunnels, with the one that is being left while nodes may have it open. */
export function vnisInUse(
  network: NetworkRecord,
  nodes: Iterable<NodeRecord>,
): ReadonlySet<number> {
  const { options, move } = network
  const isOver = move === undefined || notYetMoved(network, nodes).length === 0
  return new Set([options.vni, ...(isOver ? [] : [move.old.vni, move.new.vni])])
}

/** What a node that has nothing yet says of itself: it was never anywhere else. */
export function movesOfNew(
  networks: Iterable<NetworkRecord>,
): Readonly<Record<string, Standing>> | undefined {
  const moves: Record<string, Standing> = {}
  for (const network of networks) {
    const wanted = wantedRoad(network)
    if (wanted === undefined || network.move === undefined) continue
    moves[network.name] = { serial: network.move.serial, takes: [wanted], uses: [wanted] }
  }
  return Object.keys(moves).length === 0 ? undefined : moves
}

/**
 * `next` with what its nodes need to get there from `present`.
 *
 * @throws {TriviumError} CONFLICT while nodes are on their way and `next` is neither end
 * of it; where a node's filter would drop what comes by the other road.
 */
export function movedNetwork(
  present: NetworkRecord,
  next: NetworkRecord,
  nodes: readonly NodeRecord[],
): NetworkRecord {
  const [from, to] = [roadOf(present), roadOf(next)]
  if (from === undefined || to === undefined || sameRoad(from, to) || nodes.length === 0)
    return next
  refuseStrictFilter(next, nodes)
  const { alternate: _before, ...rest } = next
  const { move } = present
  const late = notYetMoved(present, nodes)
  if (move !== undefined && late.length > 0) {
    const back = [move.old, move.new].find((road) => sameRoad(road, to))
    if (back === undefined) throw stillMoving(present, silentNodes(present, nodes) ?? late)
    return { ...rest, ...(back.alternate === true && { alternate: true }), move }
  }
  // Two tunnels of one VNI side by side need two names.
  const clashes = from.mode === 'vxlan' && to.mode === 'vxlan' && from.vni === to.vni
  const isOther =
    clashes && !sameTunnel(from, to) ? from.alternate !== true : clashes && from.alternate === true
  const named = { ...rest, ...(isOther && { alternate: true as const }) }
  const serial = (move?.serial ?? present.createdMs) + 1
  return { ...named, move: { serial, old: from, new: roadOf(named) ?? to } }
}

/** Nodes that have said nothing of the move: the others wait for them. undefined: all have. */
function silentNodes(
  { name, move }: NetworkRecord,
  nodes: readonly NodeRecord[],
): readonly string[] | undefined {
  const silent = nodes.filter(({ moves }) => moves?.[name]?.serial !== move?.serial)
  return silent.length === 0 ? undefined : silent.map((node) => node.name)
}

function stillMoving({ name }: NetworkRecord, late: readonly string[]): TriviumError {
  const named = late.slice(0, NODES_NAMED).join(', ')
  const more = late.length > NODES_NAMED ? ` and ${late.length - NODES_NAMED} more` : ''
  return new TriviumError(
    'CONFLICT',
    `Cannot change network ${name}: node ${named}${more} has not followed its last change yet, wanted all of them`,
    'Start its agent, go back to what the network was before, or, if it is gone: trivium node delete NODE',
  )
}

const NODES_NAMED = 5

/** While nodes differ, packets come by another road than answers go. */
function refuseStrictFilter({ name, pools }: NetworkRecord, nodes: readonly NodeRecord[]): void {
  if (!pools.some(({ cidr }) => prefixFamily(cidr) === 4)) return
  const strict = nodes.filter(({ strictFilter }) => strictFilter === true)
  if (strict.length === 0) return
  const names = strict.slice(0, NODES_NAMED).map((node) => node.name)
  const more = strict.length > NODES_NAMED ? ` and ${strict.length - NODES_NAMED} more` : ''
  throw new TriviumError(
    'CONFLICT',
    `Cannot change the road of network ${name}: net.ipv4.conf.all.rp_filter is 1 (strict) on node ${names.join(', ')}${more} and drops what comes by the other road meanwhile, wanted 2 (loose) or 0`,
    'There use: sysctl -w net.ipv4.conf.all.rp_filter=2; agents tell within ten seconds',
  )
}
