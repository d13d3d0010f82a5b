/**
 * What a cluster's control plane says to itself: commits and notes of the store,
 * announcements to switches.
 *
 * @module
 */
import type { AnnounceTraffic } from './announce-traffic.ts'
import type { StoreTraffic } from './store-links.ts'
import type { Cluster } from './world.ts'

/** From the start until now. */
export interface TrafficFigure {
  readonly store: StoreTraffic
  readonly fabric: AnnounceTraffic
}

export function trafficFigure({ storeLinks, fabric }: Cluster): TrafficFigure {
  return { store: storeLinks.traffic, fabric: (fabric.bgp?.counter ?? fabric.announced).traffic }
}
