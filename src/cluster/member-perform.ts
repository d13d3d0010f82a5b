/**
 * A member's effects to transactions on three stores: one switch, for the live
 * node and for tests with a cluster that loses, delays and falls back.
 *
 * @module
 */
import {
  assertOwn,
  claimBlocks,
  forsake,
  handOver,
  idleClaims,
  missingOfOthers,
  stillWanted,
  unheard,
  yieldable,
} from '../../ipam/cluster/claims.ts'
import { applyShared, claimedNetworks } from '../../ipam/cluster/down.ts'
import { chooseEndpoints, endpointMoves, moveEndpoints } from '../../ipam/cluster/endpoints.ts'
import { join, membershipOf, standingNow } from '../../ipam/cluster/membership.ts'
import { leap, mirrorWrites, ownRecords, rebuild } from '../../ipam/cluster/mirror.ts'
import type { Beat, Incarnation, Lease } from '../../ipam/cluster/records.ts'
import { keys } from '../../ipam/keys.ts'
import type { NodeRecord } from '../../ipam/records.ts'
import { release } from '../../ipam/release.ts'
import type { Reader, Store, Tx } from '../../ipam/store.ts'
import { assertNever, asTriviumError, TriviumError } from '../errors.ts'
import type { Perform } from '../ports.ts'
import type { Answer, MemberEffect, MemberInput, MemberReport, Work } from './member.ts'

/** What one member acts on. */
export interface MemberPorts {
  readonly name: string
  /** Of this run of the agent and no other. */
  readonly session: string
  /** The node as it is now. */
  readonly node: (done: (node: NodeRecord) => void) => void
  readonly local: Store
  /** What all nodes share. */
  readonly shared: Store
  /** Revision of the shared store as it is read. */
  readonly revision: () => number
  /** The node's own part of the cluster. */
  readonly mirror: Store
  /** Runs later, never before returning. */
  readonly defer: (run: () => void) => void
  /** Unix milliseconds, for records. */
  readonly wallMs: () => number
  /** A lease of `lengthMs` that begins now. */
  readonly lease: () => Lease
  /** An identity for a store that begins anew. */
  readonly freshStore: () => string
  /** Keeps the store's mark where an older copy of the store would not have it, and no reboot leaves it. */
  readonly noteMark: (mark: number) => void
  /** Takes back what the kernel knows of running pods; called when the mirror's part is back. */
  readonly living: (done: (failure: string | undefined) => void) => void
  readonly room: (why: string | undefined) => void
  readonly report: (report: MemberReport) => void
}

/** Records that one transaction writes to the mirror. */
const MIRROR_WRITES = 100
/** Claims of others that one transaction puts back. */
const OTHERS_PUT_BACK = 100

type Told = (answer: Answer) => void
type Failed = (reason: string) => void

export function memberPerform(ports: MemberPorts): Perform<MemberInput, MemberEffect> {
  const work = worker(ports)
  return (effect, feed) => {
    switch (effect.kind) {
      case 'work':
        // Some of it is done at once; the machine hears of it in a turn of its own.
        return ports.defer(() => {
          const failed = (reason: string): void => feed({ kind: 'failed', reason })
          try {
            work(effect.work, (answer) => feed({ kind: 'done', answer }), failed)
          } catch (thrown) {
            failed(asTriviumError(thrown).message)
          }
        })
      case 'room':
        return ports.room(effect.why)
      case 'report':
        return ports.report(effect.report)
      default:
        return assertNever(effect)
    }
  }
}

