/**
 * A pod's guard, in the pod's namespace.
 *
 * @module
 */
import type { NetlinkError, nft } from 'netlink-ts'
import { NftSocket } from 'netlink-ts/live'
import { asTriviumError, TriviumError } from '../errors.ts'
import type { SegmentGuard } from '../kernel/mod.ts'
import { guardFlaw, guardRequests, unguardRequests } from '../kernel/nft-segment.ts'

/** @throws {TriviumError} KERNEL where the kernel has no such hook. */
export function closeSegment(netnsFd: number, guard: SegmentGuard): void {
  const refused = transact(netnsFd, guardRequests(guard))
  if (refused === undefined) return
  throw new TriviumError(
    'KERNEL',
    `Cannot keep ${guard.link} from sending as another: ${refused.message}`,
    'A macvlan needs nftables with the egress hook: Linux 5.16 or newer, CONFIG_NF_TABLES_NETDEV and CONFIG_NETFILTER_EGRESS',
  )
}

/** Gone already is fine. */
export function forgetSegment(netnsFd: number, link: string): void {
  transact(netnsFd, unguardRequests(link))
}

/** @throws {TriviumError} CHECK_FAILED */
export function checkSegment(netnsFd: number, guard: SegmentGuard): void {
  const socket = NftSocket.open({ netnsFd })
  let flaw: string | undefined
  try {
    flaw = guardFlaw(guard, socket)
  } catch (thrown) {
    flaw = asTriviumError(thrown).message
  } finally {
    socket.close()
  }
  if (flaw === undefined) return
  throw new TriviumError(
    'CHECK_FAILED',
    `Cannot vouch for what ${guard.link} sends in the pod: the nftables table that keeps it from sending as another: ${flaw}`,
    'Nobody repairs a pod from outside: let the runtime make it anew',
  )
}

function transact(netnsFd: number, requests: readonly nft.NftRequest[]): NetlinkError | undefined {
  const socket = NftSocket.open({ netnsFd })
  try {
    return socket.transact(requests).find((error) => error !== undefined)
  } finally {
    socket.close()
  }
}
