/**
 * Operations on one namespace's kernel, on the calling thread.
 *
 * @module
 */
import * as nl from 'netlink-ts'
import type { NetlinkSocket } from 'netlink-ts/live'
import { asTriviumError, invariant } from '../errors.ts'
import {
  isNft,
  type KernelFailure,
  type KernelObject,
  type KernelOp,
  type Link,
  linkChanges,
  subjectOf,
} from '../kernel/mod.ts'
import { type IndexOf, opRequests, unknownLink } from '../kernel/netlink.ts'
import type { LiveNft } from './nft.ts'
import { setPeerMtu } from './pod-mtu.ts'
import { writeSysctl } from './sysctl.ts'

export type Failures = readonly (KernelFailure | undefined)[]

/** The ways into one namespace's kernel. */
export interface KernelWays {
  readonly socket: NetlinkSocket
  /** Absent in pods. */
  readonly nft: LiveNft | undefined
}

/**
 * Applies in order. Runs of routes, neighbours and the like share system calls,
 * runs of nftables operations are one transaction. A link's own operation
 * stands alone, because what follows needs the index that it creates.
 */
export function applyOps(
  { socket, nft }: KernelWays,
  ops: readonly KernelOp[],
  peerNetnsFd?: number,
): Failures {
  const failures: (KernelFailure | undefined)[] = []
  for (let start = 0; start < ops.length; ) {
    const end = runEnd(ops, start)
    const run = ops.slice(start, end)
    const isOfNft = isNft(subjectOf(run[0] as KernelOp))
    invariant(!isOfNft || nft !== undefined, 'a table of ours stands on nodes only')
    failures.push(
      ...(isOfNft && nft !== undefined ? nft.apply(run) : applyRun(socket, run, peerNetnsFd)),
    )
    start = end
  }
  return failures
}

/** Where operations of nftables and of everything else change over. */
function runEnd(ops: readonly KernelOp[], start: number): number {
  const isOfNft = isNft(subjectOf(ops[start] as KernelOp))
  const next = ops.findIndex((op, index) => index > start && isNft(subjectOf(op)) !== isOfNft)
  return next < 0 ? ops.length : next
}

function applyRun(
  socket: NetlinkSocket,
  ops: readonly KernelOp[],
  peerNetnsFd: number | undefined,
): Failures {
  const indexes = new Map<string, number>()
  const indexOf: IndexOf = (name) => {
    const index = indexes.get(name) ?? socket.get(nl.link.get({ name }))?.index
    if (index === undefined) throw unknownLink(name)
    indexes.set(name, index)
    return index
  }
  const context = peerNetnsFd === undefined ? { indexOf } : { indexOf, peerNetnsFd }
  const failures: (KernelFailure | undefined)[] = ops.map(() => undefined)
  let batch: { request: nl.Request; op: number }[] = []

  function flush(): void {
    if (batch.length === 0) return
    const errors = socket.execute(batch.map(({ request }) => request))
    for (const [position, error] of errors.entries()) {
      const op = batch[position]?.op
      if (error !== undefined && op !== undefined) failures[op] ??= failureOf(error)
    }
    batch = []
  }

  for (const [position, op] of ops.entries()) {
    const object = subjectOf(op)
    if (object.kind === 'link' || object.kind === 'offload-off') flush()
    try {
      if (aside(socket, op, object)) continue
      for (const request of opRequests(op, context)) {
        batch.push({ request, op: position })
        if (object.kind !== 'link') continue
        // After a refused creation, the alias would go to somebody else's link of that name.
        flush()
        if (failures[position] !== undefined) break
      }
      if (object.kind === 'link' && failures[position] === undefined) lowerPeer(socket, op, object)
    } catch (thrown) {
      failures[position] = failureOf(thrown)
    }
  }
  flush()
  return failures
}

/** What does not go through rtnetlink; false when it does. */
function aside(socket: NetlinkSocket, op: KernelOp, object: KernelObject): boolean {
  if (object.kind === 'sysctl') writeSysctl(object.name, object.value)
  else if (object.kind === 'offload-off') socket.setTxChecksum(object.link, op.kind === 'remove')
  else return false
  return true
}

function lowerPeer(socket: NetlinkSocket, op: KernelOp, to: Link): void {
  if (op.kind !== 'change' || op.from.kind !== 'link') return
  const { peerMtuBytes } = linkChanges(op.from, to)
  if (peerMtuBytes !== undefined) setPeerMtu(socket, to, peerMtuBytes)
}

export function failureOf(thrown: unknown): KernelFailure {
  if (thrown instanceof nl.NetlinkError || thrown instanceof nl.SyscallError) {
    return { code: thrown.code, message: thrown.message }
  }
  const { message } = asTriviumError(thrown)
  // Our own look-up of a link's index says the same as the kernel would.
  return { code: message.startsWith('Cannot find link') ? 'ENODEV' : 'EINVAL', message }
}
