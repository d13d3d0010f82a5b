/**
 * What hangs on a link in iproute2's words; `%` stands for the link.
 *
 * @module
 */
import * as nl from 'netlink-ts'

/** Attributes that the words below say; others are told by their number. */
const SAID: Readonly<Record<nl.ToldKind, ReadonlySet<number>>> = {
  addr: new Set([1, 2, 3, 4, 6, 8, 9, 11]),
  route: new Set([1, 2, 4, 5, 6, 7, 8, 9, 12, 15, 18, 20, 30]),
  neigh: new Set([1, 2, 3, 4, 8, 12]),
  rule: new Set([1, 2, 3, 4, 6, 10, 12, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24]),
}

type NameOf = (index: number) => string

/** The words after the verb. What iproute2 has no word for here goes along and is told by number. */
export function entryWords(told: nl.Told, link: nl.LinkIdentity, nameOf: NameOf): string {
  const dev = (index: number): string => (index === link.index ? '%' : nameOf(index))
  const rest = nl.told.attributes(told).filter(({ type }) => !SAID[told.kind].has(type))
  const more =
    rest.length === 0 ? '' : ` # and attributes ${rest.map(({ type }) => type).join(' ')}`
  return `${wordsOf(told, link, dev)}${more}`
}

function wordsOf(told: nl.Told, link: nl.LinkIdentity, dev: NameOf): string {
  switch (told.kind) {
    case 'addr':
      return addrWords(told.object as nl.Addr, link)
    case 'route':
      return routeWords(told as nl.Told<'route'>, dev)
    case 'neigh':
      return neighWords(told.object as nl.Neigh)
    case 'rule':
      return ruleWords(told.object as nl.Rule, link)
  }
}

const word = (name: string, value: string | number | undefined): string =>
  value === undefined ? '' : ` ${name} ${value}`

/** Flags that can be asked for; the others are the kernel's. */
const FLAGS: readonly string[] = ['nodad', 'home', 'mngtmpaddr', 'noprefixroute', 'mcautojoin']

function addrWords(addr: nl.Addr, link: nl.LinkIdentity): string {
  const { address, prefixLength, peer, broadcast, label, scope, metric, lifetime } = addr
  const place =
    peer === undefined ? `${address}/${prefixLength}` : `${address} peer ${peer}/${prefixLength}`
  const labelled = label === undefined || label === link.name ? undefined : label
  const moving = labelled !== undefined && nl.movedLabel(labelled, link, { name: '%' })
  const life =
    lifetime === undefined
      ? ''
      : ` valid_lft ${seconds(lifetime.validSeconds)} preferred_lft ${seconds(lifetime.preferredSeconds)}`
  const flags = addr.flags.filter((flag) => FLAGS.includes(flag)).map((flag) => ` ${flag}`)
  return (
    `${place}${word('brd', broadcast)}${scope === 'global' ? '' : word('scope', scope)}` +
    `${moving === false ? '' : word('label', moving)} dev %${word('metric', metric)}` +
    `${word('proto', addr.protocol)}${life}${flags.join('')}`
  )
}

const FOREVER = 0xffff_ffff
const seconds = (value: number): string => (value === FOREVER ? 'forever' : `${value}`)

/** RTAX_*. Source: rtnetlink.h. */
const METRICS = [
  ...['', 'lock', 'mtu', 'window', 'rtt', 'rttvar', 'ssthresh', 'cwnd', 'advmss', 'reordering'],
  ...[
    'hoplimit',
    'initcwnd',
    'features',
    'rto_min',
    'initrwnd',
    'quickack',
    'congctl',
    'fastopen_no_cookie',
  ],
]
const PREFERENCES: Readonly<Record<number, string>> = { 0: 'medium', 1: 'high', 3: 'low' }

