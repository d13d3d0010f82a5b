/**
 * To whom something is said, as addresses: worked out once a turn for each audience.
 *
 * @module
 */
import type { Ip } from '../../net/mod.ts'
import type { Saying } from './group.ts'
import type { Peers } from './peers.ts'

export class Audiences {
  readonly #peers: Peers
  /** By a group's members, and the one who is left out. */
  readonly #known = new Map<readonly number[], Map<number, readonly Ip[]>>()

  constructor(peers: Peers) {
    this.#peers = peers
  }

  /** The very same list as before for the same audience of a turn: who sends knows it by that. */
  of({ group, except, only }: Saying): readonly Ip[] {
    if (only !== undefined) return only === except ? [] : [this.#peers.of(only).address]
    const { members } = group
    let byExcept = this.#known.get(members)
    if (byExcept === undefined) {
      byExcept = new Map()
      this.#known.set(members, byExcept)
    }
    let to = byExcept.get(except)
    if (to === undefined) {
      to = members.filter((id) => id !== except).map((id) => this.#peers.of(id).address)
      byExcept.set(except, to)
    }
    return to
  }

  endTurn(): void {
    this.#known.clear()
  }
}
