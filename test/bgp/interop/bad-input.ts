/**
 * What peers can do wrong, case by case, with what the RFCs have a speaker do about it.
 *
 * @module
 */
import { encodeKeepalive } from '../../../src/bgp/wire/framing.ts'
import { MESSAGE } from '../../../src/bgp/wire/iana.ts'
import {
  attribute,
  good,
  greet,
  openOf,
  rawMessage,
  type ScriptPeer,
  update,
} from './script-peer.ts'
import type { PeerSpec } from './spec.ts'

export const ASN = 65100

/** 10.66.N.0/24, for the case's own number. */
export type Net = readonly [24, 10, 66, number]

export interface Case {
  readonly name: string
  /** Where the remedy is said. */
  readonly rfc: string
  /** After the handshake, unless `isEarly`. */
  run(peer: ScriptPeer, net: Net, nextHop: readonly number[]): Promise<void> | void
  readonly isEarly?: true
  /** Code and subcode of the NOTIFICATION, or that the session stays up. */
  readonly wanted: string
  /** Whether the case's own prefix is used then. @default not */
  readonly isUsed?: true
  /** What the log says, once; nothing where there is nothing wrong. */
  readonly log?: RegExp
  /** Of our side's configuration of the peer. */
  readonly terms?: Partial<PeerSpec>
  /** Takes minutes. */
  readonly isLong?: true
}

const pause = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms))

const early = (
  name: string,
  rfc: string,
  wanted: string,
  log: RegExp,
  bytes: () => Uint8Array,
  terms: Partial<PeerSpec> = {},
): Case => ({ name, rfc, wanted, log, isEarly: true, terms, run: (peer) => peer.send(bytes()) })

/** An OPEN with an octet that is another one. */
function openWith(at: number, value: number): Uint8Array {
  const bytes = openOf({ asn: ASN }).slice()
  bytes[at] = value
  return bytes
}

const OPENS: readonly Case[] = [
  early('wrong AS', 'RFC 4271 6.2', '2/2', /AS 65099/, () => openOf({ asn: 65099 })),
  early('AS 0', 'RFC 7607', '2/2', /AS 0/, () => openOf({ asn: 0 })),
  early('version 3', 'RFC 4271 6.2', '2/1', /version 3/, () => openWith(19, 3)),
  early('hold time of a second', 'RFC 4271 6.2', '2/6', /1 s/, () =>
    openOf({ asn: ASN, holdSeconds: 1 }),
  ),
  early('identifier 0.0.0.0', 'RFC 6286', '2/3', /identifier 0\.0\.0\.0/, () =>
    openOf({ asn: ASN, id: '0.0.0.0' }),
  ),
  early('no family of ours', 'RFC 5492 5', '2/7', /families of the peer: ipv6/, () =>
    openOf({ asn: ASN, capabilities: { families: ['ipv6'], fourOctetAs: ASN } }),
  ),
  early('an OPEN cut short', 'RFC 4271 6.1', '1/2', /./, () => rawMessage(MESSAGE.OPEN, [4, 0, 1])),
  early('parameters that are longer than the OPEN', 'RFC 4271 6.2', '2/0', /./, () =>
    openWith(28, 200),
  ),
  early('an UPDATE before the OPEN', 'RFC 6608', '5/1', /./, () => update([], [])),
  early('a marker of zeros', 'RFC 4271 6.1', '1/1', /./, () => rawMessage(MESSAGE.OPEN, [], 29, 0)),
  early('a request that is HTTP', 'RFC 4271 6.1', '1/1', /./, () =>
    new TextEncoder().encode('GET / HTTP/1.1\r\nHost: example.net\r\n\r\n'),
  ),
]

const established = (
  name: string,
  rfc: string,
  wanted: string,
  log: RegExp | undefined,
  bytes: (net: Net, nextHop: readonly number[]) => Uint8Array,
  isUsed = false,
): Case => ({
  name,
  rfc,
  wanted,
  ...(log === undefined ? {} : { log }),
  ...(isUsed ? { isUsed } : {}),
  run: (peer, net, nextHop) => peer.send(bytes(net, nextHop)),
})

const HEADERS: readonly Case[] = [
  established('4097 octets', 'RFC 4271 6.1', '1/2', /4097/, () =>
    rawMessage(
      MESSAGE.UPDATE,
      Array.from({ length: 4078 }, () => 0),
    ),
  ),
  established('a length of 18', 'RFC 4271 6.1', '1/2', /18/, () =>
    rawMessage(MESSAGE.UPDATE, [], 18),
  ),
  established('a message of type 9', 'RFC 4271 6.1', '1/3', /type 9/, () => rawMessage(9, [])),
  established('a KEEPALIVE with an octet', 'RFC 4271 6.1', '1/2', /./, () =>
    rawMessage(MESSAGE.KEEPALIVE, [0]),
  ),
  established('a second OPEN', 'RFC 6608', '5/3', /./, () => openOf({ asn: ASN })),
  established('a ROUTE-REFRESH cut short', 'RFC 7313 5', '7/1', /./, () =>
    rawMessage(MESSAGE.ROUTE_REFRESH, [0, 1, 1, 1, 0]),
  ),
]

