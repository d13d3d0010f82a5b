/**
 * A namespace with two links, a speaker's routes in it, and iproute2 to look at them.
 *
 * @module
 */
import type { Test } from 'tap'
import type { Family, NlriSlice } from '../../../src/bgp/nlri.ts'
import { PrefixTable } from '../../../src/bgp/rib/prefix-table.ts'
import {
  type KernelRoutes,
  type KernelRoutesReport,
  openKernelRoutes,
} from '../../../src/live/bgp/kernel-routes.ts'
import { type Ip, type Prefix, prefixFamily } from '../../../src/net/mod.ts'
import { type Lab, lab } from '../../netlink-ts/support.ts'

export interface RoutesWorld extends Lab {
  /** `ip` inside. */
  ip(...args: readonly string[]): string
  /** Routes of the family by destination, each as `via dev, via dev`, those of the speaker only. */
  routes(family: Family): Readonly<Record<string, string>>
  open(): Promise<SpokenRoutes>
}

export interface SpokenRoutes extends KernelRoutes {
  readonly reports: KernelRoutesReport[]
  /** Next hops that were told to be another now. */
  readonly changed: Ip[]
  /** Says it and waits until it is written. */
  tell(nextHops: readonly string[], ...prefixes: readonly string[]): Promise<void>
}

/** eth0 has 10.0.0.1/24 and fd00::1/64, eth1 10.0.1.1/24 and fd00:1::1/64. */
export function routesWorld(t: Test): RoutesWorld {
  const l = lab(t)
  const ip = (...args: readonly string[]): string => l.exec('ip', ...args)
  ip('link', 'set', 'lo', 'up')
  for (const number of [0, 1]) {
    ip('link', 'add', `eth${number}`, 'type', 'veth', 'peer', 'name', `far${number}`)
    ip('link', 'set', `far${number}`, 'up')
    ip('link', 'set', `eth${number}`, 'up')
    ip('addr', 'add', `10.0.${number}.1/24`, 'dev', `eth${number}`)
    ip('addr', 'add', `fd00:${number}::1/64`, 'dev', `eth${number}`, 'nodad')
  }
  const open = async (): Promise<SpokenRoutes> => {
    const reports: KernelRoutesReport[] = []
    const changed: Ip[] = []
    const routes = await openKernelRoutes({
      netnsFd: l.fd,
      nextHopChanged: (nextHop) => void changed.push(nextHop),
      report: (report) => void reports.push(report),
    })
    t.teardown(() => routes.close('keep'))
    const tell = async (
      nextHops: readonly string[],
      ...prefixes: readonly string[]
    ): Promise<void> => {
      routes.set(
        nextHops.map((nextHop) => ({ nextHop: nextHop as Ip })),
        sliceOf(prefixes as readonly Prefix[]),
      )
      await routes.settled()
    }
    return Object.assign(Object.create(routes), {
      reports,
      changed,
      tell,
      costOf: routes.costOf,
      set: routes.set.bind(routes),
      complete: routes.complete.bind(routes),
      counts: routes.counts.bind(routes),
      settled: routes.settled.bind(routes),
      close: routes.close.bind(routes),
    })
  }
  return { ...l, ip, open, routes: (family) => routesOf(l, family) }
}

/** As an UPDATE has them; all of one family. */
export function sliceOf(prefixes: readonly Prefix[]): NlriSlice {
  const family: Family = prefixFamily(prefixes[0]!) === 4 ? 'ipv4' : 'ipv6'
  const bytes = new Uint8Array(17 * prefixes.length)
  const table = new PrefixTable(family)
  let end = 0
  for (const prefix of prefixes) {
    table.readPrefix(prefix)
    end = table.write(table.add(), bytes, end)
  }
  return { family, bytes, start: 0, end, hasPathIds: false }
}

interface Hop {
  readonly gateway?: string
  readonly via?: { readonly host: string }
  readonly dev?: string
  readonly weight?: number
  readonly flags?: readonly string[]
}

function routesOf(l: Lab, family: Family): Readonly<Record<string, string>> {
  const rows: readonly (Hop & { dst: string; nexthops?: readonly Hop[]; metric?: number })[] =
    l.json('ip', family === 'ipv4' ? '-4' : '-6', 'route', 'show', 'proto', '85')
  const way = ({ gateway, via, dev, flags = [] }: Hop): string =>
    [via?.host ?? gateway, dev, ...flags.filter((flag) => flag === 'onlink')].join(' ')
  return Object.fromEntries(
    rows.map((row) => [row.dst, (row.nexthops ?? [row]).map(way).sort().join(', ')]),
  )
}

/** Looks until it is so, or fails with what was seen last. */
export async function eventually<T>(
  look: () => T,
  isSo: (seen: T) => boolean,
  why: () => string = () => '',
  msMax = 15_000,
): Promise<T> {
  for (const end = performance.now() + msMax; ; ) {
    const seen = look()
    if (isSo(seen)) return seen
    if (performance.now() > end) throw new Error(`${why()} still ${JSON.stringify(seen)}`)
    await new Promise((resolve) => setTimeout(resolve, 40))
  }
}
