/**
 * LMDB environments, one for each directory and process.
 *
 * A second environment on the same files would not do: closing it, or merely
 * looking at the lock file, drops the file locks by which LMDB knows that this
 * process lives, and others would then reset the mutexes under us. So stores on
 * one path share one environment, and the last one closes it.
 *
 * @module
 */
import { mkdirSync, realpathSync } from 'node:fs'
import { join } from 'node:path'
import { open, type RootDatabase, type RootDatabaseOptions } from 'lmdb'
import { isTriviumError, TriviumError } from '../../src/errors.ts'
import { diskAdvice } from './advice.ts'
import { createData } from './create.ts'
import { type Gate, openGate, type Patience } from './gate.ts'
import { DATA_FILE, hasData, hasStore } from './inspect.ts'
import { allocateLock } from './lock-file.ts'
import { openRoom, type Room } from './room.ts'

export type Database = RootDatabase<unknown, string>

export const GATE_FILE = 'writers.lock'

/** Address space set aside, not disk: a million records fit, and LMDB grows it if they do not. */
const MAP_BYTES = 1 << 30
/** Processes that read at the same time; a slot has 64 bytes in the lock file. */
const READERS_MAX = 1000

export interface Environment {
  readonly db: Database
  readonly gate: Gate
  readonly room: Room
  /** Once for each opening. */
  release(): void
}

interface Shared extends Environment {
  users: number
}

const opened = new Map<string, Shared>()

export interface EnvironmentOptions {
  readonly mustExist: boolean
  /** Of the first in this process who opens it. */
  readonly patience: Patience
  /**
   * Runs once when the environment is new to this process, inside the gate; and
   * before that on a new one, which nobody can see before it is done.
   */
  prepare(db: Database): void
}

/**
 * Opens the directory `path`, and makes it (0700, files 0600) when it is missing or its data file is empty.
 *
 * @throws {TriviumError} NOT_FOUND when it is missing or empty and must exist; STORE when it cannot be opened.
 */
export function openEnvironment(path: string, options: EnvironmentOptions): Environment {
  if (options.mustExist && !orCannotOpen(path, () => hasData(path))) throw notFound(path)
  const name = directory(path)
  const known = opened.get(name)
  if (known !== undefined) {
    known.users++
    return known
  }
  const made = make(name, options)
  if (opened.size === 0) process.on('exit', closeAll)
  opened.set(name, made)
  return made
}

function directory(path: string): string {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 })
    return realpathSync(path)
  } catch (thrown) {
    throw cannotOpen(path, thrown)
  }
}

function make(path: string, options: EnvironmentOptions): Shared {
  const { patience } = options
  const gate = orCannotOpen(path, () => openGate(join(path, GATE_FILE), patience))
  let db: Database
  let room: Room
  try {
    db = gate.inside(() => orCannotOpen(path, () => openInside(path, options)))
    room = orCannotOpen(path, () => openRoom(path))
  } catch (thrown) {
    gate.close()
    throw thrown
  }
  const shared: Shared = {
    db,
    gate,
    room,
    users: 1,
    release() {
      if (--shared.users > 0) return
      opened.delete(path)
      if (opened.size === 0) process.off('exit', closeAll)
      close(shared)
    },
  }
  return shared
}

function openInside(path: string, { mustExist, patience, prepare }: EnvironmentOptions): Database {
  // The agent has time for the whole file; a call that a runtime waits for, only in doubt.
  if (!hasStore(path, patience === 'pool')) {
    if (mustExist) throw notFound(path)
    createData(path, (aside) => closeDatabase(prepared(aside, prepare)))
  }
  return prepared(path, prepare)
}

function prepared(path: string, prepare: EnvironmentOptions['prepare']): Database {
  const made = openDatabase(path)
  try {
    prepare(made)
  } catch (thrown) {
    void made.close()
    throw thrown
  }
  return made
}

function openDatabase(path: string): Database {
  allocateLock(path)
  // The library reads this option too, but its types do not name it.
  const permissions: object = { permissionsMode: 0o600 }
  const options: RootDatabaseOptions = {
    encoding: 'json',
    overlappingSync: false,
    // Otherwise a failed commit also rejects a promise of the library's own, which ends the process.
    eventTurnBatching: false,
    noSubdir: false,
    mapSize: MAP_BYTES,
    maxReaders: READERS_MAX,
    ...permissions,
  }
  return open<unknown, string>(path, options)
}

/** When no commit is under way in it. */
function close({ db, gate, room }: Environment): void {
  gate.inside(() => closeDatabase(db))
  room.close()
  gate.close()
}

function closeDatabase(db: Database): void {
  // The library would wait for a promise of the last commit, although it is kept, and close outside the gate.
  Object.assign(db, { _endWrites: undefined })
  void db.close()
}

/**
 * What a process leaves open, the library would close at its end, outside the
 * gate. Where a pool thread is in the middle of a commit, nobody closes it: the
 * process waits for the thread, and then ends as if it were killed.
 */
function closeAll(): void {
  for (const shared of opened.values()) if (!shared.gate.isOccupied()) close(shared)
  opened.clear()
}

/**
 * For a process that is about to end without closing anything: lets go of what
 * its reads have seen. Nobody may write over a snapshot that is still in use, and
 * its slot among the readers stays until somebody opens the store next.
 */
export function leaveSnapshots(): void {
  for (const { db } of opened.values()) db.resetReadTxn()
}

function orCannotOpen<T>(path: string, work: () => T): T {
  try {
    return work()
  } catch (thrown) {
    throw cannotOpen(path, thrown)
  }
}

function notFound(path: string): TriviumError {
  return new TriviumError(
    'NOT_FOUND',
    `Cannot open store ${path}: there is none, wanted a directory with ${DATA_FILE}`,
    'The agent makes it when it starts, and reads the addresses of running pods back from the kernel; check the path if it already runs',
  )
}

function cannotOpen(path: string, thrown: unknown): TriviumError {
  if (isTriviumError(thrown)) return thrown
  const reason = thrown instanceof Error ? thrown.message : String(thrown)
  const message = `Cannot open store ${path}: ${reason}`
  return new TriviumError('STORE', message, diskAdvice(thrown), thrown)
}
