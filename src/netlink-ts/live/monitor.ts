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
import { eachMessage, messageAt } from '../message.ts'
import { RTNLGRP } from '../route/constants.ts'
import { decodeEvent, type Event } from '../route/event.ts'
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
}

/** What has happened since the last call. */
export interface Drained {
  /** In the kernel's order. */
  readonly events: readonly Event[]
  /** Some are missing (ENOBUFS) or could not be read: read the tables again. */
  readonly lost: boolean
}

/** A subscription to notifications. */
export class Monitor {
  readonly #fd: number
  #stop: (() => void) | undefined
  #closed = false

  private constructor(fd: number) {
    this.#fd = fd
  }

  /**
   * Subscribes.
   *
   * @throws {SyscallError} No permission to enter the namespace, or no descriptors left.
   */
  static open({ groups, netnsFd, rcvbufBytes = RCVBUF_BYTES }: MonitorOptions): Monitor {
    const open = (): number => openSocket(rcvbufBytes)
    const fd = netnsFd === undefined ? open() : visit(netnsFd, open)
    try {
      for (const group of groups) joinGroup(fd, RTNLGRP[group])
      return new Monitor(fd)
    } catch (error) {
      closeSync(fd)
      throw error
    }
  }

  /** Takes what has arrived, without waiting. */
  drain(): Drained {
    const events: Event[] = []
    let lost = false
    for (let call = 0; call < DRAIN_CALLS_MAX; call++) {
      try {
        if (
          receiveMany(this.#fd, MSG.dontWait, (view, size) => collect(view, size, events)) === 0
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
}

function collect(view: DataView, size: number, events: Event[]): void {
  eachMessage(view, size, (offset, length) => {
    const event = decodeEvent(messageAt(view, offset, length))
    if (event !== undefined) events.push(event)
  })
}

/** A notification nobody can read is a lost one: its neighbours must still arrive. */
const meansLoss = (error: unknown): boolean =>
  error instanceof DecodeError || (error instanceof SyscallError && error.code === 'ENOBUFS')
