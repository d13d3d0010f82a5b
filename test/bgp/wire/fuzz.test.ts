/**
 * UPDATEs of real daemons and of our own, spoilt at random, in every kind of context: no
 * exception, no read outside of the message, and never a remedy that the oracle does not have.
 *
 * Printed: how many reached the attribute parser (at least half must), the remedies,
 * and what of `src/bgp/wire` ran. TRIVIUM_LONG=1 makes five million of them.
 */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import type { NlriSlice } from '../../../src/bgp/nlri.ts'
import { ATTRIBUTE_ROWS, type AttributeRow } from '../../../src/bgp/wire/attribute-table.ts'
import type { Context } from '../../../src/bgp/wire/context.ts'
import { encodeOpen } from '../../../src/bgp/wire/open.ts'
import {
  packAnnouncements,
  packWithdrawals,
  prepareAttributes,
} from '../../../src/bgp/wire/pack.ts'
import { nlriOf } from '../../../src/bgp/wire/prefixes.ts'
import { messageLines } from '../../../src/bgp/wire/text.ts'
import { prng } from '../../../src/prng.ts'
import { attributesOf, contexts, FAMILIES, prefixes } from './arbitraries.ts'
import { decoded, readCorpus } from './corpus.ts'
import { startCoverage } from './coverage.ts'
import { mutate } from './mutate.ts'
import { oracle } from './oracle.ts'
import { outcomeOf, toHex } from './support.ts'

const isLong = process.env['TRIVIUM_LONG'] === '1'
const MESSAGES = isLong ? 5_000_000 : process.env['TRIVIUM_FEWER'] === '1' ? 5_000 : 100_000
/** The oracle is a hundred times slower than what it judges. */
const ORACLE_EVERY = 4
const seed = Number(process.env['FC_SEED'] ?? Date.now() % 2 ** 31)

const HEADER_OCTETS = 19
const MAKERS = 32

// Before anything of it has run: functions that have are counted as one block.
const coverage = startCoverage('/src/bgp/wire/')

/** A context with messages that are right in it. */
interface Source {
  readonly context: Context
  readonly bodies: readonly Uint8Array[]
}

function ownSources(): readonly Source[] {
  return fc.sample(contexts, { numRuns: MAKERS, seed }).map((plain, index): Source => {
    const context: Context = {
      ...plain,
      families: index % 5 === 0 ? ['ipv4'] : index % 5 === 1 ? ['ipv6'] : FAMILIES,
      asSets: index % 4 === 0 ? 'withdraw' : 'accept',
      ...(index % 7 === 0 ? { firstAs: 65001 } : {}),
    }
    const sending: Context = { ...context, families: FAMILIES, addPathSend: context.addPathReceive }
    const bodies = FAMILIES.flatMap((family) =>
      fc.sample(attributesOf(sending, family), { numRuns: 6, seed }).flatMap((attributes, nth) => {
        const hasPathIds = sending.addPathSend.includes(family)
        const [all = []] = fc.sample(prefixes(family, hasPathIds), { numRuns: 1, seed: index })
        const nlri = nlriOf(family, all.slice(0, 4), hasPathIds)
        const prepared = prepareAttributes(attributes, family, sending)
        return [
          ...(packAnnouncements(prepared, nlri, sending) ?? []),
          ...(nth === 0 ? packWithdrawals(nlri, sending) : []),
        ]
      }),
    )
    return { context, bodies: bodies.filter(({ length }) => length < 1500).map(bodyOf) }
  })
}

const bodyOf = (message: Uint8Array): Uint8Array => message.subarray(HEADER_OCTETS)

const sources: readonly Source[] = [
  ...ownSources(),
  ...readCorpus().map(({ context, messages }) => ({
    context,
    bodies: messages.filter((each) => each[18] === 2 && each.length > 60).map(bodyOf),
  })),
].filter(({ bodies }) => bodies.length > 0)

/** Counts messages that come to an attribute's own decoder. */
let decodes = 0
for (const row of ATTRIBUTE_ROWS as readonly { decode: AttributeRow['decode'] }[]) {
  const { decode } = row
  row.decode = (...args) => {
    decodes++
    return decode(...args)
  }
}

function prefixTexts(slices: readonly NlriSlice[]): string[] {
  return slices.flatMap(({ family, bytes, start, end, hasPathIds }) => {
    const found: string[] = []
    const before = hasPathIds ? 4 : 0
    for (let at = start; at < end; ) {
      const next = at + before + 1 + Math.ceil((bytes[at + before] ?? 0) / 8)
      found.push(`${family} ${bytes.subarray(at, next).join('.')}`)
      at = next
    }
    return found
  })
}

