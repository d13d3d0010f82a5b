/**
 * Members with a store each, and an etcd that delays, loses, falls back and goes
 * away. What is true is kept apart: who was told that it has which address.
 */
import assert from 'node:assert/strict'
import { apartBecause, expel, membershipOf } from '../../ipam/cluster/membership.ts'
import { isBehind } from '../../ipam/cluster/mirror.ts'
import type { Demand, Membership } from '../../ipam/cluster/records.ts'
import { memoryStore } from '../../ipam/memory-store.ts'
import { allocate, keys, release } from '../../ipam/mod.ts'
import { type LivingNode, rebuild } from '../../ipam/rebuild.ts'
import type { AttachmentRecord, NodeRecord } from '../../ipam/records.ts'
import type { Key, KeyRange, Store } from '../../ipam/store.ts'
import { MEMBER_TIMES, type MemberInput, memberMachine } from '../../src/cluster/member.ts'
import { memberPerform } from '../../src/cluster/member-perform.ts'
import { type OwnerInput, ownerMachine } from '../../src/cluster/owner.ts'
import { ownerPerform } from '../../src/cluster/owner-perform.ts'
import { type Driven, drive } from '../../src/driver.ts'
import type { Instant } from '../../src/machine.ts'
import { carryOn } from './carry-world.ts'
import { Etcd, Sight } from './etcd-model.ts'
import { FIXED, FLOATING, podOf, putNetwork } from './member-network.ts'

export const NODES = 3
export const LEASE_MS = 120_000
const LATE_MS_MAX = 4000

export type Copy = readonly (readonly [Key<unknown>, unknown])[]

/** A machine: its agent, its disk, its kernel. */
export class Node {
  readonly world: World
  readonly name: string
  readonly machine: string
  /** The disk. */
  local: Store
  /** Whether pods leave a trace in its kernel: those of a network of mode ipam do not. */
  knowsPods = true
  /** The kernel: pods that run. */
  readonly pods = new Map<string, AttachmentRecord>()
  boots = 0
  /** When it last reached etcd. */
  heardAt = 0
  syncedAt = 0
  cut = false
  shared!: Sight
  mirror!: Sight
  driven: Driven<MemberInput> | undefined
  owner: Driven<OwnerInput> | undefined
  /** Of the agent that runs: what a dead one was told comes to nobody. */
  run = 0
  #online = false
  #stop = (): void => {}

  constructor(world: World, name: string, machine: string) {
    this.world = world
    this.name = name
    this.machine = machine
    this.hardware = world.serial++
    this.local = memoryStore({ defer: (run) => world.later(this, run, true) })
  }

  /** What its wall clock is wrong by. */
  skewMs = 0
  readonly wallMs = (): number => 2_000_000_000 + this.world.now + this.skewMs
  /** A piece of hardware; the machine id may be a copy. */
  readonly hardware: number
  readonly bootId = (): string => `boot${this.boots} of ${this.hardware}`
  isClone = false
  /** What somebody copied of its disk. */
  saved: Copy = []
  /** On a tmpfs. */
  #mark = { of: '', mark: 0 }

