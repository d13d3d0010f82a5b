/**
 * A new data file, made aside and put in place whole. So a data file that is
 * empty or half of one is never the trace of a process that was killed or of a
 * power cut, but damage.
 *
 * @module
 */
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdtempSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { TriviumError } from '../../src/errors.ts'
import { DATA_FILE } from './inspect.ts'
import { isInUse, lockFileOf } from './lock-file.ts'

const ASIDE = '.new-'
/** A new environment with its lock file and a first commit, and some more. */
const NEW_BYTES = 256 << 10

/**
 * Puts a data file into `path`. Call it inside the gate, where there is none or an empty one.
 *
 * @param fill Makes an environment in the directory that it is given, and closes it.
 * @throws {TriviumError} STORE when a process still works on a data file that was removed.
 */
export function createData(path: string, fill: (directory: string) => void): void {
  refuseOrphans(path)
  for (const name of readdirSync(path)) {
    if (name.startsWith(ASIDE)) rmSync(join(path, name), { recursive: true, force: true })
  }
  const aside = mkdtempSync(join(path, ASIDE))
  try {
    askForRoom(join(aside, 'room'))
    fill(aside)
    sync(join(aside, DATA_FILE))
    renameSync(join(aside, DATA_FILE), join(path, DATA_FILE))
    sync(path)
    sync(dirname(path))
  } finally {
    rmSync(aside, { recursive: true, force: true })
  }
}

/**
 * Throws when the disk has no room for a new environment. The library does not
 * bear that itself: it ends by SIGSEGV when it cannot write its first pages.
 */
function askForRoom(file: string): void {
  try {
    writeFileSync(file, Buffer.alloc(NEW_BYTES))
  } finally {
    rmSync(file, { force: true })
  }
}

/** Two data files must not share one lock file. */
function refuseOrphans(path: string): void {
  const file = lockFileOf(path)
  if (!existsSync(file)) return
  const fd = openSync(file, 'r+')
  try {
    if (!isInUse(fd)) return
  } finally {
    closeSync(fd)
  }
  throw new TriviumError(
    'STORE',
    `Cannot open store ${path}: ${DATA_FILE} was removed while a process works on it, wanted it back or nobody at work`,
    `fuser -v ${file} names the process; restart the agent: it reads the addresses of running pods back from the kernel`,
  )
}

function sync(file: string): void {
  const fd = openSync(file, 'r')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}
