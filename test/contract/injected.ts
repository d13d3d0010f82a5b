/**
 * VXLAN that a pod makes itself: one table, for the simulator, for `trivium
 * explain`, and for Linux with our nftables table.
 *
 * A pod leaves under its node's address, which the other nodes' guards let in. So
 * its own node must not forward what looks like a tunnel packet to a node.
 */
import type { Test } from 'tap'

export interface Injection {
  readonly what: string
  /** The pod's node, or another one. */
  readonly to: 'own' | 'other'
  /** The port of a tunnel, or one of none. */
  readonly port: 'tunnel' | 'other'
  /** The id of a tunnel on that port, or one that nobody has; undefined: no VXLAN at all. */
  readonly vni: 'tunnel' | 'other' | undefined
  /** A chain that is missing on the pod's node. */
  readonly without?: 'isolate' | 'tunnel'
  readonly arrives: boolean
}

export const INJECTIONS: readonly Injection[] = [
  { what: 'into a tunnel', to: 'other', port: 'tunnel', vni: 'tunnel', arrives: false },
  { what: 'an id of nobody', to: 'other', port: 'tunnel', vni: 'other', arrives: true },
  { what: 'a port of no tunnel', to: 'other', port: 'other', vni: 'tunnel', arrives: true },
  { what: 'no VXLAN', to: 'other', port: 'other', vni: undefined, arrives: true },
  { what: 'into its own node', to: 'own', port: 'tunnel', vni: 'tunnel', arrives: false },
  {
    what: 'an id of nobody, into its own node',
    to: 'own',
    port: 'tunnel',
    vni: 'other',
    arrives: true,
  },
  {
    what: 'where its node forwards everything',
    to: 'other',
    port: 'tunnel',
    vni: 'tunnel',
    without: 'isolate',
    arrives: true,
  },
  {
    what: 'where its node takes everything',
    to: 'own',
    port: 'tunnel',
    vni: 'tunnel',
    without: 'tunnel',
    arrives: true,
  },
]

/** @param send Whether such a packet arrived, of each family. */
export function injectionContract(
  t: Test,
  name: string,
  send: (injection: Injection, t: Test) => Promise<readonly boolean[]> | readonly boolean[],
): void {
  for (const injection of INJECTIONS) {
    t.test(`${name}: a pod sends VXLAN: ${injection.what}`, async (t) => {
      const { arrives } = injection
      t.strictSame(await send(injection, t), [arrives, arrives], 'IPv4, IPv6')
    })
  }
}
