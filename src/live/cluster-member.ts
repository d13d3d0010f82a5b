/**
 * A live node as a member of a cluster: the machine on LMDB and etcd.
 *
 * @module
 */
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { leaseLeftMs, membershipOf, REFUSALS } from '../../ipam/cluster/membership.ts'
import { isBehind, mirrorWrites, ownRecords } from '../../ipam/cluster/mirror.ts'
import type { Demand } from '../../ipam/cluster/records.ts'
import { type EtcdStore, openEtcdStore } from '../../ipam/etcd-store.ts'
import { keys } from '../../ipam/keys.ts'
import type { NodeRecord } from '../../ipam/records.ts'
import type { Store } from '../../ipam/store.ts'
import {
  MEMBER_TIMES,
  type MemberInput,
  type MemberReport,
  type MemberTimes,
  memberMachine,
} from '../cluster/member.ts'
import { memberPerform } from '../cluster/member-perform.ts'
import { ownerMachine } from '../cluster/owner.ts'
import { type OwnerPorts, ownerPerform } from '../cluster/owner-perform.ts'
import { type Driven, drive } from '../driver.ts'
import { TriviumError } from '../errors.ts'
import { type ClusterNow, PENDING_MAX } from '../metrics/agent.ts'
import { bootId, machineId, uptimeMs } from './boot.ts'
import { liveClock } from './clock.ts'
import type { Logger } from './log.ts'
import { markFile } from './mark-file.ts'
import { transact } from './transact.ts'
import type { ClusterBlocks } from './verbs/host.ts'

/** Between two looks of an ADD that waits: others may be quicker than it. */
const LOOK_MS = 20

/** How a node takes part in a cluster. */
export interface ClusterOptions {
  /** `etcd://…` or `etcds://…`. */
  readonly url: string
  /** How long the node gives addresses without a word from etcd. */
  readonly leaseMs: number
  /** Others than usual, for tests. */
  readonly times?: Partial<MemberTimes>
}

export interface MemberOptions extends ClusterOptions {
  readonly node: string
  readonly store: Store
  readonly first: NodeRecord
  readonly log: Logger
  /** Of the store's mark, on a tmpfs: gone with the boot. */
  readonly markFile: string
  /** Takes back what the kernel knows of running pods, once the cluster has said its part. */
  readonly living?: () => Promise<void>
  /** Carries out what others ask of this node. */
  readonly carry: OwnerPorts['carry']
}

export interface ClusterMember extends ClusterBlocks {
  /** Whether the store knew nothing of the cluster when it was opened. */
  readonly mustJoin: boolean
  /** What all nodes share, as etcd has it. */
  readonly shared: Store
  /** The reconciler's way to say how the node is reached. */
  register(node: NodeRecord, done: (failure: string | undefined) => void): void
  /** For the metrics. */
  standing(): ClusterNow
  /** Rejects when another machine has the node's name. */
  readonly failed: Promise<never>
  stop(): void
}

export async function startMember(options: MemberOptions): Promise<ClusterMember> {
  const { node, store, url, log } = options
  const marks = markFile(options.markFile)
  const session = randomUUID()
  const known = await transact(store, (tx) => {
    const before = tx.get(keys.membership)
    if (before?.url === url && !marks.isOlder(before)) return before
    const incarnation = { machine: machineId(), store: randomUUID() }
    const fresh = { incarnation, joined: false, beats: 0, revision: 0 }
    const joined = before?.joined === true && !marks.isOlder(before)
    const after = { ...(before ?? fresh), joined, url }
    tx.put(keys.membership, after)
    return after
  })
  const shared = openEtcdStore(url)
  const mirror = openEtcdStore(url, { part: { node } })
  const waiting = waitingAdds()
  let self = options.first
  let isMember = false
  let fail = (_error: TriviumError): void => {}
  const failed = new Promise<never>((_resolve, reject) => {
    fail = reject
  })
  failed.catch(() => {}) // whoever listens hears of it

  function report(told: MemberReport): void {
    logMember(log, told)
    if (told.event === 'joined') isMember = true
    if (told.event !== 'refused' || told.why === 'deleted' || isMember) return
    fail(new TriviumError('CONFLICT', ...REFUSALS[told.why](node)))
  }

  const driven: Driven<MemberInput> = drive(
    memberMachine(known, { ...MEMBER_TIMES, ...options.times }),
    liveClock,
    memberPerform({
      name: node,
      session,
      node: (done) => done(self),
      local: store,
      shared,
      revision: shared.revision,
      mirror,
      defer: setImmediate,
      wallMs: Date.now,
      lease: () => ({
        bootId: bootId(),
        fromUptimeMs: uptimeMs(),
        lengthMs: options.leaseMs,
      }),
      freshStore: randomUUID,
      noteMark: (mark) => marks.note(store.read(membershipOf).incarnation, mark),
      living(done) {
        const living = options.living?.() ?? Promise.resolve()
        living.then(
          () => done(undefined),
          (thrown: unknown) => done(String((thrown as Error).message)),
        )
      },
      room: waiting.tell,
      report,
    }),
  )
  const isConnected = followBoth(driven, store, shared, mirror, { node, session })
  const stopAnswering = answerRequests(options, shared)
  const stopWatching = store.watch(() => driven.feed({ kind: 'local.changed' }))

  return {
    mustJoin: !known.joined,
    shared,
    failed,
    register(now, done) {
      const isNews = JSON.stringify(now) !== JSON.stringify(self)
      self = now
      if (isNews) driven.feed({ kind: 'node.changed' })
      const isKnown = store.read((reader) => reader.get(keys.node(node))) !== undefined
      const why = `node ${node} has not joined its cluster yet: ${shared.away()}`
      setImmediate(() => done(isKnown ? undefined : why))
    },
    standing: () => ({ isConnected: isConnected(), ...standingNow(store, shared, mirror, node) }),
    async wait(demand: Demand, untilMs: number) {
      const answer = waiting.add(untilMs - performance.now())
      driven.feed({ kind: 'wanted', demand })
      const why = await answer
      if (why === undefined) await sleep(LOOK_MS)
      return why
    },
    stop() {
      stopWatching()
      stopAnswering()
      driven.stop()
      waiting.tell('the agent ends')
      shared.close()
      mirror.close()
    },
  }
}

