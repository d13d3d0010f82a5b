/** The network of the members' world: a small pool of blocks, and one whose addresses move. */
import { createNetwork, parseNetworkSpec, reserve, type Tx } from '../../ipam/mod.ts'
import { parseIp } from '../../src/net/mod.ts'

/** A pool whose addresses move. */
export const FLOATING = '10.9.0.0/28'
/** Pods that have one of it reserved. */
export const FIXED = 4

export const podOf = (number: number) => ({ namespace: 'db', name: `p${number}`, uid: '' })

/** @param pool As `10.0.0.0/26,block=29`. */
export function putNetwork(tx: Tx, pool: string): void {
  const [cidr = '', length = ''] = pool.split(',block=')
  const pools = [
    { cidr, blockLength: Number(length) },
    { cidr: FLOATING, floating: true },
  ]
  const options = { cooldownSeconds: 0 }
  createNetwork(tx, parseNetworkSpec({ name: 'pods', mode: 'vxlan', pools, options }, 0))
  for (let n = 0; n < FIXED; n++) {
    const ip = parseIp(`10.9.0.${n + 1}`)
    reserve(tx, { network: 'pods', ip, pod: podOf(n), nowMs: 0 })
  }
}
