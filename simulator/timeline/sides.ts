/**
 * Where a fabric comes apart when some racks are cut off from the others.
 *
 * @module
 */
import type { Topology } from '../fabric-topology.ts'

/**
 * Links between the two sides. A switch is on the side of the racks that are nearest
 * to it: the spines of a data centre go with it when all of its racks are cut off,
 * and stay with the others when only some are.
 */
export function linksBetween(topology: Topology, racks: readonly number[]): readonly number[] {
  const away = new Set(racks)
  const toAway = distances(topology, (rack) => away.has(rack))
  const toOthers = distances(topology, (rack) => rack !== -1 && !away.has(rack))
  const isAway = topology.devices.map((_, index) => (toAway[index] ?? 0) < (toOthers[index] ?? 0))
  return topology.links.flatMap(({ ends: [a, b] }, link) => (isAway[a] === isAway[b] ? [] : [link]))
}

/** Links to go to the nearest rack of some, by device. */
function distances(
  { devices, links }: Topology,
  isOne: (rack: number) => boolean,
): readonly number[] {
  const neighbors: number[][] = devices.map(() => [])
  for (const { ends } of links) {
    const [a, b] = ends
    neighbors[a]?.push(b)
    neighbors[b]?.push(a)
  }
  const far = devices.length + 1
  const found = devices.map(({ rack }) => (isOne(rack) ? 0 : far))
  const queue = found.flatMap((distance, index) => (distance === 0 ? [index] : []))
  for (let at = 0; at < queue.length; at++) {
    const here = queue[at] ?? 0
    for (const next of neighbors[here] ?? []) {
      if (found[next] !== far) continue
      found[next] = (found[here] ?? 0) + 1
      queue.push(next)
    }
  }
  return found
}

/** Racks whose own switch is down, or has no living neighbour. */
export function racksAlone(
  { devices, links }: Topology,
  state: { readonly links: readonly boolean[]; readonly devices: readonly boolean[] },
): readonly number[] {
  const joined = new Set<number>()
  const linked = new Set<number>()
  for (const [index, { ends }] of links.entries()) {
    const [a, b] = ends
    for (const end of ends) linked.add(end)
    if (!state.links[index] || !state.devices[a] || !state.devices[b]) continue
    joined.add(a).add(b)
  }
  return devices.flatMap(({ rack }, index) => {
    if (rack === -1) return []
    const isAlone = state.devices[index] === false || (linked.has(index) && !joined.has(index))
    return isAlone ? [rack] : []
  })
}

/** Parts of the fabric that are joined, by device; -1 for a device that is down. */
export function islands(
  { devices, links }: Topology,
  state: { readonly links: readonly boolean[]; readonly devices: readonly boolean[] },
): readonly number[] {
  const neighbors: number[][] = devices.map(() => [])
  for (const [index, { ends }] of links.entries()) {
    const [a, b] = ends
    if (!state.links[index] || !state.devices[a] || !state.devices[b]) continue
    neighbors[a]?.push(b)
    neighbors[b]?.push(a)
  }
  const island = devices.map(() => -1)
  for (const [start, isUp] of state.devices.entries()) {
    if (!isUp || island[start] !== -1) continue
    const queue = [start]
    island[start] = start
    for (let at = 0; at < queue.length; at++) {
      for (const next of neighbors[queue[at] ?? start] ?? []) {
        if (island[next] !== -1) continue
        island[next] = start
        queue.push(next)
      }
    }
  }
  return island
}
