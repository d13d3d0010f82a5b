/**
 * What a namespace holds, for comparison with a simulated kernel: read by
 * iproute2, nft and ethtool and put into the same words, a row an object.
 *
 * @module
 */
import { inNetns, run } from './exec.ts'
import { type Json, parseIpJson } from './json.ts'

export interface TableRow {
  readonly table: string
  readonly text: string
}

/** One namespace's program, so that a look costs one process of ours. */
const SCRIPT = `
say() { echo "== $1"; }
say ip
ip -j -d -batch - <<END
link show
addr show
neigh show nud permanent
END
say route4; ip -j -N -d -4 route show table all
say route6; ip -j -N -d -6 route show table all
say rule4; ip -j -4 rule show
say rule6; ip -j -6 rule show
say fdb; bridge -j fdb
say vni; vnis=$(bridge -j vni) && echo "$vnis" # half an answer where the kernel has no filters
say nft; nft -j list table inet trivium
say rules; nft list table inet trivium
say sysctl; sysctl -e net.ipv4.ip_forward net.ipv6.conf.all.forwarding
say ethtool
ip -o link show type vxlan | while IFS=': ' read -r _ name _; do
  ethtool -k "\${name%@*}" | sed -n "s/.*tx-checksum-ip-generic: off.*/\${name%@*}/p"
done
`

/** What a part is without the object it speaks of: programs that are missing say nothing. */
type Parts = Readonly<Record<string, string>>

/** Rows of every table. Unsorted. */
export async function readTables(netns: string): Promise<readonly TableRow[]> {
  const { stdout } = await run(inNetns(netns, ['sh', '-c', SCRIPT]))
  const parts = partsOf(stdout)
  // An answer a line.
  const [links = [], addresses = [], neighbours = []] = lines(parts, 'ip').map(parseIpJson)
  const rows = (table: string, texts: readonly string[]): readonly TableRow[] =>
    texts.map((text) => ({ table, text }))
  return [
    ...rows('links', links.flatMap(linkTexts)),
    ...rows('addresses', addresses.flatMap(addressTexts)),
    ...rows('routes', [
      ...parse(parts, 'route4').flatMap((route) => routeTexts(route, 4)),
      ...parse(parts, 'route6').flatMap((route) => routeTexts(route, 6)),
    ]),
    ...rows('rules', [
      ...parse(parts, 'rule4').map((rule) => ruleText(rule, 'inet')),
      ...parse(parts, 'rule6').map((rule) => ruleText(rule, 'inet6')),
    ]),
    ...rows('neighbours', neighbours.flatMap(neighbourTexts)),
    ...rows('fdb', parse(parts, 'fdb').flatMap(fdbTexts)),
    ...rows('vnis', parse(parts, 'vni').flatMap(vniTexts)),
    ...rows(
      'offloads',
      lines(parts, 'ethtool').map((name) => `${name} ${OFFLOAD} off`),
    ),
    ...rows('nft rules', [...nftTexts(parts), ...ruleTexts(parts)]),
    ...rows('nft elements', elementTexts(parts)),
    ...rows('sysctls', lines(parts, 'sysctl')),
  ]
}

const OFFLOAD = 'tx-checksum-ip-generic'

function partsOf(stdout: string): Parts {
  const parts: Record<string, string> = {}
  for (const part of stdout.split(/^== /m).slice(1)) {
    const end = part.indexOf('\n')
    parts[part.slice(0, end)] = part.slice(end + 1)
  }
  return parts
}

const parse = (parts: Parts, name: string): readonly Json[] => parseIpJson(parts[name] ?? '')

const lines = (parts: Parts, name: string): readonly string[] =>
  (parts[name] ?? '').split('\n').filter((line) => line !== '')

const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [])

