/**
 * Logs: one JSON line an event on standard error, which is never a result's channel.
 *
 * @module
 */
import { type Logger, pino } from 'pino'

export type { Logger } from 'pino'

export const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

/** Writes at once: the last line before a crash is the one that is wanted. */
export function openLog(level: LogLevel, base: Readonly<Record<string, unknown>> = {}): Logger {
  const options = { level, base, timestamp: pino.stdTimeFunctions.isoTime }
  return pino(options, pino.destination({ fd: 2, sync: true }))
}
