/**
 * A link of the host with everything that hangs on it, and why it cannot be moved.
 *
 * @module
 */
import * as nl from 'netlink-ts'
import { ownsLink } from '../../kernel/mod.ts'
import type { Entry, Laden } from '../../kernel/take-over/model.ts'
import { containsIp, type Ip, type Mac, type Prefix, prefixOf } from '../../net/mod.ts'
import { linkSettings } from './settings.ts'
import { entryWords } from './words.ts'

export interface Observed {
  readonly laden: Laden
  readonly link: nl.Link
  /** Why it cannot be moved: what, by name. */
  readonly refusals: readonly string[]
  /** What will not be quite the same. */
  readonly notes: readonly string[]
  /** Next machines of default routes by the link. */
  readonly gateways: readonly Gateway[]
  /** Links of which it is the master. */
  readonly ports: readonly string[]
}

export interface Gateway {
  readonly ip: Ip
  /** The host's address that asks for it; undefined in IPv6, which needs none. */
  readonly from: Ip | undefined
}

interface Tables {
  readonly links: readonly nl.Link[]
  readonly addrs: readonly nl.Told<'addr'>[]
  readonly routes: readonly nl.Told<'route'>[]
  /** Those that come with the addresses. */
  readonly ways: readonly nl.Told<'route'>[]
  readonly neighs: readonly nl.Told<'neigh'>[]
  readonly rules: readonly nl.Told<'rule'>[]
}

/** Reads it; undefined where there is no such link. @param other The link whose settings are compared, `default` for a new one. */
export function observe(conn: nl.Conn, name: string, other: string): Observed | undefined {
  const links = conn.dump(nl.link.list())
  const link = links.find((each) => each.name === name)
  if (link === undefined) return undefined
  const tables = tablesOf(conn, links, link)
  const nameOf = (index: number): string =>
    links.find((each) => each.index === index)?.name ?? `if${index}`
  const kinds = [tables.addrs, tables.neighs, tables.routes, tables.rules]
  const entries = kinds.flatMap((all) => all.map((each) => entryOf(each, link, nameOf)))
  const laden: Laden = {
    name,
    index: link.index,
    mac: (link.mac ?? '') as Mac,
    mtuBytes: link.mtu,
    genMode: link.addrGenMode,
    entries,
    settings: linkSettings(name, other),
    riders: riders(links, link)
      .filter(isOwn)
      .map((each) => each.name),
  }
  const refusals = [
    ...linkRefusals(links, link),
    ...entryRefusals(tables),
    ...asideRefusals(conn, link),
  ]
  const ports = links.filter(({ master }) => master === link.index).map((each) => each.name)
  return {
    laden,
    link,
    refusals,
    notes: notesOf(tables),
    gateways: gatewaysOf(tables, link),
    ports,
  }
}

function tablesOf(conn: nl.Conn, links: readonly nl.Link[], link: nl.Link): Tables {
  const { index, name } = link
  const addrs = conn
    .dump<nl.Told<'addr'>>(nl.told.list('addr'))
    .filter(({ object }) => object.index === index)
  const four = addrs.filter(({ object }) => object.family === 4)
  // The kernel puts a new IPv6 address in front of its like.
  const six = addrs.filter(({ object }) => object.family === 6).reverse()
  const byLink = ({ object: { oif, multipath } }: nl.Told<'route'>): boolean =>
    oif === index || (multipath ?? []).some((hop) => hop.oif === index)
  const isAuto = (each: nl.Told<'route'>): boolean =>
    isKernels(each.object) || addrs.some(({ object }) => isRouteOf(each.object, object))
  const routes = conn.dump<nl.Told<'route'>>(nl.told.list('route')).filter(byLink)
  const isMeant = ({ object }: nl.Told<'neigh'>): boolean =>
    object.index === index && isKept(object)
  const neighs = conn.dump<nl.Told<'neigh'>>(nl.told.list('neigh')).filter(isMeant)
  const names = ({ object }: nl.Told<'rule'>): boolean => object.iif === name || object.oif === name
  return {
    links,
    addrs: [...four, ...six],
    routes: routes.filter((each) => !isAuto(each)),
    ways: routes.filter(isAuto),
    neighs,
    rules: conn.dump<nl.Told<'rule'>>(nl.told.list('rule')).filter(names),
  }
}

