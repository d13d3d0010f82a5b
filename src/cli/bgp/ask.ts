/**
 * One question to a speaker over its control socket.
 *
 * @module
 */
import { createConnection } from 'node:net'
import { createInterface } from 'node:readline'
import type { Attributes } from '../../bgp/attributes.ts'
import type { TrialGround } from '../../bgp/speaker/trial.ts'
import { TriviumError } from '../../errors.ts'
import type { Ip, Prefix } from '../../net/mod.ts'

/** @throws {TriviumError} UNAVAILABLE: nobody answers there. NOT_FOUND: what the speaker says. */
export async function collectRows(
  socketPath: string,
  question: Readonly<Record<string, unknown>>,
): Promise<readonly unknown[]> {
  const rows: unknown[] = []
  for await (const row of rowsFrom(socketPath, question)) rows.push(row)
  return rows
}

/** As they come. @throws {TriviumError} as `collectRows` */
export async function* rowsFrom(
  socketPath: string,
  question: Readonly<Record<string, unknown>>,
): AsyncGenerator<unknown> {
  const socket = createConnection(socketPath)
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve)
    socket.once('error', (error: NodeJS.ErrnoException) => reject(notAsked(socketPath, error)))
  })
  socket.on('error', () => {})
  socket.write(`${JSON.stringify(question)}\n`)
  for await (const line of createInterface({ input: socket })) {
    const row: unknown = JSON.parse(line)
    if (isEnd(row)) {
      socket.destroy()
      return
    }
    const error = errorIn(row)
    if (error !== undefined) throw new TriviumError('NOT_FOUND', error)
    yield row
  }
  throw new TriviumError('UNAVAILABLE', `Cannot read the answer of ${socketPath}: it broke off`)
}

function notAsked(socketPath: string, error: NodeJS.ErrnoException): TriviumError {
  const advice =
    error.code === 'EACCES'
      ? 'Only root may ask: run it as root'
      : 'Wanted a speaker that answers there: an agent of a node with BGP settings, or `trivium bgp run FILE` with this --socket'
  const found = error.code === 'ENOENT' ? 'there is no socket' : error.message
  return new TriviumError(
    'UNAVAILABLE',
    `Cannot ask the speaker at ${socketPath}: ${found}`,
    advice,
    error,
  )
}

const isEnd = (row: unknown): boolean =>
  typeof row === 'object' && row !== null && 'end' in row && row.end === true

function errorIn(row: unknown): string | undefined {
  if (typeof row !== 'object' || row === null || !('error' in row)) return undefined
  return Object.keys(row).length === 1 ? String(row.error) : undefined
}

/**
 * What a trial of a prefix at a peer's policies needs of the running speaker.
 *
 * @throws {TriviumError} as `collectRows`
 */
export async function askTrialGround(
  socketPath: string,
  prefix: Prefix,
  peer: Ip,
): Promise<TrialGround> {
  const [row] = await collectRows(socketPath, { ask: 'trial', prefix, peer })
  // The speaker is this program, and its socket is root's: the answer is not read with suspicion.
  const ground = row as TrialGround
  return {
    ...ground,
    received: ground.received.map(revived),
    ...(ground.used && { used: { ...ground.used, attributes: revived(ground.used.attributes) } }),
  }
}

/** JSON has no integers of 64 bits. */
function revived(attributes: Attributes): Attributes {
  const { extendedCommunities: extended, ...rest } = attributes
  return extended === undefined ? rest : { ...rest, extendedCommunities: extended.map(BigInt) }
}
