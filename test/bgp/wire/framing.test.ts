/** The stream: each fault of a header is the NOTIFICATION of RFC 4271 section 6.1, and only whole messages come out. */
import t from 'tap'
import { encodeKeepalive, Framer } from '../../../src/bgp/wire/framing.ts'
import { hex, toHex } from './support.ts'

const MARKER = 'ff'.repeat(16)
const header = (length: number, type: number): string =>
  `${MARKER}${length.toString(16).padStart(4, '0')}${type.toString(16).padStart(2, '0')}`

interface Fault {
  readonly name: string
  readonly bytes: string
  readonly wanted: readonly [code: number, subcode: number, data: string]
  readonly isExtended?: boolean
}

const faults: readonly Fault[] = [
  { name: 'marker', bytes: `${'ff'.repeat(15)}fe001304`, wanted: [1, 1, ''] },
  { name: 'shorter than a header', bytes: header(18, 4), wanted: [1, 2, '0012'] },
  { name: 'longer than 4096', bytes: header(4097, 2), wanted: [1, 2, '1001'] },
  { name: 'OPEN of 28', bytes: header(28, 1), wanted: [1, 2, '001c'] },
  { name: 'UPDATE of 22', bytes: header(22, 2), wanted: [1, 2, '0016'] },
  { name: 'NOTIFICATION of 20', bytes: header(20, 3), wanted: [1, 2, '0014'] },
  { name: 'KEEPALIVE of 20', bytes: header(20, 4), wanted: [1, 2, '0014'] },
  { name: 'ROUTE-REFRESH of 22', bytes: header(22, 5), wanted: [1, 2, '0016'] },
  { name: 'type 0', bytes: header(19, 0), wanted: [1, 3, '00'] },
  { name: 'type 6', bytes: header(19, 6), wanted: [1, 3, '06'] },
  {
    name: 'RFC 8654: an OPEN stays short',
    bytes: header(4097, 1),
    wanted: [1, 2, '1001'],
    isExtended: true,
  },
]

for (const { name, bytes, wanted, isExtended } of faults) {
  const framer = new Framer()
  if (isExtended) framer.allowExtendedMessages()
  framer.push(hex(bytes))
  const found = framer.next()
  t.equal(found?.kind, 'reset', name)
  if (found?.kind !== 'reset') continue
  t.strictSame([found.code, found.subcode, toHex(found.data)], wanted, name)
  framer.push(encodeKeepalive())
  t.equal(framer.next(), found, `${name}: nothing comes behind it`)
}

t.equal(toHex(encodeKeepalive()), `${MARKER}001304`, 'KEEPALIVE')

t.test('an UPDATE of 65535 octets, where RFC 8654 was agreed', async (t) => {
  const framer = new Framer()
  framer.allowExtendedMessages()
  framer.push(hex(header(65535, 2)))
  t.equal(framer.next(), undefined, 'the rest is waited for')
  framer.push(new Uint8Array(65535 - 19))
  t.match(framer.next(), { kind: 'frame', type: 2 })
  t.equal(framer.waitingOctets, 0)
})

t.test('what was given out is not written over', async (t) => {
  const framer = new Framer()
  const message = hex(`${header(23, 2)}00000000`)
  framer.push(message.slice(0, 10))
  framer.push(message.slice(10))
  const first = framer.next()
  if (first?.kind !== 'frame') throw new Error('no frame')
  const before = toHex(first.bytes.subarray(first.start, first.end))
  for (let round = 0; round < 3000; round++) {
    framer.push(new Uint8Array(7).fill(0xff))
    if (framer.waitingOctets > 18) break
  }
  framer.push(message.slice(14))
  t.equal(toHex(first.bytes.subarray(first.start, first.end)), before)
})