function linkTexts(link: Json): readonly string[] {
  const { ifname, mtu, address, master, ifalias } = link
  const flags = list(link['flags'])
  if (flags.includes('LOOPBACK')) return []
  const kind = kindText(link)
  return [
    [
      `${ifname} ${kind} ${flags.includes('UP') ? 'up' : 'down'} mtu ${mtu}`,
      ...(address === undefined || kind === 'bridge' ? [] : [`address ${address}`]),
      ...(master === undefined ? [] : [`master ${master}`]),
      ...(ifalias === undefined ? [] : [`alias ${ifalias}`]),
    ].join(' '),
  ]
}

function kindText({ linkinfo, link, link_type: type }: Json): string {
  const { info_kind: kind, info_data: data } = (linkinfo ?? {}) as Json
  const info = (data ?? {}) as Json
  if (kind === 'vlan') return `vlan id ${info['id']} dev ${link}`
  if (kind !== 'vxlan') return String(kind ?? type)
  const learning = info['learning'] === false ? 'nolearning' : 'learning'
  const flags = ['external', 'gpe', 'vnifilter'].filter((flag) => info[flag] === true)
  const under = info['external'] === true ? [] : [`id ${info['id']}`, ...underlayWords(info)]
  return ['vxlan', ...flags, ...under, `dstport ${info['port']}`, learning].join(' ')
}

const underlayWords = (info: Json): readonly string[] => [
  `local ${info['local'] ?? info['local6']}`,
  `dev ${info['link']}`,
]

/** The gateway that pods' host ends carry; every other link-local address is the kernel's own. */
const POD_GATEWAY = 'fe80::1'

function addressTexts({ ifname, addr_info: addresses }: Json): readonly string[] {
  return (list(addresses) as readonly Json[]).flatMap(({ local, prefixlen, scope }) => {
    const isKernels = scope === 'host' || (scope === 'link' && local !== POD_GATEWAY)
    return isKernels ? [] : [`${local}/${prefixlen} dev ${ifname}`]
  })
}

/** Source: include/uapi/linux/rtnetlink.h: RTN_*, RT_TABLE_*, RTPROT_KERNEL. */
const TYPES: Readonly<Record<string, string>> = { 1: 'unicast', 6: 'blackhole' }
const TABLE = { main: '254', local: '255' } as const
const KERNEL = '2'

function routeTexts(route: Json, family: 4 | 6): readonly string[] {
  const { table, gateway, dev, protocol, metric = 0 } = route
  const type = TYPES[String(route['type'])] ?? `type ${route['type']}`
  const dst = prefixOf(String(route['dst']), family)
  const isOnEveryLink = dst === 'fe80::/64' && protocol === KERNEL
  if (table === TABLE.local || isOnEveryLink) return []
  const { encap, encapId, encapDst } = route
  return [
    [
      `${type} ${dst}`,
      ...(table === undefined || table === TABLE.main ? [] : [`table ${table}`]),
      ...(encap === undefined ? [] : [`encap ${encap} id ${encapId} dst ${encapDst}`]),
      ...(gateway === undefined ? [] : [`via ${gateway}`]),
      // IPv6 hangs blackholes on the loopback.
      ...(dev === undefined || type === 'blackhole' ? [] : [`dev ${dev}`]),
      ...list(route['flags']).map(String),
      ...(route['nexthops'] === undefined ? [] : [JSON.stringify(route['nexthops'])]),
      `metric ${metric} proto ${protocol}`,
    ].join(' '),
  ]
}

/** What a rule has beside priority, source and table is said as it is. */
function ruleText({ priority, src, table, ...rest }: Json, family: string): string {
  const more = Object.keys(rest).length === 0 ? '' : ` ${JSON.stringify(rest)}`
  return `${family} ${priority} from ${src} lookup ${table}${more}`
}

function prefixOf(dst: string, family: 4 | 6): string {
  if (dst === 'default') return family === 4 ? '0.0.0.0/0' : '::/0'
  return dst.includes('/') ? dst : `${dst}/${family === 4 ? 32 : 128}`
}

