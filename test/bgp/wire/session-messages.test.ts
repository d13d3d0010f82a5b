/** OPEN, NOTIFICATION and ROUTE-REFRESH: octets written out by hand, and their faults. */
import t from 'tap'
import {
  decodeNotification,
  encodeNotification,
  hardResetOf,
  shutdownData,
} from '../../../src/bgp/wire/notification.ts'
import { decodeOpen, encodeOpen } from '../../../src/bgp/wire/open.ts'
import { decodeRouteRefresh, encodeRouteRefresh } from '../../../src/bgp/wire/route-refresh.ts'
import { parseIp } from '../../../src/net/mod.ts'
import { hex, toHex } from './support.ts'

const MARKER = 'ff'.repeat(16)
const open = (body: string) => decodeOpen(hex(body), 0, hex(body).length)
/** Version, AS 65001, hold time 90, 192.0.2.1. */
const FIXED = '04 fde9 005a c0000201'

t.test('an OPEN of AS 4200000000 with every capability, octet by octet', async (t) => {
  const message = encodeOpen({
    asn: 4200000000,
    holdSeconds: 90,
    id: parseIp('192.0.2.1'),
    capabilities: {
      families: ['ipv4', 'ipv6'],
      routeRefresh: true,
      extendedNextHop: ['ipv4'],
      extendedMessage: true,
      role: 'customer',
      gracefulRestart: {
        isRestarting: true,
        hasNotification: true,
        restartSeconds: 120,
        families: [{ family: 'ipv4', isForwarding: true }],
      },
      fourOctetAs: 4200000000,
      addPath: [{ family: 'ipv6', direction: 'both' }],
      enhancedRouteRefresh: true,
      longLived: [{ family: 'ipv4', isForwarding: false, staleSeconds: 3600 }],
    },
  })
  const wanted = [
    `${MARKER} 0059 01`, // 89 octets, OPEN
    '04 5ba0 005a c0000201', // AS_TRANS
    '3c 02 3a', // parameters of 60 octets: capabilities of 58
    '01 04 0001 00 01', // multiprotocol: IPv4 unicast
    '01 04 0002 00 01', // IPv6 unicast
    '02 00', // route refresh
    '05 06 0001 0001 0002', // extended next hop: IPv4 unicast over IPv6
    '06 00', // extended message
    '09 01 03', // role: customer
    '40 06 c078 0001 01 80', // graceful restart: R, N, 120 s; IPv4 unicast, forwarding
    '41 04 fa56ea00', // four-octet AS number
    '45 04 0002 01 03', // ADD-PATH: IPv6 unicast, both
    '46 00', // enhanced route refresh
    '47 07 0001 01 00 000e10', // long-lived: IPv4 unicast, 3600 s
  ]
  t.equal(toHex(message), wanted.join('').replace(/\s/g, ''))
})

t.test('RFC 9072: the same capabilities in both forms', async (t) => {
  const short = open(`${FIXED} 08 02 06 01 04 0002 00 01`)
  const long = open(`${FIXED} ff ff 0009 02 0006 01 04 0002 00 01`)
  t.match(short, { kind: 'open', capabilities: { families: ['ipv6'] } })
  t.strictSame(short, long)
  // Section 2: any length but 0 may stand in front of an extended one.
  t.strictSame(open(`${FIXED} 05 ff 0009 02 0006 01 04 0002 00 01`), long)
})

