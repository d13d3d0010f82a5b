/** Addresses kept from just any pod: the counter by blocks against counting each address. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { exclude, keys, type Tx } from '../../ipam/mod.ts'
import { reservationOf } from '../../ipam/reservations.ts'
import { keptCounter } from '../../ipam/show-kept.ts'
import { isTriviumError } from '../../src/errors.ts'
import {
  addressAt,
  containsIp,
  ipToInteger,
  networkAddress,
  type Prefix,
  prefixFamily,
  prefixOf,
  prefixSize,
} from '../../src/net/mod.ts'
import { holds } from '../support/property.ts'
import { LIFE_POOLS, life, lifeStart, live } from './random-life.ts'
import { smallStore } from './small-store.ts'

/** Address by address, as the records say. */
function counted(tx: Tx, cidr: Prefix): bigint {
  const network = tx.get(keys.network('pods'))!
  const start = ipToInteger(networkAddress(cidr))
  let kept = 0n
  for (let at = 0n; at < prefixSize(cidr); at++) {
    if (tx.get(keys.addressAt('pods', prefixFamily(cidr), start + at)) !== undefined) continue
    const ip = addressAt(cidr, at)
    const isExcluded = (network.exclusions ?? []).some((range) => containsIp(range, ip))
    if (isExcluded || reservationOf(tx, network, ip) !== undefined) kept++
  }
  return kept
}

/** Often wider than the blocks, of which pods have some: those are counted whole. */
const ranges = fc.array(
  fc
    .tuple(fc.nat(127), fc.constantFrom(25, 26, 27, 28, 29, 31))
    .map(([place, length]) => prefixOf(addressAt('10.1.0.0/25' as Prefix, BigInt(place)), length)),
  { maxLength: 3 },
)

function excludeWhatMay(tx: Tx, all: readonly Prefix[]): void {
  for (const range of all) {
    try {
      exclude(tx, 'pods', range)
    } catch (thrown) {
      if (!isTriviumError(thrown) || thrown.code === 'INTERNAL') throw thrown
    }
  }
}

holds(
  t,
  'what is kept is what counting each address finds, of pools and of blocks',
  fc.tuple(life(60), ranges),
  ([events, excluded]) => {
    const store = smallStore()
    store.run((tx) => lifeStart(tx))
    store.run((tx) => {
      live(tx, events, 1000)
      excludeWhatMay(tx, excluded)
      const kept = keptCounter(tx, tx.get(keys.network('pods'))!)
      const claims = [...tx.range(keys.claims('pods'))].map(([, { cidr }]) => cidr)
      for (const cidr of [...LIFE_POOLS.map((pool) => pool.cidr as Prefix), ...claims]) {
        assert.equal(kept(cidr), counted(tx, cidr), cidr)
      }
    })
  },
  { numRuns: 150 },
)
