/** Addresses kept for a pod and ranges kept from all: the cases a person would ask about. */
import assert from 'node:assert/strict'
import t from 'tap'
import { memoryStore } from '../../ipam/memory-store.ts'
import {
  type AllocateRequest,
  allocate,
  createNetwork,
  deleteNetwork,
  exclude,
  HISTORY_MAX,
  historyOf,
  include,
  keys,
  type NetworkOptions,
  parseNetworkSpec,
  release,
  reserve,
  setNetwork,
  showIp,
  type Tx,
  unreserve,
} from '../../ipam/mod.ts'
import { parseIp, parseMac, parsePrefix } from '../../src/net/mod.ts'
import { answerOf } from '../contract/store.ts'
import { checkInvariants } from './invariants.ts'

const NODES = ['n1', 'n2']
const db0 = { namespace: 'db', name: 'db-0', uid: 'u1' }
const ip = (text: string) => parseIp(text)

const withNetwork = (body: (tx: Tx) => void, options: Partial<NetworkOptions> = {}) =>
  answerOf(memoryStore({ defer: queueMicrotask }), (tx) => {
    const pools = [{ cidr: '10.42.0.0/28', blockLength: 30 }]
    createNetwork(tx, parseNetworkSpec({ name: 'pods', mode: 'vxlan', pools, options }, 1))
    body(tx)
    checkInvariants(tx, NODES)
  })

const keyOf = (containerId: string) => ({ network: 'pods', containerId, ifname: 'eth0' })

function add(tx: Tx, containerId: string, rest: Partial<AllocateRequest> = {}): string {
  const answer = allocate(tx, {
    key: keyOf(containerId),
    node: 'n1',
    netns: '',
    hostLink: 'trv1',
    mayClaim: true,
    nowMs: 5,
    bootId: 'boot',
    ...rest,
  })
  return answer.kind === 'allocated' ? answer.attachment.ips.join(' ') : answer.message
}

const keep = (tx: Tx, address: string, pod = db0) =>
  reserve(tx, { network: 'pods', ip: ip(address), pod, nowMs: 5 })

t.test('the owner gets its address and MAC, again and again; nobody else does', (t) =>
  withNetwork((tx) => {
    t.equal(keep(tx, '10.42.0.2').kind, 'reserved')
    t.equal(keep(tx, '10.42.0.2').kind, 'unchanged')
    t.equal(add(tx, 'c1'), '10.42.0.1')
    t.equal(add(tx, 'c2'), '10.42.0.3', 'past the kept one')
    t.equal(add(tx, 'c3'), '10.42.0.4', 'and a new block rather than it')
    t.match(add(tx, 'c4', { requested: [ip('10.42.0.2')] }), /it is reserved for pod db\/db-0$/)
    t.equal(add(tx, 'd1', { pod: db0 }), '10.42.0.2')
    const { mac } = tx.get(keys.attachment('n1', keyOf('d1')))!
    t.match(add(tx, 'd2', { pod: db0 }), /held by pod db\/db-0, container d1/)
    release(tx, 'n1', keyOf('d1'), 6)
    t.equal(add(tx, 'c5'), '10.42.0.5', 'also while it rests')
    t.equal(add(tx, 'd3', { pod: { ...db0, uid: 'u2' } }), '10.42.0.2', 'its successor, at once')
    t.equal(tx.get(keys.attachment('n1', keyOf('d3')))?.mac, mac)
  }),
)

t.test('on a node that has another block, a clear no', (t) =>
  withNetwork((tx) => {
    keep(tx, '10.42.0.2')
    add(tx, 'c1')
    const why = add(tx, 'd1', { pod: db0, node: 'n2' })
    t.match(why, /reserved for this pod, but block 10.42.0.0\/30 belongs to node n1, wanted n2$/)
    keep(tx, '10.42.0.9', { ...db0, name: 'db-1' })
    t.equal(add(tx, 'd2', { pod: { ...db0, name: 'db-1' }, node: 'n2' }), '10.42.0.9', 'claimed')
  }),
)

