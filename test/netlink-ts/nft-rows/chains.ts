/**
 * Tables and chains of every family.
 */
import { nft } from '../../../src/netlink-ts/mod.ts'
import { demo, type Row, table } from './row.ts'

const { action, verdict, exprs } = nft

/** Chains. */
export const CHAIN_ROWS: readonly Row[] = [
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
