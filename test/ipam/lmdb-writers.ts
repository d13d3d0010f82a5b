/** Processes that write to one store on disk, and a book of what each was told. */
import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { keys } from '../../ipam/mod.ts'
import type { Reader } from '../../ipam/store.ts'

/**
 * lmdb 3.5.6 damages its heap when a write fails. Node 20's process lives on,
 * newer ones abort now and then; a guard of our own is still to be built.
 */
export const heapIsDamaged =
  Number(process.versions.node.split('.')[0]) > 20 &&
  'lmdb 3.5.6 damages its heap when a write fails, and a newer Node may abort'

/** What the writers said they did. */
export interface Answers {
  /** Container to address, of those that nobody began to release. */
  readonly held: Map<string, string>
  readonly released: string[]
  allocations: number
  /** Refusals that no writer should ever see. */
  readonly troubles: string[]
}

export const answers = (): Answers => ({
  held: new Map(),
  released: [],
  allocations: 0,
  troubles: [],
})

/** What the store and the book disagree about. */
export function bookErrors(reader: Reader, book: Answers, nodes: readonly string[]): string[] {
  const ipsOf = (containerId: string): readonly string[] =>
    nodes.flatMap((node) => {
      const key = { network: 'pods', containerId, ifname: 'eth0' }
      return reader.get(keys.attachment(node, key))?.ips ?? []
    })
  const lost = [...book.held].filter(([containerId, ip]) => !ipsOf(containerId).includes(ip))
  const back = book.released.filter((containerId) => ipsOf(containerId).length > 0)
  return [
    ...lost.map(([containerId, ip]) => `lost ${ip} of ${containerId}`),
    ...back.map((containerId) => `released ${containerId} came back`),
    ...book.troubles,
  ]
}

export interface WriterOptions {
  readonly path: string
  readonly node: string
  readonly life: number
  /** Opens the store anew each round, so many times, and ends; absent: goes on until it is killed. */
  readonly rounds?: number
  /** What `writerProgram` made. */
  readonly program: string
  readonly env?: NodeJS.ProcessEnv
}

export interface Writer {
  readonly process: ChildProcess
  readonly ready: Promise<unknown>
  /** Its exit status. */
  readonly ended: Promise<number | null>
}

/** A bundle of lmdb-writer.ts in a folder below the packages: it starts in a tenth of what the source takes. */
export async function writerProgram(folder: string): Promise<string> {
  const program = join(folder, 'writer.cjs')
  await build({
    entryPoints: [fileURLToPath(new URL('lmdb-writer.ts', import.meta.url))],
    outfile: program,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    conditions: ['trivium-source'],
    external: ['lmdb', 'koffi'],
    logLevel: 'warning',
  })
  return program
}

export function startWriter(options: WriterOptions, book: Answers): Writer {
  const { path, node, life, rounds = 0, program, env = process.env } = options
  const args = [program, path, node, `${life}`, `${rounds}`]
  const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'inherit'] })
  const lines = createInterface({ input: child.stdout })
  const ready = new Promise((resolve) => lines.once('line', resolve))
  lines.on('line', (line) => note(line, book))
  const closed = new Promise((resolve) => lines.once('close', resolve))
  const exited = new Promise<number | null>((resolve) => child.once('exit', resolve))
  return { process: child, ready, ended: closed.then(() => exited) }
}

function note(line: string, book: Answers): void {
  const [what, containerId = '', ip = ''] = line.split(' ')
  if (what === '+') {
    if ([...book.held.values()].includes(ip)) book.troubles.push(`${ip} was given twice`)
    book.allocations++
    book.held.set(containerId, ip)
  }
  if (what === '?') book.held.delete(containerId)
  if (what === '-') book.released.push(containerId)
  if (what === '!') book.troubles.push(line)
}