t.test('a range kept from all, but for reservations in it', (t) =>
  withNetwork((tx) => {
    t.equal(add(tx, 'c1'), '10.42.0.1')
    exclude(tx, 'pods', parsePrefix('10.42.0.0/29'))
    t.equal(add(tx, 'c2'), '10.42.0.8', 'past a block that is excluded wholly')
    t.equal(tx.get(keys.claim('pods', parsePrefix('10.42.0.4/30'))), undefined, 'left unclaimed')
    t.equal(showIp(tx, ip('10.42.0.3')).kind, 'kept')
    t.match(
      add(tx, 'c3', { requested: [ip('10.42.0.5')] }),
      /it is in 10.42.0.0\/29, which is excl/,
    )
    keep(tx, '10.42.0.5')
    t.equal(add(tx, 'd1', { pod: db0 }), '10.42.0.5')
    setNetwork(tx, 'pods', { options: { mtuBytes: 1400 } })
    release(tx, 'n1', keyOf('c1'), 6)
    for (const id of ['e1', 'e2', 'e3', 'e4', 'e5', 'e6']) add(tx, id)
    t.match(add(tx, 'e7'), /every block .* is claimed/, 'not the one that rests there either')
    include(tx, 'pods', parsePrefix('10.42.0.0/29'))
    t.equal(add(tx, 'e7'), '10.42.0.4', 'where a pod is already')
    t.equal(tx.get(keys.network('pods'))?.exclusions, undefined)
  }),
)

t.test('a held address in an excluded range does not hide a free one', (t) =>
  withNetwork((tx) => {
    for (const id of ['c1', 'c2']) add(tx, id)
    exclude(tx, 'pods', parsePrefix('10.42.0.0/31'))
    t.equal(add(tx, 'c3'), '10.42.0.3')
  }),
)

t.test('what cannot be reserved, excluded or undone', (t) =>
  withNetwork((tx) => {
    const no = (code: string, body: () => unknown) => t.throws(body, { code }, String(body))
    for (const bad of ['10.42.0.0', '10.42.0.4', '10.42.0.15', '10.43.0.1']) {
      no('BAD_CONFIG', () => keep(tx, bad))
    }
    no('BAD_CONFIG', () => keep(tx, '10.42.0.1', { ...db0, name: 'a/b' }))
    add(tx, 'c1')
    no('CONFLICT', () => keep(tx, '10.42.0.1'))
    keep(tx, '10.42.0.2')
    no('CONFLICT', () => keep(tx, '10.42.0.3'))
    no('CONFLICT', () => keep(tx, '10.42.0.2', { ...db0, name: 'other' }))
    no('NOT_FOUND', () => unreserve(tx, 'pods', ip('10.42.0.3')))
    no('NOT_FOUND', () => unreserve(tx, 'none', ip('10.42.0.3')))
    no('BAD_CONFIG', () => exclude(tx, 'pods', parsePrefix('10.42.0.0/27')))
    no('NOT_FOUND', () => include(tx, 'pods', parsePrefix('10.42.0.0/30')))
    const mac = parseMac('02:00:00:00:00:07')
    t.equal(
      reserve(tx, { network: 'pods', ip: ip('10.42.0.2'), pod: db0, mac, nowMs: 9 }).kind,
      'reserved',
    )
    t.equal(unreserve(tx, 'pods', ip('10.42.0.2')).mac, mac)
    t.equal(add(tx, 'c2'), '10.42.0.2')
    keep(tx, '10.42.0.3')
    for (const id of ['c1', 'c2']) release(tx, 'n1', keyOf(id), 6)
    deleteNetwork(tx, 'pods')
    assert.deepEqual([...tx.range('reservation/'), ...tx.range('reserved-for/')], [])
  }),
)

t.test('who had an address, when; a block remembers the last 128', (t) =>
  withNetwork((tx) => {
    const here = ip('10.42.0.1')
    for (let at = 0; at < 200; at++) {
      assert.equal(add(tx, `c${at}`, { nowMs: at * 10, requested: [here] }), here)
      release(tx, 'n1', keyOf(`c${at}`), at * 10 + 5)
    }
    add(tx, 'now', { nowMs: 2_000, requested: [here], pod: db0 })
    const all = historyOf(tx, { ip: here })
    t.equal(all.length, HISTORY_MAX + 1)
    t.match(all[0], { containerId: 'c72', fromMs: 720, toMs: 725 })
    t.match(all.at(-1), { containerId: 'now', pod: db0, fromMs: 2_000, toMs: undefined })
    const at = (atMs: number) => historyOf(tx, { ip: here, atMs }).map((one) => one.containerId)
    t.strictSame(at(1_994), ['c199'])
    t.strictSame(at(1_995), [], 'it had just been given up')
    t.strictSame(at(9_999), ['now'])
    t.equal(historyOf(tx, { pod: db0 }).length, 1)
    release(tx, 'n1', keyOf('now'), 3_000)
    deleteNetwork(tx, 'pods')
    t.strictSame([...tx.range('history/')], [])
  }),
)
