/**
 * Floating addresses: claimed one by one, by the node where the pod is. Such a
 * claim is a block of one address, so it is made, announced and followed as every
 * block is; what differs is when it comes and goes.
 *
 * @module
 */
import { type Ip, type IpFamily, ipFamily, type Mac, macFromName } from '../src/net/mod.ts'
import type { PoolWish } from './admission.ts'
import { claimable, ownBlocks, sparePools } from './blocks.ts'
import { coolingIn, restWords } from './cooling.ts'
import { keys } from './keys.ts'
import {
  type AttachmentKey,
  type BlockClaim,
  type BlockUse,
  isFloating,
  isLinkOurs,
  type NetworkRecord,
  type Pool,
} from './records.ts'
import { exhausted, needsBlock, type Refusal, refuse } from './refusals.ts'
import { hasReservations, isPod, reservationOf } from './reservations.ts'
import type { Reader } from './store.ts'

/** As much of a request as decides. */
interface Asking extends PoolWish {
  readonly node: string
  readonly mayClaim: boolean
  readonly nowMs: number
}

/**
 * The block to claim before an address of a floating pool: peers reach a node by its
 * tunnel endpoint, which is of an ordinary one. Empty where the node has it.
 */
export function endpointClaims(
  reader: Reader,
  network: NetworkRecord,
  family: IpFamily,
  request: Asking,
): readonly BlockClaim[] | Refusal {
  const { node, mayClaim, nowMs } = request
  const own = ownBlocks(reader, network, node, family)
  if (own.some((use) => !isFloating(network, use))) return []
  const pools = sparePools(network, family)
  const [claim] = claimable(reader, network, pools, node, nowMs)
  if (claim === undefined) return exhausted(reader, network, family, request, [])
  return mayClaim ? [claim] : needsBlock(network, family, pools, node, [])
}

/** For a pod whose address stayed behind. */
export const MOVES_HINT =
  "Addresses of an ordinary pool stay with their block's node; those of a floating one move with their pod: trivium ipam pool create CIDR --floating, then reserve one of it"

/** Until it is free: its pod's DEL on the other node, or a person's word. */
export function heldElsewhere(
  reader: Reader,
  network: NetworkRecord,
  pool: Pool,
  ip: Ip,
  claim: BlockClaim,
  { node, mayClaim, nowMs }: Asking,
): Refusal {
  const use = reader.get(keys.use(claim.node, network.name, claim.cidr))
  const [cooling] = use === undefined ? [] : coolingIn(network, use, nowMs)
  const holder = holderOf(reader, network.name, ip, claim.node)
  const found =
    cooling === undefined
      ? `${holder === '' ? `node ${claim.node} has it, ` : holder}wanted on node ${node}`
      : `it cools down on node ${claim.node}, ${restWords(network, cooling, nowMs)}`
  const message = `Cannot allocate ${ip} in network ${network.name}: ${found}`
  const hint = `It is free once that pod's DEL has run; where nothing will: trivium ipam release --ip ${ip}, or trivium node delete ${claim.node} --force for a machine that is gone`
  // In a cluster etcd may know better than this node's copy.
  const wanted = { network: network.name, family: ipFamily(ip), pools: [pool.cidr], ip }
  return { ...refuse('held-elsewhere', message), hint, ...(mayClaim ? {} : { wanted }) }
}

/** Who has `ip`, as the start of a sentence; empty when nobody has. */
export function holderOf(reader: Reader, network: string, ip: Ip, node: string): string {
  const address = reader.get(keys.address(network, ip))
  if (address === undefined) return ''
  const pod = reader.get(keys.attachment(node, address))?.pod
  const name = pod === undefined ? '' : `pod ${pod.namespace}/${pod.name}, `
  return `held by ${name}container ${address.containerId} ${address.ifname} on node ${node}, `
}

/** Whose link it will be. */
interface Linking extends Pick<PoolWish, 'pod'> {
  readonly key: AttachmentKey
  /** undefined: it is a macvlan, or another plugin makes it. */
  readonly hostLink?: string
  readonly macvlan?: true
}

/**
 * The MAC kept with a reserved address, or that of a floating one, the same on
 * every node; whoever makes the link without us chooses its own.
 */
export function stickyMac(
  reader: Reader,
  { key, pod, ...link }: Linking,
  grants: readonly { readonly ip: Ip; readonly use: BlockUse }[],
): Mac | undefined {
  const network = reader.get(keys.network(key.network))
  if (network === undefined || !isLinkOurs(link)) return undefined
  const mayHave = pod !== undefined && hasReservations(reader, network)
  for (const { ip } of mayHave ? grants : []) {
    const reservation = reservationOf(reader, network, ip)
    if (reservation !== undefined && isPod(reservation.pod, pod)) return reservation.mac
  }
  const floating = grants.find(({ use }) => isFloating(network, use))
  return floating && macFromName(`${network.name}/${floating.ip}`)
}
