/**
 * A cluster of many nodes, written straight into the store: for tests of one
 * node among them.
 */
import { keys } from '../../ipam/keys.ts'
import type { Store } from '../../ipam/store.ts'
import { transact } from '../../src/live/transact.ts'
import { type Ip, macFromName, parseIp, subPrefixAt } from '../../src/net/mod.ts'

/** The peer's address in the lab's underlay. */
const underlayIps = (index: number): readonly Ip[] => [
  parseIp(`192.0.2.${index + 2}`),
  parseIp(`2001:db8::${(index + 2).toString(16)}`),
]

/**
 * Adds `count` nodes, each with `blocks` blocks of every pool of `network`. At
 * most 240 nodes, for their addresses.
 */
export async function addPeers(
  store: Store,
  network: string,
  count: number,
  blocks = 1,
): Promise<void> {
  await transact(store, (tx) => {
    const record = tx.get(keys.network(network))
    if (record === undefined) throw new Error(`There is no network ${network}`)
    for (let index = 0; index < count; index++) {
      const name = `peer-${index}`
      tx.put(keys.node(name), {
        name,
        underlayLink: 'eth0',
        underlayIps: underlayIps(index),
        underlayMtuBytes: 1500,
        vtepMac: macFromName(name),
        registeredMs: 0,
      })
    }
    for (const { cidr, blockLength } of record.pools) {
      const free = freeBlocks()
      for (let index = 0; index < count * blocks; index++) {
        const block = free.next().value
        if (block === undefined) throw new Error(`There is no room in ${cidr}`)
        tx.put(keys.claim(network, block), {
          network,
          cidr: block,
          pool: cidr,
          node: `peer-${index % count}`,
          first: index < count,
          claimedMs: 0,
        })
      }

      function* freeBlocks() {
        const room = 2 ** Math.min(blockLength - Number(cidr.split('/')[1]), 20)
        for (let at = 0; at < room; at++) {
          const block = subPrefixAt(cidr, blockLength, BigInt(at))
          if (tx.get(keys.claim(network, block)) === undefined) yield block
        }
      }
    }
  })
}
