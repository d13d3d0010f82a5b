/**
 * A transaction as etcd's `Txn` takes it.
 *
 * etcd allows 128 operations at each level, less those of the levels above
 * (`checkTxnRequest`, etcdserver/api/v3rpc/key.go), and a transaction may be an
 * operation of another. So many writes become a tree that has one revision.
 *
 * @module
 */
import { TriviumError } from '../../src/errors.ts'
import { removedKey, sectionOf } from './layout.ts'
import type { Check } from './recording.ts'

/** `--max-txn-ops` of an etcd that nobody configured. */
export const TXN_OPS_MAX = 128
/** `--max-request-bytes` is 1.5 MiB, keys twice and headers included. */
const REQUEST_BYTES_MAX = 1_400_000
/** Beyond, a level would have fewer than 25 places. */
const DEPTH_MAX = 5

export type WriteOp =
  | { readonly kind: 'put'; readonly key: string; readonly text: string }
  | { readonly kind: 'delete'; readonly key: string }

export type Op = WriteOp | { readonly kind: 'txn'; readonly ops: readonly Op[] }

export interface Txn {
  readonly checks: readonly Check[]
  /** Nothing to write: etcd answers without a commit. */
  readonly ops: readonly Op[]
  /** Told when a check failed: who wrote last. */
  readonly elseKey?: string
}

/** How many checks leave room for `writes` operations below them. */
export const checksMax = (writes: number): number => Math.floor(TXN_OPS_MAX / depthFor(writes))

/**
 * The operations of `writes`, and one for each section that loses a key.
 *
 * @param mark What the `!removed` keys are set to, another each time.
 */
export function opsOf(writes: ReadonlyMap<string, string | undefined>, mark: string): WriteOp[] {
  const ops: WriteOp[] = []
  const sections = new Set<string>()
  for (const [key, text] of writes) {
    if (text === undefined) sections.add(sectionOf(key))
    ops.push(text === undefined ? { kind: 'delete', key } : { kind: 'put', key, text })
  }
  for (const section of sections) {
    ops.push({ kind: 'put', key: removedKey(section), text: JSON.stringify(mark) })
  }
  return ops
}

/**
 * @throws {TriviumError} STORE when etcd would refuse its size.
 */
export function txnOf(checks: readonly Check[], writes: readonly WriteOp[], elseKey: string): Txn {
  const bytes = writes.reduce((sum, op) => sum + bytesOf(op), 0)
  if (bytes > REQUEST_BYTES_MAX || depthFor(writes.length) > DEPTH_MAX) {
    throw tooLarge(`${writes.length} writes of ${bytes} bytes`, `${REQUEST_BYTES_MAX} bytes`)
  }
  const width = checksMax(writes.length)
  if (checks.length > width) throw tooLarge(`${checks.length} comparisons`, `${width}`)
  let ops: readonly Op[] = writes
  while (ops.length > width) {
    const level: Op[] = []
    for (let from = 0; from < ops.length; from += width) {
      level.push({ kind: 'txn', ops: ops.slice(from, from + width) })
    }
    ops = level
  }
  return { checks, ops, elseKey }
}

/** Levels of a tree that holds so many, with 128 shared out among them. */
function depthFor(writes: number): number {
  let depth = 1
  while (Math.floor(TXN_OPS_MAX / depth) ** depth < writes && depth <= DEPTH_MAX) depth++
  return depth
}

const bytesOf = (op: WriteOp): number =>
  Buffer.byteLength(op.key) + 24 + (op.kind === 'put' ? Buffer.byteLength(op.text) : 0)

const tooLarge = (found: string, most: string): TriviumError =>
  new TriviumError(
    'STORE',
    `Cannot write to etcd: one transaction has ${found}, wanted at most ${most}`,
    'Do the same in smaller steps',
  )
