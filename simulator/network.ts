/**
 * The networks of a run, as an administrator would have created them.
 *
 * @module
 */
import type { NetworkSpec } from '../ipam/networks.ts'
import { invariant } from '../src/errors.ts'
import type { RunMode, Scenario, ScenarioMode } from './scenario.ts'
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
  mode: RunMode,
): readonly NetworkSpec[] {
  return networksOf(scenario).map((name, index) =>
    networkSpec(scenario, roadOf(mode, name), name, index),
  )
}

function networkSpec(
  scenario: Parameters<typeof networkSpecs>[0],
  mode: ScenarioMode,
  name: string,
  index: number,
): NetworkSpec {
  return {
    name,
    mode: mode.mode,
    pools: scenario.pools
      .filter((pool) => networkOf(pool) === name)
      .flatMap(({ cidr, blockLength }) => {
        const pool = blockLength === undefined ? { cidr } : { cidr, blockLength }
        return mode.announce === 'static' ? carved(pool, scenario.racks ?? 1) : [pool]
      }),
    options: {
      ...(mode.mode === 'vlan' ? { vlanId: (mode.vlanId ?? VLAN_ID) + index } : {}),
      ...(mode.attachment === undefined ? {} : { attachment: mode.attachment }),
      ...(mode.flavour === 'classic' ? {} : { flavour: mode.flavour }),
      ...(mode.crossSubnet ? { crossSubnet: true } : {}),
      ...(mode.masquerade ? {} : { masquerade: false }),
    },
  }
}

/** A network's road in a mode. The scenario's rules see to it that each has one. */
export function roadOf(mode: RunMode, network: string): ScenarioMode {
  if (mode.mode !== 'mixed') return mode
  const road = mode.networks[network]
  invariant(road !== undefined, `network ${network} has a road`)
  return road
}

/** Roads of a mode, each as often as it is named. */
export const roadsOf = (mode: RunMode): readonly ScenarioMode[] =>
  mode.mode === 'mixed' ? Object.values(mode.networks) : [mode]

/** What a mode is called in reports, e.g. `vxlan lightweight`, `mixed (red vxlan, blue route blocks)`. */
export function labelOf(mode: RunMode): string {
  if (mode.mode !== 'mixed') return roadLabel(mode)
  const roads = Object.entries(mode.networks).map(([name, road]) => `${name} ${roadLabel(road)}`)
  return `mixed (${roads.join(', ')})`
}

function roadLabel({
  mode,
  announce,
  placement = 'lowest',
  flavour,
  crossSubnet,
  masquerade,
  attachment = 'bridge',
  vlanId,
}: ScenarioMode): string {
  const kind = { host: '/32', block: 'blocks', rack: 'racks', static: 'static' }[announce]
  const words = [
    mode,
    ...(mode === 'route' ? [kind] : []),
    ...(placement === 'rack' ? ['contiguous'] : []),
    ...(flavour === 'classic' ? [] : [flavour]),
    ...(crossSubnet ? ['direct'] : []),
    ...(masquerade ? [] : ['unmasked']),
    ...(attachment === 'bridge' ? [] : [attachment]),
    ...(vlanId === 0 ? ['untagged'] : []),
  ]
  return words.join(' ')
}
