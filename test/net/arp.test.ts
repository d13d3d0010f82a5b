/** ARP frames, against bytes as tcpdump -x shows them, and against anything at all. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { type Arp, arpFrame, claimant, parseArp, parseIp, parseMac } from '../../src/net/mod.ts'
import { holds } from '../support/property.ts'

const own = parseMac('02:00:00:00:00:01')
const other = parseMac('02:00:00:00:00:99')
const ip = parseIp('10.42.0.5')

t.test('a probe and an announcement, to everybody', async (t) => {
  const probe = arpFrame({ op: 'request', senderMac: own, senderIp: undefined, targetIp: ip })
  const ends = 'ffffffffffff' + '020000000001' + '0806'
  const kind = '0001' + '0800' + '06' + '04' + '0001'
  const whose = '020000000001' + '00000000' + '000000000000' + '0a2a0005'
  t.equal(Buffer.from(probe).toString('hex'), ends + kind + whose)
  const told = arpFrame({ op: 'request', senderMac: own, senderIp: ip, targetIp: ip })
  t.equal(
    Buffer.from(told.subarray(20)).toString('hex'),
    '00010200000000010a2a00050000000000000a2a0005',
  )
})

t.test('who else has it', async (t) => {
  const packet: Arp = {
    op: 'reply',
    senderMac: other,
    senderIp: ip,
    targetIp: parseIp('10.42.0.9'),
  }
  t.equal(claimant(packet, ip, own), other, 'who answers')
  t.equal(claimant({ ...packet, op: 'request' }, ip, own), other, 'who asks for another with it')
  const rival: Arp = { op: 'request', senderMac: other, senderIp: undefined, targetIp: ip }
  t.equal(claimant(rival, ip, own), other, 'who probes for it, too')
  t.equal(claimant({ ...rival, senderMac: own }, ip, own), undefined, 'not our own probe')
  t.equal(claimant({ ...rival, op: 'reply' }, ip, own), undefined)
  t.equal(claimant({ ...packet, senderIp: parseIp('10.42.0.6') }, ip, own), undefined)
  t.equal(claimant({ ...rival, senderIp: parseIp('10.42.0.6') }, ip, own), undefined, 'who asks')
})

const octets = fc.uint8Array({ maxLength: 80 })
holds(t, 'anything is read without harm, and what is read is written the same', octets, (bytes) => {
  const frame = arpFrame({ op: 'reply', senderMac: other, senderIp: ip, targetIp: ip })
  for (const each of [bytes, Uint8Array.from(frame, (octet, at) => bytes[at - 20] ?? octet)]) {
    const arp = parseArp(each)
    if (arp !== undefined) assert.deepEqual(parseArp(arpFrame(arp)), arp)
  }
})
