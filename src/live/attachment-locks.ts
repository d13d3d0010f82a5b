/**
 * One verb at a time for an attachment, whichever process carries it out.
 *
 * The agent and the Node entry act on the same links and records: a DEL that a
 * runtime sends while an ADD of the same attachment is under way in the other
 * road must find all of it or nothing. Each holds, for the whole verb, one byte
 * of a file beside the agent's socket, chosen by a hash of the attachment:
 *
 * - One file, because a file for each attachment would have to be removed, and
 *   that races with whoever has just opened it.
 * - OFD locks, because the kernel releases them however the holder ends, because
 *   bytes of one file do not wait for each other, and because closing some other
 *   descriptor of the file releases nothing.
 * - A hash of 63 bits: two attachments that share a byte wait for each other, no more.
 *
 * Inside a process a queue keeps the order of arrival; a lock of its own file
 * would not stop it.
 *
 * @module
 */
import { constants, mkdirSync, openSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { tryLockByte, unlockByte } from 'netlink-ts/live'
import type { AttachmentKey } from '../../ipam/records.ts'
import { TriviumError } from '../errors.ts'
import { hash64 } from '../hash.ts'
import { serial } from './serial.ts'

/** The file's name, beside the socket. */
export const LOCK_FILE = 'attachments.lock'

/** A verb takes milliseconds; runtimes try again after an error. */
const WAIT_MS_MAX = 10_000
const PAUSE_MS_MAX = 16

export interface AttachmentLocks {
  /**
   * Runs `work` while nobody else acts on the attachment, after all that asked
   * earlier in this process.
   *
   * @throws {TriviumError} TRY_LATER when another process keeps it for too long;
   * STORE when the file cannot be made.
   */
  hold<T>(key: AttachmentKey, work: () => Promise<T>): Promise<T>
}

/** @param socketPath The agent's socket; the file is made on first use. */
export function attachmentLocks(
  socketPath: string,
  waitMsMax: number = WAIT_MS_MAX,
): AttachmentLocks {
  const path = join(dirname(socketPath), LOCK_FILE)
  const inOrder = serial()
  let file: number | undefined

  async function holdAlone<T>(key: AttachmentKey, work: () => Promise<T>): Promise<T> {
    file ??= openLockFile(path)
    const [fd, byte] = [file, byteOf(key)]
    await taken(fd, byte, key, waitMsMax)
    try {
      return await work()
    } finally {
      unlockByte(fd, byte)
    }
  }

  return {
    // By byte, not by name: whoever shares a byte would release it under the other.
    hold: (key, work) => inOrder(`${byteOf(key)}`, () => holdAlone(key, work)),
  }
}

/** A number below 2^63. Names hold no slash. */
export function byteOf({ network, containerId, ifname }: AttachmentKey): bigint {
  const [high, low] = hash64(`${network}/${containerId}/${ifname}`)
  return ((BigInt(high) << 32n) | BigInt(low)) >> 1n
}

/** Looks again after 1, 2, 4, … ms: the event loop goes on, and no thread is kept waiting. */
async function taken(fd: number, byte: bigint, key: AttachmentKey, msMax: number): Promise<void> {
  const endMs = performance.now() + msMax
  for (let pauseMs = 1; !tryLockByte(fd, byte); pauseMs = Math.min(2 * pauseMs, PAUSE_MS_MAX)) {
    if (performance.now() > endMs) throw busy(key, msMax)
    await new Promise((resolve) => setTimeout(resolve, pauseMs))
  }
}

function busy({ network, containerId, ifname }: AttachmentKey, msMax: number): TriviumError {
  return new TriviumError(
    'TRY_LATER',
    `Cannot act on ${ifname} of container ${containerId} in network ${network}: another process of trivium has been at it for ${msMax / 1000} s`,
    `See who has ${LOCK_FILE} beside the agent's socket open (fuser -v)`,
  )
}

function openLockFile(path: string): number {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    const { O_CREAT, O_NOFOLLOW, O_RDWR } = constants
    return openSync(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0o600)
  } catch (thrown) {
    const { message } = thrown as Error
    throw new TriviumError(
      'STORE',
      `Cannot lock attachments in ${path}: ${message}, wanted a file that can be written`,
      '',
      thrown,
    )
  }
}
