/**
 * What is encoded is decoded to the same, in every context that can be negotiated:
 * through the framer, in chunks, as a peer would send it.
 */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { decodeAttributes } from '../../../src/bgp/wire/attributes.ts'
import type { Context } from '../../../src/bgp/wire/context.ts'
import { Framer } from '../../../src/bgp/wire/framing.ts'
import { decodeMessage, type Message } from '../../../src/bgp/wire/message.ts'
import {
  decodeNotification,
  encodeNotification,
  shutdownData,
} from '../../../src/bgp/wire/notification.ts'
import { encodeOpen } from '../../../src/bgp/wire/open.ts'
import {
  encodeEndOfRib,
  packAnnouncements,
  packWithdrawals,
  prepareAttributes,
} from '../../../src/bgp/wire/pack.ts'
import { nlriOf, type PathPrefix, prefixesOf } from '../../../src/bgp/wire/prefixes.ts'
import { encodeRouteRefresh } from '../../../src/bgp/wire/route-refresh.ts'
import { holds } from '../../support/property.ts'
import { attributesOf, capabilities, contexts, FAMILIES, ip4, prefixes } from './arbitraries.ts'

/** The other side of a session: what one may send, the other is ready for. */
const receiving = (context: Context): Context => ({
  ...context,
  addPathReceive: context.addPathSend,
})

function received(messages: readonly Uint8Array[], context: Context, chunk: number): Message[] {
  const framer = new Framer()
  if (context.messageOctetsMax > 4096) framer.allowExtendedMessages()
  const stream = Buffer.concat(messages)
  const found: Message[] = []
  for (let at = 0; at < stream.length; at += chunk) {
    framer.push(new Uint8Array(stream.subarray(at, at + chunk)))
    for (let frame = framer.next(); frame !== undefined; frame = framer.next()) {
      assert.equal(frame.kind, 'frame')
      if (frame.kind === 'frame') found.push(decodeMessage(frame, receiving(context)))
    }
  }
  assert.equal(framer.waitingOctets, 0)
  return found
}

const [FIRST] = fc.sample(contexts, { numRuns: 1, seed: 1 }) as [Context]

const chunks = fc.oneof(fc.integer({ min: 1, max: 50 }), fc.constantFrom(1460, 65536))

const announcements = fc
  .tuple(contexts, fc.constantFrom(...FAMILIES), chunks)
  .chain(([context, family, chunk]) =>
    fc.record({
      context: fc.constant(context),
      family: fc.constant(family),
      chunk: fc.constant(chunk),
      attributes: attributesOf(context, family),
      all: prefixes(family, context.addPathSend.includes(family)),
    }),
  )

holds(
  t,
  'announcements come back as they were',
  announcements,
  ({ context, family, chunk, attributes, all }) => {
    const nlri = nlriOf(family, all, context.addPathSend.includes(family))
    const prepared = prepareAttributes(attributes, family, context)
    const messages = packAnnouncements(prepared, nlri, context)
    if (messages === undefined) {
      assert.ok(prepared.octets.length > context.messageOctetsMax - 100, 'it is too long')
      return
    }
    assert.ok(messages.every(({ length }) => length <= context.messageOctetsMax))
    const found: PathPrefix[] = []
    for (const message of received(messages, context, chunk)) {
      assert.equal(message.kind, 'update')
      if (message.kind !== 'update') continue
      assert.deepEqual(message.discarded, [])
      for (const update of message.updates) {
        assert.ok(update.attributes)
        const result = decodeAttributes(update.attributes, receiving(context))
        assert.equal(result.kind, 'attributes')
        if (result.kind === 'attributes') {
          assert.deepEqual(result.attributes, attributes)
          assert.deepEqual(result.discarded, [])
        }
        found.push(...update.announced.flatMap(prefixesOf))
      }
    }
    assert.deepEqual(found, all)
  },
  { numRuns: 250 },
)

holds(
  t,
  'as few messages as there can be',
  announcements,
  ({ context, family, attributes, all }) => {
    const nlri = nlriOf(family, all, context.addPathSend.includes(family))
    const messages = packAnnouncements(
      prepareAttributes(attributes, family, context),
      nlri,
      context,
    )
    // Another prefix and its path identifier, and one octet of a length that is not extended.
    const full = context.messageOctetsMax - (family === 'ipv4' ? 9 : 21) - 1
    for (const message of messages?.slice(0, -1) ?? []) assert.ok(message.length > full)
  },
  { numRuns: 60 },
)

holds(
  t,
  'withdrawals come back as they were',
  announcements,
  ({ context, family, chunk, all }) => {
    const nlri = nlriOf(family, all, context.addPathSend.includes(family))
    const found = received(packWithdrawals(nlri, context), context, chunk).flatMap((message) =>
      message.kind === 'update' ? message.updates.flatMap(({ withdrawn }) => withdrawn) : [],
    )
    assert.deepEqual(found.flatMap(prefixesOf), all)
  },
  { numRuns: 60 },
)

holds(
  t,
  'OPEN comes back as it was',
  fc.record({
    asn: fc.integer({ min: 1, max: 0xffff }),
    holdSeconds: fc.integer({ min: 3, max: 0xffff }),
    id: ip4.filter((id) => id !== '0.0.0.0'),
    capabilities,
  }),
  (open) => {
    const asn = open.capabilities.fourOctetAs ?? open.asn
    const [message] = received([encodeOpen({ ...open, asn })], FIRST, 9)
    const decoded = { kind: 'open', ...open, asn, unknownCapabilities: [], ignored: [] }
    assert.deepEqual(message, decoded)
  },
  { numRuns: 400 },
)

holds(
  t,
  'a shutdown communication is cut between characters',
  fc
    .string({ unit: 'grapheme', minLength: 1, maxLength: 200, size: 'max' })
    .map((text) => text.replace(/\p{Cc}/gu, '.')),
  (text) => {
    const message = encodeNotification(6, 2, shutdownData(text))
    const { shutdownText = '' } = decodeNotification(message, 19, message.length)
    assert.ok(text.startsWith(shutdownText))
    const octets = Buffer.byteLength(text)
    const next = Buffer.byteLength([...text.slice(shutdownText.length)][0] ?? '')
    assert.ok(octets <= 255 ? shutdownText === text : Buffer.byteLength(shutdownText) + next > 255)
  },
)

for (const family of FAMILIES) {
  const [end] = received([encodeEndOfRib(family)], FIRST, 5)
  t.match(end, { kind: 'update', updates: [{ endOfRib: family, withdrawn: [], announced: [] }] })
  for (const purpose of ['request', 'begin', 'end'] as const) {
    const [refresh] = received([encodeRouteRefresh(family, purpose)], FIRST, 5)
    t.strictSame(refresh, { kind: 'route-refresh', family, purpose })
  }
}
