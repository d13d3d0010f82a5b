/**
 * Rulesets that change.
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

const { match, verdict, exprs } = nft

/** Changes. */
export const CHANGE_ROWS: readonly Row[] = [
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