const KERNEL = nl.routeProtocol.kernel

/** Comes and goes with an address, or with the link. */
const isKernels = ({ protocol, table, type }: nl.Route): boolean =>
  protocol === KERNEL && table === nl.routeTable.local && type !== 'unicast'

/** The way to the address's own prefix, as the kernel makes it. Source: fib_add_ifaddr, addrconf_prefix_route. */
function isRouteOf(route: nl.Route, addr: nl.Addr): boolean {
  const metric = addr.metric ?? (addr.family === 4 ? 0 : 256)
  return (
    route.protocol === KERNEL &&
    route.type === 'unicast' &&
    route.table === nl.routeTable.main &&
    route.gateway === undefined &&
    route.family === addr.family &&
    (route.priority ?? 0) === metric &&
    !addr.flags.includes('noprefixroute') &&
    [addr.address, addr.peer].some(
      (ip) => ip !== undefined && route.dst === prefixOf(ip as Ip, addr.prefixLength),
    )
  )
}

const DYNAMIC: readonly nl.NeighState[] = ['reachable', 'stale', 'delay', 'probe']

/** Entries without a look on the wire are made by the kernel for groups. */
const isKept = ({ state, mac, externLearn, address }: nl.Neigh): boolean =>
  mac !== undefined &&
  !/^(?:ff|22[4-9]\.|23[0-9]\.|255\.)/.test(address) &&
  (state === 'permanent' || externLearn || DYNAMIC.includes(state))

function entryOf(told: nl.Told, link: nl.Link, nameOf: (index: number) => string): Entry {
  const isHint =
    told.kind === 'neigh' &&
    (told.object as nl.Neigh).state !== 'permanent' &&
    !(told.object as nl.Neigh).externLearn
  const carried = isHint ? nl.told.staled(told as nl.Told<'neigh'>) : told
  const { kind, object, body } = carried
  const base = {
    kind,
    family: object.family,
    words: entryWords(carried, link, nameOf),
    told: Buffer.from(body).toString('base64'),
  }
  if (kind === 'addr') {
    const { address, flags, family } = object as nl.Addr
    const isProbed = family === 6 && !flags.includes('nodad')
    return { ...base, ip: address as Ip, ...(isProbed && { isProbed }) }
  }
  if (kind === 'route') {
    const { gateway, multipath } = object as nl.Route
    const isVia = gateway !== undefined || multipath !== undefined
    return { ...base, ...(isVia && { isVia }) }
  }
  return { ...base, ...(isHint && { isHint }) }
}

const isOwn = ({ name, alias }: nl.Link): boolean =>
  ownsLink({ name, ...(alias === undefined ? {} : { alias }) })

/** VXLAN links that send by it. */
const riders = (links: readonly nl.Link[], { index }: nl.Link): readonly nl.Link[] =>
  links.filter(({ data }) => data?.type === 'vxlan' && data.link === index)

const ETHERNET = 1

function linkRefusals(links: readonly nl.Link[], link: nl.Link): readonly string[] {
  const { name, master } = link
  const found: string[] = []
  if (link.hardware !== ETHERNET) found.push(`link ${name} is no Ethernet link`)
  if (!link.up) found.push(`link ${name} is down`)
  if (link.xdp === true)
    found.push(`link ${name} has an XDP program, which would not see the bridge's packets`)
  if (master !== undefined) {
    const above = links.find(({ index }) => index === master)
    found.push(
      `link ${name} is a port of ${above?.name ?? `if${master}`} (${above?.kind ?? 'unknown'})`,
    )
  }
  for (const rider of riders(links, link)) {
    if (!isOwn(rider)) found.push(`link ${rider.name} (vxlan, not ours) sends by ${name}`)
  }
  for (const upper of links) {
    if (upper.link !== link.index || upper.linkNetnsId !== undefined) continue
    // A tagged frame goes to its VLAN's link before the bridge sees it. The other end of a pair is no upper link.
    if (upper.kind === 'vlan' || upper.kind === 'veth' || upper.kind === 'vxlan') continue
    found.push(`link ${upper.name} (${upper.kind ?? 'unknown'}) is on ${name}`)
  }
  return found
}

