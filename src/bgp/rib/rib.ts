/**
 * The routing information base: what peers taught, what this speaker uses of it,
 * and what it tells others.
 *
 * A session calls, in this order: `peerUp` when it is established, `learn` for each
 * UPDATE, `sweep` when a restarted peer is done or out of time, `refresh` when the peer
 * asks for everything again, `peerDown` at its end. None of these decides anything:
 * they mark prefixes and walks, and `work` does as much of that as it is given, so no
 * call takes long. What `work` returns is in order and must be carried out in order:
 *
 *     update             to the peers in `to`: `wire/` encodes it once for all of them
 *     end-of-rib         RFC 4724: the peer has been told everything
 *     begin-of-refresh,  RFC 7313, around what `refresh` asked for; only for a peer that
 *     end-of-refresh     has the capability
 *     routes             for the kernel: these prefixes have these next hops now, none
 *                        where the list is empty
 *
 * Graceful restart (RFC 4724): `peerDown` with `retain` keeps a peer's paths in use as
 * stale; what it teaches again is fresh; `sweep`, or its End-of-RIB, removes the rest. A
 * second restart before that removes what was stale already. Enhanced route refresh is
 * the same with `markStale` at the beginning. While `defer` holds a family back, this
 * speaker, restarted itself, only learns.
 *
 * Memory: some 75 bytes a prefix with one path and one group (`bytes`); a prefix that
 * nobody speaks of any more gives its number back. Peers: at most 65 535.
 *
 * @module
 */
import { invariant } from '../../errors.ts'
import { type Ip, type Prefix, prefixFamily } from '../../net/mod.ts'
import type { Attributes } from '../attributes.ts'
import { FAMILIES, type Family, type NlriSlice, type Update } from '../nlri.ts'
import { type Decode, NO_ATTRIBUTES } from './attribute-store.ts'
import { Audiences } from './audiences.ts'
import { STEPS, type StepName } from './decision.ts'
import type { ExportTerms } from './export.ts'
import { FamilyRib } from './family-rib.ts'
import { Group } from './group.ts'
import { ImportContext, LOCAL_PREF_DEFAULT, type Self } from './import.ts'
import type { MedMissing } from './loc-store.ts'
import type { CostOf, RouteHop } from './next-hops.ts'
import { OWN, type Peer, type PeerPolicies, Peers } from './peers.ts'
import { type Walk, walk } from './walks.ts'

export interface RibOptions extends Self {
  /** What the IGP says of next hops; `nextHopChanged` says when to ask again. */
  readonly costOf: CostOf
  /** How many equally good paths are used together. @default 1 */
  readonly multipath?: number
  /** @default best */
  readonly medMissing?: MedMissing
  /** Compare MED between neighbour ASes, too. @default false */
  readonly alwaysCompareMed?: boolean
  /** Steps of the decision that are taken. @default all */
  readonly steps?: readonly StepName[]
}

export type RibOutput =
  | {
      readonly kind: 'update'
      readonly to: readonly Ip[]
      /** Undefined: the prefixes are withdrawn. */
      readonly attributes: Attributes | undefined
      readonly prefixes: NlriSlice
      readonly count: number
    }
  | {
      readonly kind: 'end-of-rib' | 'begin-of-refresh' | 'end-of-refresh'
      readonly to: Ip
      readonly family: Family
    }
  | {
      readonly kind: 'routes'
      readonly nextHops: readonly RouteHop[]
      readonly prefixes: NlriSlice
      readonly count: number
    }

/** A peer taught more than it may (`PeerFamily.prefixesMax`). */
export interface PrefixesExceeded {
  readonly peer: Ip
  readonly family: Family
  readonly count: number
  readonly limit: number
  readonly action: 'warn' | 'ignore' | 'down'
  /** Prefixes of this message that were left out. */
  readonly ignored: number
}

/** What a prefix more or less costs a turn: a decided one counts 1, a visited one this much. */
const VISIT_COST = 1 / 8
/** About 3 ms. */
const BUDGET = 2048

