/**
 * Blocks that a node has no use for, and gives back to the cluster.
 *
 * @module
 */
import { blocksIn, isSpare, ownBlocks, sparePools } from './blocks.ts'
import { coolingIn } from './cooling.ts'
import { keys } from './keys.ts'
import { type BlockUse, type NetworkRecord, networkFamilies } from './records.ts'
import type { Reader, Tx } from './store.ts'

/**
 * Blocks without a holder and without an address that rests; but for the first
 * of a family, which has the tunnel endpoint, and one spare, the lowest that
 * `ensureBlocks` would count: so what is given back is not claimed again at once.
 */
export function idleBlocks(
  reader: Reader,
  network: NetworkRecord,
  node: string,
  nowMs: number,
): readonly BlockUse[] {
  return networkFamilies(network).flatMap((family) => {
    const own = ownBlocks(reader, network, node, family)
    const spare = blocksIn(own, sparePools(network, family)).find((use) =>
      isSpare(network, use, nowMs),
    )
    return own.filter(
      (use) =>
        !use.first &&
        use.used === 0 &&
        use.cidr !== spare?.cidr &&
        coolingIn(network, use, nowMs).length === 0,
    )
  })
}

/** Gives the idle blocks back. Their history stays. */
export function giveBackIdle(
  tx: Tx,
  network: NetworkRecord,
  node: string,
  nowMs: number,
): readonly BlockUse[] {
  const idle = idleBlocks(tx, network, node, nowMs)
  for (const { cidr } of idle) {
    tx.remove(keys.claim(network.name, cidr))
    tx.remove(keys.use(node, network.name, cidr))
  }
  return idle
}
