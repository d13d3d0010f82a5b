/** When a pool is full by the history there is, what is stranded, and who uses what. */
import assert from 'node:assert/strict'
import t from 'tap'
import { forecast } from '../../ipam/forecast.ts'
import { DAY_MS, HOUR_MS } from '../../ipam/forecast-past.ts'
import {
  allocate,
  createNetwork,
  exclude,
  parseNetworkSpec,
  release,
  reserve,
  showUsage,
  type Tx,
} from '../../ipam/mod.ts'
import { usageByNamespace, usageByNode } from '../../ipam/show-by.ts'
import type { Ip, Prefix } from '../../src/net/mod.ts'
import { holds } from '../support/property.ts'
import { bounds } from './invariants.ts'
import { life, lifeStart, live } from './random-life.ts'
import { smallStore } from './small-store.ts'

const key = (containerId: string) => ({ network: 'pods', containerId, ifname: 'eth0' })

function come(tx: Tx, node: string, name: string, nowMs: number): void {
  const pod = { namespace: name.startsWith('d') ? 'db' : 'web', name, uid: '' }
  const where = { netns: '', mayClaim: true, nowMs, bootId: 'b' }
  assert.equal(allocate(tx, { key: key(name), node, pod, ...where }).kind, 'allocated')
}

const world = () => {
  const store = smallStore()
  const pools = [{ cidr: '10.1.0.0/24', blockLength: 28 }]
  store.run((tx) => createNetwork(tx, parseNetworkSpec({ name: 'pods', mode: 'route', pools }, 1)))
  return store
}

t.test('a line through what came and went', async (t) => {
  const store = world()
  const START = 100 * DAY_MS
  // Ten pods before the window; in the last seven days two come and one goes each day.
  const [row] = store.run((tx) => {
    for (let pod = 0; pod < 10; pod++) come(tx, 'n1', `old${pod}`, 2 * DAY_MS)
    for (let day = 0; day < 30; day++) {
      const atMs = START - 30 * DAY_MS + day * DAY_MS + HOUR_MS
      come(tx, 'n1', `a${day}`, atMs)
      come(tx, 'n1', `b${day}`, atMs + 1)
      release(tx, 'n1', key(`a${day}`), atMs + 2)
    }
    return forecast(tx, START).pools
  })
  t.match(row, { ipsUsable: 254, ipsInUse: 40, blocksTotal: 16, blocksClaimed: 3 })
  t.match(row?.outlook, { kind: 'grows', perDay: 1, windowMs: 30 * DAY_MS })
  const daysLeft = row?.outlook.kind === 'grows' ? (row.outlook.fullMs - START) / DAY_MS : undefined
  // 13 blocks are free, and 2 were claimed in the window.
  t.equal(daysLeft, 13 / (2 / 30))
})

t.test('too little history is said, and steady is not full', async (t) => {
  const store = world()
  const outlook = (nowMs: number) => store.run((tx) => forecast(tx, nowMs).pools[0]?.outlook)
  t.match(outlook(30 * 60_000), { kind: 'unknown', why: 'only 29 min of history, wanted an hour' })
  t.match(outlook(DAY_MS + 1), { kind: 'unknown', why: 'only 0 changes in 24 h, wanted 10' })
  store.run((tx) => {
    for (let pod = 0; pod < 20; pod++) {
      come(tx, 'n1', 'x', 2 * DAY_MS + pod)
      release(tx, 'n1', key('x'), 2 * DAY_MS + pod)
    }
  })
  t.match(outlook(3 * DAY_MS), { kind: 'steady', perDay: 0 })
  // The ring has forgotten how it was before: only what it remembers counts.
  store.run((tx) => {
    for (let pod = 0; pod < 200; pod++) {
      come(tx, 'n1', 'x', 8 * DAY_MS + pod)
      release(tx, 'n1', key('x'), 8 * DAY_MS + pod)
    }
  })
  const [now] = [8 * DAY_MS + 2 * HOUR_MS]
  const found = outlook(now)
  t.match(found, { kind: 'steady' })
  t.ok(found?.kind === 'steady' && found.windowMs <= 2 * HOUR_MS, 'a shorter window')
})

t.test('full, by addresses or by blocks', async (t) => {
  for (const [nodes, why] of [
    [1, 'addresses'],
    // The tunnel endpoint of the second one is no pod's either.
    [2, 'blocks'],
  ] as const) {
    const store = world()
    const outlook = store.run((tx) => {
      for (let pod = 0; pod < 600; pod++) {
        const where = { node: `n${pod % nodes}`, netns: '', mayClaim: true, nowMs: 5, bootId: '' }
        allocate(tx, { key: key(`p${pod}`), ...where })
      }
      return forecast(tx, DAY_MS).pools[0]?.outlook
    })
    t.strictSame(outlook, { kind: 'full', why })
  }
})