interface Job {
  readonly rib: FamilyRib
  walk: Walk
  at: number
}

export class Rib {
  readonly peers = new Peers()
  readonly families: Readonly<Record<Family, FamilyRib>>
  readonly #options: RibOptions
  #jobs: Job[] = []
  readonly #deferred = new Set<Family>()
  /** Peers that are down, until nothing is known of them. */
  readonly #leaving = new Set<number>()
  /** Peers with paths of an earlier session, by family. */
  readonly #stale: Readonly<Record<Family, Set<number>>> = { ipv4: new Set(), ipv6: new Set() }
  #contexts = 0
  readonly #audiences = new Audiences(this.peers)

  constructor(options: RibOptions) {
    this.#options = options
    const whole = {
      costOf: options.costOf,
      multipath: options.multipath ?? 1,
      medMissing: options.medMissing ?? 'best',
      alwaysCompareMed: options.alwaysCompareMed ?? false,
      steps: options.steps ?? STEPS,
    }
    this.families = {
      ipv4: new FamilyRib('ipv4', this.peers, whole),
      ipv6: new FamilyRib('ipv6', this.peers, whole),
    }
  }

  /** Of all typed arrays; attributes as objects come on top. */
  get bytes(): number {
    return this.families.ipv4.bytes + this.families.ipv6.bytes
  }

  /** Whether `work` has nothing to do. */
  get isIdle(): boolean {
    const isWaiting = FAMILIES.some(
      (family) => !this.#deferred.has(family) && this.families[family].waiting > 0,
    )
    return !isWaiting && !this.#jobs.some(({ rib }) => !this.#deferred.has(rib.family))
  }

  /** A session is established: the peer is told everything, then End-of-RIB. */
  peerUp(peer: Peer): void {
    const id = this.peers.add(peer)
    this.#leaving.delete(id)
    for (const family of FAMILIES) {
      const rib = this.families[family]
      rib.pathsOf[id] ??= 0
      rib.epochOf[id] ??= 0
      if (peer.families[family] === undefined) this.#sweep(rib, id)
      else {
        this.#enter(rib, id, peer)
        this.#join(rib, id, peer)
      }
    }
  }

  /** The session is over. What the peer taught is removed, but for the families in `retain`. */
  peerDown(address: Ip, retain: readonly Family[] = []): void {
    const id = this.#idOf(address)
    for (const family of FAMILIES) {
      const rib = this.families[family]
      this.#leave(rib, id)
      const wasStale = this.#stale[family].has(id)
      this.markStale(address, family)
      const epoch = rib.epochOf[id]!
      // What the restart before this one left is not kept for another: RFC 4724 section 4.2.
      if (!retain.includes(family)) this.#sweep(rib, id)
      else if (wasStale) this.#sweep(rib, id, (epoch - 1) & 255)
    }
    if (retain.length === 0) this.#leaving.add(id)
  }

  /** What the peer taught so far is stale until it says it again. */
  markStale(address: Ip, family: Family): void {
    const { epochOf, pathsOf } = this.families[family]
    const id = this.#idOf(address)
    epochOf[id] = (epochOf[id]! + 1) & 255
    if (pathsOf[id]! > 0) this.#stale[family].add(id)
  }

