/**
 * Messages that BIRD, FRR, GoBGP and ExaBGP sent: all are understood, in the words of the
 * golden; what they announce is the same when our own encoder says it again.
 */
import assert from 'node:assert/strict'
import t from 'tap'
import { decodeAttributes } from '../../../src/bgp/wire/attributes.ts'
import { encodeCapabilities } from '../../../src/bgp/wire/capabilities.ts'
import type { Context } from '../../../src/bgp/wire/context.ts'
import { encodeOpen } from '../../../src/bgp/wire/open.ts'
import { packAnnouncements, prepareAttributes } from '../../../src/bgp/wire/pack.ts'
import { prefixesOf } from '../../../src/bgp/wire/prefixes.ts'
import { messageLines } from '../../../src/bgp/wire/text.ts'
import { golden } from '../../support/golden.ts'
import { decoded, readCorpus } from './corpus.ts'

const recordings = readCorpus()
t.equal(recordings.length, 12, 'four daemons, three kinds of peer')

const lines = recordings.flatMap(({ name, context, messages }) => [
  `# ${name}`,
  ...messages.flatMap((message) => messageLines(decoded(message, context), context)),
  '',
])
golden(t, 'bgp-daemons', lines.join('\n'))

for (const { name, context, messages } of recordings) {
  const all = messages.map((message) => decoded(message, context))
  const kinds = new Set(all.map(({ kind }) => kind))
  t.ok(kinds.has('open') && kinds.has('update') && kinds.has('keepalive'), `${name}: ${[...kinds]}`)
  t.notOk(kinds.has('reset') || kinds.has('withdraw'), `${name}: no fault`)
  t.doesNotThrow(() => {
    for (const message of all) assertSaidAgain(message, context)
  }, name)
}

type Message = ReturnType<typeof decoded>

/** What a daemon said, encoded by us, means the same. */
function assertSaidAgain(message: Message, context: Context): void {
  if (message.kind === 'open') {
    const again = decoded(encodeOpen(message), context)
    assert.deepEqual(again, { ...message, unknownCapabilities: [] })
    assert.ok(encodeCapabilities(message.capabilities).length > 0)
  }
  if (message.kind !== 'update') return
  const sending: Context = { ...context, addPathSend: context.addPathReceive }
  for (const { announced, attributes } of message.updates) {
    const [slice] = announced
    if (attributes === undefined || slice === undefined) continue
    const first = decodeAttributes(attributes, context)
    assert.equal(first.kind, 'attributes')
    if (first.kind !== 'attributes') return
    const prepared = prepareAttributes(first.attributes, slice.family, sending)
    const [bytes] = packAnnouncements(prepared, slice, sending) ?? []
    assert.ok(bytes)
    const again = decoded(bytes, context)
    assert.equal(again.kind, 'update')
    if (again.kind !== 'update') return
    const [update] = again.updates
    assert.ok(update?.attributes)
    const second = decodeAttributes(update.attributes, context)
    assert.deepEqual(second.kind === 'attributes' && second.attributes, first.attributes)
    assert.deepEqual(update.announced.flatMap(prefixesOf), prefixesOf(slice))
  }
}
