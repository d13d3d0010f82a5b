/**
 * What a namespace holds, as iproute2 and nft tell it: the proof from outside
 * that nothing was left, or that nothing else was touched.
 *
 * @module
 */
import { run } from './exec.ts'
import { type Json, parseIpJson } from './json.ts'

const ROUTE_FIELDS = [
  ...['type', 'dst', 'gateway', 'dev', 'protocol', 'table', 'metric', 'flags'],
  ...['encap', 'encapId', 'encapDst'],
]

/** Sorted lines, one an object; two equal dumps are two equal namespaces. */
export async function dumpNetns(netns: string): Promise<readonly string[]> {
  const [lines = []] = await dumpAll([netns])
  return lines
}

/** Dumps of several namespaces, by one process of ours. */
export async function dumpAll(names: readonly string[]): Promise<readonly (readonly string[])[]> {
  const { stdout } = await run(['sh', '-c', SCRIPT, 'dump', SCRIPT_INSIDE, ...names])
  const dumps = stdout.split(/^=== \n/m).slice(1)
  if (dumps.length !== names.length) throw new Error(`Cannot dump ${names.join(', ')}`)
  return dumps.map((dump) => linesOf(partsOf(dump)))
}

/** What a program does not print to its end is nothing: half an answer is no JSON. */
const SCRIPT_INSIDE = `
say() { echo "== $1"; shift; out=$("$@" 2>/dev/null) && printf '%s\\n' "$out"; }
say links ip -j -d link
say plain ip -j -batch - <<END
addr
neigh show nud permanent
END
say plain4 ip -j -4 -batch - <<END
route show table all
rule
END
say plain6 ip -j -6 -batch - <<END
route show table all
rule
END
say fdb bridge -j fdb
say vnis bridge -j vni
say nft nft -j list ruleset
echo '== offloads'
ip -o link show type vxlan | while IFS=': ' read -r _ link _; do
  ethtool -k "\${link%@*}" 2>/dev/null |
    sed -n "s/.*tx-checksum-ip-generic: off.*/offload \${link%@*} checksum off/p"
done
`

const SCRIPT = `
inside=$1; shift
for name; do
  echo '=== '
  nsenter --net="/run/netns/$name" -- sh -c "$inside" || exit 1
done
`

type Parts = Readonly<Record<string, string>>

function partsOf(dump: string): Parts {
  const parts = dump.split(/^== /m).slice(1)
  return Object.fromEntries(
    parts.map((part) => {
      const end = part.indexOf('\n')
      return [part.slice(0, end), part.slice(end + 1)]
    }),
  )
}

function linesOf(parts: Parts): readonly string[] {
  const read = (name: string): readonly Json[] => parseIpJson(parts[name] ?? '')
  // An answer a line.
  const answers = (name: string) => (parts[name] ?? '').trim().split('\n').map(parseIpJson)
  const [addrs = [], neighs = []] = answers('plain')
  const [routes4 = [], rules4 = []] = answers('plain4')
  const [routes6 = [], rules6 = []] = answers('plain6')
  const lines = [
    ...read('links').map((link) => `link ${fields({ ...link, ...kindOf(link) }, LINK_FIELDS)}`),
    ...addrs.flatMap(addressLines),
    // The local table is the kernel's own echo of links and addresses.
    ...[...routes4, ...routes6]
      .filter(({ table }) => table !== 'local')
      .map((route) => `route ${fields(route, ROUTE_FIELDS)}`),
    ...rules4.map((rule) => `rule inet ${JSON.stringify(rule)}`),
    ...rules6.map((rule) => `rule inet6 ${JSON.stringify(rule)}`),
    ...neighs.map((neigh) => `neigh ${fields(neigh, ['dst', 'lladdr', 'dev'])}`),
    ...read('fdb')
      .filter(({ mac }) => !isMulticast(String(mac)))
      .map((entry) => `fdb ${fields(entry, ['mac', 'dst', 'ifname', 'master'])}`),
    ...read('vnis').map((filter) => `vni ${fields(filter, ['ifname', 'vnis'])}`),
    ...(parts['offloads'] ?? '').split('\n').filter((line) => line !== ''),
    ...nftLines(parts['nft'] ?? ''),
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
function nftLines(text: string): readonly string[] {
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
