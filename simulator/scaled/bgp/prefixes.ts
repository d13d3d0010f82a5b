/**
 * Prefixes by small numbers: who owns each, how long it is, when a kernel changed it.
 *
 * @module
 */
import { TriviumError } from '../../../src/errors.ts'
import { type Prefix, prefixLength } from '../../../src/net/mod.ts'

const FIRST_ROOM = 1024

export class Prefixes {
  count = 0
  owners = new Int32Array(FIRST_ROOM)
  /** In a message. */
  octets = new Uint8Array(FIRST_ROOM)
  sinceTicks = new Float64Array(FIRST_ROOM)
  private readonly names: Prefix[] = []
  private readonly byName = new Map<Prefix, number>()

  /** The number of a prefix. @throws {TriviumError} BAD_CONFIG: another node has it. */
  of(prefix: Prefix, owner: number): number {
    const known = this.byName.get(prefix)
    if (known !== undefined) {
      if (this.owners[known] === owner) return known
      throw new TriviumError(
        'BAD_CONFIG',
        `Cannot announce ${prefix} from two nodes in the scaled engine: found ${this.owners[known]} and ${owner}, wanted one`,
        'The exact engine runs it, use: --engine exact',
      )
    }
    const number = this.count++
    if (number === this.owners.length) this.grow()
    this.owners[number] = owner
    this.octets[number] = 1 + ((prefixLength(prefix) + 7) >>> 3)
    this.names.push(prefix)
    this.byName.set(prefix, number)
    return number
  }

  name(number: number): Prefix {
    return this.names[number]!
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
