/**
 * What a dump told is asked for again on another link, and back: iproute2 sees no
 * difference but the link's name, whatever attributes there are.
 */
import t from 'tap'
import {
  type LinkIdentity,
  link,
  type Told,
  type ToldKind,
  told,
} from '../../src/netlink-ts/mod.ts'
import { type Lab, notRoot, pair } from './support.ts'

const COMMANDS = [
  'addr add 192.0.2.10/24 brd 192.0.2.127 dev v0 metric 77',
  'addr add 192.0.2.11/24 label v0:1 dev v0',
  'addr add 169.254.3.1/16 label v0 scope link dev v0',
  'addr add 198.51.100.1/32 dev v0 valid_lft 90000 preferred_lft 80000',
  'addr add 203.0.113.1 peer 203.0.113.2/32 dev v0 noprefixroute',
  '-6 addr add 2001:db8::10/64 dev v0 nodad',
  '-6 addr add 2001:db8:1::10/64 dev v0 nodad noprefixroute mngtmpaddr valid_lft 90000 preferred_lft 0',
  '-6 addr add fe80::77/64 dev v0 nodad scope link',
  'route add 10.1.0.0/16 via 192.0.2.1 dev v0 proto dhcp src 192.0.2.10 metric 100',
  'route add 10.2.0.0/16 dev v0 scope link proto static table 1000 mtu lock 1400 advmss 1300 initcwnd 20 congctl reno',
  'route add 10.3.0.0/16 via 10.99.0.1 dev v0 onlink proto 84 tos 0x10',
  'route add 10.4.0.0/16 nexthop via 192.0.2.1 dev v0 weight 3 nexthop via 192.0.2.2 dev v0 onlink',
  'route add 10.5.0.0/16 via inet6 fe80::1 dev v0',
  'route add local 10.6.0.0/16 dev v0 table local proto static',
  '-6 route add default via fe80::1 dev v0 proto ra metric 1024 expires 1800 pref high hoplimit 64',
  '-6 route add 2001:db8:9::/48 via 2001:db8::1 dev v0 src 2001:db8::10 metric 5',
  '-6 route add 2001:db8:8::/48 from 2001:db8::/32 dev v0 metric 6',
  '-6 route add 2001:db8:7::/48 nexthop via fe80::2 dev v0 nexthop via fe80::3 dev v0 weight 2',
  'neigh add 192.0.2.7 lladdr 02:00:00:00:00:07 dev v0 nud permanent protocol 84',
  '-6 neigh add 2001:db8::7 lladdr 02:00:00:00:00:07 dev v0 nud permanent router',
  '-6 neigh add 2001:db8::8 lladdr 02:00:00:00:00:08 dev v0 nud noarp extern_learn',
  'rule add priority 10 iif v0 from 10.0.0.0/8 table 1000 protocol 84',
  'rule add priority 11 not oif v0 fwmark 0x10/0xf0 suppress_prefixlength 8 table main',
  '-6 rule add priority 12 iif v0 ipproto tcp dport 80-90 table 1000',
] as const

/** All that iproute2 shows of a link, without its name; remaining times in minutes. */
function shown(l: Lab, name: string): readonly string[] {
  const text = [
    ['-d', 'addr', 'show', 'dev', name],
    ...['-4', '-6'].map((family) => ['-d', family, 'route', 'show', 'table', 'all']),
    ['-d', 'neigh', 'show', 'nud', 'all', 'dev', name],
    ...['-4', '-6'].map((family) => ['-d', family, 'rule', 'show']),
  ]
  const lines = text.flatMap((command) => l.exec('ip', ...command).split('\n'))
  return lines
    .map((line) =>
      line
        .trim()
        .replaceAll(name, '%')
        .replace(/\b(\d+)\d\dsec/g, '$1xx'),
    )
    .filter((line) => line !== '' && !/^\d+: |^link\/|^veth|^altname|^multicast ff00/.test(line))
    .sort()
}

/** Of a link, what was not made by the kernel for its addresses. */
function* on(l: Lab, { index, name }: LinkIdentity): Generator<Told> {
  for (const kind of ['addr', 'neigh', 'route', 'rule'] as const satisfies readonly ToldKind[]) {
    for (const each of l.socket.dump<Told>(told.list(kind))) {
      const object = each.object as unknown as Readonly<Record<string, unknown>>
      const { protocol, table, multipath, oif } = object
      if (kind === 'rule' ? object['iif'] === name || oif === name : false) yield each
      if ((kind === 'addr' || kind === 'neigh') && object['index'] === index) yield each
      const byHops = Array.isArray(multipath) && multipath.some((hop) => hop.oif === index)
      if (kind === 'route' && (oif === index || byHops) && !(protocol === 2 && table !== 1000)) {
        yield each
      }
    }
  }
}

t.test('there and back', { skip: notRoot }, async (t) => {
  const l = pair(t)
  for (const name of ['v0', 'v1']) {
    l.socket.run(link.set({ name }, { addrGenMode: 1, up: false }))
  }
  for (const name of ['v0', 'v1']) {
    l.socket.run(link.set({ name }, { up: true }))
    t.equal(l.socket.get(link.get({ name }))?.addrGenMode, 1, `${name} makes no address`)
  }
  for (const command of COMMANDS) l.exec('ip', ...command.split(' '))
  const identity = (name: string): LinkIdentity => ({ name, index: l.socket.indexOf(name) ?? 0 })
  const [v0, v1] = [identity('v0'), identity('v1')]
  const before = shown(l, 'v0')
  t.ok(before.length > COMMANDS.length, 'there is something to see')
  const [empty] = [shown(l, 'v1').filter((line) => line.includes('%'))]
  t.strictSame(empty, [], 'and nothing on the other link')

  const move = (from: LinkIdentity, to: LinkIdentity): void => {
    const all = [...on(l, from)]
    const puts = all.map((each) => told.put(told.moved(each, from, to)))
    const drops = [...all].reverse().map((each) => told.drop(each))
    for (const error of l.socket.execute(puts)) t.equal(error, undefined, 'put')
    const refused = l.socket.execute(drops).filter((error) => error !== undefined)
    const replaced = refused.filter(
      ({ message, code }) => code === 'ESRCH' && /multipath/.test(message),
    )
    t.equal(replaced.length, 1, 'next hops of IPv6 took the place of those that were there')
    t.equal(refused.length, 1, 'everything else was dropped')
  }
  move(v0, v1)
  t.strictSame(shown(l, 'v1'), before, 'the same on the other link')
  t.strictSame(
    shown(l, 'v0').filter((line) => line.includes('%')),
    [],
    'nothing is left',
  )
  move(v1, v0)
  t.strictSame(shown(l, 'v0'), before, 'and back')
})
