/**
 * etcd's calls that the store needs, on the package etcd3, which is loaded when
 * the first store opens. Retries are ours: a call is one attempt at one member.
 *
 * @module
 */
import { readFileSync } from 'node:fs'
import type { ICompare, IOptions, IRequestOp, IWatchResponse } from 'etcd3'
import { asTriviumError, TriviumError } from '../../src/errors.ts'
import { rangeEnd } from './layout.ts'
import type { Check } from './recording.ts'
import type { Change, Pair } from './replica.ts'
import type { Op, Txn } from './txn.ts'
import type { EtcdAddress } from './url.ts'

const CALL_MS_MAX = 3000
/** Pairs of one answer while listing; answers may have 4 MiB. */
const PAGE_PAIRS = 2000
const ANSWER_BYTES_MAX = 64 * 1024 * 1024
/** A connection that nobody answers on is found out after both. */
const PING_MS = 10_000
const PING_ANSWER_MS_MAX = 5000

export interface TxnAnswer {
  readonly succeeded: boolean
  /** etcd's revision after it. */
  readonly revision: number
  /** When a check failed: `elseKey` as it is. */
  readonly found: Pair | undefined
}

export interface WatchEvents {
  /** The watch is set up; from here on nothing is missed. */
  created(): void
  /** Whole revisions, in order. */
  changes(changes: readonly Change[]): void
  /** It is over, once. `compacted`: etcd no longer knows the revision asked for. */
  ended(why: string, compacted: boolean): void
}

export interface EtcdClient {
  txn(txn: Txn): Promise<TxnAnswer>
  /** Everything below the prefix at one revision. */
  list(): Promise<{ readonly revision: number; readonly pairs: Pair[] }>
  /** A key as it was after `revision`; rejects when etcd does not know that revision (any more, or yet). */
  readAt(key: string, revision: number): Promise<Pair | undefined>
  /** Hears every change below the prefix after `revision`. Returns a function that ends it. */
  watch(revision: number, events: WatchEvents): Promise<() => void>
  close(): void
}

/** Retrying is the store's, who knows whether a repetition is safe. */
const onceEach = {
  onSuccess: () => ({ dispose() {} }),
  onFailure: () => ({ dispose() {} }),
  // A throw must come as a rejection: the package's own listeners rely on it.
  execute: async (run: (context: { signal: AbortSignal }) => unknown) =>
    await run({ signal: new AbortController().signal }),
} as unknown as NonNullable<NonNullable<IOptions['faultHandling']>['global']>

/**
 * @throws {TriviumError} STORE when a file of the address cannot be read.
 */
