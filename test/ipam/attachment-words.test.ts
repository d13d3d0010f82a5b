/** What is found in an attachment's text is what parsing it gives, whatever its words are. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import {
  addressPlace,
  attachmentAge,
  attachmentPlace,
  attachmentWords,
  mayMention,
} from '../../ipam/attachment-words.ts'
import type { AttachmentRecord } from '../../ipam/records.ts'
import type { Ip } from '../../src/net/mod.ts'
import { holds } from '../support/property.ts'

/** Words of records, field names as words, and what JSON writes with a backslash. */
const word = fc.oneof(
  fc.string({ maxLength: 6, unit: 'binary' }),
  fc.constantFrom(
    '',
    'default',
    'db-0',
    'name',
    '"',
    '\\',
    '"name":"',
    '","ips":["',
    '],',
    'é😀\ud800',
  ),
)
const ip = fc.constantFrom(
  '10.0.0.1',
  '10.42.255.7',
  'fd00::1',
  '2001:db8::ffff:1',
) as fc.Arbitrary<Ip>
const identity = fc.record({ namespace: word, name: word, uid: word })

const record: fc.Arbitrary<AttachmentRecord> = fc.record(
  {
    network: word,
    containerId: word,
    ifname: word,
    node: word,
    ips: fc.array(ip, { maxLength: 3 }),
    hostLink: word,
    netns: word,
    pod: identity,
    sequence: fc.nat(),
    bootId: word,
    addedMs: fc.oneof(
      fc.maxSafeNat(),
      fc.constant(0),
      fc.double({ noNaN: true, noDefaultInfinity: true, min: 0 }),
    ),
  },
  {
    requiredKeys: [
      ...(['network', 'containerId', 'ifname', 'node', 'ips'] as const),
      ...(['netns', 'sequence', 'bootId', 'addedMs'] as const),
    ],
  },
)

/** As a store keeps it; fields in any order. */
const textOf = (one: AttachmentRecord, order: readonly number[]): string => {
  const turned = <T extends object>(value: T): T =>
    Object.fromEntries(
      Object.entries(value)
        .map((field, index) => [order[index] ?? 0, field] as const)
        .sort((left, right) => left[0] - right[0])
        .map(([, field]) => field),
    ) as T
  const pod = one.pod === undefined ? {} : { pod: turned(one.pod) }
  return JSON.stringify(turned({ ...one, ...pod }))
}

const text = fc
  .tuple(record, fc.array(fc.nat(20), { minLength: 11, maxLength: 11 }))
  .map(([one, order]) => textOf(one, order))

holds(t, 'words of an attachment', fc.tuple(text, identity), ([text, other]) => {
  const { pod, containerId, ips, addedMs, node, sequence } = JSON.parse(text) as AttachmentRecord
  assert.deepEqual(attachmentWords(text), {
    namespace: pod?.namespace ?? '',
    holder: pod?.name ?? containerId,
    ips: ips.length,
  })
  assert.deepEqual(attachmentAge(text), { addedMs, ips })
  const place = attachmentPlace(text)
  assert.deepEqual([place.node, place.sequence], [node, sequence])
  if (pod !== undefined) assert.ok(mayMention(pod)(text))
  if (!mayMention(other)(text))
    assert.notDeepEqual([pod?.namespace, pod?.name], [other.namespace, other.name])
})

const address = fc.record({
  ip,
  block: fc.constantFrom('10.0.0.0/26', 'fd00::/122'),
  network: word,
  containerId: word,
  ifname: word,
  sequence: fc.nat(),
})

holds(
  t,
  'words of an address',
  address,
  (one) => {
    const { network, block } = addressPlace(JSON.stringify(one))
    const read = JSON.parse(JSON.stringify(one)) as typeof one
    assert.deepEqual([network, block], [read.network, read.block])
  },
  { numRuns: 300 },
)
