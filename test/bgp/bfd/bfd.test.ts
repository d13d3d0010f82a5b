/**
 * BFD as pure code: what is discarded, what the state machine does, and what two of
 * them notice over a way that loses packets.
 */

import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import {
  BFD_STATES,
  type BfdEffect,
  type BfdPacket,
  BfdSessions,
  type BfdSessionsEffect,
  type BfdState,
  bfdSession,
  decodeBfd,
  encodeBfd,
} from '../../../src/bgp/bfd/mod.ts'
import type { Instant } from '../../../src/machine.ts'
import type { Ip } from '../../../src/net/mod.ts'
import { prng } from '../../../src/prng.ts'
import { holds } from '../../support/property.ts'

const PEER = '192.0.2.2' as Ip
const at = (ms: number): Instant => ms as Instant

const PACKET: BfdPacket = {
  diagnostic: 0,
  state: 'down',
  isPoll: false,
  isFinal: false,
  isIndependent: false,
  isDemand: false,
  detectMultiplier: 3,
  myDiscriminator: 7,
  yourDiscriminator: 0,
  desiredMinTxUs: 1_000_000,
  requiredMinRxUs: 300_000,
  requiredMinEchoRxUs: 0,
}

t.test('octets as RFC 5880 section 4.1 draws them', async (t) => {
  const bytes = encodeBfd({
    ...PACKET,
    diagnostic: 1,
    state: 'up',
    isPoll: true,
    isIndependent: true,
    yourDiscriminator: 0x01020304,
  })
  t.equal(
    Buffer.from(bytes).toString('hex'),
    '21e80318' + '00000007' + '01020304' + '000f4240' + '000493e0' + '00000000',
  )
  const uint32 = fc.integer({ min: 0, max: 0xffff_ffff })
  const packets = fc.record({
    diagnostic: fc.integer({ min: 0, max: 31 }),
    state: fc.constantFrom(...BFD_STATES),
    isPoll: fc.boolean(),
    isFinal: fc.boolean(),
    isIndependent: fc.boolean(),
    isDemand: fc.boolean(),
    detectMultiplier: fc.integer({ min: 1, max: 255 }),
    myDiscriminator: fc.integer({ min: 1, max: 0xffff_ffff }),
    yourDiscriminator: fc.integer({ min: 1, max: 0xffff_ffff }),
    desiredMinTxUs: uint32,
    requiredMinRxUs: uint32,
    requiredMinEchoRxUs: uint32,
  })
  holds(t, 'round trip', packets, (packet) => {
    assert.deepEqual(decodeBfd(encodeBfd(packet)), { kind: 'packet', packet: { ...packet } })
  })
  holds(t, 'any octets are a packet or a reason', fc.uint8Array({ maxLength: 40 }), (octets) => {
    const decoded = decodeBfd(octets)
    assert.ok(decoded.kind === 'packet' || decoded.why.length > 0)
  })
})

/** Octets to change, what they become, and why the packet is discarded then: RFC 5880 section 6.8.6. */
const DISCARDS: readonly (readonly [string, (bytes: Uint8Array) => Uint8Array])[] = [
  ['version', (b) => with_(b, 0, 0x00)],
  ['version', (b) => with_(b, 0, 0x40)],
  ['length too small', (b) => with_(b, 3, 23)],
  ['length too small', (b) => b.subarray(0, 23)],
  ['length too small', (b) => with_(with_(b, 1, 0x44), 3, 25)],
  ['length beyond the packet', (b) => with_(b, 3, 25)],
  ['detect multiplier 0', (b) => with_(b, 2, 0)],
  ['multipoint', (b) => with_(b, 1, 0x41)],
  ['my discriminator 0', (b) => with_(b, 7, 0)],
  ['your discriminator unknown', (b) => with_(b, 11, 9)],
  ['your discriminator 0 in this state', (b) => with_(b, 1, 0x80)],
  ['your discriminator 0 in this state', (b) => with_(b, 1, 0xc0)],
  ['authentication', (b) => with_(with_(Uint8Array.of(...b, 1, 2), 1, 0x44), 3, 26)],
]