const KEYS = {
  4: 'med',
  5: 'localPref',
  6: 'atomicAggregate',
  7: 'aggregator',
  8: 'communities',
  9: 'originatorId',
  10: 'clusterList',
  16: 'extendedCommunities',
  32: 'largeCommunities',
  35: 'onlyToCustomer',
} as const

function compare(body: Uint8Array, context: Context, outcome: ReturnType<typeof outcomeOf>): void {
  const wanted = oracle([...body], context)
  assert.equal(outcome.kind, wanted.remedy)
  const { result } = outcome
  if (result.kind === 'reset') {
    assert.ok(wanted.subcodes.has(result.subcode), `${result.subcode}: ${result.reason}`)
    return
  }
  const withdrawn =
    result.kind === 'withdraw'
      ? prefixTexts(result.withdrawn)
      : prefixTexts(result.updates.flatMap((update) => update.withdrawn))
  const announced =
    result.kind === 'update'
      ? prefixTexts(result.updates.flatMap((update) => update.announced))
      : []
  if (outcome.kind === 'withdraw') {
    assert.deepEqual([...withdrawn, ...announced], wanted.withdrawn)
    return
  }
  assert.deepEqual(withdrawn, wanted.withdrawn)
  assert.deepEqual(announced, wanted.announced)
  for (const { attributes } of outcome.attributes) {
    for (const [code, key] of Object.entries(KEYS)) {
      assert.equal(attributes[key] !== undefined, wanted.attributes.includes(Number(code)), key)
    }
  }
}

/** What lies around a message must not matter: the same octets between others. */
function assertInside(body: Uint8Array, context: Context): void {
  const [zeros, ones] = [0, 255].map((around) => {
    const bytes = new Uint8Array(body.length + 600).fill(around)
    bytes.set(body, 300)
    const { kind, result } = outcomeOf(bytes, context, 300, 300 + body.length)
    const reason = result.kind === 'reset' ? result.reason : JSON.stringify(result, leaveBytes)
    return [kind, reason]
  })
  assert.deepEqual(zeros, ones)
}

const leaveBytes = (key: string, value: unknown): unknown =>
  key === 'bytes' || key === 'nextHop' ? undefined : value

t.test('spoilt messages of every type, header included', async (t) => {
  const random = prng(`${seed}/all`)
  const all = readCorpus()
  const kinds = new Map<string, number>()
  let failure: string | undefined
  for (let number = 0; number < MESSAGES / 5 && failure === undefined; number++) {
    const { messages, context } = all[random.below(all.length)] as (typeof all)[number]
    const message = (messages[random.below(messages.length)] as Uint8Array).slice()
    // Most faults are behind the header: one in it ends everything.
    const from = random.below(8) === 0 ? 0 : Math.min(HEADER_OCTETS, message.length - 1)
    for (let left = 1 + random.below(4); left > 0; left--) {
      message[from + random.below(message.length - from)] = random.below(256)
    }
    try {
      const found = decoded(message, context)
      kinds.set(found.kind, (kinds.get(found.kind) ?? 0) + 1)
      if (found.kind === 'open') decoded(encodeOpen(found), context)
      messageLines(found, context)
    } catch (error) {
      const why = (error as Error).message
      if (!why.startsWith('cut off')) failure = `${toHex(message)}\n${why}`
    }
  }
  t.equal(failure, undefined, 'no exception')
  t.comment(`read as ${JSON.stringify(Object.fromEntries(kinds))}`)
})

t.test(`${MESSAGES} spoilt messages, FC_SEED=${seed}`, async (t) => {
  const random = prng(seed)
  const remedies = { accept: 0, withdraw: 0, reset: 0 }
  let reached = 0
  let failure: string | undefined
  for (let number = 0; number < MESSAGES && failure === undefined; number++) {
    const source = sources[random.below(sources.length)] as Source
    const { bodies, context } = source
    const body = mutate(
      bodies[random.below(bodies.length)] as Uint8Array,
      bodies[random.below(bodies.length)] as Uint8Array,
      random,
    )
    const before = decodes
    try {
      const outcome = outcomeOf(body, context)
      remedies[outcome.kind]++
      if (decodes > before) reached++
      if (number % ORACLE_EVERY === 0) compare(body, context, outcome)
      if (number % 64 === 0) assertInside(body, context)
    } catch (error) {
      failure = `${toHex(body)}\n${JSON.stringify(context)}\n${(error as Error).message}`
    }
  }
  t.equal(failure, undefined, 'no exception, and the remedies of the oracle')
  t.comment(`remedies: ${JSON.stringify(remedies)}`)
  t.comment(`reached the attribute parser: ${((100 * reached) / MESSAGES).toFixed(1)} %`)
  for (const line of coverage.stop()) t.comment(line)
  t.ok(reached >= MESSAGES / 2, 'at least half reached the attribute parser', { reached })
})
