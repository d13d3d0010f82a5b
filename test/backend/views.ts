/**
 * Small clusters to plan from. Node n<i> has 192.0.2.<i> and 2001:db8::<i> on
 * eth0, and the <i>-th block of every pool, counted from 0.
 */
import type {
  AttachmentRecord,
  BlockClaim,
  ClusterView,
  Mode,
  NetworkRecord,
  NetworkView,
  NodeRecord,
  Pool,
} from '../../src/cluster/view.ts'
import { podLinkName } from '../../src/kernel/mod.ts'
import {
  hostPrefix,
  type Ip,
  ipFamily,
  macFromName,
  parseIp,
  parsePrefix,
  subPrefixAt,
} from '../../src/net/mod.ts'

export const POOL_4: Pool = { cidr: parsePrefix('10.42.0.0/16'), blockLength: 26 }
export const POOL_6: Pool = { cidr: parsePrefix('fd42::/48'), blockLength: 122 }

export function node(index: number, change: Partial<NodeRecord> = {}): NodeRecord {
  const name = `n${index}`
  return {
    name,
    underlayLink: 'eth0',
    underlayIps: [parseIp(`192.0.2.${index}`), parseIp(`2001:db8::${index.toString(16)}`)],
    underlayMtuBytes: 1500,
    vtepMac: macFromName(name),
    registeredMs: 0,
    ...change,
  }
}

export function network(mode: Mode, change: Partial<NetworkRecord> = {}): NetworkRecord {
  return {
    name: 'pods',
    mode,
    pools: [POOL_4],
    options: { vni: 1, vxlanPort: 8472, vlanId: 100 },
    createdMs: 0,
    ...change,
  }
}

/** Blocks `indexes` of every pool, for one node. */
export function claims(
  { name, pools }: NetworkRecord,
  owner: string,
  indexes: readonly number[],
): readonly BlockClaim[] {
  return pools.flatMap(({ cidr, blockLength }) =>
    indexes.map((index, position) => ({
      network: name,
      cidr: subPrefixAt(cidr, blockLength, BigInt(index)),
      pool: cidr,
      node: owner,
      first: position === 0,
      claimedMs: 0,
    })),
  )
}

export function attachment(
  containerId: string,
  ips: readonly string[],
  change: Partial<AttachmentRecord> = {},
): AttachmentRecord {
  const [name, ifname] = ['pods', 'eth0']
  return {
    network: name,
    containerId,
    ifname,
    node: 'n0',
    ips: ips.map((ip): Ip => parseIp(ip)),
    hostLink: podLinkName(name, containerId, ifname),
    netns: `/run/netns/${containerId}`,
    sequence: 1,
    bootId: 'boot',
    addedMs: 0,
    ...change,
  }
}

/** A network in which each of `nodes` has its own block, as n0 sees it. */
export function networkView(
  record: NetworkRecord,
  nodes: number,
  attachments: readonly AttachmentRecord[] = [],
): NetworkView {
  const all = Array.from({ length: nodes }, (_, index) => claims(record, `n${index}`, [index]))
  return { network: record, claims: all.flat(), attachments }
}

/** The view of n0. `nodes` replaces some of the records. */
export function viewOf(
  networks: readonly NetworkView[],
  count: number,
  nodes: readonly NodeRecord[] = [],
): ClusterView {
  const records = Array.from({ length: count }, (_, index) => node(index))
  const byName = new Map([...records, ...nodes].map((each) => [each.name, each]))
  return { self: byName.get('n0') ?? node(0), nodes: byName, networks, allows: [] }
}

const FLOATING_4: Pool = { cidr: parsePrefix('10.43.0.0/24'), blockLength: 32, floating: true }
const FLOATING_6: Pool = { cidr: parsePrefix('fd43::/120'), blockLength: 128, floating: true }
const FLOATING_POOLS = [POOL_4, FLOATING_4, POOL_6, FLOATING_6]
const ORDINARY_POOLS = [POOL_4, POOL_6]

/** Who has which floating address. */
type Places = Readonly<Record<string, string>>

/** Three nodes, two families, and some floating addresses, as n0 sees them. */
export function floatingView(record: NetworkRecord, places: Places): ClusterView {
  const view = networkView({ ...record, pools: ORDINARY_POOLS }, 3)
  const singles = Object.entries(places).map(([text, node]): BlockClaim => {
    const ip = parseIp(text)
    const pool = ipFamily(ip) === 4 ? FLOATING_4.cidr : FLOATING_6.cidr
    return { network: 'pods', cidr: hostPrefix(ip), pool, node, first: false, claimedMs: 0 }
  })
  const mine = Object.entries(places).flatMap(([ip, node]) =>
    node === 'n0' ? [attachment(`c${ip}`, [ip])] : [],
  )
  const claims = [...view.claims, ...singles].sort((a, b) => (a.cidr < b.cidr ? -1 : 1))
  return viewOf([{ network: { ...record, pools: FLOATING_POOLS }, claims, attachments: mine }], 3)
}
