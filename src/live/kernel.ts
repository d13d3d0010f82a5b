/**
 * One namespace's kernel over netlink: the live KernelPort.
 *
 * Every call on the main thread is short: dumps come from pool threads and are
 * read in pieces, batches are chunked, and what waits for the kernel's RCU (the
 * end of a link) goes through a pool thread.
 *
 * @module
 */
import * as nl from 'netlink-ts'
import { NetlinkSocket, pacer } from 'netlink-ts/live'
import { asTriviumError, invariant } from '../errors.ts'
import {
  identity,
  isNft,
  type KernelFailure,
  type KernelObject,
  type KernelOp,
  type KernelState,
  type Link,
  type NftElement,
  type NftObject,
  ownsLink,
  subjectOf,
} from '../kernel/mod.ts'
import { unknownLink } from '../kernel/netlink.ts'
import { getOrNot, type ReadStep, readState, readTables } from '../kernel/netlink-read.ts'
import type { KernelPort } from '../ports.ts'
import {
  applyOps,
  applyOpsAsync,
  type Failures,
  failureOf,
  type KernelWays,
} from './kernel-apply.ts'
import { type KernelWatch, watchKernel } from './kernel-watch.ts'
import { linkEnds } from './link-ends.ts'
import { openNft } from './nft.ts'
import { offloadsOff } from './offload.ts'
import { isLockBusy, waitElsewhere } from './patience.ts'
import { type PodMacvlans, podMacvlans } from './pod-macvlans.ts'
import { readSysctl } from './sysctl.ts'

/** Operations that are made into messages at a stretch: about a millisecond. */
const CHUNK_OPS = 128
/** As many pods as a node may have, and more; of a link that is forgotten the kernel is asked. */
const MADE_MAX = 4096

export interface LiveKernel extends KernelPort {
  /** Everything, now. */
  state(sysctls?: readonly string[]): KernelState
  /**
   * Applies operations in order on the calling thread. Not for removing links:
   * that waits for RCU, 13 to 20 ms.
   */
  applyNow(ops: readonly KernelOp[], peerNetnsFd?: number): Failures
  /**
   * The same without keeping anybody waiting: in pool threads what takes long by
   * itself (a new link, 0.7 ms; unless nobody else is at work) or while others hold
   * the kernel's lock.
   */
  applySoon(ops: readonly KernelOp[], peerNetnsFd?: number, isAlone?: boolean): Promise<Failures>
  /**
   * Removes a link of ours by name and waits until it is gone. One of that name
   * that is not ours stays; absent is fine.
   */
  removeOwnLink(name: string): Promise<KernelFailure | undefined>
  /** Whether there is a link of that name. 2 µs, and never waits. */
  hasLink(name: string): boolean
  /** One link by name, without a dump. */
  link(name: string): nl.Link | undefined
  /** Gives a link that is down another name. @throws {NetlinkError} */
  rename(from: string, to: string): void
  /** Whether our nftables table of that object is there. */
  hasTable(object: NftObject): boolean
  /** Removes those of the elements that are there. */
  removeElements(elements: readonly NftElement[]): Promise<void>
  /** Links in pods' namespaces that have no end here. */
  readonly macvlans: PodMacvlans
  /** Everything, in pool threads and in pieces, so that others get their turn. */
  stateSoon(sysctls?: readonly string[]): Promise<KernelState>
  /** Tells of every change until the returned function is called; needs `netnsFd` still open. */
  watch(told: KernelWatch): () => void
  close(): void
}

/**
 * Opens the namespace of `netnsFd`, or the process's own.
 *
 * @param firewall Whether our nftables table is part of it; in a pod it is not.
 * @param shared Whether calls may overlap. Where one verb works alone, a second
 *   socket for pool threads would only cost it 0.1 ms.
 */