export async function connectEtcd({ hosts, prefix, tls }: EtcdAddress): Promise<EtcdClient> {
  const { Etcd3 } = await import('etcd3')
  const etcd = new Etcd3({
    hosts: [...hosts],
    ...(tls !== undefined && { credentials: credentialsOf(tls) }),
    defaultCallOptions: ({ isStream }) => (isStream ? {} : { deadline: Date.now() + CALL_MS_MAX }),
    faultHandling: { global: onceEach, host: () => onceEach },
    grpcOptions: {
      'grpc.keepalive_time_ms': PING_MS,
      'grpc.keepalive_timeout_ms': PING_ANSWER_MS_MAX,
      'grpc.max_receive_message_length': ANSWER_BYTES_MAX,
      'grpc.initial_reconnect_backoff_ms': 100,
      'grpc.max_reconnect_backoff_ms': 1000,
    },
  })
  const bytes = (key: string): Buffer => Buffer.from(prefix + key)
  const pairOf = (kv: RawPair): Pair => ({
    key: String(kv.key).slice(prefix.length),
    text: String(kv.value),
    revision: Number(kv.mod_revision),
  })
  const end = Buffer.from(rangeEnd(prefix))

  async function list(): Promise<{ revision: number; pairs: Pair[] }> {
    const pairs: Pair[] = []
    let revision: number | undefined
    let from: Buffer = Buffer.from(prefix)
    for (;;) {
      const at = revision === undefined ? {} : { revision }
      const page = await etcd.kv.range({ key: from, range_end: end, limit: PAGE_PAIRS, ...at })
      revision ??= Number(page.header.revision)
      for (const kv of page.kvs) pairs.push(pairOf(kv))
      const last = page.kvs.at(-1)
      if (!page.more || last === undefined) return { revision, pairs }
      from = Buffer.concat([last.key, Buffer.of(0)])
    }
  }

  return {
    list,
    async txn({ checks, ops, elseKey }) {
      const answer = await etcd.kv.txn({
        compare: checks.map((check) => compareOf(check, bytes)),
        success: ops.map((op) => requestOf(op, bytes)),
        failure: elseKey === undefined ? [] : [{ request_range: { key: bytes(elseKey) } }],
      })
      const found = answer.responses[0]?.response_range?.kvs?.[0]
      return {
        succeeded: answer.succeeded,
        revision: Number(answer.header.revision),
        found: answer.succeeded || found === undefined ? undefined : pairOf(found),
      }
    },
    async readAt(key, revision) {
      const { kvs } = await etcd.kv.range({ key: bytes(key), revision })
      return kvs[0] && pairOf(kvs[0])
    },
    async watch(revision, events) {
      const stream = await etcd.watchClient.watch()
      let over = false
      const finish = (why: string, compacted = false): void => {
        if (over) return
        over = true
        stream.end()
        ;(stream as unknown as { cancel?: () => void }).cancel?.()
        events.ended(why, compacted)
      }
      stream.on('data', (answer) => {
        if (over) return
        if (answer.canceled) {
          return finish(answer.cancel_reason || 'cancelled', Number(answer.compact_revision) > 0)
        }
        if (answer.created) events.created()
        if (answer.events.length > 0) events.changes(changesOf(answer, pairOf))
      })
      stream.on('error', (error: unknown) => finish(asTriviumError(error).message))
      stream.on('end', () => finish('etcd ended the watch'))
      const start = { key: Buffer.from(prefix), range_end: end, start_revision: revision + 1 }
      stream.write({ create_request: start })
      return () => finish('ended here')
    },
    close: () => etcd.close(),
  }
}

type RawPair = {
  readonly key: Buffer
  readonly value: Buffer
  readonly mod_revision: string
}

const changesOf = (answer: IWatchResponse, pairOf: (kv: RawPair) => Pair): Change[] =>
  answer.events.map(({ type, kv }) => {
    const pair = pairOf(kv)
    return String(type).toLowerCase() === 'delete' ? { ...pair, text: undefined } : pair
  })

function credentialsOf(tls: NonNullable<EtcdAddress['tls']>): NonNullable<IOptions['credentials']> {
  const read = (file: string): Buffer => {
    try {
      return readFileSync(file)
    } catch (thrown) {
      const { message } = asTriviumError(thrown)
      const hint = 'ca, cert and key of the URL name PEM files that this process may read'
      throw new TriviumError('STORE', `Cannot read certificate ${file}: ${message}`, hint, thrown)
    }
  }
  return {
    rootCertificate: read(tls.ca),
    ...(tls.cert !== undefined && { certChain: read(tls.cert) }),
    ...(tls.key !== undefined && { privateKey: read(tls.key) }),
  }
}

function compareOf(check: Check, bytes: (key: string) => Buffer): ICompare {
  const key = bytes(check.key)
  if (check.kind === 'key') {
    return { key, target: 'Mod', result: 'Equal', mod_revision: check.revision }
  }
  const compare = { key, target: 'Mod', result: 'Less', mod_revision: check.revision + 1 } as const
  return check.end === undefined ? compare : { ...compare, range_end: bytes(check.end) }
}

function requestOf(op: Op, bytes: (key: string) => Buffer): IRequestOp {
  switch (op.kind) {
    case 'put':
      return { request_put: { key: bytes(op.key), value: Buffer.from(op.text) } }
    case 'delete':
      return { request_delete_range: { key: bytes(op.key) } }
    case 'txn':
      return { request_txn: { success: op.ops.map((inner) => requestOf(inner, bytes)) } }
  }
}