const OPEN_FAULTS: readonly (readonly [string, string, number, string])[] = [
  ['version 3', '03 fde9 005a c0000201 00', 1, '0004'],
  ['AS 0', '04 0000 005a c0000201 00', 2, ''],
  ['AS 0 in the capability', `${FIXED} 08 02 06 41 04 00000000`, 2, ''],
  ['identifier 0.0.0.0', '04 fde9 005a 00000000 00', 3, ''],
  ['hold time 1', '04 fde9 0001 c0000201 00', 6, ''],
  ['hold time 2', '04 fde9 0002 c0000201 00', 6, ''],
  ['authentication, which is gone', `${FIXED} 03 01 01 00`, 4, ''],
  ['parameters longer than the message', `${FIXED} 09 02 06 01 04 0002 00 01`, 0, ''],
  ['parameters shorter than the message', `${FIXED} 07 02 06 01 04 0002 00 01`, 0, ''],
  ['a parameter that is cut off', `${FIXED} 03 02 06 01`, 0, ''],
  ['a parameter without length', `${FIXED} 01 02`, 0, ''],
  ['a capability that is cut off', `${FIXED} 04 02 02 01 04`, 0, ''],
  ['an extended length that is cut off', `${FIXED} ff ff 00`, 0, ''],
  ['an extended parameter that is cut off', `${FIXED} ff ff 0003 02 0006`, 0, ''],
]

for (const [name, body, subcode, data] of OPEN_FAULTS) {
  const found = open(body)
  t.equal(found.kind, 'reset', name)
  if (found.kind !== 'reset') continue
  t.strictSame([found.code, found.subcode, toHex(found.data)], [2, subcode, data], name)
}

t.test('a capability that cannot be read counts as absent; the host name as nothing', async (t) => {
  const body = `${FIXED} 0c 02 0a 02 01 00 40 01 00 49 02 0161`
  const found = open(body)
  t.match(found, { kind: 'open', capabilities: {}, unknownCapabilities: [] })
  if (found.kind === 'open') {
    t.strictSame(found.ignored, ['Route Refresh of 1 octets', 'Graceful Restart of 1 octets'])
  }
})

t.test('shutdown communication: RFC 9003', async (t) => {
  const text = 'NOC: 2 h, ticket 7'
  const message = encodeNotification(6, 2, shutdownData(text))
  t.equal(toHex(message), `${MARKER}0028030602${'12'}${Buffer.from(text).toString('hex')}`)
  t.equal(decodeNotification(message, 19, message.length).shutdownText, text)
  const read = (body: string) => decodeNotification(hex(body), 0, hex(body).length).shutdownText
  t.equal(read('0602 03 414243'), 'ABC')
  t.equal(read('0604 03 410a43'), 'A C', 'nothing that moves a terminal')
  t.equal(read('0602 04 414243'), undefined, 'longer than the message')
  t.equal(read('0602'), undefined)
  t.equal(read('0603 03 414243'), undefined, 'another subcode')
})

t.test('hard reset: RFC 8538', async (t) => {
  const wrapped = decodeNotification(hex('0609 0602 03414243'), 0, 8)
  t.match(hardResetOf(wrapped), { code: 6, subcode: 2, shutdownText: 'ABC' })
  t.equal(hardResetOf(decodeNotification(hex('0602 0602'), 0, 4)), undefined)
})

t.test('ROUTE-REFRESH: RFC 2918, RFC 7313', async (t) => {
  t.equal(toHex(encodeRouteRefresh('ipv6')), `${MARKER}00170500020001`)
  t.equal(toHex(encodeRouteRefresh('ipv4', 'begin')), `${MARKER}00170500010101`)
  t.equal(toHex(encodeRouteRefresh('ipv4', 'end')), `${MARKER}00170500010201`)
  const read = (body: string) => {
    const bytes = hex(`${MARKER}0000 05 ${body}`)
    return decodeRouteRefresh(bytes, 19, bytes.length)
  }
  t.match(read('4004 00 47'), { family: undefined, purpose: 'request' })
  t.match(read('0001 07 01'), { family: 'ipv4', purpose: 'unknown' })
  t.match(read('0001 00 01 ffff'), { family: 'ipv4', purpose: 'request' }, 'ORF behind it')
  const fault = read('0001 01 01 ff')
  t.match(fault, { kind: 'reset', code: 7, subcode: 1 })
  t.equal(
    fault.kind === 'reset' && toHex(fault.data),
    `${MARKER}0000050001 0101ff`.replace(' ', ''),
  )
})
