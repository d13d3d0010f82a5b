/**
 * What the flavours of VXLAN have to say for themselves.
 *
 * @module
 */
import type { BlockClaim, NetworkView, NodeRecord } from '../../cluster/view.ts'
import type { KernelObject } from '../../kernel/mod.ts'
import type { Ip } from '../../net/mod.ts'

export interface Layout {
  /** The node's own tunnel link and its settings. */
  device(
    network: NetworkView,
    self: NodeRecord,
    local: Ip,
    mtuBytes: number,
  ): readonly KernelObject[]
  /**
   * The way to one peer.
   *
   * @param claims All of the peer's blocks.
   * @param tunnelled Those that the tunnel carries.
   * @param outer Underlay address of the peer.
   */
  peer(
    network: NetworkView,
    node: NodeRecord,
    claims: readonly BlockClaim[],
    tunnelled: readonly BlockClaim[],
    outer: Ip,
  ): readonly KernelObject[]
}
