/**
 * Octets of the store's records as JSON, key and value: what a commit writes and what
 * nodes are told of it. Names, addresses and the rest are ASCII, so letters are octets.
 *
 * Each record is measured once with nothing in what varies; the rest is counting digits.
 *
 * @module
 */
import type { Plan } from './accept.ts'
import { POD_LINK, shareOf } from './contents.ts'
import { type Places, UNDERLAY } from './places.ts'

/** Virtual times as Unix milliseconds, up to the year 2286. */
const TIME = 1_000_000_000_000
/** An address in a key: its family and fixed-width hexadecimal. */
const PLACE = '4/00000000'
/** A pod's link: `trv` and eleven digits of a hash. */
const LINK = 'trv00000000000'
const POD = 'pod-'

const octets = (key: string, value: unknown): number => key.length + JSON.stringify(value).length

export class RecordSizes {
  private readonly places: Places
  private readonly isByRack: boolean
  /** Octets of each rack's part of the pool. */
  private readonly pools: readonly number[] | undefined
  private readonly lengthOctets: number
  private readonly base: Readonly<Record<'claim' | 'use' | 'address' | 'attachment', number>>

  constructor(plan: Plan, places: Places) {
    const { network, blockLength, mode, share, scenario } = plan
    this.places = places
    this.pools =
      share === undefined
        ? undefined
        : Array.from({ length: scenario.racks }, (_, rack) => shareOf(plan, rack).length)
    // Where each rack has its own, it is counted with the node.
    const pool = share === undefined ? plan.pool : ''
    this.isByRack = mode === 'vxlan'
    this.lengthOctets = 1 + digits(blockLength)
    const pod = { network, containerId: POD, ifname: POD_LINK }
    const claim = { network, cidr: '', pool, node: '', first: true, claimedMs: TIME }
    const use = { cidr: '', pool, first: true, cursor: 0, used: 0 }
    const attachment = {
      ...{ ...pod, node: '', ips: [''], hostLink: LINK, netns: `/run/netns/${POD}` },
      ...{ sequence: 0, bootId: 'boot-', addedMs: TIME },
    }
    this.base = {
      claim: octets(`claim/${network}/${PLACE}`, claim),
      // Without what is 0 here.
      use: octets(`use//${network}/${PLACE}`, use) - 2,
      address:
        octets(`address/${network}/${PLACE}`, { ip: '', block: '', ...pod, sequence: 0 }) - 1,
      attachment: octets(`attachment//${network}/${POD}/${POD_LINK}`, attachment) - 1,
    }
  }

  /** What a node says of itself. */
  node(node: number): number {
    const { places } = this
    const name = places.name(node)
    const prefix = this.isByRack ? places.rackPrefix(places.rackOf(node)) : UNDERLAY
    return octets(`node/${name}`, {
      ...{ name, ...(this.pools === undefined ? {} : { rack: `rack-${places.rackOf(node)}` }) },
      ...{ underlayLink: 'eth0', underlayIps: [places.ip(node)], underlayPrefixes: [prefix] },
      ...{ underlayMtuBytes: 1500, vtepMac: places.vtepMac(node), registeredMs: 0 },
    })
  }

  /** Whose block it is. @param block Its first address. @param isFirst Of the node. */
  claim(node: number, block: number, isFirst: boolean): number {
    return this.base.claim + this.prefix(block) + this.of(node) + (isFirst ? 0 : 1)
  }

  /** How full a block is. */
  use(node: number, block: number, isFirst: boolean, cursor: number, used: number): number {
    const own = this.prefix(block) + this.of(node) + (isFirst ? 0 : 1)
    return this.base.use + own + digits(cursor) + digits(used)
  }

  /** Whose address it is. */
  address(pod: number, address: number, block: number, sequence: number): number {
    const own = dotted(address) + this.prefix(block) + digits(pod) + digits(sequence)
    return this.base.address + own
  }

  sequence(node: number, sequence: number): number {
    return 'sequence/'.length + this.name(node) + digits(sequence)
  }

  attachment(node: number, pod: number, address: number, sequence: number): number {
    // In its key, by itself, and in the name of its boot; the pod in its key, itself and its namespace.
    const names = 3 * this.name(node) + 3 * digits(pod)
    return this.base.attachment + names + dotted(address) + digits(sequence)
  }

  private prefix(block: number): number {
    return dotted(block) + this.lengthOctets
  }

  /** Its name and its pool. */
  private of(node: number): number {
    return this.name(node) + (this.pools?.[this.places.rackOf(node)] ?? 0)
  }

  private name(node: number): number {
    return 'node-'.length + Math.max(4, digits(node))
  }
}

/** Octets of an IPv4 address in text. */
function dotted(address: number): number {
  let count = 3
  for (let shift = 0; shift < 32; shift += 8) count += digits((address >>> shift) & 255)
  return count
}

function digits(value: number): number {
  let count = 1
  for (let rest = value; rest >= 10; rest = Math.floor(rest / 10)) count++
  return count
}
