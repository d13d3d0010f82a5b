/**
 * Which of two connections stays: RFC 4271 section 6.8, RFC 6286 section 2.3.
 *
 * @module
 */
import { compareIp, type Ip } from '../../net/mod.ts'

interface Speaker {
  readonly routerId: Ip
  readonly asn: number
}

/**
 * Whether the connections that we began stay, rather than the peer's: those of the
 * speaker with the higher identifier do; of equal identifiers that of the higher AS.
 */
export function oursStays(self: Speaker, peer: Speaker): boolean {
  const order = compareIp(self.routerId, peer.routerId)
  return order === 0 ? self.asn > peer.asn : order > 0
}
