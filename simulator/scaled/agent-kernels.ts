/**
 * What nodes' kernels hold and lack, and how long it takes them to make it.
 *
 * @module
 */
import { AgentColumns } from './agent-columns.ts'
import { countOf } from './counts.ts'
import { type Lacking, operationsOf, ticksOf } from './prices.ts'

export class AgentKernels extends AgentColumns {
  /** Peers in the node's rack among the first so many claims, where they need no tunnel. */
  nearPeers(node: number, claims: number): number {
    return this.plan.isDirect && claims > 0 ? this.nearIn(node, 0, this.firstsOf(claims)) - 1 : 0
  }

  private firstsOf(claims: number): number {
    return Math.min(claims, this.shown.length)
  }

  private nearIn(node: number, from: number, to: number): number {
    return this.blocks.inRackOf(node, from, to)
  }

  /** Ticks for what the kernel lacks of what was read; -1: nothing. */
  protected missing(node: number): number {
    const { prices } = this
    const lacking = this.lacking(node)
    if (operationsOf(prices, lacking) === 0) return -1
    const ticks = ticksOf(prices, lacking)
    if (prices.scan === undefined) return ticks
    // Routes to peers come last, each after those that are there.
    const before = this.objectsOfRoutes(node) + lacking.owned + (lacking.isFirst ? 1 : 0)
    let sum = ticks
    for (let at = 0; at < lacking.peers + lacking.blocks; at++) {
      sum += prices.scan.ticks + prices.scan.ticksEach * (before + at)
    }
    return Math.round(sum)
  }

  private objectsOfRoutes(node: number): number {
    const near = 0
    const shown = { claims: this.shown[node]!, pods: this.made[node]!, near }
    return countOf(this.plan, 'routes', shown)
  }

  protected lacking(node: number): Lacking {
    const shown = this.shown[node]!
    const to = this.readClaims[node]!
    const isFirst = shown < 0
    const from = Math.max(shown, 0)
    const [firstFrom, firstTo] = [this.firstsOf(from), this.firstsOf(to)]
    const nodes = this.shown.length
    const [restFrom, restTo] = [Math.max(from, nodes), Math.max(to, nodes)]
    const owned = this.readOwned[node]! - Math.max(this.ownShown[node]!, 1)
    const self = isFirst ? 1 : 0
    const peers = firstTo - firstFrom - self
    const blocks = restTo - restFrom - owned
    if (!this.plan.isDirect) return { isFirst, owned, peers, blocks, near: 0, nearBlocks: 0 }
    const near = this.nearIn(node, firstFrom, firstTo) - self
    const nearBlocks = this.nearIn(node, restFrom, restTo) - owned
    return { isFirst, owned, peers: peers - near, blocks: blocks - nearBlocks, near, nearBlocks }
  }

  /** Objects in the node's kernel. */
  protected objects(node: number): number {
    const { objects, first, changed, peer, near, block, nearBlock, own, pod } = this.prices
    const shown = this.shown[node]!
    if (shown < 0) return objects
    const nodes = this.shown.length
    const owned = this.ownShown[node]! - 1
    const close = this.nearPeers(node, shown)
    const more = Math.max(0, shown - nodes) - owned
    const moreClose =
      this.plan.isDirect && shown > nodes ? this.nearIn(node, nodes, shown) - owned : 0
    return (
      objects +
      first.operations -
      changed +
      (Math.min(shown, nodes) - 1 - close) * peer.operations +
      close * near.operations +
      (more - moreClose) * block.operations +
      moreClose * nearBlock.operations +
      owned * own.operations +
      this.made[node]! * pod.operations
    )
  }
}
