/**
 * `node.json` beside the agent's socket: how a process without the agent
 * learns which node it is on. The host name is never asked: it changes, and
 * two nodes may share one.
 *
 * @module
 */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { TriviumError } from '../errors.ts'

export interface NodeFile {
  readonly node: string
  /** Store URL. */
  readonly store: string
  /** Name of the link to the other nodes. */
  readonly underlay: string
  readonly stateDir: string
  /** URL of the cluster that the agent takes part in. */
  readonly cluster?: string
}

const pathBeside = (socketPath: string): string => join(dirname(socketPath), 'node.json')

/** Replaces the file at once: a reader sees the old or the new one. Mode 0600. */
export function writeNodeFile(socketPath: string, file: NodeFile): void {
  const path = pathBeside(socketPath)
  const aside = `${path}.${process.pid}`
  try {
    writeFileSync(aside, `${JSON.stringify(file)}\n`, { mode: 0o600 })
    renameSync(aside, path)
  } catch (thrown) {
    rmSync(aside, { force: true })
    throw new TriviumError(
      'INTERNAL',
      `Cannot write ${path}: ${(thrown as Error).message}`,
      'Calls without an agent learn from it which node this is: make its directory writable',
      thrown,
    )
  }
}

/** Undefined when there is none. */
export function readNodeFile(socketPath: string): NodeFile | undefined {
  const path = pathBeside(socketPath)
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
  try {
    const { node, store, underlay, stateDir, cluster } = JSON.parse(text) as Record<
      keyof NodeFile,
      unknown
    >
    if (![node, store, underlay, stateDir].every((value) => typeof value === 'string'))
      throw new Error('fields')
    const more = typeof cluster === 'string' ? { cluster } : {}
    return { node, store, underlay, stateDir, ...more } as NodeFile
  } catch {
    throw new TriviumError(
      'UNKNOWN_NODE',
      `Cannot read ${path}: it is not what an agent writes`,
      'Restart the agent, or set TRIVIUM_NODE',
    )
  }
}
