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
  const [links, addrs, routes4, routes6, neighs, fdb] = await Promise.all([
    read('ip', '-j', '-d', 'link'),
    read('ip', '-j', 'addr'),
    read('ip', '-j', '-4', 'route', 'show', 'table', 'all'),
    read('ip', '-j', '-6', 'route', 'show', 'table', 'all'),
    read('ip', '-j', 'neigh', 'show', 'nud', 'permanent'),
    read('bridge', '-j', 'fdb'),
  ])
  const lines = [
    ...links.map(
      (link) => `link ${fields(link, ['ifname', 'address', 'mtu', 'master', 'ifalias', 'flags'])}`,
    ),
    ...addrs.flatMap(addressLines),
    // The local table is the kernel's own echo of links and addresses.
    ...[...routes4, ...routes6]
      .filter(({ table }) => table !== 'local')
      .map((route) => `route ${fields(route, ROUTE_FIELDS)}`),
    ...neighs.map((neigh) => `neigh ${fields(neigh, ['dst', 'lladdr', 'dev'])}`),
    ...fdb
      .filter(({ mac }) => !isMulticast(String(mac)))
      .map((entry) => `fdb ${fields(entry, ['mac', 'dst', 'ifname', 'master'])}`),
    ...(await nftLines(netns)),
  ]
  return lines.sort()
}

/** Lines of one dump that the other has not, marked as diff does. */
export function compareDumps(
  before: readonly string[],
  after: readonly string[],
): readonly string[] {
  const [old, now] = [new Set(before), new Set(after)]
  return [
    ...before.filter((line) => !now.has(line)).map((line) => `- ${line}`),
    ...after.filter((line) => !old.has(line)).map((line) => `+ ${line}`),
  ]
}

function addressLines({ ifname, addr_info: addresses }: Json): readonly string[] {
  return (addresses as readonly Json[]).map(
    (address) => `addr ${String(ifname)} ${fields(address, ['local', 'prefixlen', 'scope'])}`,
  )
}

async function nftLines(netns: string): Promise<readonly string[]> {
  try {
    const { stdout } = await run(inNetns(netns, ['nft', 'list', 'ruleset']))
    return stdout
      .split('\n')
      .filter((line) => line.trim() !== '')
      .map((line) => `nft ${line}`)
  } catch {
    return [] // no nft on this machine
  }
}

const fields = (object: Json, names: readonly string[]): string =>
  names
    .filter((name) => object[name] !== undefined)
    .map((name) => `${name}=${JSON.stringify(object[name])}`)
    .join(' ')

const isMulticast = (mac: string): boolean => (Number.parseInt(mac.slice(0, 2), 16) & 1) === 1