function routeWords(told: nl.Told<'route'>, dev: NameOf): string {
  const { family, type, dst, gateway, oif, table, protocol, scope, prefSrc, priority, onlink } =
    told.object
  const all = nl.told.attributes(told)
  const bytes = (wanted: number): Uint8Array | undefined =>
    all.find(({ type }) => type === wanted)?.bytes
  const source = bytes(2)
  const tos = told.body[3] ?? 0
  const life = bytes(12)
  const ticks = life === undefined ? 0 : Buffer.from(life).readInt32LE(8)
  const preference = bytes(20)?.[0]
  return (
    `${type === 'unicast' ? '' : `${type} `}${dst ?? 'default'}` +
    `${source === undefined ? '' : word('from', `${nl.formatIp(source)}/${told.body[2]}`)}` +
    `${tos === 0 ? '' : word('tos', tos)}` +
    `${via(gateway, family)}${oif === undefined ? '' : word('dev', dev(oif))}` +
    `${table === nl.routeTable.main ? '' : word('table', table)}${word('proto', protocol)}` +
    `${family === 6 || scope === 'global' ? '' : word('scope', scope)}${word('src', prefSrc)}` +
    `${word('metric', priority)}${onlink === true ? ' onlink' : ''}${metricWords(bytes(8))}` +
    `${ticks > 0 ? word('expires', Math.ceil(ticks / 100)) : ''}` +
    `${family === 6 && preference !== undefined ? word('pref', PREFERENCES[preference]) : ''}` +
    (told.object.multipath ?? []).map((hop) => hopWords(hop, family, dev)).join('')
  )
}

const via = (gateway: string | undefined, family: nl.IpFamily): string =>
  gateway === undefined
    ? ''
    : gateway.includes(':') === (family === 6)
      ? ` via ${gateway}`
      : ` via ${family === 4 ? 'inet6' : 'inet'} ${gateway}`

function hopWords(
  { gateway, oif, weight, onlink }: nl.NextHop,
  family: nl.IpFamily,
  dev: NameOf,
): string {
  const link = oif === undefined ? '' : word('dev', dev(oif))
  return ` nexthop${via(gateway, family)}${link}${word('weight', weight)}${onlink === true ? ' onlink' : ''}`
}

function metricWords(bytes: Uint8Array | undefined): string {
  if (bytes === undefined) return ''
  const all = Buffer.from(bytes)
  let text = ''
  for (let at = 0; at + 8 <= all.length; at += (all.readUInt16LE(at) + 3) & ~3) {
    const type = all.readUInt16LE(at + 2) & 0x3fff
    const name = METRICS[type] ?? `metric${type}`
    const value =
      name === 'congctl'
        ? all.toString('utf8', at + 4, at + all.readUInt16LE(at)).replace(/\0.*$/s, '')
        : all.readUInt32LE(at + 4)
    text += name === 'lock' ? '' : ` ${name} ${value}`
  }
  return text
}

const neighWords = ({ address, mac, state, router, externLearn, protocol }: nl.Neigh): string =>
  `${address}${word('lladdr', mac)} dev % nud ${state}${router ? ' router' : ''}` +
  `${externLearn ? ' extern_learn' : ''}${word('protocol', protocol)}`

function ruleWords(rule: nl.Rule, link: nl.LinkIdentity): string {
  const name = (each: string | undefined): string | undefined => (each === link.name ? '%' : each)
  const mark =
    rule.fwmark === undefined ? undefined : `${rule.fwmark}/${rule.fwmask ?? 0xffff_ffff}`
  const range = (each: nl.NumberRange | undefined): string | undefined =>
    each && `${each.start}-${each.end}`
  return (
    `${rule.not === true ? 'not ' : ''}priority ${rule.priority} from ${rule.from ?? 'all'}${word('to', rule.to)}` +
    `${word('iif', name(rule.iif))}${word('oif', name(rule.oif))}${word('fwmark', mark)}${word('tos', rule.tos)}` +
    `${word('ipproto', rule.ipProtocol)}${word('sport', range(rule.sport))}${word('dport', range(rule.dport))}` +
    `${word('uidrange', range(rule.uidRange))}${word('tun_id', rule.tunId)}${rule.l3mdev === true ? ' l3mdev' : ''}` +
    `${rule.action === 'table' ? word('table', rule.table) : word('goto', rule.goto)}` +
    `${rule.action === 'table' || rule.action === 'goto' ? '' : ` ${rule.action}`}` +
    `${word('suppress_prefixlength', rule.suppressPrefixLength)}${word('protocol', rule.protocol)}`
  )
}
