/** Members of a cluster against an etcd that does everything etcd may do. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { type Key, keys } from '../../ipam/mod.ts'
import { MEMBER_TIMES } from '../../src/cluster/member.ts'
import { holds } from '../support/property.ts'
import type { Etcd } from './etcd-model.ts'
import { FIXED } from './member-network.ts'
import {
  addMany,
  clone,
  LEASE_MS,
  NODES,
  Node,
  tally,
  type World,
  worldOf,
} from './member-world.ts'

/** To one node. `mend` twice: it is to be heard of again. */
const HARMS = [
  'cut',
  'mend',
  'mend',
  'restart',
  'wipe',
  'remove',
  'expel',
  'clock',
  'twin',
  'clone',
  'save',
  'rollback',
  'rollback',
] as const

type Act =
  | { readonly kind: 'add' | 'del'; readonly node: number; readonly which: number }
  | { readonly kind: (typeof HARMS)[number]; readonly node: number }
  | { readonly kind: 'steps'; readonly count: number }
  | { readonly kind: 'time'; readonly ms: number }
  | { readonly kind: 'down' | 'up' | 'lose' | 'snapshot' | 'restore' }

/** The last one is the twin, once there is one. */
const node = fc.nat(NODES)
const act: fc.Arbitrary<Act> = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({ kind: fc.constant('add' as const), node, which: fc.nat(50) }),
  },
  {
    weight: 5,
    arbitrary: fc.record({ kind: fc.constant('del' as const), node, which: fc.nat(50) }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('steps' as const),
      count: fc.integer({ min: 1, max: 40 }),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('time' as const),
      ms: fc.constantFrom(50, 1000, 12_000, 40_000, 200_000),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constantFrom(...HARMS),
      node,
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constantFrom(
        'restore' as const,
        'down' as const,
        'up' as const,
        'up' as const,
        'lose' as const,
        'snapshot' as const,
        'restore' as const,
      ),
    }),
  },
)

/** A run of acts. Throws when an address is given twice, or one that was given is forgotten. */
function play(acts: readonly Act[], seed: number): World {
  const world = worldOf(seed)
  let snapshot = world.etcd.snapshot()
  let deletions = world.deletions
  /** Until then everybody who can reach etcd still can: what a restored snapshot takes for granted. */
  let calmUntil = 0
  for (const each of acts) {
    const isCalm = world.now < calmUntil
    perform(world, each, isCalm)
    if (each.kind === 'snapshot') {
      snapshot = world.etcd.snapshot()
      deletions = world.deletions
    }
    if (each.kind === 'restore' && !isCalm && world.nodes.length === NODES) {
      restore(world, snapshot, deletions === world.deletions)
      calmUntil = world.now + MEMBER_TIMES.reassertMs + 1
    }
  }
  finish(world)
  return world
}

/**
 * Who is cut off stays so, as long as somebody is there who knew its blocks. A node
 * deleted since the snapshot is in it again: then all must be there to object.
 */
function restore(world: World, snapshot: ReturnType<Etcd['snapshot']>, mayBeCut: boolean): void {
  world.count('restore')
  world.etcd.up = true
  // A snapshot is older than a watch is late.
  world.drain()
  const witnesses = world.nodes.filter((each) => {
    each.sync()
    const known = each.local.read((reader) => reader.get(keys.membership))
    return !each.cut && known?.joined === true && known.refused === undefined
  })
  const [cut] = world.nodes.filter((each) => each.cut)
  if (witnesses.length === 0 || !mayBeCut) for (const other of world.nodes) other.cut = false
  else if (cut !== undefined) world.count('restore while a node is cut off')
  world.etcd.restore(snapshot)
}

function perform(world: World, each: Act, isCalm: boolean): void {
  const at = 'node' in each ? world.nodes[each.node] : undefined
  if (each.kind === 'add') {
    world.count('ADD')
    at?.add(each.which % (FIXED + 3))
    addMany(at, each.which % 8)
  }
  if (each.kind === 'del') at?.del(each.which)
  if (each.kind === 'steps') {
    for (let n = 0; n < each.count; n++) world.step()
    for (const other of world.nodes) other.sync()
  }
  if (each.kind === 'time') world.advance(each.ms)
  if (each.kind === 'mend' && at !== undefined) at.cut = false
  if (['del', 'down', 'lose'].includes(each.kind)) world.count(each.kind)
  if (each.kind === 'up') world.etcd.up = true
  if (each.kind === 'lose') world.loseNext = 1
  if (each.kind === 'down' && !isCalm) world.etcd.up = false
  if (at !== undefined && !isCalm) harm(world, at, each)
}

