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

/** One exchange with the kernel: a batch of rtnetlink requests, or nftables operations. */
type Exchange =
  | { readonly with: 'routes'; readonly requests: readonly nl.Request[] }
  | { readonly with: 'nft'; readonly nft: LiveNft; readonly ops: readonly KernelOp[] }

/** Why each request or operation of an exchange failed. */
type Answers = readonly (KernelFailure | undefined)[]

/**
 * Applies in order. Runs of routes, neighbours and the like share system calls,
 * runs of nftables operations are one transaction. The creation of a link
 * stands alone, because what follows needs the index that it makes.
 */
export function applyOps(
  ways: KernelWays,
  ops: readonly KernelOp[],
  peerNetnsFd?: number,
): Failures {
  const program = exchanges(ways, ops, peerNetnsFd)
  let step = program.next()
  while (step.done !== true) {
    const { value } = step
    const answers =
      value.with === 'nft'
        ? value.nft.apply(value.ops)
        : ways.socket.execute(value.requests).map(answerOf)
    step = program.next(answers)
  }
  return step.value
}

/**
 * The same from pool threads: for when others hold the kernel's lock, and for
 * transactions that may be refused, which waits for RCU (17 ms).
 */
export async function applyOpsAsync(
  ways: KernelWays,
  ops: readonly KernelOp[],
  peerNetnsFd?: number,
): Promise<Failures> {
  const program = exchanges(ways, ops, peerNetnsFd)
  let step = program.next()
  while (step.done !== true) {
    const { value } = step
    const answers =
      value.with === 'nft'
        ? await value.nft.applyAsync(value.ops)
        : (await ways.socket.executeAsync(value.requests)).map(answerOf)
    step = program.next(answers)
  }
  return step.value
}

const answerOf = (error: nl.NetlinkError | undefined): KernelFailure | undefined =>
  error === undefined ? undefined : failureOf(error)

function* exchanges(
  { socket, nft }: KernelWays,
  ops: readonly KernelOp[],
  peerNetnsFd: number | undefined,
): Generator<Exchange, Failures, Answers> {
  const failures: (KernelFailure | undefined)[] = []
  for (let start = 0; start < ops.length; ) {
    const end = runEnd(ops, start)
    const run = ops.slice(start, end)
    const isOfNft = isNft(subjectOf(run[0] as KernelOp))
    invariant(!isOfNft || nft !== undefined, 'a table of ours stands on nodes only')
    if (isOfNft && nft !== undefined) failures.push(...(yield { with: 'nft', nft, ops: run }))
    else failures.push(...(yield* batches(socket, run, peerNetnsFd)))
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

/** A run without nftables, as batches of requests. */
function* batches(
  socket: NetlinkSocket,
  ops: readonly KernelOp[],
  peerNetnsFd: number | undefined,
): Generator<Exchange, Failures, Answers> {
  const indexes = new Map<string, number>()
  const indexOf: IndexOf = (name) => {
    const index = indexes.get(name) ?? socket.indexOf(name)
    if (index === undefined) throw unknownLink(name)
    indexes.set(name, index)
    return index
  }
  const context = peerNetnsFd === undefined ? { indexOf } : { indexOf, peerNetnsFd }
  const failures: (KernelFailure | undefined)[] = ops.map(() => undefined)
  let batch: { request: nl.Request; op: number }[] = []

  function* flush(): Generator<Exchange, void, Answers> {
    if (batch.length === 0) return
    const sent = batch
    batch = []
    const answers = yield { with: 'routes', requests: sent.map(({ request }) => request) }
    for (const [position, failure] of answers.entries()) {
      const op = sent[position]?.op
      if (failure !== undefined && op !== undefined) failures[op] ??= failure
    }
  }

  for (const [position, op] of ops.entries()) {
    const object = subjectOf(op)
    const makesOrEnds = object.kind === 'link' && op.kind !== 'change'
    // In order: a setting takes effect after what was asked before it.
    if (makesOrEnds || isAside(object)) yield* flush()
    try {
      if (isAside(object)) {
        setAside(socket, op, object)
        continue
      }
      for (const request of opRequests(op, context)) {
        batch.push({ request, op: position })
        if (!makesOrEnds) continue
        // After a refused creation, the alias would go to somebody else's link of that name.
        yield* flush()
        indexes.delete(object.name)
        if (failures[position] !== undefined) break
      }
      if (!lowersPeer(op, object)) continue
      yield* flush()
      if (failures[position] === undefined) lowerPeer(socket, op, object)
    } catch (thrown) {
      failures[position] = failureOf(thrown)
    }
  }
  yield* flush()
  return failures
}

type Aside = Extract<KernelObject, { kind: 'sysctl' | 'offload-off' }>

/** What does not go through rtnetlink. */
const isAside = (object: KernelObject): object is Aside =>
  object.kind === 'sysctl' || object.kind === 'offload-off'

function setAside(socket: NetlinkSocket, op: KernelOp, object: Aside): void {
  if (object.kind === 'sysctl') writeSysctl(object.name, object.value)
  else socket.setTxChecksum(object.link, op.kind === 'remove')
}

/** Whether the other end of a pair has to follow. */
function lowersPeer(op: KernelOp, to: KernelObject): to is Link {
  if (op.kind !== 'change' || op.from.kind !== 'link' || to.kind !== 'link') return false
  return linkChanges(op.from, to).peerMtuBytes !== undefined
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