export function openKernel(
  netnsFd?: number,
  firewall = netnsFd === undefined,
  shared = true,
): LiveKernel {
  const socket = NetlinkSocket.open({ netnsFd, shared })
  const nft = firewall ? openNft(netnsFd) : undefined
  const ways: KernelWays = { socket, nft }
  let closed = false
  const link = (name: string): nl.Link | undefined => socket.get(nl.link.get({ name }))

  const ends = linkEnds(netnsFd, (index) => socket.get(nl.link.get({ index })) === undefined)

  async function removeIndex(index: number): Promise<KernelFailure | undefined> {
    const gone = ends.wait(index)
    const acknowledged = waitElsewhere(() => socket.executeAsync([nl.link.remove({ index })]))
      .then(([error]) =>
        error === undefined || error.code === 'ENODEV' ? undefined : failureOf(error),
      )
      .finally(() => ends.forget(index))
    return Promise.race([gone, acknowledged])
  }

  /** Links that this process made, by name: an index is given once, so the same one is the same link. */
  const made = new Map<string, number>()

  function remember(ops: readonly KernelOp[], failures: Failures): Failures {
    for (const [position, op] of ops.entries()) {
      if (op.kind !== 'add' || op.object.kind !== 'link' || failures[position] !== undefined)
        continue
      // A pod's macvlan is in the pod's namespace.
      if (op.object.link.type === 'macvlan') continue
      const { name } = op.object
      const index = socket.indexOf(name)
      if (index !== undefined) made.set(name, index)
      const [oldest = name] = made.keys()
      if (made.size > MADE_MAX) made.delete(oldest)
    }
    return failures
  }

  async function removeOwnLink(name: string): Promise<KernelFailure | undefined> {
    const known = made.get(name)
    made.delete(name)
    // Otherwise the kernel is asked whose it is, which waits for everybody who changes links.
    if (known !== undefined && known === socket.indexOf(name)) return removeIndex(known)
    const request = nl.link.get({ name })
    const found = await waitElsewhere(() => socket.getAsync(request))
    return found === undefined || !ownsLink(found) ? undefined : removeIndex(found.index)
  }

  /** The link that was observed: another one may have its name since, of the same pod or of a stranger. */
  async function removeObserved({ name, alias }: Link): Promise<KernelFailure | undefined> {
    const request = nl.link.get({ name })
    const gone = socket.indexOf(name) === undefined
    const found = gone ? undefined : await waitElsewhere(() => socket.getAsync(request))
    // An alias comes after its link: one without may be the same whose maker did not get further.
    const isOther = Boolean(found?.alias) && found?.alias !== alias
    return found === undefined || isOther ? failureOf(unknownLink(name)) : removeIndex(found.index)
  }

  async function apply(ops: readonly KernelOp[]): Promise<Failures> {
    const failures: (KernelFailure | undefined)[] = []
    for (let next = 0; next < ops.length; ) {
      const op = ops[next]
      if (op?.kind === 'remove' && op.object.kind === 'link') {
        failures.push(await removeObserved(op.object))
        next += 1
        continue
      }
      const end = chunkEnd(ops, next)
      failures.push(...(await waitElsewhere(() => applyOpsAsync(ways, ops.slice(next, end)))))
      next = end
      if (next < ops.length) await turn()
    }
    return failures
  }

  /** In pool threads and in pieces: a thousand peers are some 20 ms, and pods want to be served. */
  async function observe(sysctls: readonly string[]): Promise<KernelState> {
    const state = new Map<string, KernelObject>()
    const pace = pacer()
    await turn()
    const reading = readTables()
    let step = reading.next()
    while (step.done !== true) {
      const { value } = step
      if (value.kind === 'objects') addTo(state, withOffloads(socket, value.objects))
      const answer = value.kind === 'objects' ? undefined : await answerSoon(socket, value)
      await pace()
      invariant(!closed, 'a kernel that is observed is open')
      step = reading.next(answer)
    }
    for (const object of (await nft?.stateSoon()) ?? []) {
      addTo(state, [object])
      await pace()
    }
    addTo(state, sysctlObjects(sysctls))
    return state
  }

  return {
    state: (sysctls = []) => stateOf(ways, sysctls),
    applyNow: (ops, peerNetnsFd) => applyOps(ways, ops, peerNetnsFd),
    applySoon: async (ops, peerNetnsFd, isAlone = false) =>
      remember(
        ops,
        isLockBusy() || nft?.isBusy() === true || (!isAlone && ops.some(makesLink))
          ? await waitElsewhere(() => applyOpsAsync(ways, ops, peerNetnsFd))
          : applyOps(ways, ops, peerNetnsFd),
      ),
    removeOwnLink,
    hasLink: (name) => socket.indexOf(name) !== undefined,
    link,
    rename(from, to) {
      const index = socket.indexOf(from)
      if (index === undefined) throw unknownLink(from)
      socket.run(nl.link.set({ index }, { name: to }))
    },
    hasTable: (object) => nft?.hasTable(object) === true,
    removeElements: async (elements) => nft?.removeElements(elements),
    macvlans: podMacvlans(socket),
    stateSoon: (sysctls = []) => observe(sysctls),
    observe(sysctls, done) {
      observe(sysctls).then(
        (state) => done({ kind: 'state', state }),
        (thrown: unknown) => done({ kind: 'failed', reason: asTriviumError(thrown).message }),
      )
    },
    apply(ops, done) {
      apply(ops).then(done, (thrown: unknown) => done(ops.map(() => failureOf(thrown))))
    },
    watch: (told) => watchKernel(ways, told, netnsFd),
    close() {
      closed = true
      ends.close()
      nft?.close()
      socket.close()
    },
  }
}

