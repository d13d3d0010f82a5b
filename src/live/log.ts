/**
 * Logs: one JSON line an event on standard error, which is never a result's channel.
 *
 * @module
 */
import { type Logger, pino } from 'pino'
import { logWriter } from './log-writer.ts'

export type { Logger } from 'pino'

export const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

export interface OpenLog {
  readonly log: Logger
  /** Lines that a reader who stood still has cost so far. */
  readonly dropped: () => number
}

/**
 * Lines are written in the turn of the event loop that they come from, and at
 * the end of the process; the last one before a crash is the one that is wanted.
 * But nobody waits for whoever reads them.
 */
export function openLog(level: LogLevel, base: Readonly<Record<string, unknown>> = {}): OpenLog {
  const options = { level, base, timestamp: pino.stdTimeFunctions.isoTime }
  let told = 0
  const writer = logWriter(2, () => {
    const count = writer.dropped() - told
    told = writer.dropped()
    log.warn({ event: 'log', dropped: count }, 'lines were dropped: nobody read them')
  })
  const log = pino(options, writer)
  process.on('exit', () => writer.close())
  return { log, dropped: writer.dropped }
}
