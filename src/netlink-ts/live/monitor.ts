/**
 * Notifications: what anybody changes in a namespace.
 *
 * The kernel drops notifications when the reader is slow; `lost` then says that
 * whatever was derived from them must be read again.
 *
 * @module
 */
import { closeSync } from 'node:fs'
import koffi from 'koffi'
import { DecodeError, SyscallError } from '../errors.ts'
import { eachMessage, type Message, messageAt } from '../message.ts'
import { NETLINK_NETFILTER, NFNLGRP_NFTABLES } from '../nft/constants.ts'
import { decodeNftEvent, type NftEvent } from '../nft/event.ts'
import { RTNLGRP } from '../route/constants.ts'
import { decodeEvent, type Event } from '../route/event.ts'
import { attachFilter, type Instruction } from './bpf.ts'
import { joinGroup, openSocket } from './fd.ts'
import { visit } from './netns.ts'
import { MSG, receiveMany } from './ring.ts'

const RCVBUF_BYTES = 8 << 20
/** A drain ends after this many receive calls (of up to 32 datagrams): others want to run too. */
const DRAIN_CALLS_MAX = 1000

/** What to be told about; `neigh` includes forwarding entries. */
export type Group = keyof typeof RTNLGRP

/** Options of a new monitor. */
export interface MonitorOptions {
  readonly groups: readonly Group[]
  /** An open descriptor of the namespace; it may be closed afterwards. @default the process's own */
  readonly netnsFd?: number | undefined
  /**
   * What may wait to be drained, in bytes of the kernel's book-keeping: about 1 KiB
   * an event. @default 8 MiB
   */
  readonly rcvbufBytes?: number | undefined
  /** Changes that the kernel is not to tell of: see `ignoreRoutes`. @default none */
  readonly filter?: readonly Instruction[] | undefined
}

/** What has happened since the last call. */
export interface Drained<E = Event> {
  /** In the kernel's order. */
  readonly events: readonly E[]
  /** Some are missing (ENOBUFS) or could not be read: read the tables again. */
  readonly lost: boolean
}

/** A subscription to notifications. */
export class Monitor<E = Event> {
  readonly #fd: number
  readonly #decode: (message: Message) => E | undefined
  #stop: (() => void) | undefined
  #closed = false

  private constructor(fd: number, decode: (message: Message) => E | undefined) {
    this.#fd = fd
    this.#decode = decode
  }

  /**
   * Subscribes.
   *
   * @throws {SyscallError} No permission to enter the namespace, or no descriptors left.
   */
  static open(options: MonitorOptions): Monitor {
    const { groups, netnsFd, rcvbufBytes = RCVBUF_BYTES, filter } = options
    const open = (): number => {
      const fd = openSocket(rcvbufBytes)
      if (filter !== undefined) attachFilter(fd, filter)
      return fd
    }
    const numbers = groups.map((group) => RTNLGRP[group])
    return new Monitor(subscribed(open, netnsFd, numbers), decodeEvent)
  }

  /**
   * Subscribes to what changes in nftables. Every transaction ends with an event
   * of its generation; the changes of elements come one by one.
   *
   * @throws {SyscallError} As `open`; EPROTONOSUPPORT when the kernel has no nfnetlink.
   */
  static openNft(options: Omit<MonitorOptions, 'groups'> = {}): Monitor<NftEvent> {
    const { netnsFd, rcvbufBytes = RCVBUF_BYTES } = options
    const open = (): number => openSocket(rcvbufBytes, NETLINK_NETFILTER)
    return new Monitor(subscribed(open, netnsFd, [NFNLGRP_NFTABLES]), decodeNftEvent)
  }

  /**
   * Takes what has arrived, without waiting.
   *
   * @param calls Ends after so many receive calls (of up to 32 datagrams each):
   *   `ready` is called again for the rest. @default 1000
   */
  drain(calls = DRAIN_CALLS_MAX): Drained<E> {
    const events: E[] = []
    let lost = false
    for (let call = 0; call < calls; call++) {
      try {
        if (
          receiveMany(this.#fd, MSG.dontWait, (view, size) => this.#collect(view, size, events)) ===
          0
        ) {
          break
        }
      } catch (error) {
        if (!meansLoss(error)) throw error
        lost = true
      }
    }
    return { events, lost }
  }

  /**
   * Calls `ready` whenever there is something to drain, from the event loop, which
   * this keeps running. Drain inside it. A second call replaces the first.
   *
   * @returns A function that stops it.
   */
  watch(ready: () => void): () => void {
    this.#stop?.()
    const poll = koffi.node.poll(this.#fd, { readable: true }, () => ready())
    const stop = (): void => {
      if (this.#stop !== stop) return
      this.#stop = undefined
      poll.stop()
      poll.close()
    }
    this.#stop = stop
    return stop
  }

  /** Ends the subscription; a second call does nothing. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#stop?.()
    closeSync(this.#fd)
  }

  #collect(view: DataView, size: number, events: E[]): void {
    eachMessage(view, size, (offset, length) => {
      const event = this.#decode(messageAt(view, offset, length))
      if (event !== undefined) events.push(event)
    })
  }
}

function subscribed(
  open: () => number,
  netnsFd: number | undefined,
  groups: readonly number[],
): number {
  const fd = netnsFd === undefined ? open() : visit(netnsFd, open)
  try {
    for (const group of groups) joinGroup(fd, group)
    return fd
  } catch (error) {
    closeSync(fd)
    throw error
  }
}

/** A notification nobody can read is a lost one: its neighbours must still arrive. */
const meansLoss = (error: unknown): boolean =>
  error instanceof DecodeError || (error instanceof SyscallError && error.code === 'ENOBUFS')
