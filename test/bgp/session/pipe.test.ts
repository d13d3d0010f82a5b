/**
 * Two sessions over connections that are delayed, cut into pieces and broken: left alone
 * they always find each other, once, and what they did can be played again.
 */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { createSession } from '../../../src/bgp/session/mod.ts'
import type { SessionEffect } from '../../../src/bgp/session/types.ts'
import { prng } from '../../../src/prng.ts'
import { holds } from '../../support/property.ts'
import { checkOrder } from './order.ts'
import { bothTerms, Pipe, type Side } from './pipe.ts'

const sides = fc.constantFrom<Side>('a', 'b')
const actions = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('break' as const),
      heard: fc.subarray<Side>(['a', 'b']),
    }),
  },
  fc.record({
    do: fc.constantFrom('start', 'stop', 'restart', 'abandon', 'bfd', 'limit', 'junk'),
    side: sides,
  }),
  fc.record({ do: fc.constant('cut' as const), isCut: fc.boolean() }),
)
const options = fc.record({
  passive: fc.constantFrom<Side | undefined>(undefined, undefined, 'a', 'b'),
  graceful: fc.record({ a: fc.boolean(), b: fc.boolean() }),
  holdSeconds: fc.constantFrom(9, 90),
  internal: fc.boolean(),
  seed: fc.nat(),
  delayMsMax: fc.constantFrom(0, 5, 200, 2000),
  piecesMax: fc.constantFrom(1, 4, 30),
})
const stories = fc.tuple(
  options,
  fc.array(fc.tuple(fc.constantFrom(0, 3, 50, 1000, 4000, 20_000, 100_000), actions), {
    maxLength: 12,
  }),
)
type Action = typeof actions extends fc.Arbitrary<infer Value> ? Value : never
type Options = typeof options extends fc.Arbitrary<infer Value> ? Value : never

/** Both start, and then what the story says. */
function play([settings, story]: readonly [Options, readonly (readonly [number, Action])[]]): Pipe {
  const pipe = pipeOf(settings)
  pipe.feed('a', { kind: 'start' })
  pipe.feed('b', { kind: 'start' })
  pipe.run(pipe.now + (settings.seed % 10_000))
  for (const [ms, action] of story) {
    act(pipe, action)
    pipe.run(pipe.now + ms)
  }
  return pipe
}

function pipeOf({ passive, graceful, holdSeconds, internal, ...weather }: Options): Pipe {
  const [a, b] = (['a', 'b'] as const).map((side) => ({
    passive: passive === side,
    holdSeconds,
    ...(!graceful[side] && { gracefulRestart: false as const }),
  }))
  const [one, two] = bothTerms(a, b)
  const { delayMsMax, piecesMax, seed } = weather
  const second = internal ? { self: { ...two.self, asn: 64512 }, peer: two.peer } : two
  const first = internal ? { self: one.self, peer: { ...one.peer, asn: 64512 } } : one
  return new Pipe(first, second, { random: prng(seed), delayMsMax, piecesMax })
}

function act(pipe: Pipe, action: Action): void {
  if (action.do === 'break') pipe.breakAll(...action.heard)
  else if (action.do === 'cut') pipe.isCut = action.isCut
  else if (action.do === 'start') pipe.feed(action.side, { kind: 'start' })
  else if (action.do === 'stop') pipe.feed(action.side, { kind: 'stop', subcode: 2 })
  else if (action.do === 'restart') pipe.feed(action.side, { kind: 'restart', subcode: 6 })
  else if (action.do === 'abandon') pipe.feed(action.side, { kind: 'abandon' })
  else if (action.do === 'bfd') pipe.feed(action.side, { kind: 'bfd-down' })
  else if (action.do === 'limit') {
    pipe.feed(action.side, { kind: 'prefixes-exceeded', family: 'ipv4', limit: 1 })
  } else {
    const connection = pipe.sessions[action.side].facts.agreed?.connection ?? 2
    pipe.feed(action.side, { kind: 'received', connection, bytes: new Uint8Array(40).fill(7) })
  }
}

const MINUTE = 60_000

holds(
  t,
  'two sessions that are left alone find each other once, and stay',
  stories,
  (story) => {
    const pipe = play(story)
    pipe.isCut = false
    pipe.feed('a', { kind: 'start' })
    pipe.feed('b', { kind: 'start' })
    pipe.run(pipe.now + 10 * MINUTE)
    assert(pipe.isJoined, 'joined')
    const before = pipe.sessions.a.facts.establishments
    pipe.run(pipe.now + 10 * MINUTE)
    assert(pipe.isJoined, 'still joined')
    assert.equal(pipe.sessions.a.facts.establishments, before)
    checkOrder(pipe.records.a)
    checkOrder(pipe.records.b)
  },
  { numRuns: 300 },
)

holds(
  t,
  'on a line that holds the first attempt succeeds, whoever begins first',
  fc.tuple(options, fc.nat({ max: 500 })),
  ([settings, ms]) => {
    const pipe = pipeOf({
      ...settings,
      delayMsMax: settings.delayMsMax === 2000 ? 5 : settings.delayMsMax,
    })
    pipe.feed('a', { kind: 'start' })
    pipe.run(pipe.now + ms)
    pipe.feed('b', { kind: 'start' })
    pipe.run(pipe.now + 10_000)
    assert(pipe.isJoined, 'joined')
    for (const side of ['a', 'b'] as const) {
      assert.equal(pipe.sessions[side].facts.establishments, 1, 'and never lost')
    }
  },
  { numRuns: 500 },
)

holds(
  t,
  'stopped sessions want nothing any more',
  stories,
  (story) => {
    const pipe = play(story)
    pipe.feed('a', { kind: 'stop', subcode: 2 })
    pipe.feed('b', { kind: 'abandon' })
    pipe.run(pipe.now + MINUTE)
    for (const side of ['a', 'b'] as const) {
      assert.equal(pipe.sessions[side].nextWake(), undefined)
      assert.equal(pipe.sessions[side].facts.state, 'idle')
      assert.deepEqual(pipe.sessions[side].facts.stale, [])
    }
  },
  { numRuns: 150 },
)

/** Octets as text; the RIB's slices lie in the same message. */
const text = (effects: readonly SessionEffect[]): string => JSON.stringify(effects)

holds(
  t,
  'the same inputs at the same moments give the same effects',
  stories,
  (story) => {
    const pipe = play(story)
    for (const side of ['a', 'b'] as const) {
      const again = createSession(pipe.terms[side])
      for (const { now, input, effects } of pipe.records[side]) {
        const replayed = input === 'wake' ? again.wake(now) : again.handle(input, now)
        assert.equal(text(replayed), text(effects))
      }
      assert.equal(again.nextWake(), pipe.sessions[side].nextWake())
    }
  },
  { numRuns: 100 },
)
