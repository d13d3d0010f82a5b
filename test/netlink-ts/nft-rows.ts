/**
 * What a person would write for nft, and the same as our requests. Each row is
 * a whole ruleset, or several steps of one.
 */
import { nft } from '../../src/netlink-ts/mod.ts'

/** A ruleset in both languages. */
export interface Row {
  readonly name: string
  /** For `nft -f`; several are transactions one after the other, like ours. */
  readonly text: string | readonly string[]
  /** Transactions, one after the other. */
  readonly ours: readonly (readonly nft.NftRequest[])[]
  /** The kernel or the nft of this machine may not have it: then the row is skipped. */
  readonly optional?: true
}

const { match, action, verdict, exprs } = nft
const demo = { family: 'inet', table: 'demo' } as const
const table = nft.table.add({ family: 'inet', name: 'demo' })
const forward = nft.chain.add({
  ...demo,
  name: 'forward',
  type: 'filter',
  hook: 'forward',
  priority: 0,
  policy: 'accept',
})
const rule = (...parts: readonly nft.Exprs[]): nft.NftRequest =>
  nft.rule.add({ ...demo, chain: 'forward', expressions: exprs(...parts) })
const inForward = (...lines: readonly string[]): string =>
  `table inet demo {\n chain forward { type filter hook forward priority 0; policy accept;\n${lines.join('\n')}\n }\n}\n`

const pods4 = ['ifname', 'ipv4_addr'] as const
const pods6 = ['ifname', 'ipv6_addr'] as const
const ports = ['inet_service', 'ipv4_addr'] as const
const pairs = ['ipv4_addr', 'ipv4_addr'] as const
const interval = ['interval'] as const

const chains: readonly Row[] = [
  {
    name: 'tables: of every family, dormant, with a comment',
    text: `table ip a { }
table ip6 b { flags dormant; }
table inet c { comment "what it is for"; }
table bridge d { }
table netdev e { }
`,
    ours: [
      [
        nft.table.add({ family: 'ip', name: 'a' }),
        nft.table.add({ family: 'ip6', name: 'b', flags: ['dormant'] }),
        nft.table.add({ family: 'inet', name: 'c', comment: 'what it is for' }),
        nft.table.add({ family: 'bridge', name: 'd' }),
        nft.table.add({ family: 'netdev', name: 'e' }),
      ],
    ],
  },
  {
    name: 'chains: hooks, priorities, policies, types, regular ones',
    text: `table inet demo {
 chain a { type filter hook prerouting priority -300; policy drop; }
 chain b { type filter hook input priority 5; policy accept; }
 chain c { type route hook output priority -150; }
 chain d { type nat hook postrouting priority 100; }
 chain e { comment "jumped to"; }
}
`,
    ours: [
      [
        table,
        nft.chain.add({
          ...demo,
          name: 'a',
          type: 'filter',
          hook: 'prerouting',
          priority: -300,
          policy: 'drop',
        }),
        nft.chain.add({ ...demo, name: 'b', type: 'filter', hook: 'input', priority: 5 }),
        nft.chain.add({ ...demo, name: 'c', type: 'route', hook: 'output', priority: -150 }),
        nft.chain.add({ ...demo, name: 'd', type: 'nat', hook: 'postrouting', priority: 100 }),
        nft.chain.add({ ...demo, name: 'e', comment: 'jumped to' }),
      ],
    ],
  },
  {
    name: 'netdev: ingress of a link',
    text: `table netdev demo {
 chain in { type filter hook ingress device "lo" priority 0; policy accept;
  ip saddr 10.0.0.1 drop
  ip6 daddr fd00::/8 counter drop
 }
}
`,
    ours: [
      [
        nft.table.add({ family: 'netdev', name: 'demo' }),
        nft.chain.add({
          family: 'netdev',
          table: 'demo',
          name: 'in',
          type: 'filter',
          hook: 'ingress',
          priority: 0,
          devices: ['lo'],
        }),
        ...[
          exprs(nft.matchIn('netdev').ipSaddr('10.0.0.1'), verdict.drop),
          exprs(nft.matchIn('netdev').ip6Daddr('fd00::/8'), action.counter, verdict.drop),
        ].map((expressions) =>
          nft.rule.add({ family: 'netdev', table: 'demo', chain: 'in', expressions }),
        ),
      ],
    ],
    optional: true,
  },
  {
    name: 'bridge: who may send from which port',
    text: `table bridge demo {
 set macs { type ifname . ether_addr; elements = { "v0" . 02:00:00:00:00:01 } }
 chain f { type filter hook forward priority -200; policy accept;
  iifname . ether saddr != @macs drop
  ip saddr 10.0.0.0/24 tcp dport 80 accept
  ip6 saddr fd00::1 drop
 }
}
`,
    ours: [
      [
        nft.table.add({ family: 'bridge', name: 'demo' }),
        nft.set.add({
          family: 'bridge',
          table: 'demo',
          name: 'macs',
          key: ['ifname', 'ether_addr'],
        }),
        nft.element.add({
          family: 'bridge',
          table: 'demo',
          set: 'macs',
          key: ['ifname', 'ether_addr'],
          elements: [['v0', '02:00:00:00:00:01']],
        }),
        nft.chain.add({
          family: 'bridge',
          table: 'demo',
          name: 'f',
          type: 'filter',
          hook: 'forward',
          priority: -200,
        }),
        ...[
          exprs(
            nft.matchIn('bridge').lookup(['iifname', 'etherSaddr'], 'macs', { inverted: true }),
            verdict.drop,
          ),
          exprs(
            nft.matchIn('bridge').ipSaddr('10.0.0.0/24'),
            nft.matchIn('bridge').tcpDport(80),
            verdict.accept,
          ),
          exprs(nft.matchIn('bridge').ip6Saddr('fd00::1'), verdict.drop),
        ].map((expressions) =>
          nft.rule.add({ family: 'bridge', table: 'demo', chain: 'f', expressions }),
        ),
      ],
    ],
  },
]

