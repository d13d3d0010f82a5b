/** Floating addresses: claimed one by one where the pod is, and never by two nodes. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import {
  type AllocateRequest,
  allocate,
  createNetwork,
  createPool,
  deletePool,
  drainPool,
  editPool,
  ensureBlocks,
  historyOf,
  keepBlocks,
  keys,
  parseNetworkSpec,
  release,
  releaseNode,
  reserve,
  type Tx,
  whyIp,
} from '../../ipam/mod.ts'
import { parseIp, parsePrefix } from '../../src/net/mod.ts'
import { holds } from '../support/property.ts'
import { checkInvariants } from './invariants.ts'
import { smallStore } from './small-store.ts'

const NODES = ['n1', 'n2', 'n3']
const FLOATING = '10.43.0.0/29'
const POOLS = [
  { cidr: '10.42.0.0/24', blockLength: 28 },
  { cidr: FLOATING, floating: true },
]
const pod = (name: string) => ({ namespace: 'db', name, uid: '' })
const keyOf = (containerId: string) => ({ network: 'pods', containerId, ifname: 'eth0' })

interface World {
  nowMs: number
  run<T>(body: (tx: Tx) => T): T
}

function world(mode = 'vxlan', pools = POOLS): World {
  const made: World = { nowMs: 1_000_000, ...smallStore() }
  made.run((tx) => createNetwork(tx, parseNetworkSpec({ name: 'pods', mode, pools }, made.nowMs)))
  return made
}

function add(
  { run, nowMs }: World,
  node: string,
  name: string,
  containerId: string,
  rest: Partial<AllocateRequest> = {},
) {
  return run((tx) => {
    const answer = allocate(tx, {
      key: keyOf(containerId),
      node,
      netns: '',
      hostLink: `trv${containerId}`,
      pod: pod(name),
      mayClaim: true,
      nowMs,
      bootId: 'b',
      ...rest,
    })
    checkInvariants(tx, NODES)
    return answer
  })
}

const textOf = (answer: ReturnType<typeof add>): string =>
  answer.kind === 'allocated' ? answer.attachment.ips.join() : `${answer.reason}: ${answer.message}`

const end = ({ run, nowMs }: World, node: string, containerId: string, cools = true) =>
  run((tx) => {
    const ended = release(tx, node, keyOf(containerId), nowMs, cools)
    checkInvariants(tx, NODES)
    return ended?.ips.join()
  })

const keep = ({ run, nowMs }: World, ip: string, name: string) =>
  run((tx) => reserve(tx, { network: 'pods', ip: parseIp(ip), pod: pod(name), nowMs }))

const claimsOf = ({ run }: World, cidr: string) =>
  run((tx) => [...tx.range(keys.claims('pods'))].filter(([, claim]) => claim.pool === cidr)).map(
    ([, claim]) => `${claim.cidr} ${claim.node} ${claim.first}`,
  )

t.test('a pod returns to its address and MAC on any node, and is alone with it', async (t) => {
  const w = world()
  keep(w, '10.43.0.5', 'db-0')
  const first = add(w, 'n1', 'db-0', 'c1')
  t.equal(textOf(first), '10.43.0.5')
  t.strictSame(claimsOf(w, FLOATING), ['10.43.0.5/32 n1 false'])
  t.strictSame(claimsOf(w, '10.42.0.0/24'), ['10.42.0.0/28 n1 true'], 'its tunnel endpoint')
  const second = add(w, 'n2', 'db-0', 'c2')
  t.match(second, {
    reason: 'held-elsewhere',
    message:
      'Cannot allocate 10.43.0.5 in network pods: held by pod db/db-0, container c1 eth0 on node n1, wanted on node n2',
    hint: /trivium ipam release --ip 10\.43\.0\.5/,
  })
  t.equal(end(w, 'n1', 'c1'), '10.43.0.5')
  t.strictSame(claimsOf(w, FLOATING), [], 'it does not rest: nobody else may have it')
  const third = add(w, 'n2', 'db-0', 'c2')
  t.equal(textOf(third), '10.43.0.5')
  t.equal(end(w, 'n1', 'c1'), undefined, 'a late DEL of the old holder')
  t.strictSame(claimsOf(w, FLOATING), ['10.43.0.5/32 n2 false'])
  const macs = [first, third].map((answer) => answer.kind === 'allocated' && answer.attachment.mac)
  t.ok(macs[0])
  t.equal(macs[0], macs[1])
  const past = w.run((tx) => historyOf(tx, { ip: parseIp('10.43.0.5') }))
  t.strictSame(
    past.map(({ node, containerId }) => `${node} ${containerId}`),
    ['n1 c1', 'n2 c2'],
    'one history on all nodes',
  )
})

t.test('without a reservation: by address or by the pool, with a rest between', async (t) => {
  const w = world()
  t.match(textOf(add(w, 'n1', 'web', 'c0')), /^10\.42\./, 'nobody gets one by chance')
  const requested = [parseIp('10.43.0.2')]
  const one = add(w, 'n1', 'a', 'c1', { requested })
  t.equal(textOf(one), '10.43.0.2')
  const pools = [parsePrefix(FLOATING, 'x')]
  t.equal(textOf(add(w, 'n2', 'b', 'c2', { pools })), '10.43.0.1', 'the lowest that is free')
  end(w, 'n1', 'c1')
  t.match(
    textOf(add(w, 'n2', 'a', 'c3', { requested })),
    'held-elsewhere: Cannot allocate 10.43.0.2 in network pods: it cools down on node n1, free in 60 s',
  )
  t.equal(textOf(add(w, 'n1', 'c', 'c4', { pools })), '10.43.0.3', 'rather than one that cools')
  w.nowMs += 60_000
  w.run((tx) => keepBlocks(tx, tx.get(keys.network('pods'))!, 'n1', w.nowMs))
  const two = add(w, 'n2', 'a', 'c3', { requested })
  t.equal(textOf(two), '10.43.0.2')
  const macs = [one, two].map((answer) => answer.kind === 'allocated' && answer.attachment.mac)
  t.ok(macs[0] && macs[0] === macs[1], 'the MAC is of the address')
  t.match(
    w.run((tx) => whyIp(tx, parseIp('10.43.0.2'), w.nowMs)),
    [{ found: '10.43.0.0/29, floating' }, { found: '10.43.0.2/32 of node n2' }],
  )
  const more = ['c5', 'c6', 'c7'].map((name) => textOf(add(w, 'n3', name, name, { pools })))
  t.match(more, ['10.43.0.4', '10.43.0.5', '10.43.0.6'])
  t.match(textOf(add(w, 'n3', 'd', 'c8', { pools })), 'exhausted')
})

t.test('not even when the ordinary pool is full', async (t) => {
  const w = world('vxlan', [
    { cidr: '10.42.0.0/29', blockLength: 29 },
    { cidr: FLOATING, floating: true },
  ])
  const texts = Array.from({ length: 7 }, (_, n) => textOf(add(w, 'n1', 'web', `c${n}`)))
  t.equal(texts.filter((text) => text.startsWith('10.42.')).length, 6)
  t.match(texts.at(-1), /^exhausted/)
  const refused = textOf(add(w, 'n2', 'x', 'x', { requested: [parseIp('10.43.0.2')] }))
  t.match(refused, /^exhausted/, 'nor a node without room for its tunnel endpoint')
  t.strictSame(claimsOf(w, FLOATING), [])
})

t.test('a namespace may have a floating pool of its own', async (t) => {
  const w = world()
  w.run((tx) =>
    createPool(tx, 'pods', { cidr: '10.44.0.0/29', floating: true, namespaces: ['db'] }),
  )
  t.equal(textOf(add(w, 'n1', 'a', 'c1')), '10.44.0.1')
  const web = { namespace: 'web', name: 'a', uid: '' }
  t.match(textOf(add(w, 'n1', 'a', 'c2', { pod: web })), /^10\.42\./)
})

t.test('no block is kept ahead or claimed by half; what is reserved is not claimed', async (t) => {
  const w = world()
  keep(w, '10.43.0.1', 'db-0')
  w.run((tx) => ensureBlocks(tx, tx.get(keys.network('pods'))!, 'n1', w.nowMs))
  t.strictSame(claimsOf(w, FLOATING), [])
  add(w, 'n1', 'x', 'c1', { pools: [parsePrefix(FLOATING, 'x')] })
  t.strictSame(claimsOf(w, FLOATING), ['10.43.0.2/32 n1 false'])
  const refused = add(w, 'n2', 'db-0', 'c2', { mayClaim: false })
  t.match(refused, { kind: 'refused', reason: 'needs-block', wanted: { pools: ['10.42.0.0/24'] } })
  w.run((tx) => ensureBlocks(tx, tx.get(keys.network('pods'))!, 'n2', w.nowMs))
  const wanted = { pools: [FLOATING], ip: '10.43.0.1' }
  t.match(add(w, 'n2', 'db-0', 'c2', { mayClaim: false }), { kind: 'refused', wanted })
  t.strictSame(claimsOf(w, FLOATING).length, 1)
})

t.test('in an ordinary pool a reserved address stays, and the refusal says what does not', (t) => {
  const w = world()
  keep(w, '10.42.0.5', 'db-0')
  t.equal(textOf(add(w, 'n1', 'db-0', 'c1')), '10.42.0.5')
  end(w, 'n1', 'c1')
  t.match(add(w, 'n2', 'db-0', 'c2'), { reason: 'not-available', hint: /--floating/ })
  t.end()
})

t.test('a pool becomes floating while it is nobody’s', async (t) => {
  const w = world()
  const cidr = parsePrefix('10.45.0.0/24', 'x')
  w.run((tx) => createPool(tx, 'pods', { cidr }))
  const edit = (floating: boolean) => w.run((tx) => editPool(tx, 'pods', cidr, { floating })).pool
  t.match(edit(true), { blockLength: 32, floating: true })
  keep(w, '10.45.0.9', 'db-0')
  t.throws(() => edit(false), { code: 'CONFLICT', message: /10\.45\.0\.9 is reserved/ })
  t.equal(textOf(add(w, 'n1', 'db-0', 'c1')), '10.45.0.9')
  const other = parsePrefix('10.42.0.0/24', 'x')
  t.throws(() => w.run((tx) => editPool(tx, 'pods', other, { floating: true })), {
    message: /pool 10\.42\.0\.0\/24 is floating, and no other is of its family|wanted/,
  })
  t.throws(() => w.run((tx) => drainPool(tx, 'pods', other, true)), { code: 'CONFLICT' })
  t.throws(() => w.run((tx) => deletePool(tx, 'pods', other)), { code: 'BAD_CONFIG' })
})

/** Who holds which floating address, on paper. */
interface Paper {
  readonly held: Map<string, { readonly node: string; readonly container: string }>
  /** Until when nobody but its node gives it. */
  readonly rests: Map<string, { readonly node: string; readonly untilMs: number }>
}

