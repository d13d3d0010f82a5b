/**
 * Who may hear together with whom, and what becomes of one who may not any more.
 *
 * @module
 */
import type { End } from './end.ts'
import { Flock, type FlockWorld } from './flock.ts'
import type { BgpPlan } from './plan.ts'
import type { BgpSpeaker } from './speaker.ts'
import type { Transport } from './transport.ts'
import { WITHDRAWN } from './variants.ts'
import { NO_WAY, type Ways } from './ways.ts'

export interface FlocksWorld {
  readonly plan: BgpPlan
  readonly ways: Ways
  readonly flock: FlockWorld
  readonly transport: Transport
  speaker(index: number): BgpSpeaker
}

export class Flocks {
  readonly flocks: (Flock | undefined)[] = []
  private readonly world: FlocksWorld
  private readonly byKey = new Map<string, Flock[]>()
  private readonly isPossible: boolean

  constructor(world: FlocksWorld, isWanted: boolean) {
    this.world = world
    const { plan } = world
    const { reflectors } = plan
    // What waits for each client by itself is not the same for all.
    const areAlike = reflectors.every((each) => {
      return plan.daemonOf(each).advertiseSeconds.ibgp === 0
    })
    this.isPossible = isWanted && reflectors.length > 0 && areAlike
  }

  *all(): Generator<Flock> {
    for (const flock of this.flocks) if (flock !== undefined) yield flock
  }

  /** Puts a client that has nothing to do to those that are as it is. */
  join(speaker: BgpSpeaker): void {
    const { plan } = this.world
    if (!this.isPossible || speaker.flock !== undefined || !speaker.canJoin) return
    if (speaker.ends.length !== plan.reflectors.length) return
    const latencies: number[] = []
    const groups: string[] = []
    for (const end of speaker.ends) {
      const group = this.settledGroup(end)
      if (group === undefined) return
      latencies.push(this.world.ways.between(end.owner.index, end.peer))
      groups.push(group)
    }
    const isNode = plan.isNode(speaker.index)
    const key = `${isNode} ${latencies.join()} ${groups.join()}`
    const alike = this.byKey.get(key) ?? []
    const { undecided } = speaker
    const { ids } = speaker.rib!.give()
    const known = alike.find(
      (each) => each.isAtRest && each.undecided === undecided && (isNode || each.ids.isLike(ids)),
    )
    // A busy one is waited for.
    if (known === undefined && alike.some((each) => !each.isAtRest)) return
    const flock = known ?? this.newFlock(key, latencies, speaker)
    this.fillLonely(flock)
    flock.members.set(speaker.index, speaker)
    flock.list = undefined
    for (const end of speaker.ends) {
      const back = peerEnd(end)
      const group = this.world.speaker(end.peer).rib!.groupOf(back)!
      group.singles.delete(back)
      group.flocks.add(flock)
    }
    speaker.join(flock)
  }

  /** A client goes on by itself, with what the others know; not at all where it `isGone`. */
  part(speaker: BgpSpeaker, isGone = false): void {
    const { flock } = speaker
    if (flock === undefined) return
    if (!isGone) flock.part(speaker)
    flock.members.delete(speaker.index)
    flock.list = undefined
    flock.apart.delete(speaker)
    for (const [slot, end] of speaker.ends.entries()) {
      const back = peerEnd(end)
      const group = this.world.speaker(end.peer).rib?.groupOf(back)
      if (group !== undefined) {
        group.singles.add(back)
        if (flock.members.size === 0) group.flocks.delete(flock)
      }
      if (!isGone) this.deliverLater(flock, slot, speaker, end)
    }
    speaker.leave(flock, isGone)
    if (flock.members.size > 0) return
    flock.end()
    this.forget(flock)
  }

  turn(number: number): void {
    const flock = this.flocks[number]
    if (flock === undefined || !flock.isTurnAsked) return
    flock.turn()
    if (flock.isAtRest) this.unite(flock)
  }

