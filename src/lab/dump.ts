/**
 * What a namespace holds, as iproute2 and nft tell it: the proof from outside
 * that nothing was left, or that nothing else was touched.
 *
 * @module
 */
import { inNetns, run } from './exec.ts'
import { type Json, parseIpJson } from './json.ts'

const ROUTE_FIELDS = [
  ...['type', 'dst', 'gateway', 'dev', 'protocol', 'table', 'metric', 'flags'],
  ...['encap', 'encapId', 'encapDst'],
]

/** Sorted lines, one an object; two equal dumps are two equal namespaces. */
export async function dumpNetns(netns: string): Promise<readonly string[]> {
  const read = async (...command: string[]): Promise<readonly Json[]> => {
    const { status, stdout } = await run(inNetns(netns, command))
    return status === 0 ? parseIpJson(stdout) : []
  }
  const [links, addrs, routes4, routes6, neighs, fdb, vnis, nft] = await Promise.all([
    read('ip', '-j', '-d', 'link'),
    read('ip', '-j', 'addr'),
    read('ip', '-j', '-4', 'route', 'show', 'table', 'all'),
    read('ip', '-j', '-6', 'route', 'show', 'table', 'all'),
    read('ip', '-j', 'neigh', 'show', 'nud', 'permanent'),
    read('bridge', '-j', 'fdb'),
    read('bridge', '-j', 'vni'),
    nftLines(netns),
  ])
  const lines = [
    ...links.map((link) => `link ${fields({ ...link, ...kindOf(link) }, LINK_FIELDS)}`),
    ...addrs.flatMap(addressLines),
    // The local table is the kernel's own echo of links and addresses.
    ...[...routes4, ...routes6]
      .filter(({ table }) => table !== 'local')
      .map((route) => `route ${fields(route, ROUTE_FIELDS)}`),
    ...neighs.map((neigh) => `neigh ${fields(neigh, ['dst', 'lladdr', 'dev'])}`),
    ...fdb
      .filter(({ mac }) => !isMulticast(String(mac)))
      .map((entry) => `fdb ${fields(entry, ['mac', 'dst', 'ifname', 'master'])}`),
    ...vnis.map((filter) => `vni ${fields(filter, ['ifname', 'vnis'])}`),
    ...(await offloadLines(netns, links)),
    ...nft,
  ]
  return lines.sort()
}

const LINK_FIELDS = ['ifname', 'address', 'mtu', 'master', 'ifalias', 'flags', 'kind', 'tunnel']
const TUNNEL_FIELDS = [
  'id',
  'port',
  'link',
  'local',
  'local6',
  'learning',
  'external',
  'gpe',
  'vnifilter',
]

function kindOf({ linkinfo }: Json): Json {
  const { info_kind: kind, info_data: data } = (linkinfo ?? {}) as Json
  if (kind !== 'vxlan') return kind === undefined ? {} : { kind }
  return { kind, tunnel: fields((data ?? {}) as Json, TUNNEL_FIELDS) }
}

/** What tunnels have switched off; nothing where ethtool is not installed. */
async function offloadLines(netns: string, links: readonly Json[]): Promise<readonly string[]> {
  const tunnels = links.filter((link) => kindOf(link)['kind'] === 'vxlan')
  const each = tunnels.map(async ({ ifname }) => {
    const name = String(ifname)
    const { stdout } = await run(inNetns(netns, ['ethtool', '-k', name]))
    return stdout.includes('tx-checksum-ip-generic: off') ? [`offload ${name} checksum off`] : []
  })
  return (await Promise.all(each)).flat()
}

/** Lines that one dump has more often than the other, marked as diff does. */
export function compareDumps(
  before: readonly string[],
  after: readonly string[],
): readonly string[] {
  return [
    ...surplus(before, after).map((line) => `- ${line}`),
    ...surplus(after, before).map((line) => `+ ${line}`),
  ]
}

function surplus(lines: readonly string[], others: readonly string[]): readonly string[] {
  const counts = new Map<string, number>()
  for (const line of others) counts.set(line, (counts.get(line) ?? 0) + 1)
  return lines.filter((line) => {
    const left = counts.get(line) ?? 0
    counts.set(line, left - 1)
    return left <= 0
  })
}

function addressLines({ ifname, addr_info: addresses }: Json): readonly string[] {
  return (addresses as readonly Json[]).map(
    (address) => `addr ${String(ifname)} ${fields(address, ['local', 'prefixlen', 'scope'])}`,
  )
}

/** A line a table, chain and set, and one a rule (with its place) and element. */
async function nftLines(netns: string): Promise<readonly string[]> {
  let text: string
  try {
    text = (await run(inNetns(netns, ['nft', '-j', 'list', 'ruleset']))).stdout
  } catch {
    return [] // no nft on this machine
  }
  if (text.trim() === '') return []
  const { nftables } = JSON.parse(text) as { nftables: readonly Json[] }
  const places = new Map<string, number>()
  return nftables.flatMap((entry) => {
    const [[kind, object] = ['', {}]] = Object.entries(entry) as [string, Json][]
    if (kind === 'metainfo') return []
    // Handles count up with every object made; counters with every packet.
    const { handle: _handle, elem: elements, ...rest } = object
    const line = `nft ${kind} ${JSON.stringify(rest).replace(/"(packets|bytes)":\d+/g, '"$1":0')}`
    if (kind === 'rule') {
      const chain = `${rest['family']} ${rest['table']} ${rest['chain']}`
      const place = (places.get(chain) ?? 0) + 1
      places.set(chain, place)
      return [`${line} place ${place}`]
    }
    const set = `nft element ${rest['family']} ${rest['table']} ${rest['name']}`
    return [line, ...asArray(elements).map((element) => `${set} ${JSON.stringify(element)}`)]
  })
}

const asArray = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [])

const fields = (object: Json, names: readonly string[]): string =>
  names
    .filter((name) => object[name] !== undefined)
    .map((name) => `${name}=${JSON.stringify(object[name])}`)
    .join(' ')

const isMulticast = (mac: string): boolean => (Number.parseInt(mac.slice(0, 2), 16) & 1) === 1
