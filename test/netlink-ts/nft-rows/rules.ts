/**
 * Rules: matches and actions.
 */
import { nft } from '../../../src/netlink-ts/mod.ts'
import { demo, forward, inForward, type Row, rule, table } from './row.ts'

const { match, action, verdict, exprs } = nft

const pods4 = ['ifname', 'ipv4_addr'] as const
const pods6 = ['ifname', 'ipv6_addr'] as const

/** Rules. */
export const RULE_ROWS: readonly Row[] = [
  {
    name: 'anti-spoofing: iifname . ip saddr != @set drop, both families',
    text: `table inet demo {
 set pods4 { type ifname . ipv4_addr; elements = { "veth0" . 10.0.0.2, "veth1" . 10.0.0.3 } }
 set pods6 { type ifname . ipv6_addr; elements = { "veth0" . fd00::2 } }
 chain forward { type filter hook forward priority 0; policy accept;
  iifname . ip saddr != @pods4 drop
  iifname . ip6 saddr != @pods6 drop
 }
}
`,
    ours: [
      [
        table,
        nft.set.add({ ...demo, name: 'pods4', key: pods4 }),
        nft.set.add({ ...demo, name: 'pods6', key: pods6 }),
        nft.element.add({
          ...demo,
          set: 'pods4',
          key: pods4,
          elements: [
            ['veth0', '10.0.0.2'],
            ['veth1', '10.0.0.3'],
          ],
        }),
        nft.element.add({
          ...demo,
          set: 'pods6',
          key: pods6,
          elements: [['veth0', 'fd00::2']],
        }),
        forward,
        rule(match.lookup(['iifname', 'ipSaddr'], 'pods4', { inverted: true }), verdict.drop),
        rule(match.lookup(['iifname', 'ip6Saddr'], 'pods6', { inverted: true }), verdict.drop),
      ],
    ],
  },
  {
    name: 'names and wildcards, exact and negated',
    text: inForward(
      'iifname "trv*" accept',
      'iifname "eth0" oifname != "trv*" drop',
      'oifname "abcdefghijklmno" drop',
    ),
    ours: [
      [
        table,
        forward,
        rule(match.iifname('trv*'), verdict.accept),
        rule(match.iifname('eth0'), match.oifname('trv*', 'neq'), verdict.drop),
        rule(match.oifname('abcdefghijklmno'), verdict.drop),
      ],
    ],
  },
  {
    name: 'addresses and prefixes of every shape',
    text: inForward(
      'ip saddr 10.0.0.1 ip daddr != 10.0.0.0/8 drop',
      'ip saddr 10.0.0.0/12 drop',
      'ip daddr 192.168.1.128/25 accept',
      'ip6 saddr fd00::/64 ip6 daddr fd00::1 drop',
      'ip6 saddr fd00::/57 drop',
    ),
    ours: [
      [
        table,
        forward,
        rule(match.ipSaddr('10.0.0.1'), match.ipDaddr('10.0.0.0/8', 'neq'), verdict.drop),
        rule(match.ipSaddr('10.0.0.0/12'), verdict.drop),
        rule(match.ipDaddr('192.168.1.128/25'), verdict.accept),
        rule(match.ip6Saddr('fd00::/64'), match.ip6Daddr('fd00::1'), verdict.drop),
        rule(match.ip6Saddr('fd00::/57'), verdict.drop),
      ],
    ],
  },
  {
    name: 'ports: one, a range, a set; l4proto, nfproto, mark',
    text: `table inet demo {
 set dns { type inet_service; elements = { 53, 853 } }
 chain forward { type filter hook forward priority 0; policy accept;
  udp dport 53 accept
  tcp dport 1-1000 accept
  udp dport @dns accept
  meta l4proto icmpv6 accept
  meta nfproto ipv6 drop
  meta mark & 0x000000ff == 0x00000010 return
  meta mark set 0x00000020
 }
}
`,
    ours: [
      [
        table,
        nft.set.add({ ...demo, name: 'dns', key: ['inet_service'] }),
        nft.element.add({
          ...demo,
          set: 'dns',
          key: ['inet_service'],
          elements: [[53], [853]],
        }),
        forward,
        rule(match.udpDport(53), verdict.accept),
        rule(match.tcpDport({ from: 1, to: 1000 }), verdict.accept),
        rule(match.lookup(['udpDport'], 'dns'), verdict.accept),
        rule(match.l4proto('icmpv6'), verdict.accept),
        rule(match.nfproto('ipv6'), verdict.drop),
        rule(match.mark(0x10, 0xff), verdict.return),
        rule(action.setMark(0x20)),
      ],
    ],
  },
  {
    name: 'ct state, fib daddr type, counter, jump, goto, log, reject, limit, comment',
    text: `table inet demo {
 chain base { }
 chain forward { type filter hook forward priority 0; policy accept;
  ct state established,related accept
  ct state invalid counter drop
  fib daddr type local jump base
  fib daddr type != local goto base
  log prefix "seen: " group 5
  meta l4proto tcp reject with tcp reset
  reject with icmpx port-unreachable
  limit rate 10/second burst 5 packets accept
  accept comment "the last one"
 }
}
`,
    ours: [
      [
        table,
        nft.chain.add({ ...demo, name: 'base' }),
        forward,
        rule(match.ctState('established', 'related'), verdict.accept),
        rule(match.ctState('invalid'), action.counter, verdict.drop),
        rule(match.fibType('daddr', 'local'), verdict.jump('base')),
        rule(match.fibType('daddr', 'local', 'neq'), verdict.goto('base')),
        rule([{ type: 'log', prefix: 'seen: ', group: 5 }]),
        rule(match.l4proto('tcp'), action.rejectTcp),
        rule(action.reject),
        rule([{ type: 'limit', rate: 10, unitSeconds: 1, burst: 5 }], verdict.accept),
        nft.rule.add({
          ...demo,
          chain: 'forward',
          expressions: exprs(verdict.accept),
          comment: 'the last one',
        }),
      ],
    ],
  },
]
