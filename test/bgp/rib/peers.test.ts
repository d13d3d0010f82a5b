/** Numbers and ranks of peers: the last step of a decision goes by the order of their addresses. */

import { equal } from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { type Peer, Peers } from '../../../src/bgp/rib/peers.ts'
import type { Ip } from '../../../src/net/mod.ts'
import { holds } from '../../support/property.ts'

const peerAt = (place: number): Peer => {
  const address = `192.0.2.${place}` as Ip
  return { address, kind: 'ibgp', asn: 64_512, routerId: address, families: {} }
}

holds(
  t,
  'ranks are in the order of addresses, whoever came and went',
  fc.array(fc.record({ place: fc.integer({ min: 1, max: 9 }), goes: fc.boolean() })),
  (changes) => {
    const peers = new Peers()
    const there = new Set<number>()
    for (const { place, goes } of changes) {
      const id = peers.find(peerAt(place).address)
      if (!goes) {
        peers.add(peerAt(place))
        there.add(place)
      } else if (id !== undefined) {
        peers.remove(id)
        there.delete(place)
      }
    }
    let before = 0
    for (const place of [...there].sort((a, b) => a - b)) {
      const rank = peers.rank[peers.find(peerAt(place).address)!]!
      equal(rank > before, true, `rank ${rank} of ${place} behind ${before}`)
      before = rank
    }
  },
)