function entryRefusals({ addrs, routes, ways }: Tables): readonly string[] {
  const found: string[] = []
  for (const { object } of addrs) {
    const { address, flags } = object
    if (flags.includes('dadfailed'))
      found.push(`address ${address}: somebody else has it (dadfailed)`)
    else if (lacksWay(object, ways)) {
      found.push(
        `address ${address} has no route to its prefix, which another link would make: ip addr change it with noprefixroute`,
      )
    } else if (flags.includes('tentative'))
      found.push(`address ${address} is still looked for on the wire (tentative): try again`)
  }
  for (const { object } of routes) {
    const { dst = 'default', nexthopId } = object
    if (nexthopId !== undefined) found.push(`route ${dst} uses nexthop object ${nexthopId}`)
  }
  return found
}

/** Somebody has taken the kernel's route away. */
function lacksWay(addr: nl.Addr, ways: readonly nl.Told<'route'>[]): boolean {
  const { family, flags, prefixLength, peer } = addr
  if (flags.includes('noprefixroute')) return false
  if (
    family === 4 &&
    (flags.includes('secondary') || (prefixLength === 32 && peer === undefined))
  ) {
    return false
  }
  return !ways.some(({ object }) => isRouteOf(object, addr))
}

/** What other tables say of the link. */
function asideRefusals(conn: nl.Conn, { index, name }: nl.Link): readonly string[] {
  const proxies = conn
    .dump(nl.neigh.list({ index, proxy: true }))
    .filter((each) => each.index === index)
  const nexthops = conn.dump(nl.nexthop.list()).filter(({ oif }) => oif === index)
  return [
    ...proxies.map(({ address }) => `${name} answers for ${address} (ip neigh show proxy)`),
    ...nexthops.map(({ id }) => `nexthop object ${id} sends by ${name}`),
  ]
}

function notesOf({ addrs }: Tables): readonly string[] {
  return addrs.flatMap(({ object: { family, address, flags } }) => {
    const lost = flags.filter(
      (flag) => flag === 'stableprivacy' || (flag === 'secondary' && family === 6),
    )
    if (lost.length === 0 || family === 4) return []
    const words = lost.map((flag) => (flag === 'secondary' ? 'temporary' : flag)).join(' ')
    return [
      `address ${address} keeps its lifetimes and loses the mark ${words}, which only the kernel gives`,
    ]
  })
}

function gatewaysOf({ routes, addrs }: Tables, { index }: nl.Link): readonly Gateway[] {
  const found = new Map<string, Gateway>()
  for (const { object } of routes) {
    const { dst, gateway, oif, multipath, table } = object
    if (dst !== undefined || table !== nl.routeTable.main) continue
    const hops = multipath ?? [{ gateway, oif }]
    for (const hop of hops) {
      if (hop.oif === index && hop.gateway !== undefined) {
        found.set(hop.gateway, gatewayOf(hop.gateway as Ip, addrs))
      }
    }
  }
  return [...found.values()]
}

/** The host's address of the gateway's prefix asks, else its first. */
export function gatewayOf(ip: Ip, addrs: readonly nl.Told<'addr'>[]): Gateway {
  const four = addrs.filter(({ object }) => object.family === 4)
  const isNear = ({ object }: nl.Told<'addr'>): boolean =>
    containsIp(prefixOf(object.address as Ip, object.prefixLength) as Prefix, ip)
  const own = ip.includes(':') ? undefined : (four.find(isNear) ?? four[0])
  return { ip, from: own?.object.address as Ip | undefined }
}