  /** The agent starts. */
  start(): void {
    const { world, name } = this
    const run = ++this.run
    this.#online = false
    this.shared = new Sight(world, this, 'shared/')
    this.mirror = new Sight(world, this, `of/${name}/`)
    const fresh = {
      incarnation: { machine: this.machine, store: `store${world.serial++}` },
      joined: false,
      beats: 0,
      revision: 0,
    }
    this.local.transact(
      (tx) => {
        const known: Membership = tx.get(keys.membership) ?? fresh
        const { of, mark } = this.#mark
        const isOlder =
          of === `${known.incarnation.store} ${this.bootId()}` && mark > (known.mark ?? 0)
        const now = isOlder ? { ...known, joined: false } : known
        tx.put(keys.membership, now)
        // As the agent does it before it serves anybody.
        if (now.joined) rebuild(tx, this.#living())
        return now
      },
      (outcome) => {
        if (outcome.kind === 'failed' || run !== this.run) return
        const machine = memberMachine(outcome.answer, MEMBER_TIMES)
        const ports = this.#ports(run)
        this.driven = drive(machine, world.clock, memberPerform(ports))
        this.owner = drive(
          ownerMachine(ports.session),
          world.clock,
          ownerPerform({
            ...ports,
            carry: (request, done) => carryOn(this, request, done),
            report: () => {},
          }),
        )
        this.#stop = this.local.watch(() => this.driven?.feed({ kind: 'local.changed' }))
        this.sync()
      },
    )
  }

  #ports(run: number): Parameters<typeof memberPerform>[0] {
    const { world, name } = this
    return {
      name,
      session: `${this.machine}.${run}.${world.serial++}`,
      node: (done) => done(recordOf(name)),
      local: this.local,
      shared: this.shared,
      revision: () => this.shared.seen,
      mirror: this.mirror,
      defer: (then) => world.later(this, then),
      wallMs: this.wallMs,
      lease: () => ({ bootId: this.bootId(), fromUptimeMs: world.now, lengthMs: LEASE_MS }),
      noteMark: (mark) => {
        const { store } = this.local.read(membershipOf).incarnation
        this.#mark = { of: `${store} ${this.bootId()}`, mark }
      },
      freshStore: () => `store${world.serial++}`,
      living: (done) => this.#readKernel(() => done(undefined)),
      room: () => {},
      report: (report) => world.reports.push(`${name}@${this.machine}: ${JSON.stringify(report)}`),
    }
  }