/** Ends before the removal of a link, and where operations may be cut. */
function chunkEnd(ops: readonly KernelOp[], start: number): number {
  let end = start
  while (end < ops.length) {
    const op = ops[end]
    if (op === undefined || (op.kind === 'remove' && op.object.kind === 'link')) break
    if (end - start >= CHUNK_OPS && mayCut(ops[end - 1], op)) break
    end += 1
  }
  return end
}

/** Operations on nftables are one transaction, but elements of one set stand for themselves. */
function mayCut(before: KernelOp | undefined, op: KernelOp): boolean {
  const after = subjectOf(op)
  if (before === undefined || !isNft(after)) return true
  const last = subjectOf(before)
  if (last.kind !== 'nft-element' || after.kind !== 'nft-element') return false
  return last.set === after.set && before.kind === op.kind
}

function stateOf({ socket, nft }: KernelWays, sysctls: readonly string[]): KernelState {
  const state = new Map<string, KernelObject>()
  addTo(state, withOffloads(socket, readState(socket)))
  addTo(state, nft?.state() ?? [])
  addTo(state, sysctlObjects(sysctls))
  return state
}

/** A look-up is quick on the main thread unless others hold the kernel's lock. */
async function answerSoon(
  socket: NetlinkSocket,
  step: Exclude<ReadStep, { kind: 'objects' }>,
): Promise<unknown> {
  if (step.kind === 'dump') return socket.dumpAsync(step.request)
  if (!isLockBusy()) return getOrNot(() => socket.get(step.request))
  return socket.getAsync(step.request).catch(() => undefined)
}

/** What no dump shows comes with its link. */
function withOffloads(
  socket: NetlinkSocket,
  objects: readonly KernelObject[],
): readonly KernelObject[] {
  const offs = objects.flatMap((each) => (each.kind === 'link' ? offloadsOff(socket, each) : []))
  return offs.length === 0 ? objects : [...objects, ...offs]
}

const sysctlObjects = (names: readonly string[]): readonly KernelObject[] =>
  names.flatMap((name): readonly KernelObject[] => {
    const value = readSysctl(name)
    return value === undefined ? [] : [{ kind: 'sysctl', name, value }]
  })

/** Two routes of one identity exist (ECMP siblings in IPv6); the first one answers lookups. */
function addTo(state: Map<string, KernelObject>, objects: readonly KernelObject[]): void {
  for (const object of objects) {
    const key = identity(object)
    if (!state.has(key)) state.set(key, object)
  }
}

const makesLink = (op: KernelOp): boolean => op.kind === 'add' && op.object.kind === 'link'

/** Lets everything else that is due run first. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
