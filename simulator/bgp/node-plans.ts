/**
 * What the product tells each node's speaker to be, from settings as an administrator
 * would make them for the scenario: whom a node speaks to, what it says and what it takes.
 *
 * Switches are not the product's, so a node that reflects is told of them elsewhere.
 *
 * @module
 */
import { type SpeakerPlan, speakerPlan } from '../../src/backend/bgp/speaker-plan.ts'
import type {
  BgpPeer,
  BgpRack,
  BgpSettings,
  BgpView,
  ClusterView,
  NetworkRecord,
} from '../../src/cluster/view.ts'
import type { Ip } from '../../src/net/mod.ts'
import type { RoutingWords } from '../scenario-routing.ts'
import { type NodePlace, nodeRecord, rackLabel } from '../underlay.ts'

export interface NodePlanInputs {
  readonly words: RoutingWords
  readonly nodes: readonly NodePlace[]
  /** Routed ones. */
  readonly networks: readonly NetworkRecord[]
  readonly asn: number
  /** By rack: AS of its nodes, and its switch; none inside one AS. */
  readonly racks: readonly RackSide[]
  readonly reflectors: readonly number[]
}

export interface RackSide {
  readonly asn: number
  readonly switchAddress: Ip
  readonly switchAsn: number
}

/** By node. */
export function nodePlans(inputs: NodePlanInputs): readonly (SpeakerPlan | undefined)[] {
  const { nodes, networks } = inputs
  const records = nodes.map((place) => nodeRecord(place, 'underlay', true))
  const shared: Omit<ClusterView, 'self'> = {
    nodes: new Map(records.map((record) => [record.name, record])),
    networks: networks.map((network) => ({ network, claims: [], attachments: [] })),
    allows: [],
    bgp: settingsOf(inputs),
  }
  return records.map((self) => speakerPlan({ ...shared, self }))
}

function settingsOf({ words, nodes, asn, racks, reflectors }: NodePlanInputs): BgpView {
  const { sessions, multipath } = words
  const settings: BgpSettings = {
    kind: 'settings',
    asn,
    sessions: sessions === 'fabric' ? 'none' : sessions,
    multipath,
    createdMs: 0,
  }
  const families = nodes.some(({ ips }) => ips.length > 1)
    ? (['ipv4', 'ipv6'] as const)
    : (['ipv4'] as const)
  return {
    settings,
    racks: new Map(
      racks.map((side, index): [string, BgpRack] => {
        const rack = rackLabel(index)
        return [rack, { kind: 'rack', rack, asn: side.asn }]
      }),
    ),
    nodes: new Map(
      reflectors.flatMap((index) => {
        const node = nodes[index]?.name ?? ''
        return [[node, { kind: 'node', node, reflector: true }] as const]
      }),
    ),
    peers: racks.map(
      ({ switchAddress, switchAsn }, index): BgpPeer => ({
        kind: 'peer',
        scope: { kind: 'rack', name: rackLabel(index) },
        address: switchAddress,
        asn: switchAsn,
        families,
      }),
    ),
  }
}