  #living(): LivingNode {
    const running = this.knowsPods ? [...this.pods.values()] : []
    const pods = running.map((pod) => ({ ...pod, hostLink: pod.containerId }))
    const [bootId, nowMs] = [this.bootId(), this.wallMs()]
    return { node: this.name, bootId, nowMs, pods, blocks: [], endpoints: [] }
  }

  #readKernel(done: () => void): void {
    const living = this.#living()
    this.local.transact((tx) => rebuild(tx, living), done)
  }

  /** SIGKILL: what was under way comes to nobody. */
  kill(): void {
    this.run++
    this.driven?.stop()
    this.driven = undefined
    this.owner?.stop()
    this.owner = undefined
    this.#stop()
    this.world.forget(this)
  }

  /** Everything on the disk, as it is. */
  copy(): Copy {
    return this.local.read((reader) => [...reader.range('' as KeyRange<unknown>)])
  }

  /** The disk is another, with what was copied. The agent is dead. */
  putBack(copy: Copy): void {
    this.kill()
    this.local = memoryStore({ defer: (run) => this.world.later(this, run, true) })
    this.local.transact(
      (tx) => {
        for (const [key, value] of copy) tx.put(key, value)
      },
      () => {},
    )
  }

  /** The disk is another, and empty. */
  wipe(): void {
    this.kill()
    this.local = memoryStore({ defer: (run) => this.world.later(this, run, true) })
  }

  /** The watch delivers. */
  sync(): void {
    if (this.driven === undefined) return
    this.syncedAt = this.world.now
    if (!this.world.reaches(this)) {
      if (this.#online) {
        this.driven.feed({ kind: 'away' })
        this.owner?.feed({ kind: 'away' })
      }
      this.#online = false
      return
    }
    this.heardAt = this.world.now
    const isOther = this.shared.epoch !== this.world.etcd.epoch
    if (this.#online && isOther) this.driven.feed({ kind: 'away' })
    const { changed, fellBack } = this.shared.catchUp()
    const own = this.mirror.catchUp().changed
    if (own !== 'all' && own.has(keys.knock)) this.driven.feed({ kind: 'knocked' })
    if (changed === 'all' || changed.size > 0) {
      this.driven.feed({ kind: 'shared.changed', changed, revision: this.shared.seen })
    }
    const asked = this.shared.read((reader) => [...reader.range(keys.nodeRequests(this.name))])
    this.owner?.feed({ kind: 'requests', requests: asked.map(([, each]) => each) })
    if (this.#online && !isOther) return
    this.#online = true
    const beats = this.mirror.read((reader) => reader.get(keys.beat)?.count ?? 0)
    const behind = this.local.read((own) =>
      this.mirror.read((reader) => isBehind(own, reader, this.name)),
    )
    this.driven.feed({
      kind: 'connected',
      revision: this.shared.seen,
      beats,
      fellBack,
      isBehind: behind,
    })
  }

  /**
   * ADD, as the verbs do it.
   *
   * @param moving Of a pod that may be anywhere: below FIXED it has a floating address
   * reserved, else it asks for one. undefined: any address will do.
   */
  add(moving?: number): void {
    const { world, name } = this
    const containerId = `c${world.serial++}`
    const key = { network: 'pods', containerId, ifname: 'eth0' }
    const floats = moving !== undefined && moving >= FIXED
    const ask = {
      ...(moving === undefined ? {} : { pod: podOf(moving) }),
      ...(floats ? { pools: [FLOATING as never] } : {}),
    }
    this.local.transact(
      (tx) => {
        const apart = apartBecause(tx, name, this.bootId(), () => world.now)
        if (apart !== undefined) return { kind: 'refused' as const, wanted: undefined }
        const request = { key, node: name, netns: '/n', hostLink: containerId, mayClaim: false }
        return allocate(tx, { ...request, ...ask, nowMs: this.wallMs(), bootId: this.bootId() })
      },
      (outcome) => {
        if (outcome.kind === 'failed') throw outcome.error
        const { answer } = outcome
        if (answer.kind === 'allocated') world.given(this, answer.attachment)
        else if (answer.wanted !== undefined) this.want(answer.wanted)
      },
    )
  }

  want(demand: Demand): void {
    this.driven?.feed({ kind: 'wanted', demand })
  }

  del(which: number): void {
    const all = [...this.pods.values()]
    const pod = all[which % Math.max(1, all.length)]
    if (pod === undefined) return
    const membership = this.local.read((reader) => reader.get(keys.membership))
    if (membership?.joined !== true) return
    this.pods.delete(pod.containerId)
    this.local.transact(
      (tx) => release(tx, this.name, pod, this.wallMs()),
      () => {},
    )
  }
}

interface Queued {
  readonly node: Node
  readonly run: () => void
}

/** How often which act came about, over all worlds. */
export const tally = new Map<string, number>()

export class World {
  readonly etcd = new Etcd()
  readonly nodes: Node[] = []
  now = 0
  serial = 0
  deletions = 0
  loseNext = 0
  readonly reports: string[] = []
  /** How often each request was carried out, as the disks say. */
  readonly carried = new Map<string, number>()
  #queue: Queued[] = []
  #timers: { readonly at: number; readonly run: () => void }[] = []
  readonly #pick: (below: number) => number

  /** @param pick Chance: an integer below. */
  constructor(pick: (below: number) => number, pool = '10.0.0.0/26,block=29') {
    this.#pick = pick
    this.etcd.run('shared/', (tx) => putNetwork(tx, pool))
  }

  readonly clock = {
    now: (): Instant => this.now as Instant,
    at: (when: Instant, run: () => void): (() => void) => {
      const timer = { at: Math.max(when, this.now), run }
      this.#timers.push(timer)
      return () => {
        this.#timers = this.#timers.filter((each) => each !== timer)
      }
    },
  }

  reaches = (node: Node): boolean => this.etcd.up && !node.cut

  /** @param stays Also after the agent died: the disk's. */
  later(node: Node, run: () => void, stays = false): void {
    const of = node.run
    this.#queue.push({ node, run: () => (stays || of === node.run ? run() : undefined) })
  }

  forget(node: Node): void {
    this.#queue = this.#queue.filter((each) => each.node !== node)
  }

  /** One thing happens: each node's in their order, the nodes' in any. */
  step(): boolean {
    const nodes = [...new Set(this.#queue.map(({ node }) => node))]
    const node = nodes[this.#pick(nodes.length)]
    if (node === undefined) return false
    const index = this.#queue.findIndex((each) => each.node === node)
    const [first] = this.#queue.splice(index, 1)
    first?.run()
    return true
  }

  drain(): void {
    for (let steps = 0; this.step(); steps++) assert.ok(steps < 100_000, 'it comes to rest')
  }

  /** A watch may be late, but not for ever. */
  #isLate(node: Node): boolean {
    return this.now - node.syncedAt < LATE_MS_MAX && this.#pick(3) === 0
  }

  /** Time passes, and everything that is due happens. */
  advance(ms: number): void {
    const end = this.now + ms
    for (let turns = 0; ; turns++) {
      assert.ok(turns < 100_000, 'timers move on')
      this.drain()
      for (const node of this.nodes) if (!this.#isLate(node)) node.sync()
      this.drain()
      const next = Math.min(end, ...this.#timers.map(({ at }) => at))
      if (next >= end && this.#timers.every(({ at }) => at > end)) break
      this.now = Math.max(this.now, next)
      const due = this.#timers.filter(({ at }) => at <= this.now)
      this.#timers = this.#timers.filter(({ at }) => at > this.now)
      for (const { run } of due) run()
      if (this.now >= end && due.length === 0) break
    }
    this.now = end
  }

  /** Somebody was told that it has these addresses. */
  given(node: Node, attachment: AttachmentRecord): void {
    for (const other of this.nodes) {
      for (const pod of other.pods.values()) {
        const twice = pod.ips.find((ip) => attachment.ips.includes(ip))
        assert.ok(
          twice === undefined,
          `${twice} is ${pod.containerId}'s on ${other.name}@${other.machine} and ${attachment.containerId}'s on ${node.name}@${node.machine}`,
        )
      }
    }
    node.pods.set(attachment.containerId, attachment)
  }

  count(act: string): void {
    tally.set(act, (tally.get(act) ?? 0) + 1)
  }

  expel(name: string): void {
    this.deletions++
    this.etcd.run('shared/', (tx) => expel(tx, name))
    for (const key of [...this.etcd.data.keys()]) {
      if (key.startsWith(`of/${name}/`)) this.etcd.data.delete(key)
    }
  }
}

const recordOf = (name: string): NodeRecord => {
  const number = name.replace(/\D/g, '').padStart(2, '0')
  return {
    name,
    underlayLink: 'eth0',
    underlayIps: [`192.0.2.${Number(number)}` as never],
    underlayMtuBytes: 1500,
    vtepMac: `02:00:00:00:00:${number}` as never,
    registeredMs: 0,
  }
}

/**
 * Nodes that have come together, three unless told otherwise.
 *
 * @param prepare Before there is any node.
 * @param pool As `10.0.0.0/26,block=29`.
 */
export function worldOf(
  seed: number,
  {
    nodes = NODES,
    prepare = () => {},
    pool,
  }: { nodes?: number; prepare?: (world: World) => void; pool?: string } = {},
): World {
  let state = seed >>> 0
  const pick = (below: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
  const world = new World(pick, pool)
  prepare(world)
  for (let n = 1; n <= nodes; n++) world.nodes.push(new Node(world, `n${n}`, `machine${n}`))
  for (const each of world.nodes) each.start()
  world.advance(30_000)
  for (const each of world.nodes) each.saved = each.copy()
  return world
}

/** Six fill a first block, and a next one begins. */
export const addMany = (node: Node | undefined, count: number): void => {
  for (let n = 0; n < count; n++) {
    node?.world.count('ADD')
    node?.add()
  }
}

/** The disk is copied, machine id and all, and another machine starts with it. */
export function clone(world: World, at: Node): Node {
  world.drain()
  const other = new Node(world, at.name, at.machine)
  other.isClone = true
  world.nodes.push(other)
  other.putBack(at.copy())
  other.start()
  return other
}
