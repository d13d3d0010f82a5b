/**
 * Our nftables tables in one namespace.
 *
 * @module
 */
import { nft } from 'netlink-ts'
import { NftSocket, pacer } from 'netlink-ts/live'
import {
  type KernelFailure,
  type KernelOp,
  type NftElement,
  type NftObject,
  nftPlace,
} from '../kernel/mod.ts'
import { destroyElements, nftRequests, readNft, readTables } from '../kernel/nft.ts'
import { failureOf } from './kernel-apply.ts'

type Failures = readonly (KernelFailure | undefined)[]

export interface LiveNft {
  /**
   * Applies all that the kernel accepts; in one transaction when it accepts
   * everything. 50 µs; a refusal waits for RCU, 17 ms: see `applyAsync`.
   */
  apply(ops: readonly KernelOp[]): Failures
  /** The same from a pool thread. Calls run one after the other. */
  applyAsync(ops: readonly KernelOp[]): Promise<Failures>
  /** Whether a transaction in a pool thread is under way: another one would wait for it. */
  isBusy(): boolean
  /** Whether our table of that object is there: 15 µs, where a transaction on a missing one costs 17 ms. */
  hasTable(object: NftObject): boolean
  /** Removes those of the elements that are there. */
  removeElements(elements: readonly NftElement[]): Promise<void>
  state(): readonly NftObject[]
  /** The same in pool threads and in pieces. */
  stateSoon(): Promise<readonly NftObject[]>
  /** Whether notifications with that port id tell of our own changes. */
  isOwn(portId: number | undefined): boolean
  close(): void
}

/** Opens the namespace of `netnsFd`, or the process's own. */
export function openNft(netnsFd?: number): LiveNft {
  const options = netnsFd === undefined ? {} : { netnsFd }
  const socket = NftSocket.open(options)
  // A conversation in a pool thread must not be mixed with one on the main thread. The
  // descriptor of a foreign namespace may soon be closed; our own is always there.
  let patient = netnsFd === undefined ? undefined : NftSocket.open(options)
  const portIds = new Set([socket.portId, ...(patient === undefined ? [] : [patient.portId])])

  let underWay = 0
  let tail: Promise<unknown> = Promise.resolve()
  let together: Promise<void> | undefined
  const waiting: NftElement[] = []
  /** Dumps take their time, and nothing else may be asked of their socket meanwhile. */
  const spare: NftSocket[] = []
  let isClosed = false

  async function stateSoon(): Promise<readonly NftObject[]> {
    // The descriptor of a foreign namespace may be closed by now; those are small.
    if (netnsFd !== undefined) return readNft(socket)
    const own = spare.pop() ?? NftSocket.open()
    let isWhole = false
    try {
      const { value } = await own.snapshotAsync(() => readSoon(own))
      isWhole = true
      return value
    } finally {
      if (isWhole && !isClosed && spare.length < SPARE_MAX) spare.push(own)
      else own.close()
    }
  }

  /** One after the other: answers of two on one socket would mix. */
  function patiently<T>(work: (socket: NftSocket) => Promise<T>): Promise<T> {
    const own = patient ?? NftSocket.open(options)
    patient = own
    portIds.add(own.portId)
    underWay += 1
    const run = (): Promise<T> => work(own)
    const result = tail.then(run, run).finally(() => {
      underWay -= 1
    })
    tail = result.catch(() => {})
    return result
  }

  /** One transaction for all that wait for their turn. */
  function removeTogether(elements: readonly NftElement[]): Promise<void> {
    waiting.push(...elements)
    together ??= patiently(async (own) => {
      together = undefined
      await own.transactAsync(destroyElements(waiting.splice(0)))
    })
    return together
  }
  const isBusy = (): boolean => underWay > 0
  const applyAsync = (ops: readonly KernelOp[]): Promise<Failures> =>
    patiently((own) => applyAll(own, ops))
  const hasTable = (object: NftObject): boolean => {
    const { family, table } = nftPlace(object)
    return socket.get(nft.table.get({ family, name: table })) !== undefined
  }

  return {
    apply: (ops) => applyAllNow(socket, ops),
    applyAsync,
    isBusy,
    hasTable,
    async removeElements(elements) {
      // All of one pod, or one network's, are of one table.
      const [first] = elements
      if (first === undefined || !hasTable(first)) return
      if (socket.canDestroy) {
        // Refused only when the table or a set goes at this very moment, and with it the elements.
        if (isBusy()) await removeTogether(elements)
        else socket.transact(destroyElements(elements))
        return
      }
      await applyAsync(elements.map((object) => ({ kind: 'remove', object })))
    },
    state: () => readNft(socket),
    stateSoon,
    isOwn: (portId) => portId !== undefined && portIds.has(portId),
    close() {
      isClosed = true
      for (const each of spare.splice(0)) each.close()
      patient?.close()
      socket.close()
    },
  }
}

/** Looks at the table that overlap now and then: a round of the agent, CHECKs. */
const SPARE_MAX = 2

async function readSoon(socket: NftSocket): Promise<readonly NftObject[]> {
  const found: NftObject[] = []
  const pace = pacer()
  const reading = readTables()
  let step = reading.next([])
  while (step.done !== true) {
    const { value } = step
    if (value.kind === 'objects') for (const object of value.objects) found.push(object)
    const rows = value.kind === 'dump' ? await socket.dumpAsync(value.request) : []
    await pace()
    step = reading.next(rows)
  }
  return found
}

/**
 * A transaction with one bad operation changes nothing. Then each goes alone, so
 * that the good ones happen: a guard that cannot be had does not take the
 * others along.
 */
function applyAllNow(socket: NftSocket, ops: readonly KernelOp[]): Failures {
  const transact = (some: readonly KernelOp[]): KernelFailure | undefined =>
    refusal(socket.transact(nftRequests(some)))
  if (transact(ops) === undefined) return ops.map(() => undefined)
  return ops.map((op) => transact([op]))
}

async function applyAll(socket: NftSocket, ops: readonly KernelOp[]): Promise<Failures> {
  const transact = async (some: readonly KernelOp[]): Promise<KernelFailure | undefined> =>
    refusal(await socket.transactAsync(nftRequests(some)))
  if ((await transact(ops)) === undefined) return ops.map(() => undefined)
  const failures: (KernelFailure | undefined)[] = []
  for (const op of ops) failures.push(await transact([op]))
  return failures
}

function refusal(errors: readonly (Error | undefined)[]): KernelFailure | undefined {
  const refused = errors.find((error) => error !== undefined)
  return refused === undefined ? undefined : failureOf(refused)
}
