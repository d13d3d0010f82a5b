/**
 * All that a namespace holds, as iproute2, nft and iptables tell it, and the
 * files below the node's /run and /var/lib: what a call can have changed.
 *
 * Left out is what the kernel does by itself: its own link-local addresses and
 * routes, a bridge's MAC (it follows the ports), learned entries, counters.
 *
 * @module
 */
import { type Json, parseIpJson } from '../lab/json.ts'

/** Settings that plugins change, of all links and of those to come. */
const SETTINGS = ['all', 'default'].flatMap((whose) => [
  ...['forwarding', 'rp_filter', 'proxy_arp', 'accept_local', 'route_localnet', 'arp_ignore'].map(
    (name) => `ipv4/conf/${whose}/${name}`,
  ),
  ...['forwarding', 'accept_ra', 'accept_dad', 'disable_ipv6', 'proxy_ndp'].map(
    (name) => `ipv6/conf/${whose}/${name}`,
  ),
])

/** One program a look; the pod's name as its argument, empty on the node. */
export const DUMP_SCRIPT = `
say() { echo "== $1"; }
say links; ip -j -d -batch - <<END
link show
addr show
neigh show nud permanent
END
say tables4; ip -j -N -d -4 -batch - <<END
route show table all
rule show
END
say tables6; ip -j -N -d -6 -batch - <<END
route show table all
rule show
END
say fdb; bridge -j fdb
say qdisc; tc -j qdisc show
say nft; rules=$(nft -j list ruleset 2>/dev/null); echo "$rules"
# Matches that only iptables can tell, and the tables of its old back end.
case "$rules" in *'"xt"'*) say iptables; iptables-save 2>/dev/null; ip6tables-save 2>/dev/null;; esac
if grep -qs . /proc/net/ip_tables_names /proc/net/ip6_tables_names; then
  say iptables; iptables-legacy-save 2>/dev/null; ip6tables-legacy-save 2>/dev/null
fi
cd /proc/sys/net
say sysctl; grep -s . ipv4/ip_forward ${SETTINGS.join(' ')}
if [ -z "$1" ]; then say files; find /run /var/lib -xdev ! -type d ! -path '/run/netns/*' ! -path '/run/conformance/*'; fi
`

export interface LinkFact {
  readonly name: string
  readonly mac: string
  readonly mtuBytes: number
  readonly isUp: boolean
}

export interface AddressFact {
  readonly link: string
  /** With prefix length. */
  readonly address: string
}

export interface RouteFact {
  /** Always with prefix length. */
  readonly dst: string
  readonly via?: string
  readonly dev?: string
  /** Made by the kernel for an address. */
  readonly isKernels: boolean
}

export interface Snapshot {
  /** Sorted, one an object: two equal dumps are two equal namespaces. */
  readonly lines: readonly string[]
  readonly links: readonly LinkFact[]
  readonly addresses: readonly AddressFact[]
  readonly routes: readonly RouteFact[]
}

/** Source: include/uapi/linux/rtnetlink.h. */
const LOCAL_TABLE = '255'
const KERNEL_PROTOCOL = '2'

/** What a dump printed, as lines and as facts. */
export function parseDump(text: string): Snapshot {
  const parts = partsOf(text)
  const [links = [], addresses = [], neighbours = []] = textLines(parts, 'links').map(parseIpJson)
  const [routes4 = [], rules4 = []] = textLines(parts, 'tables4').map(parseIpJson)
  const [routes6 = [], rules6 = []] = textLines(parts, 'tables6').map(parseIpJson)
  const routes = [...withFamily(routes4, 4), ...withFamily(routes6, 6)].filter(isWorthTelling)
  const held = addresses.flatMap(addressFacts)
  const lines = [
    ...links.map(linkLine),
    ...held.map(({ link, address }) => `addr ${link} ${address}`),
    ...routes.map(routeLine),
    ...neighbours.map(({ dst, lladdr, dev }) => `neigh ${dev} ${dst} ${lladdr}`),
    ...[...rules4, ...rules6].map((rule) => `rule ${JSON.stringify(rule)}`),
    ...jsonLines(parts, 'fdb').filter(isPermanent).map(fdbLine),
    ...jsonLines(parts, 'qdisc').filter(isQueueing).map(qdiscLine),
    ...nftLines(parts),
    ...textLines(parts, 'iptables').flatMap(iptablesLine),
    ...textLines(parts, 'sysctl').map((line) => `sysctl ${line.replace(':', ' ')}`),
    ...textLines(parts, 'files')
      .filter(isState)
      .map((path) => `file ${path}`),
  ]
  return {
    lines: lines.sort(),
    links: links.map(linkFact),
    addresses: held,
    routes: routes.map(routeFact),
  }
}

function partsOf(text: string): ReadonlyMap<string, string> {
  const parts = new Map<string, string>()
  for (const part of text.split(/^== /m).slice(1)) {
    const end = part.indexOf('\n')
    const name = part.slice(0, end)
    parts.set(name, (parts.get(name) ?? '') + part.slice(end + 1))
  }
  return parts
}

const textLines = (parts: ReadonlyMap<string, string>, name: string): readonly string[] =>
  (parts.get(name) ?? '').split('\n').filter((line) => line !== '')

const jsonLines = (parts: ReadonlyMap<string, string>, name: string): readonly Json[] =>
  textLines(parts, name).flatMap(parseIpJson)

const kindOf = ({ linkinfo }: Json): string => String(((linkinfo ?? {}) as Json)['info_kind'] ?? '')

