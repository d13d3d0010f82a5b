/**
 * The networks of a run, as an administrator would have created them.
 *
 * @module
 */
import type { NetworkSpec } from '../ipam/networks.ts'
import type { Scenario, ScenarioMode } from './scenario.ts'
import { carved } from './shares.ts'

/** Network of pools that name none. */
const DEFAULT_NETWORK = 'pods'
/** 802.1Q id of the first network's VLAN. */
const VLAN_ID = 100

/** Names of the networks, in the order of their first pools. */
export function networksOf({ pools }: Pick<Scenario, 'pools'>): readonly string[] {
  return [...new Set(pools.map(networkOf))]
}

export const networkOf = ({ network }: Scenario['pools'][number]): string =>
  network ?? DEFAULT_NETWORK

/** Pods go round the networks, by their number. */
export function networkOfPod(networks: readonly string[], pod: number): string {
  return networks[pod % networks.length] ?? DEFAULT_NETWORK
}

export function networkSpecs(
  scenario: Pick<Scenario, 'pools'> & Partial<Pick<Scenario, 'racks'>>,
  mode: ScenarioMode,
): readonly NetworkSpec[] {
  return networksOf(scenario).map((name, index) => ({
    name,
    mode: mode.mode,
    pools: scenario.pools
      .filter((pool) => networkOf(pool) === name)
      .flatMap(({ cidr, blockLength }) => {
        const pool = blockLength === undefined ? { cidr } : { cidr, blockLength }
        return mode.announce === 'static' ? carved(pool, scenario.racks ?? 1) : [pool]
      }),
    options: {
      ...(mode.mode === 'vlan' ? { vlanId: VLAN_ID + index } : {}),
      ...(mode.flavour === 'classic' ? {} : { flavour: mode.flavour }),
      ...(mode.crossSubnet ? { crossSubnet: true } : {}),
      ...(mode.masquerade ? {} : { masquerade: false }),
    },
  }))
}

/** What a mode is called in reports, e.g. `vxlan lightweight`. */
export function labelOf({
  mode,
  announce,
  placement = 'lowest',
  flavour,
  crossSubnet,
  masquerade,
}: ScenarioMode): string {
  const kind = { host: '/32', block: 'blocks', rack: 'racks', static: 'static' }[announce]
  const words = [
    mode,
    ...(mode === 'route' ? [kind] : []),
    ...(placement === 'rack' ? ['contiguous'] : []),
    ...(flavour === 'classic' ? [] : [flavour]),
    ...(crossSubnet ? ['direct'] : []),
    ...(masquerade ? [] : ['unmasked']),
  ]
  return words.join(' ')
}