const rules: readonly Row[] = [
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

const nat: readonly Row[] = [
  {
    name: 'nat: masquerade fully-random, random, snat, dnat, redirect',
    text: `table inet demo {
 chain post { type nat hook postrouting priority 100;
  ip saddr 10.0.0.0/16 ip daddr != 10.0.0.0/16 masquerade fully-random
  oifname "eth0" masquerade random,persistent
  oifname "eth1" masquerade
  ip saddr 10.1.0.1 snat ip to 192.0.2.1
 }
 chain pre { type nat hook prerouting priority -100;
  tcp dport 8080 dnat ip to 10.0.0.2:80
  udp dport 53 dnat ip6 to [fd00::1]:5353
  tcp dport 81 redirect to :8081
 }
}
`,
    ours: [
      [
        table,
        nft.chain.add({ ...demo, name: 'post', type: 'nat', hook: 'postrouting', priority: 100 }),
        nft.chain.add({ ...demo, name: 'pre', type: 'nat', hook: 'prerouting', priority: -100 }),
        ...[
          exprs(
            match.ipSaddr('10.0.0.0/16'),
            match.ipDaddr('10.0.0.0/16', 'neq'),
            action.masquerade('fully-random'),
          ),
          exprs(match.oifname('eth0'), action.masquerade('random', 'persistent')),
          exprs(match.oifname('eth1'), action.masquerade()),
          exprs(match.ipSaddr('10.1.0.1'), action.snat('192.0.2.1')),
        ].map((expressions) => nft.rule.add({ ...demo, chain: 'post', expressions })),
        ...[
          exprs(match.tcpDport(8080), action.dnat('10.0.0.2', 80)),
          exprs(match.udpDport(53), action.dnat('fd00::1', 5353)),
          exprs(match.tcpDport(81), [
            { type: 'immediate', value: '1f91' },
            { type: 'redir', port: 0 },
          ]),
        ].map((expressions) => nft.rule.add({ ...demo, chain: 'pre', expressions })),
      ],
    ],
  },
  {
    name: 'notrack, before connection tracking',
    text: `table ip demo {
 chain raw { type filter hook prerouting priority -300;
  iifname "v0" notrack
  ip protocol udp meta mark 0x00000007 notrack
 }
}
`,
    ours: [
      [
        nft.table.add({ family: 'ip', name: 'demo' }),
        nft.chain.add({
          family: 'ip',
          table: 'demo',
          name: 'raw',
          type: 'filter',
          hook: 'prerouting',
          priority: -300,
        }),
        ...[
          exprs(match.iifname('v0'), action.notrack),
          exprs(
            [
              { type: 'payload', base: 'network', offset: 9, length: 1 },
              { type: 'cmp', op: 'eq', value: '11' },
            ],
            match.mark(7),
            action.notrack,
          ),
        ].map((expressions) =>
          nft.rule.add({ family: 'ip', table: 'demo', chain: 'raw', expressions }),
        ),
      ],
    ],
  },
]

const sets: readonly Row[] = [
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

const changes: readonly Row[] = [
  {
    name: 'elements, rules, sets and chains removed; sets and chains flushed',
    text: [
      `table inet demo {
 set a { type ipv4_addr; elements = { 10.0.0.1, 10.0.0.2 } }
 set b { type ipv4_addr; flags interval; elements = { 10.0.0.0/24, 10.2.0.0/16 } }
 set c { type ipv4_addr; elements = { 10.0.0.1 } }
 set gone { type ipv4_addr; }
 chain gone { }
 chain emptied { accept; }
}
table inet other { }
`,
      `delete element inet demo a { 10.0.0.1 }
delete element inet demo b { 10.0.0.0/24 }
flush set inet demo c
delete set inet demo gone
delete chain inet demo gone
flush chain inet demo emptied
delete table inet other
`,
    ],
    ours: [
      [
        table,
        nft.set.add({ ...demo, name: 'a', key: ['ipv4_addr'] }),
        nft.set.add({ ...demo, name: 'b', key: ['ipv4_addr'], flags: interval }),
        nft.set.add({ ...demo, name: 'c', key: ['ipv4_addr'] }),
        nft.set.add({ ...demo, name: 'gone', key: ['ipv4_addr'] }),
        elements('a', ['ipv4_addr'], ['10.0.0.1'], ['10.0.0.2']),
        intervals('b', ['ipv4_addr'], ['10.0.0.0/24'], ['10.2.0.0/16']),
        elements('c', ['ipv4_addr'], ['10.0.0.1']),
        nft.chain.add({ ...demo, name: 'gone' }),
        nft.chain.add({ ...demo, name: 'emptied' }),
        nft.rule.add({ ...demo, chain: 'emptied', expressions: exprs(verdict.accept) }),
        nft.table.add({ family: 'inet', name: 'other' }),
      ],
      [
        nft.element.remove({
          ...demo,
          set: 'a',
          key: ['ipv4_addr'],
          elements: [['10.0.0.1']],
        }),
        nft.element.remove({
          ...demo,
          set: 'b',
          key: ['ipv4_addr'],
          flags: interval,
          elements: [['10.0.0.0/24']],
        }),
        nft.set.flush({ ...demo, name: 'c' }),
        nft.set.remove({ ...demo, name: 'gone' }),
        nft.chain.remove({ ...demo, name: 'gone' }),
        nft.chain.flush({ ...demo, name: 'emptied' }),
        nft.table.remove({ family: 'inet', name: 'other' }),
      ],
    ],
  },
  {
    name: 'a table replaced as a whole, in one transaction',
    text: [
      inForward('iifname "old" drop'),
      `delete table inet demo\n${inForward('iifname "new" accept')}`,
    ],
    ours: [
      [table, forward, rule(match.iifname('old'), verdict.drop)],
      [
        table,
        nft.table.remove({ family: 'inet', name: 'demo' }),
        table,
        forward,
        rule(match.iifname('new'), verdict.accept),
      ],
    ],
  },
]

/** Every ruleset. */
export const rows: readonly Row[] = [...chains, ...rules, ...nat, ...sets, ...changes]

function elements(set: string, key: nft.KeyTypes, ...list: readonly nft.Element[]): nft.NftRequest {
  return nft.element.add({ ...demo, set, key, elements: list })
}

function intervals(
  set: string,
  key: nft.KeyTypes,
  ...list: readonly nft.Element[]
): nft.NftRequest {
  return nft.element.add({ ...demo, set, key, flags: interval, elements: list })
}
