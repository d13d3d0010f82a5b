/**
 * A speaker's routes in the kernel: what its decision says is written, and what
 * somebody else does to it is put right.
 *
 * Reads what an earlier life left, writes what differs, in turns of some milliseconds,
 * and follows the kernel's notifications: links and addresses for the ways to next
 * hops, routes for what others change. Its own changes are not told (a socket filter),
 * so a full table costs no notification.
 *
 * @module
 */
import * as nl from 'netlink-ts'
import { ignoreRoutes, Monitor, NetlinkSocket, pacer } from 'netlink-ts/live'
import { FamilyFib, NextHopTable, type RouteChange, type RouteOutcome } from '../../bgp/fib/mod.ts'
import { FAMILIES, type Family, type NlriSlice } from '../../bgp/nlri.ts'
import type { CostOf, RouteHop } from '../../bgp/rib/mod.ts'
import { asTriviumError } from '../../errors.ts'
import { BGP_ROUTE_PROTOCOL } from '../../kernel/mod.ts'
import { type Ip, ipFamily, networkAddress, type Prefix } from '../../net/mod.ts'
import { kernelLinks } from './kernel-links.ts'
import {
  answerOf,
  destinationOf,
  forwardHopsOf,
  type RoutePlace,
  RouteWriter,
} from './route-messages.ts'

export interface KernelRoutesOptions {
  /** An open descriptor of the namespace. @default the process's own */
  readonly netnsFd?: number
  /** @default 254, main */
  readonly table?: number
  /** @default BGP_ROUTE_PROTOCOL */
  readonly protocol?: number
  /** @default ROUTE_METRIC */
  readonly metric?: RoutePlace['metric']
  /** `costOf` may say something else of it now. Never called before `open` has returned. */
  readonly nextHopChanged: (nextHop: Ip) => void
  readonly report: (report: KernelRoutesReport) => void
}

/** What is logged. Each route once, many of one kind together. */
export type KernelRoutesReport =
  | {
      /** `failed`: the kernel did not take them, they are tried again when something changes. `refused`: no peer may steer these. */
      readonly event: 'failed' | 'refused'
      /** One of them. */
      readonly prefix: Prefix
      readonly count: number
      readonly reason: string
    }
  /** Notifications were lost or tables could not be read: everything is read again. */
  | { readonly event: 'reread'; readonly reason: string }

export interface KernelRoutesCounts {
  /** In the kernel, those of an earlier life too. */
  readonly installed: number
  /** Of an earlier life, and not told yet. */
  readonly stale: number
  readonly failed: number
  /** Changes that are not written yet, at least. */
  readonly waiting: number
}

export interface KernelRoutes {
  /** RibOptions.costOf: undefined where no way leads to it. 15 µs for a new one. */
  readonly costOf: CostOf
  /** SpeakerEffect `routes`. The octets are read before it returns. */
  set(nextHops: readonly RouteHop[], prefixes: NlriSlice): void
  /** SpeakerEffect `routes.complete`. */
  complete(family: Family): void
  counts(family: Family): KernelRoutesCounts
  /** Resolves when everything told so far is written, or has failed. */
  settled(): Promise<void>
  /**
   * Stops. `keep`: routes stay, for the next life; otherwise all of ours go first.
   */
  close(routes: 'keep' | 'remove'): Promise<void>
}

/**
 * RTA_PRIORITY by family: below what an operator, a daemon or the agent wrote without a
 * word about it, which the kernel makes 0 for IPv4 and 1024 for IPv6.
 */
export const ROUTE_METRIC = { 4: 32, 6: 1056 } as const satisfies RoutePlace['metric']

const MAIN_TABLE = 254
/** Routes that are written at a stretch: 2 to 4 ms. */
const BATCH = 512
/** Next hops that are looked up at a stretch: 3 ms. */
const LOOKUPS = 200
/** From the first word of a burst of notifications to when it is heard. */
const BURST_MS = 10
/** Between two looks at all next hops because of routes. */
const RECHECK_MS = 100
/** After the kernel had no memory, or a table never stood still. */
const AGAIN_MS = 1000
/** What failed is tried again after this time even if nothing was heard. */
const RETRY_MS = 60_000
/** Calls of 32 notifications each between two returns to the event loop. */
const DRAIN_CALLS = 8
/** More next hops than this are looked through for those that nobody uses. */
const NEXT_HOPS_KEPT = 1024