  /** Removes what is stale; of a peer that did not come back in time everything. */
  sweep(address: Ip, family: Family): void {
    const id = this.#idOf(address)
    this.#sweep(this.families[family], id)
    const isUp = FAMILIES.some((each) => this.#groupOf(this.families[each], id) !== undefined)
    if (!isUp) this.#leaving.add(id)
  }

  /**
   * An UPDATE of a peer. `decode` is asked for sets of attributes that are new. What it
   * throws goes through, before anything of the message has taken effect.
   */
  learn(address: Ip, update: Update, decode: Decode): PrefixesExceeded | undefined {
    const id = this.#idOf(address)
    const [announced] = update.announced
    const rib = announced && this.families[announced.family]
    const raw =
      rib === undefined || update.attributes === undefined
        ? NO_ATTRIBUTES
        : rib.internRaw(id, update.attributes, decode)
    for (const slice of update.withdrawn) this.families[slice.family].withdraw(id, slice)
    if (update.endOfRib !== undefined) this.sweep(address, update.endOfRib)
    if (announced === undefined || rib === undefined) return undefined
    if (raw === NO_ATTRIBUTES) {
      rib.withdraw(id, announced)
      return undefined
    }
    const limit = this.peers.of(id).families[announced.family]?.prefixesMax
    const before = rib.pathsOf[id]!
    const ignored = rib.announce(id, announced, raw, limit)
    rib.raw.release(raw)
    const count = rib.pathsOf[id]!
    if (limit === undefined) return undefined
    const isNews = ignored > 0 || (count > limit.count && before <= limit.count)
    if (!isNews) return undefined
    const { family } = announced
    return { peer: address, family, count, limit: limit.count, action: limit.action, ignored }
  }

  /** Announces a prefix of this speaker's own, or changes what is said of it. */
  originate(prefix: Prefix, attributes: Partial<Attributes> = {}): void {
    const rib = this.#take(prefix)
    const nextHop = (rib.family === 'ipv4' ? '0.0.0.0' : '::') as Ip
    rib.originate({
      origin: 'igp',
      asPath: [],
      nextHop,
      localPref: LOCAL_PREF_DEFAULT,
      ...attributes,
    })
  }

  withdraw(prefix: Prefix): void {
    const rib = this.#take(prefix)
    const id = rib.table.find()
    if (id >= 0) rib.withdrawOwn(id)
  }

  /** Other policies from now on; peers of one group stay in one. */
  setPolicies(addresses: readonly Ip[], policies: PeerPolicies): void {
    const ids = addresses.map((address) => this.#idOf(address))
    for (const id of ids) {
      const { importPolicy: _in, exportPolicy: _out, ...rest } = this.peers.of(id)
      this.peers.add({ ...rest, gracefulShutdown: false, transparent: false, ...policies })
    }
    for (const family of FAMILIES) {
      const rib = this.families[family]
      for (const id of ids) if (rib.contextOf[id] !== undefined) this.#reenter(rib, id)
      this.#regroup(rib, ids)
    }
  }

  /** What `costOf` says of a next hop may be something else now. */
  nextHopChanged(nextHop: Ip): void {
    for (const family of FAMILIES) {
      const rib = this.families[family]
      const id = rib.nextHops.changed(nextHop)
      if (id !== undefined) this.#start(rib, { kind: 'next-hop', nextHop: id })
    }
  }

  /** Tells a peer everything again (RFC 2918). */
  refresh(address: Ip, family: Family): void {
    const id = this.#idOf(address)
    const rib = this.families[family]
    const group = this.#groupOf(rib, id)
    if (group !== undefined) this.#start(rib, { kind: 'repeat', group, peer: id, isRefresh: true })
  }

  /** Holds back decisions of a family while it is still learnt again after a restart. */
  defer(family: Family, isDeferred: boolean): void {
    if (isDeferred) this.#deferred.add(family)
    else this.#deferred.delete(family)
  }

  /** Decides about `budget` prefixes, or looks at eight times as many. */
  work(budget = BUDGET): readonly RibOutput[] {
    const outputs: RibOutput[] = []
    let left = budget
    for (const family of FAMILIES) {
      if (left <= 0 || this.#deferred.has(family)) continue
      const rib = this.families[family]
      const gone: number[] = []
      left -= rib.decide(left, gone)
      this.#flush(rib, outputs)
      rib.forget(gone)
    }
    while (left > 0) {
      const index = this.#jobs.findIndex(({ rib }) => !this.#deferred.has(rib.family))
      const job = this.#jobs[index]
      if (job === undefined) break
      const from = job.at
      if (from === 0) this.#begin(job, outputs)
      job.at = walk(job.rib, job.walk, from, Math.ceil(left / VISIT_COST))
      left -= 1 + (job.at - from) * VISIT_COST
      if (job.at < job.rib.table.end) continue
      this.#jobs.splice(index, 1)
      this.#end(job, outputs)
    }
    for (const family of FAMILIES) this.#flush(this.families[family], outputs)
    this.#audiences.endTurn()
    this.#release()
    return outputs
  }

  /** What the kernel is told, and peers, in the order of their parcels. */
  #flush(rib: FamilyRib, outputs: RibOutput[]): void {
    for (const { key, prefixes, count } of rib.routePacker.flush()) {
      outputs.push({ kind: 'routes', nextHops: key, prefixes, count })
    }
    for (const { key, prefixes, count } of rib.packer.flush()) {
      const to = this.#audiences.of(key)
      if (to.length === 0) continue
      outputs.push({ kind: 'update', to, attributes: key.attributes, prefixes, count })
    }
    for (const group of rib.groups) group.endTurn()
  }

  #begin({ rib, walk: what }: Job, outputs: RibOutput[]): void {
    if (what.kind !== 'repeat' || !what.isRefresh || !what.group.members.includes(what.peer)) return
    this.#flush(rib, outputs)
    const { address } = this.peers.of(what.peer)
    outputs.push({ kind: 'begin-of-refresh', to: address, family: rib.family })
  }

  #end({ rib, walk: what }: Job, outputs: RibOutput[]): void {
    if (what.kind === 'reimport') rib.contexts.delete(what.stale)
    if (what.kind !== 'fill' && what.kind !== 'repeat') return
    if (what.peer === undefined || !what.group.members.includes(what.peer)) return
    this.#flush(rib, outputs)
    const kind = what.kind === 'repeat' && what.isRefresh ? 'end-of-refresh' : 'end-of-rib'
    outputs.push({ kind, to: this.peers.of(what.peer).address, family: rib.family })
  }