function standingNow(
  store: Store,
  shared: EtcdStore,
  mirror: EtcdStore,
  node: string,
): Omit<ClusterNow, 'isConnected'> {
  const [leftMs, own] = store.read((reader) => [
    leaseLeftMs(membershipOf(reader), bootId(), uptimeMs()) ?? 0,
    ownRecords(reader, node),
  ])
  // Nothing can be read before etcd has answered once.
  const [pending, requests] =
    mirror.revision() === 0 || shared.revision() === 0
      ? [Math.min(own.size, PENDING_MAX), 0]
      : [
          mirror.read((reader) => mirrorWrites(own, reader, PENDING_MAX).length),
          shared.read((reader) => reader.range(keys.nodeRequests(node)).length),
        ]
  const leaseLeftSeconds = Math.max(0, leftMs) / 1000
  return { leaseLeftSeconds, mirrorPending: pending, requests }
}

/** Both stores as one connection: it is there when both are. Returns whether it is. */
function followBoth(
  driven: Driven<MemberInput>,
  store: Store,
  shared: EtcdStore,
  mirror: EtcdStore,
  { node, session }: { readonly node: string; readonly session: string },
): () => boolean {
  const up = new Set<EtcdStore>()
  let fellBack = false
  const connected = (etcd: EtcdStore, isBack: boolean): void => {
    up.add(etcd)
    fellBack ||= isBack
    if (up.size < 2) return
    driven.feed({
      kind: 'connected',
      revision: shared.revision(),
      beats: mirror.read((reader) => reader.get(keys.beat)?.count ?? 0),
      fellBack,
      isBehind: store.read((own) => mirror.read((reader) => isBehind(own, reader, node))),
    })
    fellBack = false
  }
  const away = (etcd: EtcdStore): void => {
    up.delete(etcd)
    driven.feed({ kind: 'away' })
  }
  shared.follow({
    changed: (changed) =>
      driven.feed({ kind: 'shared.changed', changed, revision: shared.revision() }),
    connected: (isBack) => connected(shared, isBack),
    away: () => away(shared),
  })
  mirror.follow({
    changed(changed) {
      if (changed !== 'all' && !changed.has(keys.knock)) return
      const knock = mirror.read((reader) => reader.get(keys.knock))
      if (knock !== undefined && knock.session !== session) driven.feed({ kind: 'knocked' })
    },
    connected: (isBack) => connected(mirror, isBack),
    away: () => away(mirror),
  })
  return () => up.size === 2
}

/** What others ask of this node is carried out while etcd is there. Returns what ends it. */
function answerRequests({ node, store, log, carry }: MemberOptions, shared: EtcdStore): () => void {
  const session = randomUUID()
  const own = keys.nodeRequests(node)
  const perform = ownerPerform({
    ...{ name: node, session, local: store, shared, carry },
    defer: setImmediate,
    report: ({ event, ...rest }) => log.info({ event: 'cluster', what: event, ...rest }),
  })
  const driven = drive(ownerMachine(session), liveClock, perform)
  const look = (): void => {
    const requests = shared.read((reader) => reader.range(own).map(([, each]) => each))
    driven.feed({ kind: 'requests', requests })
  }
  shared.follow({
    changed(changed) {
      if (changed === 'all' || [...changed].some((key) => key.startsWith(own))) look()
    },
    connected: look,
    away: () => driven.feed({ kind: 'away' }),
  })
  return driven.stop
}

interface WaitingAdds {
  /** Resolves at the next word, or with a reason when time is up. */
  add(waitMs: number): Promise<string | undefined>
  tell(why: string | undefined): void
}

function waitingAdds(): WaitingAdds {
  const waiting = new Set<(why: string | undefined) => void>()
  return {
    add: (waitMs) =>
      new Promise((resolve) => {
        const timer = setTimeout(() => end('etcd gave none in time'), Math.max(0, waitMs))
        const end = (why: string | undefined): void => {
          clearTimeout(timer)
          waiting.delete(end)
          resolve(why)
        }
        waiting.add(end)
      }),
    tell(why) {
      for (const end of [...waiting]) end(why)
    },
  }
}

const WARNINGS = new Set<MemberReport['event']>([
  'away',
  'fell-back',
  'refused',
  'failed',
  'waiting',
])

function logMember(log: Logger, { event, ...rest }: MemberReport): void {
  const line = { event: 'cluster', what: event, ...rest }
  if (WARNINGS.has(event)) log.warn(line)
  else log.info(line)
}
