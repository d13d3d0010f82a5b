/**
 * A simulated kernel's tables as rows, in the words of iproute2 and nft, and
 * the comparison with the rows of a real one. A row says all that is compared.
 *
 * @module
 */
import { assertNever } from '../src/errors.ts'
import {
  isNft,
  type KernelObject,
  type KernelState,
  type Link,
  type LinkKind,
  NFT_TABLE,
  nftPlace,
  type Route,
} from '../src/kernel/mod.ts'
import { ipFamily } from '../src/net/mod.ts'

export const VALIDATE_TABLES = [
  'links',
  'addresses',
  'routes',
  'rules',
  'neighbours',
  'fdb',
  'vnis',
  'offloads',
  'nft rules',
  'nft elements',
  'sysctls',
] as const
export type ValidateTable = (typeof VALIDATE_TABLES)[number]

export interface ValidateRow {
  readonly table: string
  readonly text: string
}

/** Routing rules of every namespace: the kernel's own, and no planner adds to them. */
export const DEFAULT_RULES: readonly ValidateRow[] = [
  'inet 0 from all lookup local',
  'inet 32766 from all lookup main',
  'inet 32767 from all lookup default',
  'inet6 0 from all lookup local',
  'inet6 32766 from all lookup main',
].map((text) => ({ table: 'rules', text }))

/** What the two sides hold, and where they differ. */
export interface Compared {
  /** Rows of either side, those on both counted once. */
  readonly rows: number
  /** Only the real kernel has these. */
  readonly surplus: readonly ValidateRow[]
  /** Only the simulated kernel has these. */
  readonly missing: readonly ValidateRow[]
}

/** What is left out, on either side, and why. */
export const VALIDATE_EXCLUDED: readonly string[] = [
  'the nftables table of bridge ports (its rules are not read back here; a test injects frames)',
  'link-local addresses that the kernel chooses, and fe80::/64 on each link (not fe80::1 of ours)',
  'multicast: routes, groups and their forwarding entries (no planner asks for any)',
  'the local routing table and the loopback link (the kernel echoes its addresses)',
  'the MAC of a bridge (it follows its ports; the contract suite compares it)',
  'neighbours that are not permanent, forwarding entries without destination (learned or its own)',
]

/** Cost: linear in the state. */
export function rowsOfState(state: KernelState): readonly ValidateRow[] {
  return [...state.values()].flatMap(rowsOf)
}

/** Multisets: a row that one side has twice and the other once is a difference. */
export function compareRows(
  real: readonly ValidateRow[],
  simulated: readonly ValidateRow[],
): Compared {
  const surplus = without(real, simulated)
  const missing = without(simulated, real)
  return { rows: real.length + missing.length, surplus, missing }
}

function without(
  rows: readonly ValidateRow[],
  others: readonly ValidateRow[],
): readonly ValidateRow[] {
  const counts = new Map<string, number>()
  for (const row of others) counts.set(keyOf(row), (counts.get(keyOf(row)) ?? 0) + 1)
  return rows.filter((row) => {
    const left = counts.get(keyOf(row)) ?? 0
    counts.set(keyOf(row), left - 1)
    return left <= 0
  })
}

const keyOf = ({ table, text }: ValidateRow): string => `${table} ${text}`

function rowsOf(object: KernelObject): readonly ValidateRow[] {
  // Read back here is the table of family inet alone.
  if (isNft(object) && nftPlace(object).family !== 'inet') return []
  const row = (table: ValidateTable, text: string): readonly ValidateRow[] => [{ table, text }]
  switch (object.kind) {
    case 'link':
      return row('links', linkText(object))
    case 'addr':
      return row('addresses', `${object.ip}/${object.prefixLength} dev ${object.link}`)
    case 'route':
      return row('routes', routeText(object))
    case 'neigh':
      return row('neighbours', `${object.ip} lladdr ${object.mac} dev ${object.link}`)
    case 'fdb':
      return row('fdb', `${object.mac} dev ${object.link} dst ${object.dst}`)
    case 'vni':
      return row('vnis', `${object.vni} dev ${object.link}`)
    case 'offload-off':
      return row('offloads', `${object.link} ${object.feature} off`)
    case 'nft-table':
      return row('nft rules', `table inet ${NFT_TABLE}`)
    case 'nft-set': {
      const flags = object.interval ? ' flags interval' : ''
      return row('nft rules', `set ${object.name} type ${object.key}${flags}`)
    }
    case 'nft-chain': {
      const { name, type, hook, priority } = object
      const rules = object.rules.split('\n').map((rule, place) => `rule ${name} ${place} ${rule}`)
      return [`chain ${name} type ${type} hook ${hook} priority ${priority}`, ...rules].flatMap(
        (text) => row('nft rules', text),
      )
    }
    case 'nft-element':
      return row('nft elements', `${object.set} ${object.key}`)
    case 'sysctl':
      return row('sysctls', `${object.name} = ${object.value}`)
    default:
      return assertNever(object)
  }
}

function linkText({ name, link, up, mac, mtuBytes, master, alias = '' }: Link): string {
  // A bridge's follows its ports; see VALIDATE_EXCLUDED.
  const address = mac === undefined || link.type === 'bridge' ? '' : ` address ${mac}`
  const port = master === undefined ? '' : ` master ${master}`
  const words = `${name} ${kindText(link)} ${up ? 'up' : 'down'} mtu ${mtuBytes}${address}${port}`
  return alias === '' ? words : `${words} alias ${alias}`
}

function kindText(kind: LinkKind): string {
  switch (kind.type) {
    case 'vxlan': {
      const { vni, local, underlay, port } = kind
      return `vxlan id ${vni} local ${local} dev ${underlay} dstport ${port} nolearning`
    }
    case 'vxlan-gpe':
      return `vxlan external gpe vnifilter dstport ${kind.port} nolearning`
    case 'vlan':
      return `vlan id ${kind.id} dev ${kind.parent}`
    case 'other':
      return kind.name
    default:
      return kind.type
  }
}

function routeText(route: Route): string {
  const { dst, type, link, via, onlink, metric, protocol, encapVni, encapDst } = route
  return [
    `${type} ${dst}`,
    ...(encapVni === undefined || encapDst === undefined
      ? []
      : [`encap ${ipFamily(encapDst) === 4 ? 'ip' : 'ip6'} id ${encapVni} dst ${encapDst}`]),
    ...(via === undefined ? [] : [`via ${via}`]),
    ...(link === undefined ? [] : [`dev ${link}`]),
    ...(onlink === true ? ['onlink'] : []),
    `metric ${metric} proto ${protocol}`,
  ].join(' ')
}
