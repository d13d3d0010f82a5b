/**
 * A kernel's tables as its look-ups use them.
 *
 * Longest prefix first, then the lowest metric, as fib_lookup and
 * ip6_route_lookup do. Cost: one pass over the state; a look-up is one Map
 * access a prefix length in use.
 *
 * @module
 */
import { identity, type KernelObject, type Link, type Route } from '../kernel/mod.ts'
import {
  containsIp,
  type Ip,
  type IpFamily,
  ipFamily,
  type Mac,
  networkAddress,
  type Prefix,
  prefixFamily,
  prefixLength,
  prefixOf,
  tryParseIp,
  tryParsePrefix,
} from '../net/mod.ts'

export interface Tables {
  get(key: string): KernelObject | undefined
  link(name: string): Link | undefined
  readonly links: readonly Link[]
  /** Addresses of the kernel itself. */
  readonly locals: ReadonlySet<Ip>
  /** Addresses of one link, in the order of the dump. */
  addresses(link: string): readonly Ip[]
  /** The route a packet takes; undefined: unreachable. */
  route(dst: Ip): Route | undefined
  neighbour(link: string, ip: Ip): Mac | undefined
  sysctl(name: string): string | undefined
  /** Keys of the elements of a set. */
  elements(set: string): readonly string[]
  /** Whether a set of our nftables table holds the fields, which may lie in its prefixes. */
  inSet(set: string, ...fields: readonly string[]): boolean
}

/** Indexes a state. Of two objects of one identity the first one counts. */
export function tablesOf(objects: Iterable<KernelObject>): Tables {
  const state = new Map<string, KernelObject>()
  const locals = new Set<Ip>()
  const addresses = new Map<string, Ip[]>()
  const links: Link[] = []
  const routes = new Map<Prefix, Route>()
  const lengths = { 4: new Set<number>(), 6: new Set<number>() }
  const elements = new Map<string, string[]>()
  for (const object of objects) {
    const key = identity(object)
    if (state.has(key)) continue
    state.set(key, object)
    if (object.kind === 'link') links.push(object)
    else if (object.kind === 'addr') {
      locals.add(object.ip)
      append(addresses, object.link, object.ip)
    } else if (object.kind === 'nft-element') append(elements, object.set, object.key)
    else if (object.kind === 'route') {
      lengths[prefixFamily(object.dst)].add(prefixLength(object.dst))
      const other = routes.get(object.dst)
      if (other === undefined || object.metric < other.metric) routes.set(object.dst, object)
    }
  }
  const longestFirst = {
    4: [...lengths[4]].sort((a, b) => b - a),
    6: [...lengths[6]].sort((a, b) => b - a),
  } satisfies Record<IpFamily, number[]>
  const get = (key: string): KernelObject | undefined => state.get(key)
  return {
    get,
    link: (name) => kindOf(get(`link ${name}`), 'link'),
    links,
    locals,
    addresses: (link) => addresses.get(link) ?? [],
    route(dst) {
      for (const length of longestFirst[ipFamily(dst)]) {
        const route = routes.get(prefixOf(dst, length))
        if (route !== undefined) return route
      }
      return undefined
    },
    neighbour: (link, ip) => kindOf(get(`neigh ${link} ${ip}`), 'neigh')?.mac,
    sysctl: (name) => kindOf(get(`sysctl ${name}`), 'sysctl')?.value,
    elements: (set) => elements.get(set) ?? [],
    inSet: (set, ...fields) =>
      state.has(`nft-element ${set} ${fields.join(' . ')}`) ||
      (elements.get(set) ?? []).some((key) => matches(key.split(' . '), fields)),
  }
}

function append<T>(lists: Map<string, T[]>, key: string, value: T): void {
  const found = lists.get(key)
  if (found === undefined) lists.set(key, [value])
  else found.push(value)
}

/** The object, if it is of that kind. */
export function kindOf<K extends KernelObject['kind']>(
  object: KernelObject | undefined,
  kind: K,
): Extract<KernelObject, { kind: K }> | undefined {
  return object?.kind === kind ? (object as Extract<KernelObject, { kind: K }>) : undefined
}

const matches = (key: readonly string[], fields: readonly string[]): boolean =>
  key.length === fields.length && key.every((part, index) => covers(part, fields[index] ?? ''))

/** A field of an element may be a prefix; nft leaves out the length of a single address. */
function covers(part: string, field: string): boolean {
  if (part === field) return true
  const ip = tryParseIp(field)
  const prefix = tryParsePrefix(part)
  return ip !== undefined && prefix !== undefined && containsIp(prefix, ip)
}

/** Whether the route takes everything: what a missing one leaves a packet to. */
export const isDefaultRoute = ({ dst }: Route): boolean =>
  prefixLength(dst) === 0 && /^(0\.0\.0\.0|::)$/.test(networkAddress(dst))