type Step =
  | { readonly do: 'add'; readonly node: string; readonly pod: number; readonly how: string }
  | { readonly do: 'end'; readonly node: string; readonly container: number }
  | { readonly do: 'keep'; readonly node: string }
  | { readonly do: 'forget'; readonly node: string }
  | { readonly do: 'wait'; readonly ms: number }

const node = fc.constantFrom(...NODES)
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    do: fc.constant('add' as const),
    node,
    pod: fc.nat(4),
    how: fc.constantFrom('reserved', 'reserved', 'pool', 'address'),
  }),
  fc.record({ do: fc.constant('end' as const), node, container: fc.nat(30) }),
  fc.record({ do: fc.constant('keep' as const), node }),
  fc.record({ do: fc.constant('forget' as const), node }),
  fc.record({ do: fc.constant('wait' as const), ms: fc.constantFrom(1, 30_000, 60_000) }),
)

const RESERVED = ['10.43.0.1', '10.43.0.3', '10.43.0.4']

function play(steps: readonly Step[]): void {
  const w = world('route')
  for (const [index, ip] of RESERVED.entries()) keep(w, ip, `p${index}`)
  const paper: Paper = { held: new Map(), rests: new Map() }
  let count = 0
  for (const each of steps) {
    if (each.do === 'wait') w.nowMs += each.ms
    else if (each.do === 'keep') {
      const tidy = (tx: Tx): void =>
        keepBlocks(tx, tx.get(keys.network('pods'))!, each.node, w.nowMs)
      w.run(tidy)
      for (const [ip, { node, untilMs }] of paper.rests) {
        if (node === each.node && untilMs <= w.nowMs) paper.rests.delete(ip)
      }
    } else if (each.do === 'forget') {
      w.run((tx) => releaseNode(tx, each.node, w.nowMs))
      for (const list of [paper.held, paper.rests]) {
        for (const [ip, { node }] of list) if (node === each.node) list.delete(ip)
      }
    } else if (each.do === 'end') finish(w, paper, each.node, each.container % (count + 1))
    else start(w, paper, each, ++count)
    w.run((tx) => checkInvariants(tx, NODES))
  }
}

