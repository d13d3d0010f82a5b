/**
 * What announcements cost on the wire, as BGP UPDATE messages would carry them: one
 * batch of a node becomes, for each switch that hears it, a message for what is new
 * and one for what is gone, a family.
 *
 * An estimate: headers and prefixes are as RFC 4271 and RFC 4760 say, path attributes
 * are taken for 30 octets; TCP, keepalives and the node's own session do not count.
 *
 * @module
 */
import { type Prefix, prefixFamily, prefixLength } from '../src/net/mod.ts'
import type { Announcement } from './fabric-device.ts'

/** So far. */
export interface AnnounceTraffic {
  /** UPDATE messages; each batch of a node for each switch that hears of it, at least one. */
  readonly updates: number
  readonly prefixesTold: number
  readonly bytes: number
}

/** Header, and the lengths of withdrawn routes and of attributes. Source: RFC 4271 sections 4.1 and 4.3. */
const FIXED_OCTETS = 19 + 4
/** ORIGIN 4, AS_PATH of two hops 13, NEXT_HOP 7, and something like a community. */
const ATTRIBUTE_OCTETS = 30
/** Attribute header of four, AFI, SAFI, next hop of 16 with its length, and a reserved octet. Source: RFC 4760 section 3. */
const MP_REACH_OCTETS = 4 + 3 + 17 + 1
/** Attribute header, AFI and SAFI. Source: RFC 4760 section 4. */
const MP_UNREACH_OCTETS = 4 + 3
/** Longest message. Source: RFC 4271 section 4. */
const MESSAGE_OCTETS_MAX = 4096

/** Octets of each kind of message without its prefixes: new and gone, IPv4 and IPv6. */
const EMPTY_OCTETS = [
  FIXED_OCTETS + ATTRIBUTE_OCTETS,
  FIXED_OCTETS,
  // The next hop is in MP_REACH_NLRI.
  FIXED_OCTETS + ATTRIBUTE_OCTETS - 7 + MP_REACH_OCTETS,
  FIXED_OCTETS + MP_UNREACH_OCTETS,
] as const
const KINDS = EMPTY_OCTETS.length

/** A prefix in a message: its length, and the bytes that it needs. Source: RFC 4271 section 4.3. */
export const prefixOctets = (prefix: Prefix): number => 1 + Math.ceil(prefixLength(prefix) / 8)

export class AnnounceCounter {
  private updates = 0
  private prefixesTold = 0
  private bytes = 0
  /** Octets of prefixes in the batch, by switch and kind. */
  private readonly octets: Int32Array
  private readonly touched: number[] = []

  constructor(devices: number) {
    this.octets = new Int32Array(devices * KINDS)
  }

  /** A switch hears of an entry, in the batch that is told now. Frames that teach a MAC are no messages. */
  told(device: number, { table, entry }: Announcement, add: boolean): void {
    if (table !== 'lpm' && table !== 'lpm6' && table !== 'host') return
    const prefix = entry as Prefix
    const kind = (prefixFamily(prefix) === 4 ? 0 : 2) + (add ? 0 : 1)
    const place = device * KINDS + kind
    if (this.octets[place] === 0) this.touched.push(place)
    this.octets[place] = (this.octets[place] ?? 0) + prefixOctets(prefix)
    this.prefixesTold++
  }

  /** The batch is over. */
  flush(): void {
    for (const place of this.touched) {
      const empty = EMPTY_OCTETS[place % KINDS] ?? 0
      const octets = this.octets[place] ?? 0
      const messages = Math.ceil(octets / (MESSAGE_OCTETS_MAX - empty))
      this.updates += messages
      this.bytes += octets + messages * empty
      this.octets[place] = 0
    }
    this.touched.length = 0
  }

  get traffic(): AnnounceTraffic {
    const { updates, prefixesTold, bytes } = this
    return { updates, prefixesTold, bytes }
  }
}
