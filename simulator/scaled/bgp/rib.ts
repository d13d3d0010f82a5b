/**
 * What one speaker knows and tells: a column for each way on which a prefix can come.
 * Its owner says it (`direct`), those that reflect say it (`via`), or it is its own.
 *
 * Own ones win, then the owner's word, then the shortest list of clusters, then the
 * lowest address: RFC 4271 section 9.1, RFC 4456 section 9. All other steps of the
 * decision are equal inside of one AS whose nodes announce plain routes.
 *
 * @module
 */
import type { End } from './end.ts'
import { IdTable } from './ids.ts'
import { Group, type Outlet } from './outlet.ts'
import type { Parcels, Routes } from './parcels.ts'
import type { Piece } from './piece.ts'
import type { BgpPlan } from './plan.ts'
import { grown, type Prefixes } from './prefixes.ts'
import { clustersOf, DIRECT, OWN, said, VIA, WITHDRAWN } from './variants.ts'

/** A turn decides so many prefixes, or looks at eight times as many. */
const BUDGET = 2048
const VISIT_COST = 1 / 8
const FIRST_ROOM = 64
const NOBODY = -1

/** What is kept about a peer beyond its sessions. */
interface PeerState {
  readonly end: End
  readonly slot: number
  epoch: number
  paths: number
  isStale: boolean
}

type Job =
  | { readonly kind: 'fill'; readonly group: Group; peer: End | undefined; at: number }
  | { readonly kind: 'repeat'; readonly group: Group; readonly peer: End; at: number }
  | { readonly kind: 'sweep'; readonly peer: PeerState; readonly epoch: number; at: number }

/** Where what comes of it goes. */
export interface RibWorld {
  readonly plan: BgpPlan
  readonly prefixes: Prefixes
  readonly self: number
  readonly outlet: Outlet
  /** The end of this speaker's session with another. */
  endOf(speaker: number): End | undefined
  /** Of the turn that goes on. */
  readonly parcels: Parcels
  readonly changes: Routes
  /** Whether somebody asks to which prefixes the ways changed. */
  readonly isSwitch: boolean
  /** Ways changed in this turn. */
  routed(): void
}

export class Rib {
  /** Prefixes that have a best path. */
  best = 0
  isDeferred = false
  private readonly world: RibWorld
  private readonly slots: number
  private readonly parcels: Parcels
  private room = FIRST_ROOM
  private ids = new IdTable()
  private own = new Uint8Array(FIRST_ROOM)
  private direct = new Uint8Array(FIRST_ROOM)
  private directEpoch = new Uint8Array(FIRST_ROOM)
  private readonly via: Uint8Array[]
  private readonly viaEpoch: Uint8Array[]
  private dirty = new Uint8Array(FIRST_ROOM)
  private routed = new Uint8Array(FIRST_ROOM)
  private isBest = new Uint8Array(FIRST_ROOM)
  private readonly queue: number[] = []
  private hasRouted = false
  private readonly gone: number[] = []
  private head = 0
  private readonly groups: Group[] = []
  private jobs: Job[] = []
  private readonly peers = new Map<End, PeerState>()

  constructor(world: RibWorld) {
    this.world = world
    this.slots = world.plan.reflectors.length
    this.parcels = world.parcels
    const columns = (): Uint8Array[] =>
      Array.from({ length: this.slots }, () => new Uint8Array(FIRST_ROOM))
    this.via = columns()
    this.viaEpoch = columns()
  }

  get isIdle(): boolean {
    return this.isDeferred || (this.head === this.queue.length && this.jobs.length === 0)
  }

  get bytes(): number {
    return this.room * (6 + 2 * this.slots + this.groups.length) + this.ids.bytes
  }

  /** Whether there is a way to a prefix, its own ones included. */
  hasBest(prefix: number): boolean {
    return prefix < this.room && this.isBest[prefix] === 1
  }

  peerUp(end: End): void {
    const { plan } = this.world
    if (!this.peers.has(end)) {
      const slot = plan.slotOf(end.peer)
      this.peers.set(end, { end, slot, epoch: 0, paths: 0, isStale: false })
    }
    this.leave(end)
    const key = Group.keyOf(plan, end)
    const known = this.groups.find((group) => group.key === key)
    const group = known ?? new Group(key, end.isClient, this.room)
    group.add(end)
    if (known !== undefined) this.jobs.push({ kind: 'repeat', group, peer: end, at: 0 })
    else {
      this.groups.push(group)
      this.jobs.push({ kind: 'fill', group, peer: end, at: 0 })
    }
  }

