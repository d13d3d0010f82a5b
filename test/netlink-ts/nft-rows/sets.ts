/**
 * Sets, maps and their elements.
 */
import { nft } from '../../../src/netlink-ts/mod.ts'
import {
  demo,
  elements,
  forward,
  inForward,
  interval,
  intervals,
  type Row,
  rule,
  table,
} from './row.ts'

const { match, verdict } = nft

const ports = ['inet_service', 'ipv4_addr'] as const
const pairs = ['ipv4_addr', 'ipv4_addr'] as const

/** Sets. */
export const SET_ROWS: readonly Row[] = [
  {
    name: 'sets of every type of key',
    text: `table inet demo {
 set a { type ipv4_addr; size 128; elements = { 10.0.0.1, 10.0.0.2 } }
 set b { type ipv6_addr; comment "of pods"; elements = { fd00::1 } }
 set c { type ether_addr; elements = { 02:00:00:00:00:01 } }
 set d { type mark; elements = { 0x00000010, 7 } }
 set e { type ifname; elements = { "eth0", "veth12345" } }
 set f { type inet_proto; elements = { 6, 17 } }
 set g { type inet_proto . inet_service . ipv6_addr; elements = { 17 . 53 . fd00::1 } }
}
`,
    ours: [
      [
        table,
        nft.set.add({ ...demo, name: 'a', key: ['ipv4_addr'], size: 128 }),
        nft.set.add({ ...demo, name: 'b', key: ['ipv6_addr'], comment: 'of pods' }),
        nft.set.add({ ...demo, name: 'c', key: ['ether_addr'] }),
        nft.set.add({ ...demo, name: 'd', key: ['mark'] }),
        nft.set.add({ ...demo, name: 'e', key: ['ifname'] }),
        nft.set.add({ ...demo, name: 'f', key: ['inet_proto'] }),
        nft.set.add({ ...demo, name: 'g', key: ['inet_proto', 'inet_service', 'ipv6_addr'] }),
        elements('a', ['ipv4_addr'], ['10.0.0.1'], ['10.0.0.2']),
        elements('b', ['ipv6_addr'], ['fd00::1']),
        elements('c', ['ether_addr'], ['02:00:00:00:00:01']),
        elements('d', ['mark'], [0x10], [7]),
        elements('e', ['ifname'], ['eth0'], ['veth12345']),
        elements('f', ['inet_proto'], [6], [17]),
        elements('g', ['inet_proto', 'inet_service', 'ipv6_addr'], [17, 53, 'fd00::1']),
      ],
    ],
  },
  {
    name: 'intervals: prefixes, ranges, up to the last address, neighbours',
    text: `table inet demo {
 set a { type ipv4_addr; flags interval;
  elements = { 10.0.0.0/24, 10.0.1.0/24, 10.2.0.1-10.2.0.9, 10.3.0.1, 255.0.0.0/8 } }
 set b { type inet_service; flags interval; elements = { 1-1023, 8080 } }
 set c { type ipv6_addr; flags interval; elements = { fd00::/8, ff00::/8 } }
}
`,
    ours: [
      [
        table,
        nft.set.add({ ...demo, name: 'a', key: ['ipv4_addr'], flags: interval }),
        nft.set.add({ ...demo, name: 'b', key: ['inet_service'], flags: interval }),
        nft.set.add({ ...demo, name: 'c', key: ['ipv6_addr'], flags: interval }),
        intervals(
          'a',
          ['ipv4_addr'],
          ['255.0.0.0/8'],
          ['10.0.1.0/24'],
          ['10.0.0.0/24'],
          [{ from: '10.2.0.1', to: '10.2.0.9' }],
          ['10.3.0.1'],
        ),
        intervals('b', ['inet_service'], [8080], [{ from: 1, to: 1023 }]),
        intervals('c', ['ipv6_addr'], ['ff00::/8'], ['fd00::/8']),
      ],
    ],
  },
  {
    name: 'intervals in concatenations, and their lookup',
    text: `table inet demo {
 set a { type inet_service . ipv4_addr; flags interval;
  elements = { 80 . 10.0.0.0/24, 1-99 . 10.1.0.1, 443 . 10.2.0.1-10.2.0.9 } }
 set b { type ipv4_addr . ipv4_addr; flags interval; elements = { 10.0.0.0/8 . 192.168.0.0/16 } }
 chain forward { type filter hook forward priority 0; policy accept;
  tcp dport . ip daddr @a accept
  ip saddr . ip daddr @b drop
 }
}
`,
    ours: [
      [
        table,
        nft.set.add({ ...demo, name: 'a', key: ports, flags: interval }),
        nft.set.add({ ...demo, name: 'b', key: pairs, flags: interval }),
        intervals(
          'a',
          ports,
          [80, '10.0.0.0/24'],
          [{ from: 1, to: 99 }, '10.1.0.1'],
          [443, { from: '10.2.0.1', to: '10.2.0.9' }],
        ),
        intervals('b', pairs, ['10.0.0.0/8', '192.168.0.0/16']),
        forward,
        rule(match.lookup(['tcpDport', 'ipDaddr'], 'a'), verdict.accept),
        rule(match.lookup(['ipSaddr', 'ipDaddr'], 'b'), verdict.drop),
      ],
    ],
  },
  {
    name: 'maps: to verdicts, to addresses',
    text: `table inet demo {
 map where { type ifname : verdict; elements = { "v0" : jump base, "v1" : drop } }
 map to { type inet_service : ipv4_addr; elements = { 80 : 10.0.0.2, 81 : 10.0.0.3 } }
 chain base { }
 chain forward { type filter hook forward priority 0; policy accept;
  iifname vmap @where
 }
}
`,
    ours: [
      [
        table,
        nft.chain.add({ ...demo, name: 'base' }),
        nft.set.add({ ...demo, name: 'where', key: ['ifname'], data: 'verdict' }),
        nft.set.add({ ...demo, name: 'to', key: ['inet_service'], data: ['ipv4_addr'] }),
        nft.element.add({
          ...demo,
          set: 'where',
          key: ['ifname'],
          data: 'verdict',
          elements: [
            { key: ['v0'], data: { verdict: 'jump', chain: 'base' } },
            { key: ['v1'], data: { verdict: 'drop' } },
          ],
        }),
        nft.element.add({
          ...demo,
          set: 'to',
          key: ['inet_service'],
          data: ['ipv4_addr'],
          elements: [
            { key: [80], data: ['10.0.0.2'] },
            { key: [81], data: ['10.0.0.3'] },
          ],
        }),
        forward,
        rule(match.vmap(['iifname'], 'where')),
      ],
    ],
  },
  {
    name: 'an anonymous set',
    text: inForward('udp dport { 53, 67 } accept'),
    ours: [
      [
        table,
        forward,
        nft.set.add({
          ...demo,
          name: '__set%d',
          id: 7,
          key: ['inet_service'],
          flags: ['anonymous', 'constant'],
        }),
        nft.element.add({
          ...demo,
          set: '__set%d',
          id: 7,
          key: ['inet_service'],
          elements: [[53], [67]],
        }),
        rule(match.lookup(['udpDport'], '__set%d', { setId: 7 }), verdict.accept),
      ],
    ],
  },
]
