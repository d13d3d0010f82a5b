/** Our nftables table: what hangs on what, and what is refused. */

import { FIREWALL, NFT_CHAINS, NFT_SETS } from '../../src/kernel/firewall.ts'
import type { KernelObject, NftChain, NftElement, NftSet, NftTable } from '../../src/kernel/mod.ts'
import { add, type Case, change, remove } from './kernel-objects.ts'

const table: NftTable = { kind: 'nft-table', name: 'trivium' }
const set = (name: string): NftSet => NFT_SETS.find((each) => each.name === name) as NftSet
const chain = (name: string): NftChain => NFT_CHAINS.find((each) => each.name === name) as NftChain
const element = (of: string, key: string): NftElement => ({ kind: 'nft-element', set: of, key })

const pod = element('pods4', 'trv0123456789a . 10.42.0.5')
const elements: readonly KernelObject[] = [
  pod,
  element('pods6', 'trv0123456789a . fd42::5'),
  element('nodes4', '192.0.2.2'),
  element('nodes6', '2001:db8::2'),
  element('tunnels', '8472 . 7'),
  element('tunnels', '4790 . 16777215'),
  element('tunnelled4', 'trvx.7 . 10.42.0.0/16'),
  element('tunnelled6', 'trvx.7 . fd42::/112'),
  element('pools4', '10.42.0.0/16'),
  element('inside6', 'fd42::/112'),
  element('masquerade4', '10.42.0.0/16'),
  element('reach4', '10.42.0.0/16 . 10.42.0.0/16'),
  element('reach6', 'fd42::/112 . fd43::/112'),
  element('reach_port4', '10.42.0.0/16 . 10.43.0.0/16 . tcp . 443'),
]
const whole: readonly KernelObject[] = [...FIREWALL, ...elements]
/** The order in which planners add: sets, elements, chains. */
const pools = [table, set('pools4'), set('inside4'), set('reach4'), set('tunnelled4')]

export const NFT_CASES: readonly Case[] = [
  { name: 'the whole table', ops: whole.map(add), state: whole },
  { name: 'the whole table, twice: no error', ops: [...whole, ...whole].map(add), state: whole },
  {
    name: 'without the table',
    ops: [add(set('nodes4')), add(pod), add(chain('spoof'))],
    errors: { 0: 'ENOENT', 1: 'ENOENT', 2: 'ENOENT' },
    state: [],
  },
  {
    name: 'without the sets',
    ops: [add(table), add(pod), add(chain('tunnel'))],
    errors: { 1: 'ENOENT', 2: 'ENOENT' },
    state: [table],
  },
  {
    name: 'removing what is not there',
    ops: [
      remove(table),
      remove(pod),
      add(table),
      remove(set('nodes4')),
      remove(pod),
      remove(chain('spoof')),
      add(set('pods4')),
      remove(pod),
    ],
    errors: { 0: 'ENOENT', 1: 'ENOENT', 3: 'ENOENT', 4: 'ENOENT', 5: 'ENOENT', 7: 'ENOENT' },
    state: [table, set('pods4')],
  },
  {
    name: 'the table takes everything along',
    ops: [...whole.map(add), remove(table)],
    state: [],
  },
  {
    name: 'a set in use is busy; with its chain gone it goes, elements and all',
    ops: [
      ...whole.map(add),
      remove(set('masquerade4')),
      remove(chain('translate')),
      remove(set('masquerade4')),
      remove(element('masquerade4', '10.42.0.0/16')),
    ],
    errors: { [whole.length]: 'EBUSY', [whole.length + 3]: 'ENOENT' },
    state: whole.filter((object) => {
      if (object.kind === 'nft-chain') return object.name !== 'translate'
      if (object.kind === 'nft-set') return object.name !== 'masquerade4'
      return object.kind !== 'nft-element' || object.set !== 'masquerade4'
    }),
  },
  {
    name: 'a set never changes its key',
    ops: [
      add(table),
      add(set('nodes4')),
      add({ ...set('nodes4'), key: 'ipv6_addr' }),
      change({ ...set('nodes4'), interval: true }, { ...set('nodes4'), interval: true }),
    ],
    errors: { 2: 'EEXIST', 3: 'EEXIST' },
    state: [table, set('nodes4')],
  },
  {
    name: 'a chain is filled anew, as a whole',
    ops: [
      table,
      ...NFT_SETS,
      { ...chain('tunnel'), rules: chain('tunnel').rules.split('\n').slice(1).join('\n') },
    ]
      .map(add)
      .concat(change({ ...chain('tunnel'), rules: '' }, chain('tunnel'))),
    state: [table, ...NFT_SETS, chain('tunnel')],
  },
  {
    name: 'prefixes of one set do not overlap',
    ops: [
      ...pools.map(add),
      add(element('pools4', '10.42.0.0/16')),
      add(element('pools4', '10.42.16.0/20')),
      add(element('pools4', '10.40.0.0/13')),
      add(element('pools4', '10.43.0.0/16')),
      add(element('inside4', '10.42.16.0/20')),
    ],
    errors: { 6: 'EEXIST', 7: 'EEXIST' },
    state: [
      ...pools,
      element('pools4', '10.42.0.0/16'),
      element('pools4', '10.43.0.0/16'),
      element('inside4', '10.42.16.0/20'),
    ],
  },
  {
    name: 'combinations of prefixes: a narrower one is refused, a wider one is not',
    ops: [
      ...pools.map(add),
      add(element('reach4', '10.42.0.0/16 . 10.42.0.0/16')),
      add(element('reach4', '10.42.0.0/20 . 10.42.0.0/16')),
      add(element('reach4', '10.42.16.0/20 . 10.42.240.0/20')),
      add(element('reach4', '10.42.0.0/16 . 10.43.0.0/16')),
      add(element('reach4', '10.40.0.0/13 . 10.42.0.0/16')),
      add(element('tunnelled4', 'trvx.7 . 10.42.0.0/16')),
      add(element('tunnelled4', 'trvx.7 . 10.42.16.0/20')),
      add(element('tunnelled4', 'trvx.8 . 10.42.16.0/20')),
    ],
    errors: { 6: 'EEXIST', 7: 'EEXIST', 11: 'EEXIST' },
    // Linux 6.1 takes an element for one that is there when their first four bytes are the same.
    untold: [11],
    state: [
      ...pools,
      element('reach4', '10.42.0.0/16 . 10.42.0.0/16'),
      element('reach4', '10.42.0.0/16 . 10.43.0.0/16'),
      element('reach4', '10.40.0.0/13 . 10.42.0.0/16'),
      element('tunnelled4', 'trvx.7 . 10.42.0.0/16'),
      element('tunnelled4', 'trvx.8 . 10.42.16.0/20'),
    ],
  },
]
