/** Requests to the owners of addresses, while owners die, are cut off, and etcd loses and falls back. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import {
  ask,
  type DeedAnswer,
  type Followed,
  follow,
  noteCarried,
  type OwnerRequest,
  REQUESTS_MAX,
  settleCarried,
} from '../../ipam/cluster/requests.ts'
import { memoryStore } from '../../ipam/memory-store.ts'
import { keys } from '../../ipam/mod.ts'
import type { AttachmentRecord } from '../../ipam/records.ts'
import { MEMBER_TIMES } from '../../src/cluster/member.ts'
import { OWNER_TIMES, ownerMachine } from '../../src/cluster/owner.ts'
import type { Instant } from '../../src/machine.ts'
import { holds } from '../support/property.ts'
import { heal, only } from './acts.ts'
import { type Node, type World, worldOf } from './member-world.ts'

const NODES = 2
const ASKER_MS = 10_000

/** Somebody who asks for the release of an attachment, and waits by a clock of his own. */
class Asker {
  readonly id: string
  readonly #world: World
  readonly #node: Node
  readonly #overAt: number
  mayHaveBegun = false
  answer: DeedAnswer | undefined
  /** What he was told; `dead`: he did not wait. */
  end: 'answered' | 'untouched' | 'unknown' | 'dead' | undefined

  constructor(world: World, node: Node, pod: AttachmentRecord, force: boolean) {
    this.#world = world
    this.#node = node
    this.#overAt = world.now + ASKER_MS
    this.id = (world.serial++).toString(16)
    const { network, containerId, ifname, sequence } = pod
    const key = { network, containerId, ifname }
    const repair = { kind: 'release', node: node.name, key, sequence } as const
    const deed = { kind: 'mend', repairs: [repair], force } as const
    const request = { id: this.id, node: node.name, asker: 'somebody', askedMs: 0, deed }
    const asked = this.#on((tx) => ask(tx, request))
    if (asked === 'refused') this.end = 'untouched'
    if (asked === 'lost') this.end = 'dead'
  }

  /** A transaction of his: it may be lost on the way there, or its answer on the way back. */
  #on(
    body: Parameters<typeof ask> extends [infer Tx, ...unknown[]] ? (tx: Tx) => unknown : never,
  ): unknown {
    const { etcd } = this.#world
    if (!etcd.up) return 'lost'
    try {
      const answer = etcd.run('shared/', body)
      if (this.#world.loseNext === 0) return answer
      this.#world.loseNext--
      return 'lost'
    } catch {
      return 'refused'
    }
  }

  look(): void {
    if (this.end !== undefined) return
    const isOver = this.#world.now > this.#overAt
    const { name } = this.#node
    let mayGo = false
    const found = this.#on((tx) => {
      mayGo = tx.get(keys.request(name, this.id))?.stage === 'taken' && !isOver
      return follow(tx, name, this.id, isOver)
    }) as Followed | 'lost' | 'refused'
    this.mayHaveBegun ||= mayGo
    if (found === 'lost' || found === 'refused') return
    if (found.kind === 'answered') this.answer = found.answer
    if (found.kind === 'unknown' && !this.mayHaveBegun) this.end = 'untouched'
    else if (found.kind !== 'waiting') this.end = found.kind
  }
}

type Act =
  | { readonly kind: 'ask'; readonly node: number; readonly which: number; readonly gone: boolean }
  | { readonly kind: 'add' | 'del'; readonly node: number; readonly which: number }
  | { readonly kind: 'cut' | 'mend' | 'restart' | 'wipe'; readonly node: number }
  /** Asked, so many steps, seen, so many steps, killed. */
  | {
      readonly kind: 'crash'
      readonly node: number
      readonly which: number
      readonly taken: number
      readonly begun: number
    }
  | { readonly kind: 'steps'; readonly count: number }
  | { readonly kind: 'time'; readonly ms: number }
  | { readonly kind: 'look' | 'die' | 'down' | 'up' | 'lose' | 'snapshot' | 'restore' }

