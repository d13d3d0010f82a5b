/**
 * MTU of a network's links on one node, by what carries its packets there.
 *
 * @module
 */
import type { NetworkView, NodeRecord } from '../cluster/view.ts'
import { type Ip, ipFamily } from '../net/mod.ts'
import { carriageOf, networkMtu } from './mtu.ts'
import { outerIp, widestFamily } from './peers.ts'

/** @throws {TriviumError} BAD_CONFIG when the underlay is too small. */
export function mtuOf(network: NetworkView, self: NodeRecord): number {
  const outer = ipFamily(outerIp(self) ?? ANY_IPV4)
  const { options } = network.network
  const carriage = carriageOf(network.network)
  return networkMtu(carriage, self.underlayMtuBytes, outer, widestFamily(network), options.mtuBytes)
}

/** Stands in until the node has an underlay address; the plan is empty then. */
const ANY_IPV4 = '0.0.0.0' as Ip
