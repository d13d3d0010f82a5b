/** Neighbour discovery's frames, against bytes as tcpdump -x shows a kernel's, and against anything at all. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import {
  advertisementFrame,
  type Ndp,
  neighbourWith,
  parseIp,
  parseMac,
  parseNdp,
  solicitationFrame,
} from '../../src/net/mod.ts'
import { holds } from '../support/property.ts'

const own = parseMac('02:00:00:00:00:01')
const other = parseMac('02:00:00:00:00:99')
const ip = parseIp('fd42::1:2:3405')

t.test('a probe to the group of the address, and an announcement to all', async (t) => {
  const hex = (frame: Uint8Array): string => Buffer.from(frame).toString('hex')
  const probe = hex(solicitationFrame(own, ip))
  t.equal(probe.slice(0, 28), '3333ff023405' + '020000000001' + '86dd')
  t.equal(probe.slice(28, 44), '60000000' + '0018' + '3a' + 'ff')
  t.equal(probe.slice(44, 76), '0'.repeat(32))
  t.equal(probe.slice(76, 108), 'ff0200000000000000000001ff023405')
  t.match(probe.slice(108), /^8700....00000000fd420000000000000000000100023405$/)
  const told = hex(advertisementFrame(own, ip))
  t.equal(told.slice(0, 28), '333300000001' + '020000000001' + '86dd')
  t.equal(told.slice(44, 108), 'fd420000000000000000000100023405ff020000000000000000000000000001')
  t.match(told.slice(108), /^8800....20000000fd4200000000000000000001000234050201020000000001$/)
})

t.test('who else has it', async (t) => {
  const asked: Ndp = { kind: 'solicitation', senderMac: other, senderIp: undefined, targetIp: ip }
  const told: Ndp = { ...asked, kind: 'advertisement', senderIp: parseIp('fe80::9') }
  t.equal(neighbourWith(told, ip, own), other, 'who says so')
  t.equal(neighbourWith(asked, ip, own), other, 'who probes for it, too')
  const another = parseIp('fd42::9')
  t.equal(
    neighbourWith({ ...asked, senderIp: ip, targetIp: another }, ip, own),
    other,
    'who asks with it',
  )
  t.equal(neighbourWith({ ...asked, senderMac: own }, ip, own), undefined, 'not our own probe')
  t.equal(neighbourWith({ ...asked, senderIp: another }, ip, own), undefined, 'who asks for it')
  t.equal(neighbourWith({ ...told, targetIp: another }, ip, own), undefined)
})

t.test('what a receiver must not take', async (t) => {
  const frame = advertisementFrame(other, ip)
  t.match(parseNdp(frame), { kind: 'advertisement', senderMac: other, senderIp: ip, targetIp: ip })
  t.match(parseNdp(Uint8Array.from([...frame, 0, 0, 0])), { targetIp: ip }, 'padding is none of it')
  const at = (index: number, octet: number): unknown =>
    parseNdp(frame.map((each, place) => (place === index ? octet : each)))
  t.equal(at(21, 254), undefined, 'a router has handed it on')
  t.equal(at(57, (frame[57] ?? 0) ^ 1), undefined, 'its checksum is wrong')
  t.equal(at(19, 200), undefined, 'longer than its frame')
  t.equal(at(19, 8), undefined, 'too short for a target')
  t.equal(at(54, 133), undefined, 'of another type')
  t.equal(at(6, 0x33), undefined, 'a group has sent it')
})

const octets = fc.uint8Array({ maxLength: 120 })
holds(t, 'anything is read without harm, and what is read was well formed', octets, (bytes) => {
  const frame = advertisementFrame(other, ip)
  const spoilt = Uint8Array.from(frame, (octet, at) => bytes[at - 54] ?? octet)
  const cut = frame.subarray(0, bytes.length)
  for (const each of [bytes, spoilt, cut]) {
    const ndp = parseNdp(each)
    if (ndp === undefined) continue
    assert.ok(each.length >= 78 && each[21] === 255 && [135, 136].includes(each[54] ?? 0))
  }
})