/** Whether another machine has the node's store: then it is not to be cut off, as it could not say so. */
const isCloned = (world: World, { name, hardware }: Node): boolean =>
  world.nodes.some((each) => each.isClone && each.name === name && each.hardware !== hardware)

function harm(world: World, at: Node, { kind }: Act): void {
  const isExtra = world.nodes.indexOf(at) >= NODES
  if (isCloned(world, at) && (kind === 'cut' || kind === 'wipe')) return
  if (isExtra && (kind === 'remove' || kind === 'expel')) return
  if (kind !== 'expel' && HARMS.some((each) => each === kind)) world.count(kind)
  if (kind === 'cut') at.cut = true
  // Back by eleven days, then on by as much beyond what is right.
  if (kind === 'clock') at.skewMs = at.skewMs < 0 ? 1_000_000_000 : -1_000_000_000
  if (kind === 'expel' && at.cut && world.etcd.up) {
    world.advance(Math.max(0, at.heardAt + LEASE_MS + 1 - world.now))
    // Somebody says that it is gone: nothing of it counts, and it must not go on.
    world.count(kind)
    at.pods.clear()
    world.expel(at.name)
  }
  // What the disk was told it has.
  if (DISK.has(kind)) world.drain()
  if (kind === 'restart') at.kill()
  if (kind === 'wipe') at.wipe()
  if (kind === 'save') at.saved = at.copy()
  if (kind === 'rollback') at.putBack(at.saved)
  if (DISK.has(kind) && kind !== 'save' && kind !== 'remove') at.start()
  if (kind === 'remove' && world.etcd.up) {
    // The machine is gone with its pods; later it comes back with its disk.
    at.kill()
    at.pods.clear()
    at.boots++
    world.expel(at.name)
    at.start()
  }
  if (world.nodes.length > NODES) return
  if (kind === 'twin') {
    const twin = new Node(world, at.name, 'another machine')
    world.nodes.push(twin)
    twin.start()
  }
  if (kind === 'clone' && !at.cut) clone(world, at)
}

const DISK: ReadonlySet<Act['kind']> = new Set(['restart', 'wipe', 'remove', 'save', 'rollback'])

/** Everything heals: then all agree, nothing is lost, and there is room again. */
function finish(world: World): void {
  world.etcd.up = true
  world.loseNext = 0
  for (const each of world.nodes) each.cut = false
  world.advance(300_000)
  world.advance(300_000)
  for (const each of world.nodes.slice(0, NODES)) {
    for (const pod of each.pods.values()) {
      const record = each.local.read((reader) => reader.get(keys.attachment(each.name, pod)))
      assert.deepEqual(record?.ips, pod.ips, `${pod.containerId} on ${each.name} is known`)
    }
  }
  const claims = [...world.etcd.data].filter(([key]) => key.startsWith('shared/claim/'))
  for (const [key, text] of claims) {
    const { node: owner } = JSON.parse(text) as { node: string }
    const claim = key.slice('shared/'.length) as Key<{ node: string }>
    const known = world.nodes.flatMap(({ name, local }) =>
      name === owner ? [local.read((reader) => reader.get(claim)?.node)] : [],
    )
    assert.ok(known.includes(owner), `${key} is known to its owner ${owner}`)
  }
}

const runs = fc.record({
  acts: fc.array(act, { minLength: 5, maxLength: 60 }),
  seed: fc.integer({ min: 1, max: 2 ** 31 - 1 }),
})

t.test('whatever happens, no address is held twice and none that was given is forgotten', (t) => {
  holds(t, 'cluster', runs, ({ acts, seed }) => void play(acts, seed), { numRuns: 100 })
  t.comment(tallyLine())
  t.end()
})

/** For whoever counts what was tried. */
function tallyLine(): string {
  const of = (kinds: readonly string[]): number =>
    kinds.reduce((sum, kind) => sum + (tally.get(kind) ?? 0), 0)
  const faults = [...tally].filter(([kind]) => !['ADD', 'del', 'mend', 'save'].includes(kind))
  const each = faults
    .map(([kind, count]) => `${count} ${kind}`)
    .sort()
    .join(', ')
  return `members: ${of(['ADD', 'del'])} ADDs and DELs, ${of(faults.map(([kind]) => kind))} faults: ${each}`
}