t.test('what is stranded where, by node and by namespace', async (t) => {
  const store = world()
  store.run((tx) => {
    for (let pod = 0; pod < 3; pod++) come(tx, 'n1', `w${pod}`, 5)
    come(tx, 'n2', 'd0', 5)
    reserve(tx, {
      network: 'pods',
      ip: '10.1.0.77' as Ip,
      pod: { namespace: 'db', name: 'd9' },
      nowMs: 5,
    })
  })
  t.match(
    store.run((tx) => forecast(tx, DAY_MS).stranded),
    [
      { node: 'n2', known: false, blocks: 1, ipsInUse: 1, ipsStranded: 14 },
      { node: 'n1', ipsInUse: 3, ipsStranded: 12 },
    ],
  )
  const by = { nowMs: 5 }
  t.match(
    store.run((tx) => usageByNode(tx, by)),
    [
      { node: 'n1', ipsTotal: 16, ipsInUse: 3, ipsFree: 13 },
      { node: 'n2', ipsInUse: 1 },
    ],
  )
  t.strictSame(
    store.run((tx) => usageByNamespace(tx, by)),
    [
      { namespace: 'db', network: 'pods', pods: 1, nodes: 1, ipsInUse: 1, ipsReserved: 1 },
      { namespace: 'web', network: 'pods', pods: 3, nodes: 1, ipsInUse: 3, ipsReserved: 0 },
    ],
  )
})

holds(
  t,
  'every way to show the same store has the same sums',
  life(50),
  (events) => {
    const store = smallStore()
    store.run((tx) => {
      lifeStart(tx)
      const nowMs = live(tx, events, 1)
      const pools = showUsage(tx, { nowMs })
      const sum = (values: readonly (number | string)[]) =>
        values.reduce((all: number, value) => all + Number(value), 0)
      const used = sum(pools.map(({ ipsInUse }) => ipsInUse))
      assert.equal(sum(usageByNode(tx, { nowMs }).map(({ ipsInUse }) => ipsInUse)), used)
      assert.equal(sum(usageByNamespace(tx, { nowMs }).map(({ ipsInUse }) => ipsInUse)), used)
      const forecasts = forecast(tx, nowMs).pools
      assert.equal(sum(forecasts.map(({ ipsInUse }) => ipsInUse)), used)
      for (const { cidr, ipsReserved } of pools) assert.equal(BigInt(ipsReserved), kept(tx, cidr))
    })
  },
  { numRuns: 150 },
)

/** One address after the other. */
function kept(tx: Tx, cidr: Prefix): bigint {
  const network = tx.get<{ exclusions?: string[] }>('network/pods')
  const held = new Set([...tx.range<{ ip: string }>('address/')].map(([, { ip }]) => ip))
  const reserved = [...tx.range<{ ip: string }>('reservation/')].map(([, { ip }]) => ip)
  const [first, last] = bounds(cidr)
  const all = new Set<bigint>()
  const within = (range: string): void => {
    if (range.includes(':') !== cidr.includes(':')) return
    const [from, to] = bounds(range)
    for (let at = from; at <= to; at++) if (at >= first && at <= last) all.add(at)
  }
  for (const range of network?.exclusions ?? []) within(range)
  for (const ip of reserved) within(ip)
  for (const ip of held) if (ip.includes(':') === cidr.includes(':')) all.delete(bounds(ip)[0])
  return BigInt(all.size)
}

t.test('excluded and reserved are told apart from free', async (t) => {
  const store = world()
  const [row] = store.run((tx) => {
    exclude(tx, 'pods', '10.1.0.128/26' as Prefix)
    return showUsage(tx)
  })
  t.equal(row?.ipsReserved, 64)
})

t.test('a range within a block, of which pods hold some', async (t) => {
  const store = world()
  const rows = store.run((tx) => {
    for (let pod = 0; pod < 3; pod++) come(tx, 'n1', `w${pod}`, 5)
    // Of its four addresses one is the pool's and the tunnel endpoint, three are pods'.
    exclude(tx, 'pods', '10.1.0.0/30' as Prefix)
    exclude(tx, 'pods', '10.1.0.8/29' as Prefix)
    return showUsage(tx, { blocks: true })
  })
  t.match(rows, [{ ipsReserved: 1 + 8 }, { ipsReserved: 1 + 8 }])
})