  /** Two that came to the same state are one. */
  private unite(flock: Flock): void {
    if (flock.apart.size > 0) return
    // What a switch forgets in one turn goes in the order of its table.
    const isNode = this.world.plan.isNode(flock.members.keys().next().value!)
    const alike = this.byKey.get(flock.key)!
    const other = alike.find(
      (each) =>
        each !== flock &&
        each.isAtRest &&
        each.apart.size === 0 &&
        each.undecided === flock.undecided &&
        (isNode || each.ids.isLike(flock.ids)),
    )
    if (other === undefined) return
    this.fillLonely(flock)
    this.fillLonely(other)
    const [from, to] = flock.members.size < other.members.size ? [flock, other] : [other, flock]
    for (const [index, member] of from.members) {
      const speaker = this.world.speaker(index)
      to.members.set(index, member)
      to.list = undefined
      speaker.flock = to
    }
    for (const end of this.world.speaker(from.members.keys().next().value!).ends) {
      const group = this.world.speaker(end.peer).rib!.groupOf(peerEnd(end))!
      group.flocks.delete(from)
    }
    from.members.clear()
    this.forget(from)
  }

  private forget(flock: Flock): void {
    this.flocks[flock.number] = undefined
    const alike = this.byKey.get(flock.key)!
    alike.splice(alike.indexOf(flock), 1)
  }

  private deliverLater(flock: Flock, slot: number, speaker: BgpSpeaker, end: End): void {
    const half = end.established
    if (half?.conn === undefined) return
    half.heardAt = Math.max(half.heardAt, flock.heardTick(slot, speaker.index) / 1000)
    const back = peerEnd(end)
    for (const { piece, tick } of flock.underWay(slot, speaker.index)) {
      this.world.transport.inject(half.conn, back.side, piece, tick)
    }
  }

  private settledGroup(end: End): string | undefined {
    const { transport, ways } = this.world
    const back = peerEnd(end)
    const conn = end.established?.conn
    if (conn === undefined || back.established?.conn !== conn) return undefined
    if (end.isStale || back.isStale || !transport.isSilent(conn, back.side)) return undefined
    const other = this.world.speaker(end.peer)
    if (!other.isTelling(back) || ways.between(end.owner.index, end.peer) === NO_WAY)
      return undefined
    const group = other.rib?.settledGroupOf(back)
    return group === undefined ? undefined : String(group.key)
  }

  /** What was told to nobody else, because there was nobody, is told to whoever comes. */
  private fillLonely(flock: Flock): void {
    if (flock.members.size !== 1) return
    for (const index of flock.members.keys()) this.fill(flock, this.world.speaker(index))
  }

  /** What others hear of its first member's own prefixes. */
  private fill(flock: Flock, speaker: BgpSpeaker): void {
    const { count, owners } = this.world.flock.prefixes
    if (count === 0) return
    flock.widen()
    for (const [slot, end] of speaker.ends.entries()) {
      const { told } = this.world.speaker(end.peer).rib!.groupOf(peerEnd(end))!
      const column = flock.via[slot]!
      for (let prefix = 0; prefix < count; prefix++) {
        if (owners[prefix] !== speaker.index) continue
        const variant = told[prefix] ?? WITHDRAWN
        column[prefix] = variant
        if (variant !== WITHDRAWN) flock.ids.add(prefix)
        else if (!flock.has(prefix)) flock.ids.remove(prefix)
      }
    }
  }

  private newFlock(key: string, latencies: readonly number[], speaker: BgpSpeaker): Flock {
    const flock = new Flock(this.world.flock, {
      ...{ number: this.flocks.length, key, latencies, undecided: speaker.undecided },
      isSwitches: !this.world.plan.isNode(speaker.index),
      ...speaker.rib!.give(),
    })
    this.fill(flock, speaker)
    this.flocks.push(flock)
    const alike = this.byKey.get(key)
    if (alike === undefined) this.byKey.set(key, [flock])
    else alike.push(flock)
    return flock
  }
}

const peerEnd = (end: End): End => end.session.ends[end.side === 0 ? 1 : 0] as unknown as End