const linkFact = ({ ifname, address, mtu, flags }: Json): LinkFact => ({
  name: String(ifname),
  mac: String(address),
  mtuBytes: Number(mtu),
  isUp: (flags as readonly string[]).includes('UP'),
})

function linkLine(link: Json): string {
  const { name, mac, mtuBytes, isUp } = linkFact(link)
  const kind = kindOf(link)
  const { master, ifalias } = link
  return [
    `link ${name} ${kind || 'device'} ${isUp ? 'up' : 'down'} mtu ${mtuBytes}`,
    ...(kind === 'bridge' ? [] : [`mac ${mac}`]),
    ...(master === undefined ? [] : [`master ${master}`]),
    ...(ifalias === undefined ? [] : [`alias ${ifalias}`]),
  ].join(' ')
}

function addressFacts({ ifname, addr_info: infos }: Json): readonly AddressFact[] {
  return ((infos ?? []) as readonly Json[])
    .filter(({ scope, prefixlen, local }) => {
      const isKernels = scope === 'link' && prefixlen === 64 && local !== 'fe80::1'
      return local !== undefined && !isKernels
    })
    .map(({ local, prefixlen }) => ({ link: String(ifname), address: `${local}/${prefixlen}` }))
}

const withFamily = (routes: readonly Json[], family: 4 | 6): readonly Json[] =>
  routes.map((route) => ({ ...route, family }))

function isWorthTelling({ table, dst, protocol }: Json): boolean {
  const isLinkLocal = dst === 'fe80::/64' && protocol === KERNEL_PROTOCOL
  return table !== LOCAL_TABLE && dst !== 'ff00::/8' && !isLinkLocal
}

function routeFact({ dst, gateway, dev, protocol, family }: Json): RouteFact {
  return {
    dst: withLength(String(dst), family === 4 ? 4 : 6),
    isKernels: protocol === KERNEL_PROTOCOL,
    ...(gateway === undefined ? {} : { via: String(gateway) }),
    ...(dev === undefined ? {} : { dev: String(dev) }),
  }
}

function withLength(dst: string, family: 4 | 6): string {
  if (dst === 'default') return family === 4 ? '0.0.0.0/0' : '::/0'
  return dst.includes('/') ? dst : `${dst}/${family === 4 ? 32 : 128}`
}

function routeLine(route: Json): string {
  const { type, table = '254', metric = 0, protocol, prefsrc, flags, nexthops } = route
  const { dst, via, dev } = routeFact(route)
  const lasting = ((flags ?? []) as readonly string[]).filter(
    (flag) => flag !== 'linkdown' && flag !== 'dead',
  )
  return [
    `route ${dst} type ${type} table ${table}`,
    ...(via === undefined ? [] : [`via ${via}`]),
    ...(dev === undefined ? [] : [`dev ${dev}`]),
    ...(prefsrc === undefined ? [] : [`src ${prefsrc}`]),
    ...(nexthops === undefined ? [] : [JSON.stringify(nexthops)]),
    `metric ${metric} proto ${protocol}`,
    ...lasting,
  ].join(' ')
}

const isMulticast = (mac: string): boolean => (Number.parseInt(mac.slice(0, 2), 16) & 1) === 1

const isPermanent = ({ state, mac }: Json): boolean =>
  (state === 'permanent' || state === 'static') && !isMulticast(String(mac))

/** A bridge's own entry follows its MAC. */
const fdbLine = ({ mac, dst, ifname, master }: Json): string =>
  master === ifname || ifname === undefined
    ? `fdb ${ifname}`
    : `fdb ${ifname} ${mac} ${dst ?? ''} ${master ?? ''}`.trimEnd()

const isQueueing = ({ kind }: Json): boolean =>
  !['noqueue', 'pfifo_fast', 'fq_codel', 'mq', 'pfifo'].includes(String(kind))

const qdiscLine = ({ kind, dev, options }: Json): string =>
  `qdisc ${dev} ${kind} ${JSON.stringify(options ?? {})}`

/** A line a table, chain, set and rule with its place, and one an element. */
function nftLines(parts: ReadonlyMap<string, string>): readonly string[] {
  const text = (parts.get('nft') ?? '').trim()
  if (text === '') return []
  const { nftables } = JSON.parse(text) as { nftables: readonly Json[] }
  const places = new Map<string, number>()
  return nftables.flatMap((entry) => {
    const [[kind, object] = ['', {}]] = Object.entries(entry) as [string, Json][]
    if (kind === 'metainfo') return []
    // Handles count up with every object made; counters with every packet.
    const { handle: _handle, elem, ...rest } = object
    const line = `nft ${kind} ${JSON.stringify(rest).replace(/"(packets|bytes)":\d+/g, '"$1":0')}`
    if (kind === 'rule') {
      const chain = `${rest['family']} ${rest['table']} ${rest['chain']}`
      const place = (places.get(chain) ?? 0) + 1
      places.set(chain, place)
      return [`${line} place ${place}`]
    }
    const elements = Array.isArray(elem) ? (elem as readonly unknown[]) : []
    const set = `nft element ${rest['family']} ${rest['table']} ${rest['name']}`
    return [line, ...elements.map((element) => `${set} ${JSON.stringify(element)}`)]
  })
}

/** Rules and chains of somebody's own; nft lists tables and built-in chains. */
const iptablesLine = (line: string): readonly string[] =>
  /^(-A|:\S+ -)/.test(line) ? [`iptables ${line.replace(/ ?\[\d+:\d+\]/g, '')}`] : []

/** Locks and cursors of allocators are no resources. */
const isState = (path: string): boolean =>
  !/\/(lock|last_reserved_ip[^/]*|xtables\.lock)$/.test(path)