function with_(bytes: Uint8Array, place: number, value: number): Uint8Array {
  const copy = bytes.slice()
  copy[place] = value
  return copy
}

t.test('what is discarded', async (t) => {
  const sessions = new BfdSessions(prng('discards'))
  sessions.handle({ kind: 'configure', peers: [{ address: PEER }] }, at(0))
  const hear = (bytes: Uint8Array, from = PEER): readonly BfdSessionsEffect[] =>
    sessions.handle({ kind: 'received', from, bytes }, at(1))
  for (const [why, change] of DISCARDS) {
    const effects = hear(change(encodeBfd(PACKET)))
    t.strictSame(effects, [{ kind: 'discard', from: PEER, why }], why)
    t.equal(sessions.stateOf(PEER), 'down')
  }
  const stranger = '192.0.2.3' as Ip
  t.match(hear(encodeBfd(PACKET), stranger), [{ why: 'no session with the sender' }])
  const [state, sent] = hear(encodeBfd(PACKET))
  t.match(state, { kind: 'state', from: 'down', to: 'init' }, 'the packet itself is fine')
  const mine = decodeBfd((sent as { bytes: Uint8Array }).bytes)
  const discriminator = mine.kind === 'packet' ? mine.packet.myDiscriminator : 0
  const answer = encodeBfd({ ...PACKET, state: 'init', yourDiscriminator: discriminator })
  t.match(hear(answer, stranger), [{ why: 'no session with the sender' }], 'a guess from elsewhere')
  t.match(hear(answer), [{ kind: 'state', to: 'up' }, { kind: 'send' }])
  sessions.handle({ kind: 'stop' }, at(2))
  t.match(hear(answer), [{ why: 'session administratively down' }])
})

/** RFC 5880 section 6.2: state, what the neighbour says, state afterwards. */
const TRANSITIONS: readonly (readonly [BfdState, BfdState, BfdState])[] = [
  ['down', 'admin-down', 'down'],
  ['down', 'down', 'init'],
  ['down', 'init', 'up'],
  ['down', 'up', 'down'],
  ['init', 'admin-down', 'down'],
  ['init', 'down', 'init'],
  ['init', 'init', 'up'],
  ['init', 'up', 'up'],
  ['up', 'admin-down', 'down'],
  ['up', 'down', 'down'],
  ['up', 'init', 'up'],
  ['up', 'up', 'up'],
]
const WAY_TO: Readonly<Record<string, readonly BfdState[]>> = {
  down: [],
  init: ['down'],
  up: ['down', 'up'],
}

t.test('the state machine', async (t) => {
  for (const [before, heard, after] of TRANSITIONS) {
    const session = bfdSession({ localDiscriminator: 1, intervalMs: 300, multiplier: 3 }, prng(1))
    const hear = (state: BfdState): readonly BfdEffect[] =>
      session.handle({ kind: 'packet', packet: { ...PACKET, state } }, at(10))
    for (const state of WAY_TO[before]!) hear(state)
    t.equal(session.state, before)
    const effects = hear(heard)
    t.equal(session.state, after, `${before} hears ${heard}`)
    t.equal(effects.length > 0, before !== after, 'a change is said at once, and only a change')
    if (before === 'up' && after === 'down') {
      t.match(effects, [{ diagnostic: 3, isByAdministrator: heard === 'admin-down' }])
    }
  }
})

interface Terms {
  readonly intervalMs: number
  readonly multiplier: number
}

/** Two systems, a way between them, and a virtual clock. */
class Pair {
  now = 0
  loses = (_from: number): boolean => false
  delayMs = 1
  readonly changes: { at: number; side: number; to: BfdState; diagnostic: number }[] = []
  #flying: { at: number; to: number; bytes: Uint8Array }[] = []

  readonly sides: readonly BfdSessions[]

