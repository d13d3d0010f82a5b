/**
 * In which order a daemon writes the UPDATEs of one moment to a peer: it matters where
 * small messages wait for each other.
 *
 * @module
 */

/** What an UPDATE is about. */
export type About = 'ipv4' | 'ipv6'

const HEADER_OCTETS = 19
const LENGTH_OFFSET = 16
/** Header, and the two lengths. */
const FIXED_OCTETS = HEADER_OCTETS + 4
/** Source: RFC 4271 section 4.1. */
const MESSAGE_OCTETS_MAX = 4096
const MP_REACH = 14
const MP_UNREACH = 15
const EXTENDED_LENGTH = 0x10
const AFI_IPV4 = 1

interface Kind {
  readonly about: About
  readonly isWithdrawal: boolean
}

/**
 * As BIRD has it: all that is withdrawn of IPv4 together, families one after the other, the one that was last before the others, and
 * of each what is withdrawn first. Source: proto/bgp/packets.c, bgp_get_channel_to_send and
 * bgp_create_update.
 *
 * @returns The messages, and what the last is about.
 */
export function birdOrder(
  messages: readonly Uint8Array[],
  last: About,
): { readonly messages: readonly Uint8Array[]; readonly last: About } {
  const kinds = merged(messages).map((message) => ({ message, ...kindOf(message) }))
  const rank = ({ about, isWithdrawal }: Kind): number =>
    2 * Number(about !== last) + Number(!isWithdrawal)
  kinds.sort((left, right) => rank(left) - rank(right))
  return { messages: kinds.map(({ message }) => message), last: kinds.at(-1)?.about ?? last }
}

/** IPv4 prefixes that are only withdrawn are one message: what is said of them is the same. */
function merged(messages: readonly Uint8Array[]): readonly Uint8Array[] {
  const isMerged = messages.map(isPlainWithdrawal)
  const plain = messages.filter((_, index) => isMerged[index])
  const octets = plain.reduce((sum, { length }) => sum + length - FIXED_OCTETS, 0)
  if (plain.length < 2 || FIXED_OCTETS + octets > MESSAGE_OCTETS_MAX) return messages
  const one = new Uint8Array(FIXED_OCTETS + octets)
  one.set(plain[0]!.subarray(0, HEADER_OCTETS))
  one.set([one.length >> 8, one.length & 0xff], LENGTH_OFFSET)
  one.set([octets >> 8, octets & 0xff], HEADER_OCTETS)
  let at = HEADER_OCTETS + 2
  for (const message of plain) {
    one.set(message.subarray(HEADER_OCTETS + 2, message.length - 2), at)
    at += message.length - FIXED_OCTETS
  }
  return [one, ...messages.filter((_, index) => !isMerged[index])]
}

/** With prefixes, and nothing but. */
function isPlainWithdrawal(message: Uint8Array): boolean {
  const octets = ((message[HEADER_OCTETS] ?? 0) << 8) | (message[HEADER_OCTETS + 1] ?? 0)
  return octets > 0 && message.length === FIXED_OCTETS + octets
}

function kindOf(message: Uint8Array): Kind {
  const wordAt = (at: number): number => ((message[at] ?? 0) << 8) | (message[at + 1] ?? 0)
  const withdrawn = wordAt(HEADER_OCTETS)
  let at = HEADER_OCTETS + 2 + withdrawn
  const end = at + 2 + wordAt(at)
  at += 2
  while (at < end) {
    const isLong = ((message[at] ?? 0) & EXTENDED_LENGTH) !== 0
    const [type, value] = [message[at + 1] ?? 0, at + (isLong ? 4 : 3)]
    if (type === MP_REACH || type === MP_UNREACH) {
      const about = wordAt(value) === AFI_IPV4 ? 'ipv4' : 'ipv6'
      return { about, isWithdrawal: type === MP_UNREACH }
    }
    at = value + (isLong ? wordAt(at + 2) : (message[at + 2] ?? 0))
  }
  return { about: 'ipv4', isWithdrawal: withdrawn > 0 }
}

/** What was written one behind the other. */
export function messagesOf(bytes: Uint8Array): readonly Uint8Array[] {
  const found: Uint8Array[] = []
  for (let at = 0; at < bytes.length; ) {
    const length = ((bytes[at + LENGTH_OFFSET] ?? 0) << 8) | (bytes[at + LENGTH_OFFSET + 1] ?? 0)
    const end = at + Math.max(length, HEADER_OCTETS)
    found.push(bytes.subarray(at, end))
    at = end
  }
  return found
}
