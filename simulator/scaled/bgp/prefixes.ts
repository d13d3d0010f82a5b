/**
 * Prefixes by small numbers: who owns each, how long it is, when a kernel changed it.
 *
 * @module
 */

const FIRST_ROOM = 1024

export class Prefixes {
  count = 0
  owners = new Int32Array(FIRST_ROOM)
  /** In a message. */
  octets = new Uint8Array(FIRST_ROOM)
  sinceTicks = new Float64Array(FIRST_ROOM)

  /** A prefix of so many bits that one node announces, and no other ever does. @returns its number. */
  add(owner: number, bits: number): number {
    const number = this.count++
    if (number === this.owners.length) this.grow()
    this.owners[number] = owner
    this.octets[number] = 1 + ((bits + 7) >>> 3)
    return number
  }

  get bytes(): number {
    return this.owners.byteLength + this.octets.byteLength + this.sinceTicks.byteLength
  }

  private grow(): void {
    const room = 2 * this.owners.length
    this.owners = grown(this.owners, room)
    this.octets = grown(this.octets, room)
    this.sinceTicks = grown(this.sinceTicks, room)
  }
}

type Column = Int32Array | Uint8Array | Float64Array | Uint32Array

/** The column with more room. */
export function grown<T extends Column>(column: T, room: number): T {
  const wider = new (column.constructor as new (length: number) => T)(room)
  wider.set(column as never)
  return wider
}
