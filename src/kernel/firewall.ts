/**
 * Our nftables table: sets, and the rules that look them up. Rules never
 * change with the cluster; only elements do, so a pod or a peer costs one
 * element and no rule.
 *
 * What it does: pods send from their own addresses only, tunnels take packets
 * from known nodes and of their own network only, networks are closed to each
 * other unless opened, and pods leave under their node's address.
 *
 * Rules are text in nft's words; `kernel/netlink.ts` has the expressions of
 * each. They do not use reverse-path filters: a strict one drops what comes
 * back by another road.
 *
 * @module
 */
import { NFT_TABLE } from './ownership.ts'
import { type NftChain, type NftKeyType, type NftObject, type NftSet, shared } from './state.ts'

const FAMILIES = [
  { digit: 4, addr: 'ipv4_addr' },
  { digit: 6, addr: 'ipv6_addr' },
] as const

function set(name: string, key: readonly NftKeyType[], interval = false): NftSet {
  return shared({ kind: 'nft-set', name, key: key.join(' . '), interval })
}

/** Sets by what they hold; those of addresses come once a family, with 4 or 6 at the end. */
export const NFT_SETS: readonly NftSet[] = [
  // UDP ports and VNIs of this node's tunnels.
  set('tunnels', ['inet_service', 'vni']),
  ...FAMILIES.flatMap(({ digit, addr }) => [
    // A pod's link and its addresses.
    set(`pods${digit}`, ['ifname', addr]),
    // Underlay addresses of the other nodes.
    set(`nodes${digit}`, [addr]),
    // Pools whose pods a tunnel carries: of its network, and of those open to it or from it.
    set(`tunnelled${digit}`, ['ifname', addr], true),
    // Pools of all networks.
    set(`pools${digit}`, [addr], true),
    // Pools that the nodes route: where addresses are not translated.
    set(`inside${digit}`, [addr], true),
    // Pools whose pods leave under their node's address.
    set(`masquerade${digit}`, [addr], true),
    // From pool, to pool: may meet.
    set(`reach${digit}`, [addr, addr], true),
    // The same, to one port.
    set(`reach_port${digit}`, [addr, addr, 'inet_proto', 'inet_service'], true),
  ]),
]

const POD = 'iifname "trv*"'

/** Behind connection tracking: what is under way goes on when an opening is taken back. */
const spoofRules: readonly string[] = [
  'iifname "trvx.*" ct state established,related accept',
  'iifname "trvx.*" ip saddr @inside4 iifname . ip saddr != @tunnelled4 drop',
  'iifname "trvx.*" ip6 saddr @inside6 iifname . ip6 saddr != @tunnelled6 drop',
  'iifname "trvx.*" accept',
  'iifname "trvb.*" accept',
  'iifname "trvl.*" accept',
  // A router of the segment is none of the node's.
  'iifname "trvm.*" icmpv6 type nd-router-advert drop',
  `${POD} iifname . ip saddr != @pods4 drop`,
  // Link-local addresses ask for neighbours and are never forwarded; so is the unspecified one.
  `${POD} ip6 saddr != fe80::/10 ip6 saddr != :: iifname . ip6 saddr != @pods6 drop`,
]

/** `vni` is nft's `@th,96,32 & 0xffffff00`: the VXLAN header's third and fourth half-words. */
const tunnelRules: readonly string[] = [
  'udp dport . vni @tunnels ip saddr != @nodes4 drop',
  'udp dport . vni @tunnels ip6 saddr != @nodes6 drop',
]

const forwardRules: readonly string[] = [
  // Nodes do not forward each other's tunnels. A pod that leaves under its node's
  // address could put packets into any of them.
  'udp dport . vni @tunnels ip daddr @nodes4 drop',
  'udp dport . vni @tunnels ip6 daddr @nodes6 drop',
  'ct state established,related accept',
  // The node's own macvlan is for the node: VLANs do not meet there.
  'iifname "trvm.*" drop',
  ...FAMILIES.flatMap(({ digit }) => {
    const ip = digit === 4 ? 'ip' : 'ip6'
    return [
      `${ip} saddr . ${ip} daddr @reach${digit} accept`,
      `${ip} saddr . ${ip} daddr . meta l4proto . th dport @reach_port${digit} accept`,
      `${ip} saddr @pools${digit} ${ip} daddr @pools${digit} drop`,
    ]
  }),
]

const natRules: readonly string[] = [
  // Hairpin: a pod that meets itself through a translated address.
  'oifname . ip saddr @pods4 masquerade',
  'oifname . ip6 saddr @pods6 masquerade',
  'ip saddr @masquerade4 ip daddr != @inside4 ip daddr != 224.0.0.0/4 masquerade fully-random',
  'ip6 saddr @masquerade6 ip6 daddr != @inside6 ip6 daddr != ff00::/8 masquerade fully-random',
]

/** Priorities. Source: include/uapi/linux/netfilter_ipv4.h, enum nf_ip_hook_priorities. */
const PRIORITY = { mangle: -150, filter: 0, srcnat: 100 } as const

export const NFT_CHAINS: readonly NftChain[] = [
  chain('spoof', 'filter', 'prerouting', PRIORITY.mangle, spoofRules),
  chain('tunnel', 'filter', 'input', PRIORITY.filter, tunnelRules),
  chain('isolate', 'filter', 'forward', PRIORITY.filter, forwardRules),
  chain('translate', 'nat', 'postrouting', PRIORITY.srcnat, natRules),
]

function chain(
  name: string,
  type: NftChain['type'],
  hook: NftChain['hook'],
  priority: number,
  rules: readonly string[],
): NftChain {
  return shared({ kind: 'nft-chain', name, type, hook, priority, rules: rules.join('\n') })
}

/** Everything but the elements. */
export const FIREWALL: readonly NftObject[] = [
  shared({ kind: 'nft-table', name: NFT_TABLE }),
  ...NFT_SETS,
  ...NFT_CHAINS,
]

/** Every rule we write. */
export const NFT_RULES: readonly string[] = NFT_CHAINS.flatMap(({ rules }) => rules.split('\n'))