function worker(ports: MemberPorts): (work: Work, told: Told, failed: Failed) => void {
  const { name, local, shared, mirror } = ports
  const here = {
    /** Both as they are at one moment of this process. */
    look: <T>(body: (own: Reader, cluster: Reader) => T): T =>
      local.read((own) => shared.read((cluster) => body(own, cluster))),
    identity: (): Incarnation => local.read(membershipOf).incarnation,
  }

  function joinNow(mayReplace: boolean, told: Told, failed: Failed): void {
    const known = local.read(membershipOf)
    const own = known.incarnation
    if (shared.read((cluster) => standingNow(cluster, name, known)) === 'deleted') {
      told({ of: 'join', standing: 'deleted', beats: beatsIn(mirror) })
      return
    }
    ports.node((node) =>
      transact(
        shared,
        (tx) => join(tx, node, own, mayReplace),
        failed,
        (standing) => told({ of: 'join', standing, beats: beatsIn(mirror) }),
      ),
    )
  }

  function rebuildNow(told: Told, failed: Failed): void {
    const takeBack = (tx: Tx): number =>
      shared.read((cluster) => {
        const down = { node: name, revision: ports.revision(), keep: true }
        applyShared(tx, cluster, 'all', down)
        return mirror.read((own) => rebuild(tx, own, name)).length
      })
    const open = (tx: Tx): void => {
      leap(tx, name)
      tx.put(keys.membership, { ...membershipOf(tx), joined: true })
    }
    transact(local, takeBack, failed, (pods) =>
      ports.living((failure) => {
        if (failure !== undefined) return failed(failure)
        transact(local, open, failed, () => told({ of: 'rebuild', pods }))
      }),
    )
  }

  function downNow({ changed, keep }: Work & { kind: 'down' }, told: Told, failed: Failed): void {
    const options = { node: name, revision: ports.revision(), keep }
    transact(
      local,
      (tx) => shared.read((cluster) => applyShared(tx, cluster, changed, options)),
      failed,
      (standing) => noteMark(failed, () => told({ of: 'down', standing })),
    )
  }

  /** What we asked a machine that may be another; an answer is a sign of life after it. */
  function knock(told: Told, failed: Failed): void {
    const { bootId } = ports.lease()
    const standing = here.look((own, cluster) => standingNow(cluster, name, membershipOf(own)))
    // With another store or machine id it is for `join` to say.
    if (standing !== 'member') {
      told({ of: 'knock', standing: 'alone' })
      return
    }
    const ask = (tx: Tx): 'alone' | 'asked' | 'doubled' => {
      const last = tx.get(keys.beat)
      // Of this machine since it was started: nobody but an agent before this one.
      if (last === undefined || last.bootId === bootId) return 'alone'
      const asked = tx.get(keys.knock)
      const isSame = asked?.session === ports.session
      if (isSame && last.count > asked.count) return 'doubled'
      if (isSame && last.count === asked.count) return 'alone'
      tx.put(keys.knock, { session: ports.session, count: last.count })
      return 'asked'
    }
    transact(mirror, ask, failed, (standing) => {
      if (standing === 'doubled') return double(failed, () => told({ of: 'knock', standing }))
      if (standing === 'asked') return told({ of: 'knock', standing })
      const clear = (tx: Tx): void => {
        const { refused, ...rest } = membershipOf(tx)
        if (refused === 'doubled') tx.put(keys.membership, rest)
      }
      transact(local, clear, failed, () => told({ of: 'knock', standing }))
    })
  }

  function beat(told: Told, failed: Failed): void {
    // Before it is sent: the cluster counts on the node from later on, never from earlier.
    const lease = ports.lease()
    const known = local.read(membershipOf).beats
    const nowMs = ports.wallMs()
    const put = (tx: Tx): number | undefined => {
      const last = tx.get(keys.beat)
      if (isOthers(last)) return undefined
      // Beyond any that an old snapshot may have of a store before this one.
      const count = Math.max((last?.count ?? 0) + 1, known + 1, nowMs)
      tx.put(keys.beat, { count, session: ports.session, bootId: lease.bootId })
      return count
    }
    transact(mirror, put, failed, (count) => {
      if (count === undefined) return double(failed, () => told({ of: 'beat', beats: undefined }))
      lastCount = count
      const note = (tx: Tx): void => {
        const { mark = 0, ...rest } = membershipOf(tx)
        tx.put(keys.membership, { ...rest, lease, beats: count, mark: mark + 1 })
      }
      transact(local, note, failed, () =>
        noteMark(failed, () => told({ of: 'beat', beats: count })),
      )
    })
  }

  function noteMark(failed: Failed, then: () => void): void {
    try {
      ports.noteMark(local.read(membershipOf).mark ?? 0)
      then()
    } catch (thrown) {
      failed(asTriviumError(thrown).message)
    }
  }

  /** Our last acknowledged one. */
  let lastCount = Number.POSITIVE_INFINITY
  /** Whether another agent with our identity came after us; one from before is an old snapshot's. */
  const isOthers = (beat: Beat | undefined): boolean =>
    beat !== undefined && beat.session !== ports.session && beat.count > lastCount

  function double(failed: Failed, done: () => void): void {
    const put = (tx: Tx): void =>
      tx.put(keys.membership, { ...membershipOf(tx), refused: 'doubled' })
    transact(local, put, failed, done)
  }

  function assertNow(work: Work & { kind: 'assert' }, told: Told, failed: Failed): void {
    const said = here.look((own, cluster) => ({
      claims: unheard(own, cluster, name),
      networks: work.networks ? claimedNetworks(own, name, work.others) : [],
      others: work.others ? missingOfOthers(own, cluster, name, OTHERS_PUT_BACK) : [],
    }))
    const more = said.others.length === OTHERS_PUT_BACK
    if (said.claims.length + said.networks.length + said.others.length === 0) {
      told({ of: 'assert', isMember: true, more })
      return
    }
    const own = here.identity()
    transact(
      shared,
      (tx) => assertOwn(tx, said, name, own),
      failed,
      (isMember) => told({ of: 'assert', isMember, more }),
    )
  }

  function claimNow(work: Work & { kind: 'claim' }, told: Told, failed: Failed): void {
    const nowMs = ports.wallMs()
    const demands = local.read((reader) => stillWanted(reader, name, work.demands, nowMs))
    const own = here.identity()
    if (demands.length === 0) {
      told({ of: 'claim', blocks: 'none' })
      return
    }
    const begun = shared.read(historyOf)
    const claim = (tx: Tx): ReturnType<typeof claimBlocks> => {
      // The claims of others may not be back yet; the machine hears of it and waits.
      if (historyOf(tx) !== begun) throw new TriviumError('TRY_LATER', 'it fell back')
      return claimBlocks(tx, demands, name, own, nowMs)
    }
    transact(shared, claim, failed, (claims) => told({ of: 'claim', blocks: claims?.length }))
  }

  function yieldNow(idle: boolean, told: Told, failed: Failed): void {
    const nowMs = ports.wallMs()
    // They leave pools that drain; what is empty of those then goes with the rest.
    const moves = local.read((reader) => endpointMoves(reader, name, nowMs))
    if (moves.length === 0) {
      giveBack(idle, told, failed)
      return
    }
    const own = here.identity()
    transact(
      local,
      (tx) => chooseEndpoints(tx, name, nowMs),
      failed,
      (chosen) =>
        transact(
          shared,
          (tx) => moveEndpoints(tx, chosen, name, own),
          failed,
          () => giveBack(idle, told, failed),
        ),
    )
  }

  function giveBack(idle: boolean, told: Told, failed: Failed): void {
    const claims = here.look((own, cluster) => [
      ...yieldable(own, cluster, name),
      ...idleClaims(own, name, ports.wallMs(), idle),
    ])
    if (claims.length === 0) {
      told({ of: 'yield', blocks: 0 })
      return
    }
    transact(
      local,
      (tx) => forsake(tx, claims, name),
      failed,
      (given) =>
        noteMark(failed, () =>
          transact(
            shared,
            (tx) => handOver(tx, given, name),
            failed,
            () => told({ of: 'yield', blocks: given.length }),
          ),
        ),
    )
  }

  function mirrorNow(told: Told, failed: Failed): void {
    const own = local.read((reader) => ownRecords(reader, name))
    const writes = mirror.read((reader) => mirrorWrites(own, reader, MIRROR_WRITES))
    if (writes.length === 0) {
      told({ of: 'mirror', more: false, isOurs: true })
      return
    }
    const write = (tx: Tx): boolean => {
      const beat = tx.get(keys.beat)
      if (isOthers(beat)) return false
      if (beat?.session !== ports.session) throw new TriviumError('TRY_LATER', 'it fell back')
      for (const [key, value] of writes) {
        if (value === undefined) tx.remove(key)
        else tx.put(key, value)
      }
      return true
    }
    const more = writes.length === MIRROR_WRITES
    transact(mirror, write, failed, (isOurs) =>
      isOurs
        ? told({ of: 'mirror', more, isOurs })
        : double(failed, () => told({ of: 'mirror', more, isOurs })),
    )
  }

  function reset(told: Told, failed: Failed): void {
    const begin = (tx: Tx): boolean => {
      const boot = ports.lease().bootId
      const left = [...tx.range(keys.attachments(name))]
      if (left.some(([, { bootId }]) => bootId === boot)) return false
      // Those of an earlier boot are dead, whatever the runtime missed to say.
      for (const [, attachment] of left) release(tx, name, attachment)
      for (const [key, use] of [...tx.range(keys.nodeUses(name))]) {
        tx.remove(keys.claim(key.split('/')[2] ?? '', use.cidr))
        tx.remove(key)
      }
      const { refused: _over, lease: _old, incarnation, ...rest } = membershipOf(tx)
      const fresh = { ...incarnation, store: ports.freshStore() }
      tx.put(keys.membership, { ...rest, incarnation: fresh, joined: false })
      return true
    }
    transact(local, begin, failed, (isReset) => told({ of: 'reset', isReset }))
  }

  return (work, told, failed) => {
    switch (work.kind) {
      case 'knock':
        return knock(told, failed)
      case 'join':
        return joinNow(work.mayReplace, told, failed)
      case 'rebuild':
        return rebuildNow(told, failed)
      case 'down':
        return downNow(work, told, failed)
      case 'beat':
        return beat(told, failed)
      case 'assert':
        return assertNow(work, told, failed)
      case 'claim':
        return claimNow(work, told, failed)
      case 'yield':
        return yieldNow(work.idle, told, failed)
      case 'mirror':
        return mirrorNow(told, failed)
      case 'reset':
        return reset(told, failed)
      default:
        return assertNever(work)
    }
  }
}

const beatsIn = (mirror: Store): number =>
  mirror.read((reader) => reader.get(keys.beat)?.count ?? 0)

const historyOf = (reader: Reader): number => reader.history?.() ?? 0

function transact<T>(
  store: Store,
  body: (tx: Tx) => T,
  failed: Failed,
  done: (answer: T) => void,
): void {
  store.transact(body, (outcome) => {
    if (outcome.kind === 'committed') done(outcome.answer)
    else failed(outcome.error.message)
  })
}