function finish(w: World, { held, rests }: Paper, node: string, container: number): void {
  const [ip] = [...held].find(
    ([, who]) => who.node === node && who.container === `c${container}`,
  ) ?? ['']
  const ended = end(w, node, `c${container}`)
  assert.equal(ended?.startsWith('10.43.') ? ended : '', ip)
  held.delete(ip)
  if (ip !== '' && !RESERVED.includes(ip)) rests.set(ip, { node, untilMs: w.nowMs + 60_000 })
}

function start(w: World, paper: Paper, step: Step & { do: 'add' }, count: number): void {
  const { node, how } = step
  const { held, rests } = paper
  const name = how === 'reserved' ? `p${step.pod % RESERVED.length}` : `free${step.pod}`
  const asked = { pool: { pools: [parsePrefix(FLOATING, 'x')] }, reserved: {} }
  const ip = how === 'reserved' ? RESERVED[step.pod % RESERVED.length]! : `10.43.0.${step.pod + 2}`
  const rest = how === 'address' ? { requested: [parseIp(ip)] } : asked[how as 'pool']
  const text = textOf(add(w, node, name, `c${count}`, rest))
  const container = `c${count}`
  if (how === 'pool') {
    const isFree = /^10\.43\.0\.[1-6]$/.test(text) && !held.has(text) && !RESERVED.includes(text)
    const other = rests.get(text)
    assert.ok(isFree || text.startsWith('exhausted'), text)
    assert.ok(other === undefined || other.node === node, `${text} rests elsewhere`)
    if (isFree) held.set(text, { node, container })
    if (isFree) rests.delete(text)
    return
  }
  const [holder, resting] = [held.get(ip), rests.get(ip)]
  if (how === 'address' && RESERVED.includes(ip)) assert.match(text, /^not-available.*reserved for/)
  else if (holder === undefined && (resting === undefined || resting.node === node)) {
    assert.equal(text, ip)
    held.set(ip, { node, container })
    rests.delete(ip)
  } else if (holder?.node === node) assert.match(text, /^not-available.*held by/)
  else if (holder === undefined) assert.match(text, new RegExp(`^held-elsewhere.*${resting?.node}`))
  else assert.match(text, new RegExp(`^held-elsewhere.*${holder.container} .*${holder.node}`))
}

holds(t, 'no address twice, however pods move', fc.array(step, { maxLength: 40 }), play, {
  numRuns: 150,
})
