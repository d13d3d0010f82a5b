/**
 * One namespace's kernel over netlink: the live KernelPort.
 *
 * Every call on the main thread is short: dumps and batches are synchronous
 * but chunked, and what waits for the kernel's RCU (the end of a link) goes
 * through a pool thread.
 *
 * @module
 */
import { readFileSync, writeFileSync } from 'node:fs'
import * as nl from 'netlink-ts'
import { Monitor, NetlinkSocket } from 'netlink-ts/live'
import { asTriviumError } from '../errors.ts'
import {
  identity,
  type KernelFailure,
  type KernelObject,
  type KernelOp,
  type KernelState,
  subjectOf,
} from '../kernel/mod.ts'
import { type IndexOf, opRequests, readState, unknownLink } from '../kernel/netlink.ts'
import type { KernelPort } from '../ports.ts'

/** Operations between two returns to the event loop: about 3 ms. */
const CHUNK_OPS = 512

export interface LiveKernel extends KernelPort {
  /** Everything, now. */
  state(sysctls?: readonly string[]): KernelState
  /**
   * Applies operations in order on the calling thread. Not for removing links:
   * that waits for RCU, 13 to 20 ms.
   */
  applyNow(ops: readonly KernelOp[], peerNetnsFd?: number): readonly (KernelFailure | undefined)[]
  /** Removes a link by name and waits until it is gone; absent is fine. */
  removeLink(name: string): Promise<KernelFailure | undefined>
  /** One link by name, without a dump. */
  link(name: string): nl.Link | undefined
  close(): void
}

/** Opens the namespace of `netnsFd`, or the process's own. */
export function openKernel(netnsFd?: number): LiveKernel {
  const socket = NetlinkSocket.open(netnsFd === undefined ? {} : { netnsFd })
  const link = (name: string): nl.Link | undefined => socket.get(nl.link.get({ name }))

  const ends = linkEnds(netnsFd, (index) => socket.get(nl.link.get({ index })) === undefined)

  async function removeLink(name: string): Promise<KernelFailure | undefined> {
    const found = link(name)
    if (found === undefined) return undefined
    const gone = ends.wait(found.index)
    const acknowledged = socket
      .executeAsync([nl.link.remove({ index: found.index })])
      .then(([error]) =>
        error === undefined || error.code === 'ENODEV' ? undefined : failureOf(error),
      )
      .finally(() => ends.forget(found.index))
    return Promise.race([gone, acknowledged])
  }

  async function apply(ops: readonly KernelOp[]): Promise<readonly (KernelFailure | undefined)[]> {
    const failures: (KernelFailure | undefined)[] = []
    for (let next = 0; next < ops.length; ) {
      const op = ops[next]
      if (op?.kind === 'remove' && op.object.kind === 'link') {
        const gone = link(op.object.name) === undefined
        failures.push(gone ? noDevice(op.object.name) : await removeLink(op.object.name))
        next += 1
        continue
      }
      const end = chunkEnd(ops, next)
      failures.push(...applyBatch(socket, ops.slice(next, end)))
      next = end
      if (next < ops.length) await new Promise((resolve) => setImmediate(resolve))
    }
    return failures
  }

  return {
    state: (sysctls = []) => stateOf(socket, sysctls),
    applyNow: (ops, peerNetnsFd) => applyBatch(socket, ops, peerNetnsFd),
    removeLink,
    link,
    observe(sysctls, done) {
      setImmediate(() => {
        try {
          done({ kind: 'state', state: stateOf(socket, sysctls) })
        } catch (thrown) {
          done({ kind: 'failed', reason: asTriviumError(thrown).message })
        }
      })
    },
    apply(ops, done) {
      apply(ops).then(done, (thrown: unknown) => done(ops.map(() => failureOf(thrown))))
    },
    close() {
      ends.close()
      socket.close()
    },
  }
}

/** Tells when links end. */
interface LinkEnds {
  wait(index: number): Promise<undefined>
  forget(index: number): void
  close(): void
}

