/**
 * A speaker on this host: `createSpeaker` with sockets, a clock and a log.
 *
 * @module
 */
import type { SpeakerConfig } from '../../bgp/config.ts'
import { createRecordedSpeaker } from '../../bgp/speaker/recorder.ts'
import { withUpdateLog } from '../../bgp/speaker/update-log.ts'
import {
  createSpeaker,
  type Speaker,
  type SpeakerEffect,
  type SpeakerInput,
  type SpeakerOptions,
  type SpeakerReport,
} from '../../bgp/speaker.ts'
import { drive } from '../../driver.ts'
import { assertNever } from '../../errors.ts'
import type { Perform } from '../../ports.ts'
import { liveClock } from '../clock.ts'
import type { Logger } from '../log.ts'
import { type Bfd, bfdPeersOf, startBfd } from './bfd.ts'
import { type ControlSocket, serveControl } from './control.ts'
import { type ListenAddress, type Listener, listen } from './listener.ts'
import { Transport } from './transport.ts'

export interface StartSpeakerOptions extends SpeakerOptions {
  readonly config: SpeakerConfig
  /** None: only connections that this side begins. */
  readonly listen: readonly ListenAddress[]
  readonly log: Logger
  /** Where people ask; mode 0600. None: nowhere. */
  readonly socketPath?: string
  /** For the kernel, in order. Not before the call that caused it has returned. */
  readonly onRoutes?: (effect: RouteEffect) => void
  /** Takes everything that the speaker is told (`bgp/speaker/recorder.ts`). */
  readonly record?: (record: Uint8Array) => void
  /** Takes peers' UPDATEs and states as MRT (`bgp/speaker/update-log.ts`). */
  readonly writeMrt?: (record: Uint8Array) => void
  /** What is logged, for metrics and BFD. */
  readonly onReport?: (report: SpeakerReport) => void
}

export type RouteEffect = Extract<SpeakerEffect, { kind: 'routes' | 'routes.complete' }>

export interface RunningSpeaker {
  /** For queries; inputs go through `feed`. */
  readonly speaker: Speaker
  readonly config: SpeakerConfig
  configure(config: SpeakerConfig): void
  /** Of the peers that BFD watches. */
  readonly bfd: Bfd['states']
  feed(input: SpeakerInput): void
  /** Graceful: peers keep our routes for their restart time (RFC 4724). */
  stop(isGraceful: boolean): Promise<void>
}

/** How long the last words may take to leave. */
const STOP_MS_MAX = 2500

/** @throws {TriviumError} BAD_CONFIG: an address or the control socket's path cannot be used. */
export async function startSpeaker(options: StartSpeakerOptions): Promise<RunningSpeaker> {
  const { log } = options
  let { config } = options
  const speaker = speakerOf(options)
  const transport = new Transport(
    () => config,
    (peer, input) => driven.feed({ kind: 'session', peer, input }),
  )
  const listener = await listen({
    addresses: options.listen,
    config,
    isPeer: (address) => speaker.has(address),
    accept: (peer, socket) => transport.accept(peer, socket),
    refused: (address) =>
      log.warn({ event: 'stranger', address }, 'a connection of no configured peer was closed'),
  })
  const driven = drive(speaker, liveClock, performer(transport, options))
  const bfd = startBfd({
    onState: (input) => driven.feed(input),
    onProblem: (subject, problem) =>
      log.warn({ event: 'bgp.bfd', subject, problem }, 'BFD cannot work here'),
  })
  const configure = (next: SpeakerConfig): void => {
    config = next
    listener.configure(next)
    driven.feed({ kind: 'configure', config: next })
    bfd.configure(bfdPeersOf(next))
  }
  driven.feed({ kind: 'configure', config })
  bfd.configure(bfdPeersOf(config))
  const running: RunningSpeaker = {
    speaker,
    get config() {
      return config
    },
    configure,
    bfd: bfd.states,
    feed: driven.feed,
    stop: (isGraceful) => stop(isGraceful),
  }
  let control: ControlSocket | undefined
  const stop = async (isGraceful: boolean): Promise<void> => {
    await control?.close()
    // First: that nobody looks any more is no failure.
    await bfd.stop()
    driven.feed({ kind: 'stop', isGraceful })
    await ended(transport, listener)
    driven.stop()
  }
  try {
    if (options.socketPath !== undefined) control = await serveControl(options.socketPath, running)
  } catch (thrown) {
    await stop(false)
    throw thrown
  }
  return running
}

function speakerOf({ record, writeMrt, ...options }: StartSpeakerOptions): Speaker {
  const { costOf, isRestarting, deferralSeconds, blockedOctetsMax, turnPrefixes } = options
  const plain: SpeakerOptions = {
    ...(costOf !== undefined && { costOf }),
    ...(isRestarting !== undefined && { isRestarting }),
    ...(deferralSeconds !== undefined && { deferralSeconds }),
    ...(blockedOctetsMax !== undefined && { blockedOctetsMax }),
    ...(turnPrefixes !== undefined && { turnPrefixes }),
  }
  const speaker = record === undefined ? createSpeaker(plain) : createRecordedSpeaker(plain, record)
  if (writeMrt === undefined) return speaker
  return withUpdateLog(speaker, writeMrt, () => Math.floor(Date.now() / 1000))
}

/** Carries effects out. */
function performer(
  transport: Transport,
  { log, onRoutes, onReport }: StartSpeakerOptions,
): Perform<SpeakerInput, SpeakerEffect> {
  return (effect, feed) => {
    switch (effect.kind) {
      case 'connect':
        transport.connect(effect.peer, effect.connection)
        break
      case 'send':
        transport.send(effect.peer, effect.connection, effect.bytes)
        break
      case 'close':
        transport.close(effect.peer, effect.connection, effect.isAbort ?? false)
        break
      case 'routes':
      case 'routes.complete':
        onRoutes?.(effect)
        break
      case 'turn.give':
        setImmediate(() => feed({ kind: 'turn.given' }))
        break
      case 'report':
        logReport(log, effect.report)
        onReport?.(effect.report)
        break
      default:
        assertNever(effect)
    }
  }
}

/** What was said last gets out; connections end by themselves. */
async function ended(transport: Transport, listener: Listener): Promise<void> {
  await Promise.race([
    Promise.all([listener.close(), transport.ended()]),
    new Promise((resolve) => setTimeout(resolve, STOP_MS_MAX).unref()),
  ])
  transport.destroy()
}

function logReport(log: Logger, report: SpeakerReport): void {
  const { event, peer } = report
  switch (event) {
    case 'state':
      log.debug({ event: 'bgp.state', peer, from: report.from, to: report.to })
      break
    case 'up':
      log.info({ event: 'bgp.up', peer, families: report.families }, 'session established')
      break
    case 'down':
      log.warn({ event: 'bgp.down', peer, ...report.reason, by: report.reason.by }, 'session ended')
      break
    case 'problem':
      log.warn({ event: 'bgp.problem', peer }, report.problem)
      break
    default:
      assertNever(report)
  }
}
