/**
 * Blocks claimed by processes whose replicas are behind, and whose transactions come
 * late: what each compares is enough, and no more than it needs.
 */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { claimBlocks } from '../../ipam/cluster/claims.ts'
import { join } from '../../ipam/cluster/membership.ts'
import { type Check, record } from '../../ipam/etcd/recording.ts'
import { type Change, emptyReplica, type Pair, type Replica } from '../../ipam/etcd/replica.ts'
import { opsOf, type WriteOp } from '../../ipam/etcd/txn.ts'
import { keys } from '../../ipam/keys.ts'
import { overlay } from '../../ipam/lmdb/overlay.ts'
import { createNetwork, parseNetworkSpec } from '../../ipam/mod.ts'
import type { BlockClaim, NodeRecord } from '../../ipam/records.ts'
import type { Tx } from '../../ipam/store.ts'
import type { Prefix } from '../../src/net/mod.ts'
import { holds } from '../support/property.ts'

const POOLS = ['10.1.0.0/27', '10.2.0.0/27'] as Prefix[]
/** Two processes of one node: one died, and what it sent arrives nevertheless. */
const PROCESSES = ['n1', 'n1', 'n2', 'n2', 'n3'] as const
const incarnation = (name: string) => ({ machine: name, store: name })

interface Prepared {
  readonly checks: readonly Check[]
  readonly ops: readonly WriteOp[]
}

/** As etcd compares and writes; a revision for each that is carried out. */
function modelEtcd() {
  const pairs = new Map<string, Pair>()
  const changes: Change[] = []
  let revision = 1
  const isSo = (check: Check): boolean => {
    if (check.kind === 'key') return (pairs.get(check.key)?.revision ?? 0) === check.revision
    const { key, end = `${key}\0`, revision: most } = check
    return [...pairs.values()].every(
      (pair) => pair.key < key || pair.key >= end || pair.revision <= most,
    )
  }
  return {
    pairs,
    changes,
    send({ checks, ops }: Prepared): boolean {
      if (!checks.every(isSo)) return false
      revision++
      for (const op of ops) {
        if (op.kind === 'delete') pairs.delete(op.key)
        else pairs.set(op.key, { key: op.key, text: op.text, revision })
        changes.push({ key: op.key, text: op.kind === 'put' ? op.text : undefined, revision })
      }
      return true
    },
  }
}

/** What a transaction would send that sees this replica. */
function prepared(replica: Replica, body: (tx: Tx) => void, conflicts = 0): Prepared {
  const recording = record(replica)
  const all = overlay({ ...recording.reader, conflicts })
  all.attempt(body)
  return { checks: recording.checks(100), ops: opsOf(all.writes(), 'mark') }
}

const claiming =
  (node: string, pools: readonly Prefix[]) =>
  (tx: Tx): void => {
    const claims = claimBlocks(
      tx,
      [{ network: 'pods', family: 4, pools }],
      node,
      incarnation(node),
      1,
    )
    assert.equal(claims?.length, 1)
  }

const leaving =
  (node: string) =>
  (tx: Tx): void => {
    for (const [key, claim] of tx.range(keys.allClaims)) if (claim.node === node) tx.remove(key)
  }

function world() {
  const etcd = modelEtcd()
  const first = emptyReplica()
  const nodeOf = (name: string): NodeRecord => ({
    ...{ name, underlayLink: 'eth0', underlayIps: [], underlayMtuBytes: 1500 },
    ...{ vtepMac: `02:00:00:00:00:0${name.slice(1)}` as never, registeredMs: 0 },
  })
  etcd.send(
    prepared(first, (tx) => {
      const pools = POOLS.map((cidr) => ({ cidr, blockLength: 30 }))
      createNetwork(tx, parseNetworkSpec({ name: 'pods', mode: 'route', pools }, 1))
      for (const name of new Set(PROCESSES)) join(tx, nodeOf(name), incarnation(name), false)
    }),
  )
  const replicas = PROCESSES.map(() => emptyReplica())
  for (const replica of replicas) replica.apply(etcd.changes)
  return { etcd, replicas }
}

const claimsIn = ({ pairs }: ReturnType<typeof modelEtcd>): readonly BlockClaim[] =>
  [...pairs].flatMap(([key, { text }]) =>
    key.startsWith(keys.allClaims) ? [JSON.parse(text) as BlockClaim] : [],
  )

const step = fc.record({
  by: fc.nat(PROCESSES.length - 1),
  does: fc.constantFrom('look', 'prepare', 'send', 'send', 'leave'),
  pool: fc.constantFrom(...POOLS),
})

holds(
  t,
  'a node has one first block, however late its processes see and are heard',
  fc.array(step, { minLength: 4, maxLength: 14 }),
  (steps) => {
    const { etcd, replicas } = world()
    const waiting: Prepared[][] = PROCESSES.map(() => [])
    for (const { by, does, pool } of steps) {
      const replica = replicas[by]!
      if (does === 'look' || does === 'leave') replica.apply(etcd.changes)
      if (does === 'look') continue
      if (does === 'leave') etcd.send(prepared(replica, leaving(PROCESSES[by]!)))
      else if (does === 'prepare')
        waiting[by]!.push(prepared(replica, claiming(PROCESSES[by]!, [pool])))
      else {
        const [next] = waiting[by]!.splice(0, 1)
        if (next !== undefined) etcd.send(next)
      }
    }
    const claims = claimsIn(etcd)
    for (const node of new Set(claims.map((claim) => claim.node))) {
      const own = claims.filter((claim) => claim.node === node)
      assert.equal(own.filter(({ first }) => first).length, 1, `first blocks of ${node}`)
    }
  },
  { numRuns: 800 },
)

t.test('nodes that claim other blocks at once do not wait for each other', async (t) => {
  const { etcd, replicas } = world()
  const claims = (by: number, pool: number, conflicts = 0): boolean =>
    etcd.send(prepared(replicas[by]!, claiming(PROCESSES[by]!, [POOLS[pool]!]), conflicts))
  t.ok(claims(0, 0), 'a first block')
  t.ok(claims(2, 1), 'and one of another node that has not heard of it')
  t.notOk(claims(4, 0), 'but not the same one')
  t.ok(claims(4, 0, 1), 'which then takes another')
  for (const replica of replicas) replica.apply(etcd.changes)
  t.ok(claims(0, 0, 2), 'nor a second block')
  t.ok(claims(2, 1), 'of each')
  t.equal(claimsIn(etcd).length, 5)
})