const node = fc.nat(NODES - 1)
const which = fc.nat(50)
const few = fc.integer({ min: 0, max: 8 })
const act: fc.Arbitrary<Act> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({ kind: only('crash'), node, which, taken: few, begun: few }),
  },
  { weight: 8, arbitrary: fc.record({ kind: only('ask'), node, which, gone: fc.boolean() }) },
  { weight: 4, arbitrary: fc.record({ kind: only('add', 'add', 'del'), node, which }) },
  {
    weight: 8,
    arbitrary: fc.record({ kind: only('steps'), count: fc.integer({ min: 1, max: 12 }) }),
  },
  {
    weight: 5,
    arbitrary: fc.record({ kind: only('time'), ms: fc.constantFrom(50, 1000, 12_000, 130_000) }),
  },
  {
    weight: 12,
    arbitrary: fc.record({
      kind: only('look', 'look', 'look', 'die', 'down', 'up', 'up', 'lose', 'snapshot', 'restore'),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({ kind: only('cut', 'mend', 'mend', 'restart', 'restart', 'wipe'), node }),
  },
)

/** A pod of the node that is there, or that ended without a DEL. */
function podOf(at: Node, number: number, gone: boolean): AttachmentRecord | undefined {
  const all = at.local.read((reader) => [...reader.range(keys.attachments(at.name))])
  const [, pod] = all[number % Math.max(1, all.length)] ?? []
  if (pod !== undefined && gone) at.pods.delete(pod.containerId)
  return pod
}

function play(acts: readonly Act[], seed: number): readonly Asker[] {
  const world = worldOf(seed, { nodes: NODES })
  const askers: Asker[] = []
  let snapshot = world.etcd.snapshot()
  let calmUntil = 0
  const lookAll = (): void => {
    for (const asker of askers) asker.look()
  }
  for (const each of acts) {
    const isCalm = world.now < calmUntil
    const at = 'node' in each ? world.nodes[each.node] : undefined
    if (each.kind === 'ask' && at !== undefined) {
      const pod = podOf(at, each.which, each.gone)
      if (pod !== undefined) askers.push(new Asker(world, at, pod, !each.gone))
    }
    if (each.kind === 'look') lookAll()
    if (each.kind === 'crash' && at !== undefined) {
      const pod = podOf(at, each.which, true)
      if (pod !== undefined) askers.push(new Asker(world, at, pod, false))
      const stepsOf = (count: number): void => {
        for (let n = 0; n < count; n++) {
          at.sync()
          world.step()
        }
      }
      stepsOf(each.taken)
      lookAll()
      stepsOf(each.begun)
      at.kill()
      at.start()
    }
    if (each.kind === 'die') for (const one of askers.slice(-1)) one.end ??= 'dead'
    if (each.kind === 'add') for (let n = 0; n <= each.which % 4; n++) at?.add()
    if (each.kind === 'del') at?.del(each.which)
    if (each.kind === 'steps') {
      for (let n = 0; n < each.count; n++) world.step()
      for (const other of world.nodes) other.sync()
    }
    if (each.kind === 'time') world.advance(each.ms)
    if (each.kind === 'mend' && at !== undefined) at.cut = false
    if (each.kind === 'up') world.etcd.up = true
    if (each.kind === 'lose') world.loseNext = 1
    if (each.kind === 'snapshot') snapshot = world.etcd.snapshot()
    if (isCalm) continue
    if (each.kind === 'down') world.etcd.up = false
    if (each.kind === 'cut' && at !== undefined) at.cut = true
    if (each.kind === 'restart' || each.kind === 'wipe') {
      // In the middle of whatever is under way; of a disk, only what it was told is there.
      if (each.kind === 'wipe') {
        world.drain()
        at?.wipe()
      } else at?.kill()
      at?.start()
    }
    if (each.kind === 'restore') {
      for (const other of world.nodes) other.cut = false
      world.etcd.up = true
      world.etcd.restore(snapshot)
      calmUntil = world.now + MEMBER_TIMES.reassertMs + 1
    }
  }
  return finish(world, askers)
}

/** Everything heals, and everybody is told. */
function finish(world: World, askers: readonly Asker[]): readonly Asker[] {
  heal(world)
  for (let n = 0; n < 60; n++) {
    world.advance(1000)
    for (const asker of askers) asker.look()
  }
  world.advance(2 * OWNER_TIMES.staleMs)
  judge(world, askers)
  return askers
}

function judge(world: World, askers: readonly Asker[]): void {
  for (const { id, end, answer } of askers) {
    const times = world.carried.get(id) ?? 0
    assert.ok(times <= 1, `request ${id} was carried out ${times} times`)
    assert.ok(end !== undefined, `the asker of ${id} was told`)
    if (end === 'untouched') assert.equal(times, 0, `${id}: nothing was changed, nothing will be`)
    if (answer?.kind === 'mended') assert.equal(times, 1, `${id} was done`)
    if (answer?.kind === 'refused') assert.equal(times, 0, `${id} was not done: ${answer.why}`)
  }
  const left = [...world.etcd.data.keys()].filter((key) => key.startsWith('shared/request/'))
  assert.deepEqual(left, [], 'nothing is left of them')
}

t.test(
  'an owner that is there does it and answers; one that is not changes nothing, ever',
  async (t) => {
    const world = worldOf(1)
    const [n1, n2] = world.nodes
    for (const each of [n1!, n2!]) each.add()
    world.drain()
    const pods = [n1!, n2!].map((each) => podOf(each, 0, true)!)
    n2!.cut = true
    const askers = [new Asker(world, n1!, pods[0]!, false), new Asker(world, n2!, pods[1]!, false)]
    for (let n = 0; n < 12; n++) {
      world.advance(1000)
      for (const asker of askers) asker.look()
    }
    t.match(askers[0]!.answer, { kind: 'mended', results: [{ outcome: 'done' }] })
    t.equal(askers[1]!.end, 'untouched')
    n2!.cut = false
    world.advance(200_000)
    t.same([...world.carried], [[askers[0]!.id, 1]], 'the one that came too late is not done')
    t.equal(
      n1!.local.read((reader) => reader.get(keys.attachment('n1', pods[0]!))),
      undefined,
    )
    t.ok(
      n2!.local.read((reader) => reader.get(keys.attachment('n2', pods[1]!))),
      'its record stays',
    )
  },
)

t.test(
  'an owner that is cut off in the middle: the asker hears that it may have been done',
  async (t) => {
    const world = worldOf(3)
    const [n1] = world.nodes
    n1!.add()
    world.drain()
    const asker = new Asker(world, n1!, podOf(n1!, 0, true)!, false)
    for (let n = 0; n < 200 && !asker.mayHaveBegun; n++) {
      n1!.sync()
      world.step()
      asker.look()
    }
    n1!.sync()
    n1!.cut = true
    for (let n = 0; n < 12; n++) {
      world.advance(1000)
      asker.look()
    }
    t.equal(world.carried.get(asker.id), 1)
    t.equal(asker.end, 'unknown')
  },
)

t.test('no more wait for a node than are looked at', async (t) => {
  const world = worldOf(2)
  const deed = { kind: 'look' } as const
  const request = { node: 'n1', asker: 'somebody', askedMs: 0, deed }
  const put = (id: number): void =>
    world.etcd.run('shared/', (tx) => ask(tx, { ...request, id: `${id}` }))
  for (let id = 0; id < REQUESTS_MAX; id++) put(id)
  t.throws(() => put(99), /16 requests wait for its agent.*wanted fewer/)
  t.throws(() => world.etcd.run('shared/', (tx) => ask(tx, { ...request, id: '1', node: 'n9' })), {
    message: /Cannot ask node n9: the cluster's nodes are n1, n2/,
  })
})

const requestIn = (stage: OwnerRequest['stage'], run: string): OwnerRequest => {
  const deed = { kind: 'mend', repairs: [], force: false } as const
  return { id: 'a1', node: 'n1', asker: 'somebody', askedMs: 0, deed, stage, run }
}

t.test(
  'what a snapshot of etcd brings back is not begun again, nor what another run took',
  async (t) => {
    const machine = ownerMachine('run1')
    const now = 1000 as Instant
    const show = (...requests: OwnerRequest[]): readonly string[] =>
      machine.handle({ kind: 'requests', requests }, now).map(({ kind }) => kind)
    const done = (answer?: DeedAnswer): readonly string[] =>
      machine
        .handle({ kind: 'done', ...(answer === undefined ? {} : { answer }) }, now)
        .map(({ kind }) => kind)
    const { run: _nobody, ...asked } = requestIn('asked', '')
    t.same(show(asked), ['take'])
    t.same(done(), [], 'the asker is to say go')
    t.same(show(requestIn('go', 'run1')), ['carry'])
    t.same(done({ kind: 'mended', results: [] }), ['answer'])
    t.same(done(), [])
    t.same(show(), [])
    t.same(show(requestIn('go', 'run1')), ['settle'], 'done before')
    const next = ownerMachine('run2')
    const seen = next.handle({ kind: 'requests', requests: [requestIn('go', 'run1')] }, now)
    t.match(seen, [{ kind: 'settle' }], 'begun by the run before')
  },
)

t.test('an answer that was noted stays: whoever comes second does nothing', async (t) => {
  const store = memoryStore({ defer: (run) => run() })
  const [first, second] = [1, 2].map((n): DeedAnswer => ({ kind: 'refused', why: `${n}` }))
  store.transact(
    (tx) => {
      t.equal(noteCarried(tx, 'a1', first!), undefined)
      t.same(noteCarried(tx, 'a1', second!), first)
      t.same(settleCarried(tx, 'a1', 'too late'), first)
      t.match(settleCarried(tx, 'b2', 'never'), { why: 'never' })
      t.match(noteCarried(tx, 'b2', second!), { why: 'never' }, 'and then it is never done')
    },
    () => {},
  )
})

const runs = fc.record({
  acts: fc.array(act, { minLength: 5, maxLength: 50 }),
  seed: fc.integer({ min: 1, max: 2 ** 31 - 1 }),
})

t.test(
  'whatever happens, each request is carried out once at most, and the asker is told the truth',
  (t) => {
    const told = new Map<string, number>()
    const tally = (what: string): void => void told.set(what, (told.get(what) ?? 0) + 1)
    holds(
      t,
      'requests',
      runs,
      ({ acts, seed }) => {
        for (const { end, answer } of play(acts, seed)) tally(answer?.kind ?? end ?? '')
      },
      { numRuns: 30 },
    )
    t.comment(JSON.stringify(Object.fromEntries(told)))
    t.end()
  },
)
