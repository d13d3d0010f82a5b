/**
 * How switches are joined: devices and links, from a few numbers or from a list.
 *
 * | kind       | top-of-rack switch joined to        | those joined to                |
 * |------------|-------------------------------------|--------------------------------|
 * | leaf-spine | every spine of its data centre      |                                |
 * | three-tier | every aggregation switch of its group | every core of the data centre |
 *
 * Where there are several data centres the top tier of each is joined to its own
 * WAN routers, and WAN routers of the same number to each other.
 *
 * @module
 */
import type { SwitchRole } from './fabric-device.ts'
import { type LinkQuality, mbpsOf, ppmOf } from './link-quality.ts'

export interface TopologyDevice {
  readonly name: string
  readonly role: SwitchRole
  /** Rack of a top-of-rack switch; -1 for others. */
  readonly rack: number
  /** Of a device that is not as all others. */
  readonly profile?: string | undefined
}

/** A link, up or down as a whole. Ends are indexes of devices. */
export interface TopologyLink extends LinkQuality {
  readonly ends: readonly [number, number]
  readonly latencyTicks: number
}

/** Top-of-rack switches come first, in the order of racks. */
export interface Topology {
  readonly devices: readonly TopologyDevice[]
  readonly links: readonly TopologyLink[]
}

/** What the generators need. */
export interface TopologyPlan {
  readonly kind: 'leaf-spine' | 'three-tier'
  readonly racks: number
  /** Of each data centre, in a leaf-spine fabric. */
  readonly spines: number
  /** Groups of racks that share aggregation switches, of each data centre. */
  readonly groups: number
  /** Of each group. */
  readonly aggregations: number
  /** Of each data centre, in a three-tier fabric. */
  readonly cores: number
  readonly dataCenters: number
  /** Of each data centre, when there are several. */
  readonly wanRouters: number
  /** What each link is, but for those between data centres. */
  readonly link: LinkKind
  readonly wan: LinkKind
}

/** A link without its ends. */
export type LinkKind = Omit<TopologyLink, 'ends'>

/** Part `part` of `parts` of a list, as even as can be. */
function slice<T>(list: readonly T[], part: number, parts: number): readonly T[] {
  const at = (index: number): number => Math.floor((index * list.length) / parts)
  return list.slice(at(part), at(part + 1))
}

export function generateTopology(plan: TopologyPlan): Topology {
  const { racks, dataCenters, link } = plan
  const devices: TopologyDevice[] = Array.from({ length: racks }, (_, rack) => {
    return { name: `tor-${rack}`, role: 'tor', rack }
  })
  const links: TopologyLink[] = []
  const tors = devices.map((_, index) => index)
  const wan: (readonly number[])[] = []

  const add = (role: SwitchRole, prefix: string, count: number): readonly number[] =>
    Array.from({ length: count }, (_, index) => {
      devices.push({ name: `${prefix}${role}-${index}`, role, rack: -1 })
      return devices.length - 1
    })
  const join = (lower: readonly number[], upper: readonly number[]): void => {
    for (const low of lower) {
      for (const high of upper) links.push({ ends: [low, high], ...link })
    }
  }
  const dataCenter = (dc: number): void => {
    const prefix = dataCenters === 1 ? '' : `dc${dc}-`
    const own = slice(tors, dc, dataCenters)
    const top = plan.kind === 'leaf-spine' ? spinesOver(own) : coresOver(own)
    if (dataCenters === 1) return
    const routers = add('wan', prefix, plan.wanRouters)
    join(top, routers)
    wan.push(routers)

    function spinesOver(leaves: readonly number[]): readonly number[] {
      const spines = add('spine', prefix, plan.spines)
      join(leaves, spines)
      return spines
    }
    function coresOver(leaves: readonly number[]): readonly number[] {
      const cores = add('core', prefix, plan.cores)
      for (let group = 0; group < plan.groups; group++) {
        const middle = add('aggregation', `${prefix}g${group}-`, plan.aggregations)
        join(slice(leaves, group, plan.groups), middle)
        join(middle, cores)
      }
      return cores
    }
  }
  for (let dc = 0; dc < dataCenters; dc++) dataCenter(dc)
  for (const [dc, routers] of wan.entries()) {
    for (const others of wan.slice(dc + 1)) {
      for (const [index, router] of routers.entries()) {
        links.push({ ends: [router, others[index] ?? router], ...plan.wan })
      }
    }
  }
  return { devices, links }
}

/** A device and a link as a scenario lists them. */
export interface ListedDevice {
  readonly name: string
  readonly role: SwitchRole
  readonly profile?: string | undefined
}
export interface ListedLink {
  readonly between: readonly [string, string]
  readonly latencyUs?: number | undefined
  readonly gbps?: number | undefined
  readonly lossPercent?: number | undefined
}

/** Links between unknown devices are left out: a scenario that has one is refused. */
export function listedTopology(
  listed: readonly ListedDevice[],
  joined: readonly ListedLink[],
  kind: LinkKind,
): Topology {
  const tors = listed.filter(({ role }) => role === 'tor')
  const devices = [
    ...tors.map((device, rack) => ({ ...device, rack })),
    ...listed.filter(({ role }) => role !== 'tor').map((device) => ({ ...device, rack: -1 })),
  ]
  const indexes = new Map(devices.map(({ name }, index) => [name, index]))
  const links = joined.flatMap(({ between, latencyUs, gbps, lossPercent }): TopologyLink[] => {
    const [a, b] = between.map((name) => indexes.get(name))
    if (a === undefined || b === undefined) return []
    const latencyTicks = latencyUs ?? kind.latencyTicks
    const lossPpm = lossPercent === undefined ? kind.lossPpm : ppmOf(lossPercent)
    return [{ ends: [a, b], latencyTicks, lossPpm, mbps: mbpsOf(gbps) ?? kind.mbps }]
  })
  return { devices, links }
}

/** The data centre of each device: what is joined without a link between two WAN routers. */
export function dataCentersOf({ devices, links }: Topology): readonly number[] {
  const near: number[][] = devices.map(() => [])
  for (const {
    ends: [a, b],
  } of links) {
    if (devices[a]?.role === 'wan' && devices[b]?.role === 'wan') continue
    near[a]?.push(b)
    near[b]?.push(a)
  }
  const found: (number | undefined)[] = devices.map(() => undefined)
  let count = 0
  for (const [first] of devices.entries()) {
    if (found[first] !== undefined) continue
    found[first] = count
    const queue = [first]
    for (let at = 0; at < queue.length; at++) {
      for (const next of near[queue[at] ?? first] ?? []) {
        if (found[next] !== undefined) continue
        found[next] = count
        queue.push(next)
      }
    }
    count++
  }
  return found.map((each) => each ?? 0)
}

/** `a--b`, as failures and reports name a link. */
export function linkName({ devices }: Topology, { ends: [a, b] }: TopologyLink): string {
  return `${devices[a]?.name}--${devices[b]?.name}`
}
