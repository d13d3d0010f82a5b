/**
 * MAC addresses as canonical strings: six lower-case octets with colons.
 *
 * @module
 */
import { TriviumError } from '../errors.ts'
import { hashHex } from '../hash.ts'

/** A canonical 48-bit MAC address, e.g. `02:54:72:00:00:01`. */
export type Mac = string & { readonly brand: 'Mac' }

/** Reads a unicast MAC in either case, or undefined. */
export function tryParseMac(text: string): Mac | undefined {
  const mac = text.toLowerCase()
  if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/.test(mac) || mac === '00:00:00:00:00:00') return undefined
  const multicast = (Number.parseInt(mac.slice(0, 2), 16) & 1) === 1
  return multicast ? undefined : (mac as Mac)
}

/** The six octets of a unicast MAC, or undefined. */
export const macFromOctets = (octets: Uint8Array): Mac | undefined =>
  tryParseMac([...octets].map((each) => each.toString(16).padStart(2, '0')).join(':'))

export const octetsOfMac = (mac: Mac): Uint8Array =>
  Uint8Array.from(mac.split(':'), (octet) => Number.parseInt(octet, 16))

/** @throws {TriviumError} BAD_CONFIG */
export function parseMac(text: string, subject = 'MAC address'): Mac {
  const mac = tryParseMac(text)
  if (mac !== undefined) return mac
  throw new TriviumError(
    'BAD_CONFIG',
    `Cannot read ${subject} ${JSON.stringify(text)}: wanted a unicast MAC like 02:54:72:00:00:01`,
  )
}

/**
 * A stable, locally administered MAC for a name: the same after every restart,
 * so that peers' entries stay right. Locally administered = bit 1 of the first
 * octet (IEEE 802, section 8.2).
 */
export function macFromName(name: string): Mac {
  const digits = `02${hashHex(name, 10)}`
  return digits.replace(/(..)(?=.)/g, '$1:') as Mac
}
