/**
 * How far each node is from the store, and what the way is like: a latency that the
 * scenario gives, and the fabric's way from the node's rack to the store's.
 *
 * @module
 */
import { TICKS_PER_MS } from './clock.ts'
import type { Fabric } from './fabric.ts'
import type { FabricPaths } from './fabric-paths.ts'
import type { Routing } from './fabric-routing.ts'
import { type LinkQuality, lossTogether, narrower, ppmOf } from './link-quality.ts'
import type { Scenario } from './scenario.ts'

/** A way from a node to the store, or back. */
export interface StorePath extends LinkQuality {
  readonly latencyTicks: number
}

/** As the time to live of a packet. */
const HOPS_MAX = 64

/** Ways by rack; they follow the fabric's paths, and stay what they were when there is none. */
export function storePaths(
  { store }: Pick<Scenario, 'store'>,
  fabric: Fabric,
): (rack: number) => StorePath {
  const own: StorePath = {
    latencyTicks: Math.round(store.latencyMs * TICKS_PER_MS),
    lossPpm: ppmOf(store.lossPercent),
    mbps: undefined,
  }
  const home = rackOf(store, fabric)
  if (home === undefined) return () => own
  const known = new Map<number, { readonly routing: Routing; readonly path: StorePath }>()
  return (rack) => {
    const { routing } = fabric.paths
    const found = known.get(rack)
    if (found?.routing === routing) return found.path
    const path = wayTo(fabric.paths, rack, home, own) ?? found?.path ?? own
    known.set(rack, { routing, path })
    return path
  }
}

/** The rack that the store is in: the first of its data centre. */
function rackOf({ rack, dataCenter }: Scenario['store'], fabric: Fabric): number | undefined {
  if (rack !== undefined || dataCenter === undefined) return rack
  const racks = fabric.devices.filter((device) => device.rack !== -1)
  return racks.find((device) => fabric.dataCenterOf(device.rack) === dataCenter)?.rack
}

/** Along the first of equal paths; undefined where there is none. */
function wayTo(
  { routing, topology }: FabricPaths,
  rack: number,
  home: number,
  from: StorePath,
): StorePath | undefined {
  let { latencyTicks, lossPpm, mbps } = from
  let device = rack
  for (let hop = 0; hop < HOPS_MAX; hop++) {
    if (device === home) return { latencyTicks, lossPpm, mbps }
    const [next] = routing.nextHops(device, home)
    const link = next === undefined ? undefined : topology.links[next.link]
    if (next === undefined || link === undefined) return undefined
    latencyTicks += link.latencyTicks
    lossPpm = lossTogether(lossPpm, link.lossPpm)
    mbps = narrower(mbps, link.mbps)
    device = next.device
  }
  return undefined
}