  constructor(seed: number, terms: readonly Terms[]) {
    this.sides = [0, 1].map((side) => new BfdSessions(prng(`${seed} ${side}`)))
    for (const side of [0, 1]) this.configure(side, terms[side]!)
  }

  address(side: number): Ip {
    return `192.0.2.${side + 1}` as Ip
  }

  configure(side: number, terms: Terms): void {
    const peers = [{ address: this.address(1 - side), ...terms }]
    this.carry(side, this.sides[side]!.handle({ kind: 'configure', peers }, at(this.now)))
  }

  state(side: number): BfdState | undefined {
    return this.sides[side]!.stateOf(this.address(1 - side))
  }

  carry(side: number, effects: readonly BfdSessionsEffect[]): void {
    for (const effect of effects) {
      if (effect.kind === 'send') {
        if (this.loses(side)) continue
        this.#flying.push({ at: this.now + this.delayMs, to: 1 - side, bytes: effect.bytes })
      } else if (effect.kind === 'state') {
        this.changes.push({ at: this.now, side, to: effect.to, diagnostic: effect.diagnostic })
      } else assert.equal(effect.why, 'your discriminator unknown', 'only of one that is gone')
    }
  }

  runUntil(end: number): void {
    for (;;) {
      const wakes = this.sides.map((side) => side.nextWake() ?? Number.POSITIVE_INFINITY)
      const next = Math.min(...wakes, ...this.#flying.map((each) => each.at))
      if (next > end) break
      this.now = Math.max(this.now, next)
      const here = this.#flying.filter((each) => each.at <= this.now)
      this.#flying = this.#flying.filter((each) => each.at > this.now)
      for (const { to, bytes } of here) {
        const from = this.address(1 - to)
        this.carry(to, this.sides[to]!.handle({ kind: 'received', from, bytes }, at(this.now)))
      }
      for (const [side, system] of this.sides.entries()) {
        this.carry(side, system.wake(at(this.now)))
      }
    }
    this.now = end
  }
}

const terms = fc.record({
  intervalMs: fc.integer({ min: 10, max: 2000 }),
  multiplier: fc.integer({ min: 2, max: 10 }),
})
interface Given {
  readonly seed: number
  readonly left: Terms
  readonly right: Terms
  readonly delayMs: number
}
const pairs: fc.Arbitrary<Given> = fc.record({
  seed: fc.nat(),
  left: terms,
  right: terms,
  delayMs: fc.nat(5),
})
const started = ({ seed, left, right, delayMs }: Given): Pair => {
  const pair = new Pair(seed, [left, right])
  pair.delayMs = delayMs
  return pair
}
const SETTLED_MS = 20_000

t.test('over a way that is whole', async (t) => {
  holds(
    t,
    'both come up, once, and stay up',
    pairs,
    (given) => {
      const pair = started(given)
      pair.runUntil(SETTLED_MS)
      assert.deepEqual([pair.state(0), pair.state(1)], ['up', 'up'])
      const ups = pair.changes.filter(({ to }) => to === 'up').length
      pair.runUntil(SETTLED_MS + 60_000)
      assert.equal(pair.changes.filter(({ to }) => to === 'up').length, ups)
      assert.deepEqual(
        pair.changes.filter(({ to }) => to === 'down'),
        [],
      )
    },
    { numRuns: 60 },
  )
  holds(
    t,
    'other times by a poll, without a flap',
    fc.tuple(pairs, terms),
    ([given, other]) => {
      const pair = started(given)
      pair.runUntil(SETTLED_MS)
      pair.configure(0, other)
      pair.runUntil(2 * SETTLED_MS)
      assert.deepEqual(
        pair.changes.filter(({ to }) => to === 'down'),
        [],
      )
    },
    { numRuns: 60 },
  )
})

t.test('over a way that breaks', async (t) => {
  holds(
    t,
    'each side notices within its detection time, and not before',
    pairs,
    (given) => {
      const pair = started(given)
      pair.runUntil(SETTLED_MS)
      pair.loses = () => true
      const cut = pair.now
      pair.runUntil(cut + 60_000)
      const slowest = Math.max(given.left.intervalMs, given.right.intervalMs)
      for (const side of [0, 1]) {
        const down = pair.changes.find((each) => each.side === side && each.to === 'down')
        const multiplier = [given.right, given.left][side]!.multiplier
        const most = multiplier * slowest
        assert.ok(down !== undefined && down.diagnostic === 1, 'noticed')
        assert.ok(down.at - cut <= most + given.delayMs + 1, `${down.at - cut} of ${most}`)
        assert.ok(down.at - cut >= (multiplier - 1) * slowest - 1, 'not before')
      }
      pair.loses = () => false
      pair.runUntil(pair.now + SETTLED_MS)
      assert.deepEqual([pair.state(0), pair.state(1)], ['up', 'up'], 'up again')
    },
    { numRuns: 60 },
  )
  holds(
    t,
    'one direction is enough: the other side is told',
    fc.tuple(pairs, fc.nat(1)),
    ([given, broken]) => {
      const pair = started(given)
      pair.runUntil(SETTLED_MS)
      pair.loses = (from) => from === broken
      const cut = pair.now
      pair.runUntil(cut + 60_000)
      const deaf = pair.changes.find((each) => each.side !== broken && each.to === 'down')
      const told = pair.changes.find((each) => each.side === broken && each.to === 'down')
      assert.equal(deaf?.diagnostic, 1)
      assert.equal(told?.diagnostic, 3)
      assert.ok(told.at - deaf.at <= given.delayMs + 1, 'at once')
    },
    { numRuns: 30 },
  )
})

t.test('losing fewer packets in a row than the multiplier is no failure', async (t) => {
  holds(
    t,
    'no flap',
    pairs,
    (given) => {
      const pair = started({ ...given, delayMs: 0 })
      pair.runUntil(SETTLED_MS)
      const chance = prng(given.seed)
      const [least, inRow] = [Math.min(given.left.multiplier, given.right.multiplier), [0, 0]]
      pair.loses = (from) => {
        const isLost = inRow[from]! < least - 2 && chance.unit() < 0.7
        inRow[from] = isLost ? inRow[from]! + 1 : 0
        return isLost
      }
      pair.runUntil(SETTLED_MS + 60_000)
      assert.deepEqual(
        pair.changes.filter(({ to }) => to === 'down'),
        [],
      )
    },
    { numRuns: 60 },
  )
})

t.test('intervals are jittered: RFC 5880 section 6.8.7', async (t) => {
  for (const [multiplier, most] of [
    [3, 1],
    [1, 0.9],
  ] as const) {
    const session = bfdSession({ localDiscriminator: 1, intervalMs: 300, multiplier }, prng(3))
    const waits: number[] = []
    let last = 0
    session.wake(at(0))
    for (let n = 0; n < 500; n++) {
      const when = session.nextWake()!
      waits.push(when - last)
      last = when
      session.wake(when)
    }
    t.ok(Math.min(...waits) >= 750 && Math.min(...waits) < 790, `${Math.min(...waits)}`)
    t.ok(Math.max(...waits) <= 1000 * most && Math.max(...waits) > 960 * most)
  }
})

t.test('an administrator is no failure', async (t) => {
  const pair = new Pair(1, [
    { intervalMs: 300, multiplier: 3 },
    { intervalMs: 300, multiplier: 3 },
  ])
  pair.runUntil(SETTLED_MS)
  const heard: BfdSessionsEffect[] = []
  const carry = pair.carry.bind(pair)
  pair.carry = (side, effects) => {
    heard.push(...effects.filter((each) => each.kind === 'state' && side === 1))
    carry(side, effects)
  }
  pair.carry(0, pair.sides[0]!.handle({ kind: 'configure', peers: [] }, at(pair.now)))
  pair.runUntil(pair.now + 10)
  t.match(heard, [{ from: 'up', to: 'down', isByAdministrator: true }])
  t.equal(pair.sides[0]!.nextWake(), undefined, 'nothing is left')
})