  peerDown(end: End, retains: boolean): void {
    const peer = this.peers.get(end)
    if (peer === undefined) return
    this.leave(end)
    const wasStale = peer.isStale
    peer.epoch = (peer.epoch + 1) & 255
    if (peer.paths > 0) peer.isStale = true
    if (!retains) this.sweep(peer, peer.epoch)
    // What the restart before this one left is not kept for another.
    else if (wasStale) this.sweep(peer, (peer.epoch - 1) & 255)
  }

  /** Removes what is stale. */
  staleEnd(end: End): void {
    const peer = this.peers.get(end)
    if (peer !== undefined) this.sweep(peer, peer.epoch)
  }

  learn(end: End, piece: Piece): void {
    const peer = this.peers.get(end)
    if (peer === undefined) return
    if (piece.isEndOfRib) this.sweep(peer, peer.epoch)
    this.widen()
    const { slot } = peer
    const column = slot === NOBODY ? this.direct : this.via[slot]!
    const epochs = slot === NOBODY ? this.directEpoch : this.viaEpoch[slot]!
    const { owners } = this.world.prefixes
    for (let at = 0; at < piece.count; at++) {
      const prefix = piece.prefixAt(at)
      const variant = piece.variantAt(at)
      // What it announced itself comes back, with itself as the next hop: it is not taken.
      if (owners[prefix] === this.world.self) continue
      const before = column[prefix]!
      if (variant === WITHDRAWN) {
        if (before !== WITHDRAWN) this.drop(peer, prefix, column)
        continue
      }
      this.ids.add(prefix)
      epochs[prefix] = peer.epoch
      if (before === variant) continue
      if (before === WITHDRAWN) peer.paths++
      column[prefix] = variant
      this.touch(prefix)
    }
  }

  originate(prefix: number): void {
    this.widen()
    this.ids.add(prefix)
    if (this.own[prefix] === 1) return
    this.own[prefix] = 1
    this.touch(prefix)
  }

  withdraw(prefix: number): void {
    this.widen()
    if (this.own[prefix] !== 1) return
    this.own[prefix] = 0
    this.touch(prefix)
  }

  /** The group of a peer that has been told everything that the group was; undefined: it has not. */
  settledGroupOf(end: End): Group | undefined {
    if (this.isDeferred) return undefined
    if (this.jobs.some((job) => job.kind !== 'sweep' && job.peer === end)) return undefined
    return this.groups.find((group) => group.members.has(end.number))
  }

  groupOf(end: End): Group | undefined {
    return this.groups.find((group) => group.members.has(end.number))
  }

  /** What it learned, which it does without from now on. */
  give(): { readonly via: Uint8Array[]; readonly ids: IdTable } {
    return { via: this.via, ids: this.ids }
  }

  /** What others learned for it: sessions are up, and everything was said. */
  take(
    { via, ids }: { readonly via: readonly Uint8Array[]; readonly ids: IdTable },
    ends: readonly End[],
    own: { readonly added: Iterable<number>; readonly told: Iterable<number> },
  ): void {
    const { prefixes, self, plan } = this.world
    this.widen()
    this.ids = ids.copy()
    for (let slot = 0; slot < this.slots; slot++) {
      const column = this.via[slot]!
      column.set(via[slot]!.subarray(0, this.room))
    }
    this.takeWays(prefixes, self)
    for (const end of ends) {
      const slot = plan.slotOf(end.peer)
      const paths = said(this.via[slot]!, prefixes.count)
      this.peers.set(end, { end, slot, epoch: 0, paths, isStale: false })
      const key = Group.keyOf(plan, end)
      let group = this.groups.find((each) => each.key === key)
      if (group === undefined) {
        group = new Group(key, end.isClient, this.room)
        this.groups.push(group)
      }
      group.add(end)
    }
    for (const prefix of own.told) for (const group of this.groups) group.told[prefix] = OWN
    for (const prefix of own.added) {
      this.own[prefix] = 1
      this.ids.add(prefix)
    }
    for (const prefix of own.told) {
      this.isBest[prefix] = 1
      this.best++
    }
  }

  /** All but to its own ones, of which it is not told. */
  private takeWays({ owners, count }: Prefixes, self: number): void {
    const { routed, via } = this
    for (let prefix = 0; prefix < count; prefix++) {
      if (owners[prefix] === self) for (const column of via) column[prefix] = WITHDRAWN
    }
    for (const column of via) {
      for (let prefix = 0; prefix < count; prefix++) {
        if (column[prefix] !== WITHDRAWN) routed[prefix] = 1
      }
    }
    this.isBest.set(routed)
    this.best += said(routed, count)
  }