const neighbourTexts = ({ dst, lladdr, dev }: Json): readonly string[] => [
  `${dst} lladdr ${lladdr} dev ${dev}`,
]

const fdbTexts = ({ mac, ifname, dst }: Json): readonly string[] =>
  dst === undefined ? [] : [`${mac} dev ${ifname} dst ${dst}`]

/** Neighbouring ids are told as ranges. */
function vniTexts({ ifname, vnis }: Json): readonly string[] {
  return (list(vnis) as readonly Json[]).flatMap(({ vni, vniEnd = vni }) => {
    const length = Number(vniEnd) - Number(vni) + 1
    return Array.from({ length }, (_, offset) => `${Number(vni) + offset} dev ${ifname}`)
  })
}

/** The VNI set's type: nft knows no such type and calls it a mark. */
const VNI_SET = 'tunnels'

interface NftSet {
  readonly name: string
  readonly type: string | readonly string[]
  readonly flags?: readonly string[]
  readonly elem?: readonly unknown[]
}

function nftObjects(parts: Parts, kind: string): readonly Json[] {
  const text = parts['nft'] ?? ''
  if (text.trim() === '') return []
  const { nftables } = JSON.parse(text) as { readonly nftables: readonly Json[] }
  return nftables.flatMap((each) => (each[kind] === undefined ? [] : [each[kind] as Json]))
}

function nftTexts(parts: Parts): readonly string[] {
  const sets = nftObjects(parts, 'set') as readonly unknown[] as readonly NftSet[]
  return [
    ...nftObjects(parts, 'table').map(({ family, name }) => `table ${family} ${name}`),
    ...sets.map(({ name, type, flags = [] }) => {
      const types = [type].flat().join(' . ')
      const key = name === VNI_SET ? types.replace('mark', 'vni') : types
      return `set ${name} type ${key}${flags.length === 0 ? '' : ` flags ${flags.join(',')}`}`
    }),
    ...nftObjects(parts, 'chain').map(
      ({ name, type, hook, prio }) => `chain ${name} type ${type} hook ${hook} priority ${prio}`,
    ),
  ]
}

/** Rules in nft's words, which are those of the plan but for the VNI's field. */
function ruleTexts(parts: Parts): readonly string[] {
  let chain = ''
  let place = 0
  return (parts['rules'] ?? '').split('\n').flatMap((line) => {
    const [, opened] = /^\tchain (\S+) \{$/.exec(line) ?? []
    if (opened !== undefined) {
      chain = opened
      place = 0
      return []
    }
    if (line === '\t}') chain = ''
    if (chain === '' || !line.startsWith('\t\t') || line.startsWith('\t\ttype ')) return []
    const rule = line.trim().replace('@th,96,32 & 0xffffff00', 'vni')
    return [`rule ${chain} ${place++} ${rule}`]
  })
}

function elementTexts(parts: Parts): readonly string[] {
  const sets = nftObjects(parts, 'set') as readonly unknown[] as readonly NftSet[]
  return sets.flatMap(({ name, elem = [] }) =>
    elem.map((element) => {
      const { concat } = (typeof element === 'object' ? element : {}) as Json
      const fields = concat === undefined ? [element] : list(concat)
      const words = fields.map(fieldText)
      if (name === VNI_SET) words[1] = String(vniOfMark(Number(words[1])))
      return `${name} ${words.join(' . ')}`
    }),
  )
}

function fieldText(field: unknown): string {
  if (typeof field !== 'object' || field === null) return String(field)
  const { prefix } = field as { readonly prefix?: { readonly addr: string; readonly len: number } }
  return prefix === undefined ? JSON.stringify(field) : `${prefix.addr}/${prefix.len}`
}

/** Bytes 4 to 7 of a VXLAN header (RFC 7348) as nft shows four bytes of a mark: in this machine's order. */
function vniOfMark(mark: number): number {
  const bytes = new Uint8Array(Uint32Array.of(mark).buffer)
  return new DataView(bytes.buffer).getUint32(0) >>> 8
}
