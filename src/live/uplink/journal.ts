/**
 * What is under way with an uplink, in a file beside the agent's socket: written before the first
 * operation, so that whoever comes after a process that died knows how to go back. It lives as long
 * as a boot, as the kernel's state does.
 *
 * @module
 */
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { tryLockByte } from 'netlink-ts/live'
import { TriviumError } from '../../errors.ts'
import type { TakeOver } from '../../kernel/take-over/model.ts'
import { bootId } from '../boot.ts'

/** How far it is: `taking` goes back, `giving` goes on, `taken` stays. */
export type JournalState = 'taking' | 'taken' | 'giving'

export interface Journal {
  readonly version: 1
  readonly state: JournalState
  readonly link: string
  readonly bridge: string
  readonly boot: string
  /** ISO 8601. */
  readonly since: string
  /** What is under way; empty when nothing is. */
  readonly plan: TakeOver
}

const NAME = /^uplink-(.+)\.json$/

const pathOf = (socketPath: string, link: string): string =>
  join(dirname(socketPath), `uplink-${link.replaceAll('/', '_')}.json`)

/** Replaces it at once; it is on disk when this returns. */
export function writeJournal(
  socketPath: string,
  journal: Omit<Journal, 'version' | 'boot' | 'since'>,
): void {
  const folder = dirname(socketPath)
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const path = pathOf(socketPath, journal.link)
  const whole: Journal = { version: 1, boot: bootId(), since: new Date().toISOString(), ...journal }
  const aside = `${path}.${process.pid}`
  const fd = openSync(aside, 'w', 0o600)
  try {
    writeSync(fd, `${JSON.stringify(whole)}\n`)
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
  renameSync(aside, path)
  syncFolder(folder)
}

export function removeJournal(socketPath: string, link: string): void {
  rmSync(pathOf(socketPath, link), { force: true })
  syncFolder(dirname(socketPath))
}

function syncFolder(folder: string): void {
  const fd = openSync(folder, 'r')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

/** All of this boot. Those of another are of a kernel that is gone. @throws {TriviumError} BAD_JSON */
export function readJournals(socketPath: string): readonly Journal[] {
  const folder = dirname(socketPath)
  let names: readonly string[]
  try {
    names = readdirSync(folder).filter((name) => NAME.test(name))
  } catch {
    return []
  }
  const boot = bootId()
  return names
    .map((name) => readJournal(join(folder, name)))
    .filter((journal) => journal.boot === boot)
}

function readJournal(path: string): Journal {
  try {
    const journal = JSON.parse(readFileSync(path, 'utf8')) as Journal
    if (journal.version === 1 && Array.isArray(journal.plan.steps)) return journal
  } catch {
    // Told below.
  }
  throw new TriviumError(
    'BAD_JSON',
    `Cannot read ${path}: it is not what this version writes`,
    'Look at the links by hand (ip link; ip addr), then remove the file',
  )
}

const LOCK_FILE = 'uplink.lock'

/** Open for locking; whoever holds byte 0 works on uplinks. */
export function openUplinkLock(socketPath: string): number {
  mkdirSync(dirname(socketPath), { recursive: true, mode: 0o700 })
  return openSync(join(dirname(socketPath), LOCK_FILE), 'a', 0o600)
}

/** @throws {TriviumError} TRY_LATER when somebody else is at work. */
export function lockUplinks(socketPath: string): number {
  const fd = openUplinkLock(socketPath)
  if (tryLockByte(fd, 0n)) return fd
  closeSync(fd)
  throw new TriviumError(
    'TRY_LATER',
    'Cannot work on uplinks: another process does, wanted none',
    'Wait until it is through: trivium uplink show',
  )
}
