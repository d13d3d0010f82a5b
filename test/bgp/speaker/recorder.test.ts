/** A speaker's inputs, written down, give the same effects again. */
import t from 'tap'
import { SpeakerNetwork } from '../../../src/bgp/speaker/in-memory.ts'
import { createRecordedSpeaker, replay } from '../../../src/bgp/speaker/recorder.ts'
import type { SpeakerEffect } from '../../../src/bgp/speaker.ts'
import type { Instant } from '../../../src/machine.ts'
import { parsePrefix } from '../../../src/net/mod.ts'
import { ALL, at, own, peer, speaker } from './support.ts'

t.test('effects are the same', async (t) => {
  const records: Uint8Array[] = []
  const effects: (readonly SpeakerEffect[])[] = []
  let isFar = false
  const options = { costOf: () => (isFar ? undefined : 10), deferralSeconds: 7 }
  const recorded = createRecordedSpeaker(options, (record) => records.push(record))
  const watched = Object.assign(Object.create(recorded) as typeof recorded, {
    handle(...args: Parameters<typeof recorded.handle>) {
      const all = recorded.handle(...args)
      effects.push(all)
      return all
    },
    wake(now: Instant) {
      const all = recorded.wake(now)
      effects.push(all)
      return all
    },
  })
  const net = new SpeakerNetwork()
  const policy = { ...ALL, rules: [{ set: { localPref: 300 } }] }
  const terms = speaker(1, 65001, [peer('192.0.2.2', 65002)], ['10.1.0.0/16'])
  net.add('a', at(1), terms, watched)
  net.add(
    'b',
    at(2),
    speaker(2, 65002, [peer('192.0.2.1', 65001)], ['10.2.0.0/16', '2001:db8:2::/48']),
  )
  net.settle()
  const unknown = [{ code: 99, flags: 0xe0, bytes: Uint8Array.of(1, 2) }]
  const odd = own('10.9.0.0/16', { extendedCommunities: [0x0002_fde9_0000_0064n], unknown })
  net.feed('a', { kind: 'originate', add: [odd], remove: [] })
  net.feed('a', {
    kind: 'configure',
    config: { ...terms, peers: [peer('192.0.2.2', 65002, { importPolicy: policy })] },
  })
  net.settle()
  isFar = true
  net.feed('a', { kind: 'next-hop.changed', nextHop: net.node('b').addresses[0]! })
  net.settle()
  net.feed('a', { kind: 'stop', isGraceful: false })
  const stream = Buffer.concat(records)
  const again = [...replay(stream)]
  t.strictSame(
    again.map((step) => step.effects),
    effects,
    'every effect, in order',
  )
  t.ok(
    effects.flat().some(({ kind }) => kind === 'routes'),
    'routes among them',
  )
  t.strictSame(
    again.at(-1)?.speaker.why(parsePrefix('10.2.0.0/16')),
    recorded.why(parsePrefix('10.2.0.0/16')),
  )
  t.strictSame(
    [...replay(stream.subarray(0, -3))].length,
    again.length - 1,
    'cut off in the last record',
  )
  t.throws(() => [...replay(stream.subarray(13))], { code: 'BAD_JSON' })
  t.throws(() => [...replay(Buffer.from('not a recording'))], { code: 'BAD_JSON' })
})
