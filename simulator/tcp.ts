/**
 * How long a message takes over a way that loses packets: what TCP does about it,
 * as far as it delays the message.
 *
 * @module
 */
import type { Prng } from '../src/prng.ts'
import { TICKS_PER_MS } from './clock.ts'
import { LOSES_ALL_PPM } from './link-quality.ts'

/** Payload of a packet: 1 500 less IPv4, TCP and its time stamps. */
const SEGMENT_BYTES = 1448
/** Source: include/net/tcp.h, TCP_RTO_MIN (HZ/5) and TCP_RTO_MAX (120 s). */
const RTO_MIN_TICKS = 200 * TICKS_PER_MS
const RTO_MAX_TICKS = 120_000 * TICKS_PER_MS
/** Source: ip-sysctl, tcp_retries2; then the connection ends, here the packet arrives. */
const RETRIES_MAX = 15
/** Packets behind a lost one that make the receiver ask for it. Source: RFC 5681 section 3.2. */
const DUPLICATE_ACKS = 3

/** Ticks that so many bytes take over so many megabits a second: a bit a tick is one. */
export const transmissionTicks = (bytes: number, mbps: number | undefined): number =>
  mbps === undefined ? 0 : Math.ceil((bytes * 8) / mbps)

/**
 * Ticks until what was lost of a message is there. A lost packet is sent again after
 * a round trip when enough packets follow it, otherwise when the retransmission timer
 * runs out: a round trip and at least 200 ms, twice as long each time (RFC 6298).
 * Losses of one message are mended side by side.
 */
export function retransmissionTicks(
  chance: Prng,
  bytes: number,
  lossPpm: number,
  roundTripTicks: number,
): number {
  if (lossPpm === 0) return 0
  const packets = Math.max(1, Math.ceil(bytes / SEGMENT_BYTES))
  let longestTicks = 0
  for (let packet = 0; packet < packets; packet++) {
    const follow = packets - 1 - packet
    let waitTicks = 0
    let timeoutTicks = roundTripTicks + RTO_MIN_TICKS
    for (let tries = 0; tries < RETRIES_MAX; tries++) {
      if (chance.below(LOSES_ALL_PPM) >= lossPpm) break
      if (tries === 0 && follow >= DUPLICATE_ACKS) waitTicks += roundTripTicks
      else {
        waitTicks += timeoutTicks
        timeoutTicks = Math.min(2 * timeoutTicks, RTO_MAX_TICKS)
      }
    }
    longestTicks = Math.max(longestTicks, waitTicks)
  }
  return longestTicks
}
