/**
 * Rules that rewrite addresses.
 */
import { nft } from '../../../src/netlink-ts/mod.ts'
import { demo, type Row, table } from './row.ts'

const { match, action, exprs } = nft

/** Nat. */
export const NAT_ROWS: readonly Row[] = [
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
