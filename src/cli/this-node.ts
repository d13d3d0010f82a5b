/**
 * Which node this process is on, and what its kernel holds.
 *
 * @module
 */
import { Option } from 'commander'
import { keys } from '../../ipam/keys.ts'
import type { Store } from '../../ipam/store.ts'
import { asTriviumError, TriviumError } from '../errors.ts'
import type { NodeSnapshot } from '../explain/mod.ts'
import { readNodeFile } from '../live/node-file.ts'
import { takeSnapshot } from '../live/snapshot.ts'
import { DEFAULTS } from './common.ts'

export interface NodeFlags {
  readonly node?: string
  readonly socket: string
}

/** `--node` and `--socket`. */
export function nodeFlags(): readonly Option[] {
  return [
    new Option('--node <name>', 'the node this runs on (default: what its agent says)').env(
      'TRIVIUM_NODE',
    ),
    new Option('--socket <path>', "the agent's socket").default(DEFAULTS.socketPath),
  ]
}

/** The node's name; undefined where no agent ever ran. */
export const thisNode = ({ node, socket }: NodeFlags): string | undefined =>
  node ?? readNodeFile(socket)?.node

/** @throws {TriviumError} UNKNOWN_NODE */
export function mustKnowNode(flags: NodeFlags): string {
  const node = thisNode(flags)
  if (node !== undefined) return node
  throw new TriviumError(
    'UNKNOWN_NODE',
    `Cannot tell which node this is: there is no agent's file beside ${flags.socket}`,
    'Say it: --node NAME',
  )
}

/**
 * For commands whose exit status 1 is an answer: having none is 2, whatever the reason.
 *
 * @throws {TriviumError} USAGE
 */
export async function answering(work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (thrown) {
    const { message, details } = asTriviumError(thrown)
    throw new TriviumError('USAGE', message, details, thrown)
  }
}

/** This node with its pods, or those of some containers. */
export function snapshotHere(
  store: Store | undefined,
  node: string,
  containerIds?: ReadonlySet<string>,
): NodeSnapshot {
  const all =
    store?.read((reader) => [...reader.range(keys.attachments(node))].map(([, each]) => each)) ?? []
  const wanted = all.filter(({ containerId }) => containerIds?.has(containerId) ?? true)
  return takeSnapshot(node, wanted, Date.now())
}