  /** Numbers of peers of whom nothing is known any more. */
  #release(): void {
    for (const id of this.#leaving) {
      const isKnown = FAMILIES.some((family) => {
        const rib = this.families[family]
        return rib.pathsOf[id]! > 0 || rib.waiting > 0
      })
      if (isKnown || this.#jobs.some(({ walk: what }) => 'peer' in what && what.peer === id))
        continue
      for (const family of FAMILIES) this.#forget(this.families[family], id)
      this.peers.remove(id)
      this.#leaving.delete(id)
    }
  }

  #forget(rib: FamilyRib, id: number): void {
    const context = rib.contextOf[id]
    if (context !== undefined) rib.contexts.delete(context)
    delete rib.contextOf[id]
  }

  #idOf(address: Ip): number {
    const id = this.peers.find(address)
    invariant(id !== undefined && id !== OWN, `peer ${address} is not up`)
    return id
  }

  #take(prefix: Prefix): FamilyRib {
    const rib = this.families[prefixFamily(prefix) === 4 ? 'ipv4' : 'ipv6']
    rib.table.readPrefix(prefix)
    return rib
  }

  #start(rib: FamilyRib, what: Walk): void {
    this.#jobs.push({ rib, walk: what, at: 0 })
  }

  #sweep(rib: FamilyRib, peer: number, epoch = rib.epochOf[peer]!): void {
    if (!this.#stale[rib.family].has(peer)) return
    if (epoch === rib.epochOf[peer]) this.#stale[rib.family].delete(peer)
    this.#start(rib, { kind: 'sweep', peer, epoch })
  }

  /** The peer's way in; what it taught as somebody else is removed. */
  #enter(rib: FamilyRib, id: number, peer: Peer): void {
    const context = new ImportContext(peer, this.#options, rib.family)
    const known = rib.contextOf[id]
    const before = known === undefined ? undefined : rib.contexts.get(known)
    if (before?.isLike(context)) return
    rib.contextOf[id] = ++this.#contexts
    rib.contexts.set(this.#contexts, context)
    if (known === undefined) return
    if (before !== undefined && !before.isSamePeer(context)) this.#sweep(rib, id)
    this.#start(rib, { kind: 'reimport', peer: id, stale: known })
  }

  #reenter(rib: FamilyRib, id: number): void {
    const known = rib.contextOf[id]!
    const context = new ImportContext(this.peers.of(id), this.#options, rib.family)
    if (rib.contexts.get(known)?.isLike(context)) return
    rib.contextOf[id] = ++this.#contexts
    rib.contexts.set(this.#contexts, context)
    this.#start(rib, { kind: 'reimport', peer: id, stale: known })
  }

  #groupOf(rib: FamilyRib, id: number): Group | undefined {
    for (const group of rib.groups) if (group.members.includes(id)) return group
    return undefined
  }

  #join(rib: FamilyRib, id: number, peer: Peer): void {
    this.#leave(rib, id)
    const terms = termsOf(peer, rib.family)
    for (const group of rib.groups) {
      if (!sameTerms(group.terms, terms)) continue
      group.members = [...group.members, id]
      this.#start(rib, { kind: 'repeat', group, peer: id, isRefresh: false })
      return
    }
    const { table, packer, tables } = rib
    const group = new Group(terms, this.#options, { tables, table, packer })
    group.members = [id]
    rib.groups.add(group)
    this.#start(rib, { kind: 'fill', group, peer: id })
  }

  #leave(rib: FamilyRib, id: number): void {
    const group = this.#groupOf(rib, id)
    if (group === undefined) return
    this.#recall(group, id)
    group.members = group.members.filter((each) => each !== id)
    if (group.members.length > 0) return
    rib.groups.delete(group)
    this.#jobs = this.#jobs.filter(({ walk: what }) => what.kind !== 'fill' || what.group !== group)
  }

  /** Walks that a member waits for are not for it any more; they are returned. */
  #recall(group: Group, id: number): readonly (Walk & { readonly kind: 'fill' | 'repeat' })[] {
    const recalled: (Walk & { readonly kind: 'fill' | 'repeat' })[] = []
    this.#jobs = this.#jobs.filter((job) => {
      const { walk: what } = job
      if (what.kind !== 'fill' && what.kind !== 'repeat') return true
      if (what.group !== group || what.peer !== id) return true
      recalled.push(what)
      if (what.kind === 'fill') job.walk = { kind: 'fill', group }
      return what.kind === 'fill'
    })
    return recalled
  }

  /** Peers keep what they were told; the difference to what they are to be told is said. */
  #regroup(rib: FamilyRib, ids: readonly number[]): void {
    for (const group of [...rib.groups]) {
      const moving = group.members.filter((id) => ids.includes(id))
      if (moving.length === 0) continue
      const terms = termsOf(this.peers.of(moving[0]!), rib.family)
      if (sameTerms(group.terms, terms)) continue
      if (moving.length === group.members.length) {
        group.retarget(terms, this.#options)
        this.#start(rib, { kind: 'fill', group })
        continue
      }
      const fork = group.fork(terms, this.#options)
      group.members = group.members.filter((id) => !moving.includes(id))
      fork.members = moving
      rib.groups.add(fork)
      this.#start(rib, { kind: 'fill', group: fork })
      for (const peer of moving) {
        for (const what of this.#recall(group, peer)) {
          const isRefresh = what.kind === 'repeat' && what.isRefresh
          this.#start(rib, { kind: 'repeat', group: fork, peer, isRefresh })
        }
      }
    }
  }
}

function termsOf(peer: Peer, family: Family): ExportTerms {
  const { kind, role, exportPolicy: policy, families } = peer
  const { gracefulShutdown = false, transparent = false } = peer
  const { self, addPathSend: addPath = false } = families[family]!
  return {
    family,
    kind,
    self,
    addPath,
    policy,
    role,
    gracefulShutdown,
    transparent: kind === 'ebgp' && transparent,
  }
}

const sameTerms = (left: ExportTerms, right: ExportTerms): boolean =>
  left.kind === right.kind &&
  left.self.nextHop === right.self.nextHop &&
  left.self.linkLocal === right.self.linkLocal &&
  left.addPath === right.addPath &&
  left.policy === right.policy &&
  left.role === right.role &&
  left.gracefulShutdown === right.gracefulShutdown &&
  left.transparent === right.transparent
