/**
 * Where nodes are, by arithmetic: racks one after the other as even as can be, a /24
 * of 100.64.0.0/10 each, whose first address is the switch's.
 *
 * @module
 */
import {
  addressAt,
  type Ip,
  type Mac,
  macFromName,
  type Prefix,
  parsePrefix,
  subPrefixAt,
} from '../../src/net/mod.ts'

export const UNDERLAY = parsePrefix('100.64.0.0/10')
const RACK_LENGTH = 24
const RACK_ADDRESSES = 256
const FIRST_NODE = 2

export class Places {
  private readonly nodes: number
  private readonly racks: number

  constructor(nodes: number, racks: number) {
    this.nodes = nodes
    this.racks = racks
  }

  name(node: number): string {
    return `node-${String(node).padStart(4, '0')}`
  }

  rackOf(node: number): number {
    // The last rack whose first node is not after this one.
    return Math.ceil(((node + 1) * this.racks) / this.nodes) - 1
  }

  firstOf(rack: number): number {
    return Math.floor((rack * this.nodes) / this.racks)
  }

  nodesOf(rack: number): readonly number[] {
    const first = this.firstOf(rack)
    return Array.from({ length: this.firstOf(rack + 1) - first }, (_, place) => first + place)
  }

  rackPrefix(rack: number): Prefix {
    return subPrefixAt(UNDERLAY, RACK_LENGTH, BigInt(rack))
  }

  ip(node: number): Ip {
    const rack = this.rackOf(node)
    return addressAt(
      UNDERLAY,
      BigInt(rack * RACK_ADDRESSES + FIRST_NODE + node - this.firstOf(rack)),
    )
  }

  /** The switch of the node's rack. */
  router(node: number): Ip {
    return addressAt(this.rackPrefix(this.rackOf(node)), 1n)
  }

  mac(node: number): Mac {
    return macFromName(`underlay/${this.name(node)}`)
  }

  /** Of its tunnel's end. */
  vtepMac(node: number): Mac {
    return macFromName(this.name(node))
  }
}
