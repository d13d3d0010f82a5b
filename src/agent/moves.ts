/**
 * What the others are told of how far this node is in moves of networks.
 *
 * @module
 */
import { standings } from '../backend/moving.ts'
import type { ClusterView, NodeRecord } from '../cluster/view.ts'

export interface MovesTeller {
  /** Whether the others have to hear something, now that the kernel follows the plan of `view`. */
  isNews(view: ClusterView): boolean
  /** For the node's record; nothing as long as there was no news. */
  readonly said: Pick<NodeRecord, 'moves'>
}

/** Says each word once: where it does not arrive, whoever registers the node tries again. */
export function movesTeller(): MovesTeller {
  let said: Pick<NodeRecord, 'moves'> = {}
  return {
    isNews(view) {
      const moves = standings(view)
      const text = JSON.stringify(moves)
      if (text === JSON.stringify(view.self.moves ?? {})) return false
      if (text === JSON.stringify(said.moves)) return false
      said = { moves }
      return true
    },
    get said() {
      return said
    },
  }
}