  /** What was to be decided when it was taken. */
  resume(prefix: number, wasThere: boolean): void {
    if (this.world.prefixes.owners[prefix] !== this.world.self) {
      const is = wasThere ? 1 : 0
      this.best += is - this.isBest[prefix]!
      this.isBest[prefix] = is
      this.routed[prefix] = is
    }
    this.touch(prefix)
  }

  /** A turn. */
  work(): void {
    let left = BUDGET
    const { outlet } = this.world
    if (!this.isDeferred) {
      const { gone } = this
      left -= this.decide(left, gone)
      this.flush()
      if (gone.length > 0) {
        for (const prefix of gone) this.forget(prefix)
        gone.length = 0
      }
      while (left > 0) {
        const [job] = this.jobs
        if (job === undefined) break
        const from = job.at
        job.at = Math.min(this.ids.end, from + Math.ceil(left / VISIT_COST))
        this.walk(job, from, job.at)
        left -= 1 + (job.at - from) * VISIT_COST
        if (job.at < this.ids.end) continue
        this.jobs.shift()
        this.finished(job)
      }
      this.flush()
    }
    outlet.flush()
  }

  private finished(job: Job): void {
    if (job.kind === 'sweep' || job.peer === undefined) return
    if (!job.group.members.has(job.peer.number)) return
    this.flush()
    this.world.outlet.endOfRib(job.peer)
  }

  private flush(): void {
    if (this.hasRouted) this.world.routed()
    this.hasRouted = false
    this.parcels.flush(this.world.outlet)
  }

  private decide(count: number, gone: number[]): number {
    const many = Math.min(count, this.queue.length - this.head)
    for (let done = 0; done < many; done++) {
      const prefix = this.queue[this.head++]!
      this.dirty[prefix] = 0
      if (this.settle(prefix) === WITHDRAWN) gone.push(prefix)
    }
    if (this.head === this.queue.length) {
      this.queue.length = 0
      this.head = 0
    }
    return many
  }

  /** @returns how its best path would be told. */
  private settle(prefix: number): number {
    const variant = this.bestOf(prefix)
    const isBest = variant === WITHDRAWN ? 0 : 1
    this.best += isBest - this.isBest[prefix]!
    this.isBest[prefix] = isBest
    const isRouted = variant > OWN ? 1 : 0
    if (isRouted !== this.routed[prefix]) {
      this.routed[prefix] = isRouted
      this.hasRouted = true
      if (this.world.isSwitch) this.world.changes.add(prefix, isRouted === 1)
    }
    for (const group of this.groups) this.put(group, prefix, variant)
    return variant
  }

  /** How the best path would be told to those that may hear everything. */
  private bestOf(prefix: number): number {
    if (this.own[prefix] === 1) return OWN
    const owner = this.world.prefixes.owners[prefix]!
    if (this.direct[prefix] !== WITHDRAWN) return DIRECT
    let best = WITHDRAWN
    let shortest = Number.POSITIVE_INFINITY
    for (let slot = 0; slot < this.slots; slot++) {
      const variant = this.via[slot]![prefix]!
      if (variant === WITHDRAWN) continue
      // One that has it from its owner, who is none that reflects: nothing is shorter.
      if (variant === DIRECT) return shortest <= 1 ? best : VIA + slot
      // Places ascend with addresses.
      const length = clustersOf(variant, this.isOwnerAt(variant, owner))
      if (length >= shortest) continue
      shortest = length
      best = VIA + slot
    }
    return best
  }

  private isOwnerAt(variant: number, owner: number): boolean {
    return variant >= VIA && this.world.plan.reflectors[variant - VIA] === owner
  }

  private put(group: Group, prefix: number, best: number): void {
    group.widen(this.room)
    const out = this.outFor(group, prefix, best)
    const before = group.told[prefix]!
    if (out === before) return
    if (out === WITHDRAWN) {
      this.parcels.say(group, prefix, WITHDRAWN, this.sourceOf(prefix, before), NOBODY)
    } else {
      const source = this.sourceOf(prefix, out)
      this.parcels.say(group, prefix, out, source, NOBODY)
      const from = before === WITHDRAWN ? source : this.sourceOf(prefix, before)
      if (before !== WITHDRAWN && source !== from && source !== NOBODY) {
        if (group.members.has(source)) this.parcels.say(group, prefix, WITHDRAWN, NOBODY, source)
      }
    }
    group.told[prefix] = out
  }

  /** From one that reflects not to others that do; from owners that are no clients to nobody. */
  private outFor(group: Group, prefix: number, best: number): number {
    if (best === OWN || best === WITHDRAWN || group.isClient) return best
    if (best !== DIRECT) return WITHDRAWN
    const owner = this.world.endOf(this.world.prefixes.owners[prefix]!)
    return owner?.isClient === true ? DIRECT : WITHDRAWN
  }

