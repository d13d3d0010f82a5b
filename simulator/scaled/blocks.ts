/**
 * Who owns which block and which address a pod has, in columns: as the product's
 * allocator gives them where nothing is ever given back. Blocks are claimed in their
 * order, the lowest free one first; a node fills one after the other and keeps one
 * spare, so its pods' addresses are a count.
 *
 * @module
 */
import { ipToInteger, networkAddress, prefixLength } from '../../src/net/mod.ts'
import type { Plan } from './accept.ts'
import { type Growing, ints } from './growing.ts'
import type { Places } from './places.ts'

const NONE = -1
/** The allocator found no address. */
export const REFUSED = -1

export class ScaledBlocks {
  /** Blocks of the pool, or of each rack's part of it. */
  readonly count: number
  readonly size: number
  /** Node by claim; the k-th claim has the k-th block. */
  readonly owners = ints()
  /** By node: its first claim and its last one; -1: none. */
  readonly first: Int32Array
  readonly last: Int32Array
  /** By node: how many claims. */
  readonly owned: Int32Array

  private readonly start: number
  private readonly isShared: boolean
  /** Blocks that are claimed, of each part. */
  private readonly taken: Int32Array
  /** By claim: its block. */
  private readonly numbers = ints()
  private readonly places: Places
  /** Claims of each rack, where anybody asks. */
  private readonly ofRack: readonly Growing<Int32Array>[]
  /** By claim: the next one of the same node. */
  private readonly next = ints()
  /** By node: the block that its pods' addresses are of now, and the one that is kept ready. */
  private readonly current: Int32Array
  private readonly spare: Int32Array
  /** Next place in the current block. */
  private readonly cursor: Int32Array

  constructor({ pool, blockLength, scenario, isDirect, share }: Plan, places: Places) {
    this.isShared = share !== undefined
    this.places = places
    this.ofRack = Array.from({ length: isDirect ? scenario.racks : 0 }, ints)
    const { nodes } = scenario
    this.count = share ?? 2 ** (blockLength - prefixLength(pool))
    this.taken = new Int32Array(share === undefined ? 1 : scenario.racks)
    this.size = 2 ** (32 - blockLength)
    this.start = Number(ipToInteger(networkAddress(pool)))
    const column = (): Int32Array => new Int32Array(nodes).fill(NONE)
    this.first = column()
    this.last = column()
    this.current = column()
    this.spare = column()
    this.owned = new Int32Array(nodes)
    this.cursor = new Int32Array(nodes)
  }

  get claimed(): number {
    return this.owners.length
  }

  get bytes(): number {
    const { first, last, owned, current, spare, cursor, owners, next } = this
    const columns = [first, last, owned, current, spare, cursor]
    return columns.reduce((sum, { byteLength }) => sum + byteLength, owners.bytes + next.bytes)
  }

  /** A node without a spare block claims one. False: it has one, or there is none left. */
  ensure(node: number): boolean {
    if (this.spare[node] !== NONE || this.isFull(node)) return false
    this.spare[node] = this.claim(node)
    return true
  }

  /** The next address for a pod of the node; `REFUSED`: there is none. */
  allocate(node: number): number {
    let place = this.place(node)
    while (place === NONE) {
      if (!this.turn(node)) return REFUSED
      place = this.place(node)
    }
    this.cursor[node] = place + 1
    return this.startOf(this.current[node]!) + place
  }

  /** First address of a claim's block. */
  startOf(claim: number): number {
    return this.start + this.numberOf(claim) * this.size
  }

  /** Place of a claim's block in the pool: in claims' order, in its rack's part. */
  numberOf(claim: number): number {
    return this.numbers.values[claim]!
  }

  /** The block of the last address that the node gave: its claim, its cursor, and how many pods have. */
  state(node: number): { readonly claim: number; readonly cursor: number; readonly used: number } {
    const claim = this.current[node]!
    const cursor = this.cursor[node]!
    return { claim, cursor: cursor % this.size, used: cursor - this.closedBelow(node, claim) }
  }

  isFirst(node: number, claim: number): boolean {
    return this.first[node] === claim
  }

  /** How many claims from `from` up to `to` are of nodes of its rack. */
  inRackOf(node: number, from: number, to: number): number {
    const claims = this.ofRack[this.places.rackOf(node)]
    return claims === undefined ? 0 : countBelow(claims, to) - countBelow(claims, from)
  }

  /** Claims of a node, from the first on. */
  *of(node: number): Generator<number> {
    for (let at = this.first[node]!; at !== NONE; at = this.next.values[at]!) yield at
  }

  /** To the spare block, or a new one. */
  private turn(node: number): boolean {
    const spare = this.spare[node]!
    if (spare === NONE && this.isFull(node)) return false
    this.current[node] = spare === NONE ? this.claim(node) : spare
    this.spare[node] = NONE
    this.cursor[node] = 0
    return true
  }

  /** The next place in the current block that a pod may have. */
  private place(node: number): number {
    const block = this.current[node]!
    if (block === NONE) return NONE
    const place = Math.max(this.cursor[node]!, this.closedBelow(node, block))
    // The pool's last address is nobody's.
    const isLast = this.numberOf(block) % this.count === this.count - 1
    const end = isLast ? this.size - 1 : this.size
    return place < end ? place : NONE
  }

  /** The tunnel endpoint of its node, or the pool's first address. */
  private closedBelow(node: number, claim: number): number {
    return this.numberOf(claim) % this.count === 0 || claim === this.first[node] ? 1 : 0
  }

  private partOf(node: number): number {
    return this.isShared ? this.places.rackOf(node) : 0
  }

  private isFull(node: number): boolean {
    return this.taken[this.partOf(node)] === this.count
  }

  private claim(node: number): number {
    const claim = this.claimed
    const part = this.partOf(node)
    this.owners.push(node)
    this.numbers.push(part * this.count + this.taken[part]!++)
    this.ofRack[this.places.rackOf(node)]?.push(claim)
    this.next.push(NONE)
    const last = this.last[node]!
    if (last === NONE) this.first[node] = claim
    else this.next.values[last] = claim
    this.last[node] = claim
    this.owned[node]!++
    return claim
  }
}

/** Of values that rise. */
function countBelow({ values, length }: Growing<Int32Array>, bound: number): number {
  let [low, high] = [0, length]
  while (low < high) {
    const middle = (low + high) >> 1
    if (values[middle]! < bound) low = middle + 1
    else high = middle
  }
  return low
}