/**
 * The kernel announces the end of a link (RTM_DELLINK) after 0.6 ms and
 * acknowledges its removal after 13 to 20 ms: who waits, waits for the first.
 * The subscription is made with the first removal.
 */
function linkEnds(netnsFd: number | undefined, isGone: (index: number) => boolean): LinkEnds {
  const waiting = new Map<number, () => void>()
  let monitor: Monitor | undefined
  let stop = (): void => {}

  function settle(index: number): void {
    waiting.get(index)?.()
    waiting.delete(index)
    if (waiting.size === 0) stop() // an idle subscription must not keep a process alive
  }

  function drain(): void {
    const { events, lost } = monitor?.drain() ?? { events: [], lost: false }
    for (const event of events) {
      if (event.kind === 'link' && event.change === 'del') settle(event.link.index)
    }
    if (lost) for (const index of [...waiting.keys()]) if (isGone(index)) settle(index)
  }

  return {
    wait(index) {
      monitor ??= Monitor.open(
        netnsFd === undefined ? { groups: ['link'] } : { groups: ['link'], netnsFd },
      )
      if (waiting.size === 0) {
        monitor.drain()
        stop = monitor.watch(drain)
      }
      return new Promise((resolve) => waiting.set(index, () => resolve(undefined)))
    },
    forget: settle,
    close() {
      stop()
      monitor?.close()
    },
  }
}

function chunkEnd(ops: readonly KernelOp[], start: number): number {
  let end = start
  while (end < ops.length && end - start < CHUNK_OPS) {
    const op = ops[end]
    if (op?.kind === 'remove' && op.object.kind === 'link') break
    end += 1
  }
  return end
}

function stateOf(socket: NetlinkSocket, sysctls: readonly string[]): KernelState {
  const state = new Map<string, KernelObject>()
  // Two routes of one identity exist (ECMP siblings in IPv6); the first one answers lookups.
  for (const object of readState(socket)) {
    const key = identity(object)
    if (!state.has(key)) state.set(key, object)
  }
  for (const name of sysctls) {
    const value = readSysctl(name)
    if (value !== undefined) state.set(`sysctl ${name}`, { kind: 'sysctl', name, value })
  }
  return state
}

/**
 * Runs of netlink operations share system calls. A link's own operation stands
 * alone, because what follows needs the index that it creates.
 */
function applyBatch(
  socket: NetlinkSocket,
  ops: readonly KernelOp[],
  peerNetnsFd?: number,
): readonly (KernelFailure | undefined)[] {
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
    if (object.kind === 'link') flush()
    try {
      if (object.kind === 'sysctl') {
        writeSysctl(object.name, object.value)
        continue
      }
      for (const request of opRequests(op, context)) {
        batch.push({ request, op: position })
        if (object.kind !== 'link') continue
        // After a refused creation, the alias would go to somebody else's link of that name.
        flush()
        if (failures[position] !== undefined) break
      }
    } catch (thrown) {
      failures[position] = failureOf(thrown)
    }
  }
  flush()
  return failures
}

const noDevice = (name: string): KernelFailure => failureOf(unknownLink(name))

function failureOf(thrown: unknown): KernelFailure {
  if (thrown instanceof nl.NetlinkError) return { code: thrown.code, message: thrown.message }
  const { message } = asTriviumError(thrown)
  // Our own look-up of a link's index says the same as the kernel would.
  return { code: message.startsWith('Cannot find link') ? 'ENODEV' : 'EINVAL', message }
}

const sysctlPath = (name: string): string => `/proc/sys/${name.replaceAll('.', '/')}`

function readSysctl(name: string): string | undefined {
  try {
    return readFileSync(sysctlPath(name), 'utf8').trim()
  } catch {
    return undefined
  }
}

function writeSysctl(name: string, value: string): void {
  writeFileSync(sysctlPath(name), value)
}
