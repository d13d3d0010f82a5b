/**
 * What is sent: one full-sized packet of one family.
 *
 * @module
 */
import type { AllowedPort } from '../../ipam/records.ts'
import type { Ip, IpFamily } from '../net/mod.ts'

export interface Packet {
  readonly family: IpFamily
  readonly src: Ip
  readonly dst: Ip
  /** Size with its IP header: what the sender's link takes. */
  readonly bytes: number
  /** An answer: firewalls that track connections let it pass. */
  readonly reply: boolean
  /** undefined: any protocol. */
  readonly port?: AllowedPort
  /** The payload begins like a VXLAN packet of this id; only with a UDP port. */
  readonly vni?: number
}