const UPDATES: readonly Case[] = [
  established(
    'attributes that are longer than the UPDATE',
    'RFC 4271 6.3',
    '3/1',
    /./,
    (net, hop) => update(good(ASN, hop), net, { attributeOctets: 200 }),
  ),
  established(
    'withdrawals that are longer than the UPDATE',
    'RFC 4271 6.3',
    '3/1',
    /./,
    (net, hop) => update(good(ASN, hop), net, { withdrawnOctets: 2000 }),
  ),
  established('a prefix of 33 bits', 'RFC 7606 5.3', '3/10', /33/, (_net, hop) =>
    update(good(ASN, hop), [33, 10, 66, 0, 0, 0]),
  ),
  established(
    'ORIGIN twice: the first counts',
    'RFC 7606 3 g',
    'stays',
    /ORIGIN/,
    (net, hop) => update([...good(ASN, hop), attribute(0x40, 1, [2])], net),
    true,
  ),
  established('MP_REACH_NLRI twice', 'RFC 7606 3 g', '3/1', /MP_REACH/, (net, hop) => {
    const reach = attribute(0x80, 14, [0, 1, 1, 4, ...hop, 0, ...net])
    return update([...good(ASN, hop).slice(0, 2), reach, reach], [])
  }),
  established('no NEXT_HOP: withdrawn', 'RFC 7606 3 d', 'stays', /NEXT_HOP/, (net, hop) =>
    update(good(ASN, hop).slice(0, 2), net),
  ),
  established('our own AS in the path', 'RFC 4271 9.1.2', 'stays', undefined, (net, hop) =>
    update(good(ASN, hop, [ASN, 65001, 65099]), net),
  ),
  established('another AS in front', 'RFC 4271 6.3', 'stays', /AS_PATH|first|begin/i, (net, hop) =>
    update(good(ASN, hop, [65099, ASN]), net),
  ),
]

const MARTIANS: readonly Case[] = [
  ['0.0.0.0', [0, 0, 0, 0]],
  ['127.0.0.1', [127, 0, 0, 1]],
  ['224.0.0.5', [224, 0, 0, 5]],
  ['255.255.255.255', [255, 255, 255, 255]],
  ['our own address', [192, 0, 2, 1]],
].map(([name, hop]) =>
  established(`next hop ${name}`, 'RFC 4271 6.3', 'stays', /next hop/i, (net) =>
    update(good(ASN, hop as number[]), net),
  ),
)

const SLOW: readonly Case[] = [
  {
    name: 'an OPEN octet by octet',
    rfc: 'RFC 4271 8',
    wanted: 'stays',
    isEarly: true,
    async run(peer) {
      for (const octet of openOf({ asn: ASN })) {
        peer.send(Uint8Array.of(octet))
        await pause(10)
      }
      await peer.next('keepalive')
      peer.send(encodeKeepalive())
    },
  },
  {
    name: 'silence behind an OPEN',
    rfc: 'RFC 4271 6.5',
    wanted: '4/0',
    log: /hold/i,
    isEarly: true,
    run: (peer) => peer.send(openOf({ asn: ASN, holdSeconds: 3 })),
  },
  {
    name: 'silence behind the handshake',
    rfc: 'RFC 4271 6.5',
    wanted: '4/0',
    log: /hold/i,
    isEarly: true,
    run: (peer) => greet(peer, { asn: ASN, holdSeconds: 3 }),
  },
  {
    name: 'silence from the beginning',
    rfc: 'RFC 4271 8.2.2: a large hold time, 4 minutes',
    wanted: '4/0',
    log: /hold/i,
    isEarly: true,
    isLong: true,
    run: () => {},
  },
  {
    name: 'half a message, and the end of the connection',
    rfc: 'RFC 4271 8.2.2',
    wanted: 'closed',
    log: /./,
    run: (peer) => {
      peer.send(rawMessage(MESSAGE.UPDATE, [0, 0, 0], 60))
      setTimeout(() => peer.end(), 50)
    },
  },
]

export const CASES: readonly Case[] = [...OPENS, ...HEADERS, ...UPDATES, ...MARTIANS, ...SLOW]
