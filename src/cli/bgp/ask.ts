/**
 * One question to a speaker over its control socket.
 *
 * @module
 */
import { createConnection } from 'node:net'
import { createInterface } from 'node:readline'
import { TriviumError } from '../../errors.ts'

/** @throws {TriviumError} UNAVAILABLE: nobody answers there. NOT_FOUND: what the speaker says. */
export async function collectRows(
  socketPath: string,
  question: Readonly<Record<string, unknown>>,
): Promise<readonly unknown[]> {
  const rows: unknown[] = []
  for await (const row of rowsFrom(socketPath, question)) rows.push(row)
  return rows
}

async function* rowsFrom(
  socketPath: string,
  question: Readonly<Record<string, unknown>>,
): AsyncGenerator<unknown> {
  const socket = createConnection(socketPath)
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve)
    socket.once('error', (error) =>
      reject(
        new TriviumError(
          'UNAVAILABLE',
          `Cannot ask the speaker at ${socketPath}: ${error.message}`,
          'Is `trivium bgp run` running, with this --socket? Only root may ask',
          error,
        ),
      ),
    )
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

const isEnd = (row: unknown): boolean =>
  typeof row === 'object' && row !== null && 'end' in row && row.end === true

function errorIn(row: unknown): string | undefined {
  if (typeof row !== 'object' || row === null || !('error' in row)) return undefined
  return Object.keys(row).length === 1 ? String(row.error) : undefined
}