  /** The end that taught it, by number. */
  private sourceOf(prefix: number, variant: number): number {
    const speaker = this.teacherOf(prefix, variant)
    return speaker === NOBODY ? NOBODY : (this.world.endOf(speaker)?.number ?? NOBODY)
  }

  /** The speaker that taught it. */
  private teacherOf(prefix: number, variant: number): number {
    if (variant === OWN) return NOBODY
    const { prefixes, plan } = this.world
    return variant === DIRECT ? prefixes.owners[prefix]! : plan.reflectors[variant - VIA]!
  }

  private walk(job: Job, from: number, to: number): void {
    if (job.kind === 'sweep') this.sweepAll(job.peer, job.epoch, from, to)
    else if (job.kind === 'repeat') this.repeat(job.group, job.peer, from, to)
    else this.fill(job.group, from, to)
  }

  private fill(group: Group, from: number, to: number): void {
    for (let id = from; id < to; id++) {
      const prefix = this.ids.at(id)
      // One that waits is said to every group when it is decided.
      if (prefix >= 0 && this.dirty[prefix] === 0) this.put(group, prefix, this.bestOf(prefix))
    }
  }

  private repeat(group: Group, end: End, from: number, to: number): void {
    group.widen(this.room)
    const { ids, parcels } = this
    const { told } = group
    const { number, peer } = end
    for (let id = from; id < to; id++) {
      const prefix = ids.at(id)
      if (prefix < 0) continue
      const variant = told[prefix]!
      if (variant === WITHDRAWN || this.teacherOf(prefix, variant) === peer) continue
      parcels.say(group, prefix, variant, NOBODY, number)
    }
  }

  private sweepAll(peer: PeerState, epoch: number, from: number, to: number): void {
    const { ids } = this
    const { owners } = this.world.prefixes
    const { slot, end } = peer
    const column = slot === NOBODY ? this.direct : this.via[slot]!
    const epochs = slot === NOBODY ? this.directEpoch : this.viaEpoch[slot]!
    const ageMax = (peer.epoch - epoch) & 255
    for (let id = from; id < to; id++) {
      const prefix = ids.at(id)
      if (prefix < 0 || column[prefix] === WITHDRAWN) continue
      if (slot === NOBODY && owners[prefix] !== end.peer) continue
      if (((peer.epoch - epochs[prefix]!) & 255) > ageMax) this.drop(peer, prefix, column)
    }
  }

  private drop(peer: PeerState, prefix: number, column: Uint8Array): void {
    column[prefix] = WITHDRAWN
    peer.paths--
    this.touch(prefix)
  }

  private sweep(peer: PeerState, epoch: number): void {
    if (!peer.isStale) return
    if (epoch === peer.epoch) peer.isStale = false
    this.jobs.push({ kind: 'sweep', peer, epoch, at: 0 })
  }

  private leave(end: End): void {
    const index = this.groups.findIndex((group) => group.members.has(end.number))
    const group = this.groups[index]
    if (group === undefined) return
    this.jobs = this.jobs.filter((job) => job.kind !== 'repeat' || job.peer !== end)
    for (const job of this.jobs) if (job.kind === 'fill' && job.peer === end) job.peer = undefined
    group.remove(end)
    if (group.members.size > 0) return
    this.groups.splice(index, 1)
    this.jobs = this.jobs.filter((job) => job.kind !== 'fill' || job.group !== group)
  }

  private touch(prefix: number): void {
    if (this.dirty[prefix] === 1) return
    this.dirty[prefix] = 1
    this.queue.push(prefix)
  }

  private hasPath(prefix: number): boolean {
    if (this.own[prefix] === 1 || this.direct[prefix] !== WITHDRAWN) return true
    for (const column of this.via) if (column[prefix] !== WITHDRAWN) return true
    return false
  }

  private forget(prefix: number): void {
    if (!this.hasPath(prefix) && this.dirty[prefix] === 0) this.ids.remove(prefix)
  }

  /** Columns reach as far as there are prefixes. */
  private widen(): void {
    const { count } = this.world.prefixes
    if (count <= this.room) return
    let { room } = this
    while (room < count) room *= 2
    this.room = room
    this.own = grown(this.own, room)
    this.direct = grown(this.direct, room)
    this.directEpoch = grown(this.directEpoch, room)
    this.dirty = grown(this.dirty, room)
    this.routed = grown(this.routed, room)
    this.isBest = grown(this.isBest, room)
    for (let slot = 0; slot < this.slots; slot++) {
      this.via[slot] = grown(this.via[slot]!, room)
      this.viaEpoch[slot] = grown(this.viaEpoch[slot]!, room)
    }
  }
}
