/**
 * The one network of a run, as an administrator would have created it.
 *
 * @module
 */
import type { NetworkSpec } from '../ipam/networks.ts'
import type { Mode } from '../ipam/records.ts'
import { NETWORK } from './node.ts'
import type { Scenario } from './scenario.ts'

/** 802.1Q id of the run's VLAN. */
const VLAN_ID = 100

export function networkSpec({ pools }: Scenario, mode: Mode): NetworkSpec {
  return {
    name: NETWORK,
    mode,
    pools: pools.map(({ cidr, blockLength }) =>
      blockLength === undefined ? { cidr } : { cidr, blockLength },
    ),
    options: mode === 'vlan' ? { vlanId: VLAN_ID } : {},
  }
}