const VERSION = { ipv4: 4, ipv6: 6 } as const
const NAME = { 4: 'ipv4', 6: 'ipv6' } as const

/** Opens sockets and reads what an earlier life left. @throws {SyscallError} */
export async function openKernelRoutes(options: KernelRoutesOptions): Promise<KernelRoutes> {
  const routes = new Live(options)
  await routes.start()
  return routes
}

class Live implements KernelRoutes {
  readonly #options: KernelRoutesOptions
  readonly #place: RoutePlace
  readonly #socket: NetlinkSocket
  readonly #monitor: Monitor
  readonly #links: ReturnType<typeof kernelLinks>
  readonly #nextHops: NextHopTable
  readonly #fibs: Readonly<Record<Family, FamilyFib>>
  readonly #timers = new Set<NodeJS.Timeout>()
  #waiters: (() => void)[] = []
  #pump: NodeJS.Immediate | undefined
  #isReading = false
  #isRecheckDue = false
  #isRechecking = false
  #lastRecheckMs = Number.NEGATIVE_INFINITY
  #isClosed = false
  #hears = true

  constructor(options: KernelRoutesOptions) {
    const { netnsFd, table = MAIN_TABLE, protocol = BGP_ROUTE_PROTOCOL } = options
    this.#options = options
    this.#place = { table, protocol, metric: options.metric ?? ROUTE_METRIC }
    this.#socket = NetlinkSocket.open({ netnsFd })
    this.#monitor = Monitor.open({
      groups: ['link', 'addr4', 'addr6', 'route4', 'route6'],
      netnsFd,
      filter: ignoreRoutes({ portId: this.#socket.portId }),
    })
    this.#links = kernelLinks(this.#socket)
    const fib = (family: Family): FamilyFib =>
      new FamilyFib(
        family,
        (hop) => this.#nextHops.hopsOf(hop),
        (prefix) => this.#links.isOwn(networkAddress(prefix)),
      )
    this.#fibs = { ipv4: fib('ipv4'), ipv6: fib('ipv6') }
    this.#nextHops = new NextHopTable({
      ask: (ip) => this.#ask(ip),
      linkOf: (ip) => this.#links.linkOf(ip),
      wantedFor: (prefix) => this.#fibs[NAME[ipFamily(prefix)]].nextHopsOf(prefix),
    })
  }

  async start(): Promise<void> {
    await this.#read()
    this.#listen()
    const retry = setInterval(() => {
      for (const family of FAMILIES) this.#fibs[family].retry()
      this.#schedule()
    }, RETRY_MS)
    this.#timers.add(retry)
  }

  readonly costOf: CostOf = (nextHop) => this.#nextHops.costOf(nextHop)

  set(nextHops: readonly RouteHop[], prefixes: NlriSlice): void {
    const fib = this.#fibs[prefixes.family]
    const refused = fib.set(nextHops, prefixes)
    if (refused !== undefined) {
      const reason = 'link-local, loopback and multicast addresses are nobody’s to route'
      this.#options.report({ event: 'refused', ...refused, reason })
    }
    this.#schedule()
  }

  complete(family: Family): void {
    this.#fibs[family].complete()
    this.#schedule()
  }

  counts(family: Family): KernelRoutesCounts {
    const { counts, waiting } = this.#fibs[family]
    return { ...counts, waiting }
  }

  settled(): Promise<void> {
    if (this.#isIdle()) return Promise.resolve()
    return new Promise((resolve) => this.#waiters.push(resolve))
  }

  async close(routes: 'keep' | 'remove'): Promise<void> {
    this.#hears = false
    for (const timer of this.#timers) clearTimeout(timer)
    this.#isRecheckDue = false
    this.#isRechecking = false
    if (routes === 'remove') {
      for (const family of FAMILIES) this.#fibs[family].clear()
      this.#schedule()
      await this.settled()
    }
    this.#isClosed = true
    clearImmediate(this.#pump)
    this.#monitor.close()
    this.#socket.close()
  }

  #isIdle(): boolean {
    return (
      !this.#isReading &&
      !this.#isRecheckDue &&
      !this.#isRechecking &&
      FAMILIES.every((family) => this.#fibs[family].waiting === 0)
    )
  }

  #after(ms: number, run: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      run()
    }, ms)
    this.#timers.add(timer)
  }

  #schedule(): void {
    if (this.#isClosed || this.#pump !== undefined) return
    this.#pump = setImmediate(() => {
      this.#pump = undefined
      if (!this.#isReading) this.#turn()
      if (!this.#isReading && FAMILIES.some((family) => this.#fibs[family].waiting > 0)) {
        this.#schedule()
      } else if (this.#isIdle()) for (const resolve of this.#waiters.splice(0)) resolve()
    })
  }

  #turn(): void {
    let left = BATCH
    for (const family of FAMILIES) {
      if (left <= 0) return
      const changes = this.#fibs[family].next(left)
      left -= changes.length
      if (changes.length > 0) this.#write(family, changes)
    }
  }

  #write(family: Family, changes: readonly RouteChange[]): void {
    const fib = this.#fibs[family]
    const writer = new RouteWriter(fib.table, this.#place)
    const errors = this.#socket.execute(changes.map((change) => writer.request(change)))
    const failed = new Map<string, { prefix: Prefix; count: number }>()
    let isCovering = false
    for (const [index, change] of changes.entries()) {
      const error = this.#collided(change, writer, errors[index])
      const outcome = outcomeOf(change, error)
      if (error !== undefined && outcome === 'failed' && !fib.isFailed(change.row)) {
        const reason = error.hint ?? error.code
        const count = (failed.get(reason)?.count ?? 0) + 1
        failed.set(reason, { prefix: fib.table.prefixOf(change.row), count })
      }
      isCovering ||= this.#nextHops.coversRow(fib.table, change.row)
      fib.settle(change, outcome)
      if (error?.retryable === true) this.#retrySoon()
    }
    for (const [reason, what] of failed) this.#options.report({ event: 'failed', ...what, reason })
    if (isCovering) this.#recheckSoon(RECHECK_MS)
  }

  /**
   * Something is where a new route belongs. What is ours all the same is made anew;
   * the kernel removes nothing of another protocol.
   */
  #collided(
    change: RouteChange,
    writer: RouteWriter,
    error: nl.NetlinkError | undefined,
  ): nl.NetlinkError | undefined {
    if (change.how !== 'add' || error?.code !== 'EEXIST') return error
    const removal = writer.request({ ...change, how: 'remove' })
    const [kept] = this.#socket.execute([removal])
    if (kept !== undefined) return error
    return this.#socket.execute([writer.request(change)])[0]
  }

  #retrySoon(): void {
    this.#after(AGAIN_MS, () => {
      for (const family of FAMILIES) this.#fibs[family].retry()
      this.#schedule()
    })
  }

  #ask(ip: Ip): ReturnType<typeof answerOf> {
    try {
      const route = this.#socket.get(nl.route.get({ dst: ip }))
      return answerOf(route, this.#place, (link) => this.#links.isUp(link))
    } catch (thrown) {
      // Without a word of explanation: EINVAL blackhole, EACCES prohibit, EAGAIN throw.
      if (thrown instanceof nl.NetlinkError && thrown.hint === undefined) return { kind: 'none' }
      throw thrown
    }
  }

  /** Reads all of ours from the kernel; nothing is written meanwhile. */
  async #read(): Promise<void> {
    this.#isReading = true
    const { table, protocol, metric } = this.#place
    const pace = pacer()
    try {
      for (const family of FAMILIES) {
        const version = VERSION[family]
        const rows = await this.#socket.dumpAsync(
          nl.route.list({ family: version, table, protocol }),
        )
        const fib = this.#fibs[family]
        fib.readBegin()
        for (const row of rows) {
          if (row.priority !== metric[version]) continue
          fib.read(destinationOf(row), forwardHopsOf(row))
          await pace()
        }
        fib.readEnd()
      }
    } catch (thrown) {
      if (!this.#hears) return
      const { message: reason } = asTriviumError(thrown)
      this.#options.report({ event: 'reread', reason })
      this.#after(AGAIN_MS, () => void this.#read())
    } finally {
      this.#isReading = false
    }
    this.#schedule()
  }

  #listen(): void {
    if (!this.#hears) return
    const stop = this.#monitor.watch(() => {
      stop()
      this.#after(BURST_MS, () => this.#drain())
    })
  }

  #drain(): void {
    if (!this.#hears) return
    const { events, lost } = this.#monitor.drain(DRAIN_CALLS)
    for (const event of events) this.#told(event)
    if (lost && !this.#isReading) {
      this.#options.report({ event: 'reread', reason: 'notifications were lost' })
      this.#recheckSoon(0)
      void this.#read()
    }
    this.#schedule()
    if (events.length > 0) setImmediate(() => this.#drain())
    else this.#listen()
  }

  #told(event: nl.Event): void {
    if (event.kind === 'link') {
      const { index, up } = event.link
      const wasUp = this.#links.isUp(index)
      if (this.#links.link(event.change, event.link)) {
        for (const family of FAMILIES) this.#fibs[family].linkLost(index)
      }
      if (wasUp !== this.#links.isUp(index) || up !== wasUp) this.#changed(0)
    } else if (event.kind === 'addr') {
      const { index, address } = event.addr
      const lost = this.#links.address(event.change, event.addr)
      if (lost !== undefined) this.#fibs[NAME[lost]].linkLost(index)
      this.#fibs[NAME[ipFamily(address as Ip)]].ownAddressChanged(address as Ip)
      this.#changed(0)
    } else if (event.kind === 'route') this.#routeTold(event.change, event.route)
  }

  #routeTold(change: 'new' | 'del', route: nl.Route): void {
    const { table, protocol, metric } = this.#place
    const prefix = destinationOf(route)
    const fib = this.#fibs[NAME[route.family]]
    const isPlace = route.table === table && (route.priority ?? 0) === metric[route.family]
    if (isPlace && route.protocol === protocol) fib.changedBySomebody(prefix)
    else if (isPlace) fib.takenBySomebody(prefix)
    if (this.#nextHops.covers(prefix)) this.#changed(RECHECK_MS)
    else if (change === 'new') for (const family of FAMILIES) this.#fibs[family].retry()
  }

  /** What failed may go well now, and next hops may be reached by another way. */
  #changed(atMostEveryMs: number): void {
    for (const family of FAMILIES) this.#fibs[family].retry()
    this.#recheckSoon(atMostEveryMs)
  }

  #recheckSoon(atMostEveryMs: number): void {
    if (!this.#hears || this.#isRecheckDue) return
    this.#isRecheckDue = true
    // The one that is under way begins it.
    if (this.#isRechecking) return
    const sinceMs = performance.now() - this.#lastRecheckMs
    this.#after(Math.max(0, atMostEveryMs - sinceMs), () => this.#recheckAll())
  }

  #recheckAll(): void {
    this.#isRecheckDue = false
    this.#isRechecking = true
    const all = [...this.#nextHops.addresses()]
    const step = (from: number): void => {
      if (!this.#hears) return
      this.#lookAt(all.slice(from, from + LOOKUPS))
      if (from + LOOKUPS < all.length) {
        setImmediate(() => step(from + LOOKUPS))
        return
      }
      if (all.length > NEXT_HOPS_KEPT) this.#forget(all)
      this.#lastRecheckMs = performance.now()
      this.#isRechecking = false
      if (this.#isRecheckDue) {
        this.#isRecheckDue = false
        this.#recheckSoon(RECHECK_MS)
      }
      this.#schedule()
    }
    step(0)
  }

  #lookAt(ips: readonly Ip[]): void {
    const changed = this.#nextHops.recheck(ips)
    if (changed.size === 0) return
    for (const family of FAMILIES) this.#fibs[family].nextHopsChanged(changed)
    for (const ip of changed) this.#options.nextHopChanged(ip)
    this.#schedule()
  }

  /** Whoever still knows of a next hop asks for it again. */
  #forget(ips: readonly Ip[]): void {
    const used = FAMILIES.map((family) => this.#fibs[family].wanted.addresses())
    for (const ip of ips) {
      if (used.some((each) => each.has(ip))) continue
      this.#nextHops.forget(ip)
      this.#options.nextHopChanged(ip)
    }
  }
}

function outcomeOf({ how }: RouteChange, error: nl.NetlinkError | undefined): RouteOutcome {
  if (error === undefined) return 'done'
  return how === 'remove' && error.code === 'ESRCH' ? 'absent' : 'failed'
}
