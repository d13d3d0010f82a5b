/** A session that is told anything, in any order: it never throws, and keeps its order. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { createSession } from '../../../src/bgp/session/mod.ts'
import type { SessionInput } from '../../../src/bgp/session/types.ts'
import { encodeRouteRefresh } from '../../../src/bgp/wire/route-refresh.ts'
import type { Instant } from '../../../src/machine.ts'
import type { Ip } from '../../../src/net/mod.ts'
import { holds } from '../../support/property.ts'
import { checkOrder } from './order.ts'
import type { Recorded } from './pipe.ts'
import { END_OF_RIB, KEEPALIVE, notification, openOf, termsOf } from './support.ts'

const local = '192.0.2.1' as Ip
/** Numbers that the machine gives, that a listener gives, and that nobody gave. */
const connection = fc.constantFrom(1, 1, 1, 2, 2, 3, 4, 5, 6, 8, 10, 99)
const octets = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(openOf(), KEEPALIVE, END_OF_RIB) },
  fc.constantFrom(
    openOf({ id: '0.0.0.0' }),
    openOf({ id: '10.0.0.1', holdSeconds: 3 }),
    notification(6, 9, '06'),
    notification(2, 4),
    encodeRouteRefresh('ipv6', 'end'),
  ),
  fc.uint8Array({ maxLength: 60 }),
)
const bytes = fc
  .tuple(fc.array(octets, { maxLength: 4 }), fc.option(fc.nat({ max: 100 })))
  .map(([all, cut]) => Uint8Array.from(all.flatMap((each) => [...each])).slice(0, cut ?? 4000))

const inputs: fc.Arbitrary<SessionInput> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant('received' as const), connection, bytes }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('connected' as const),
      connection,
      local: fc.constant(local),
    }),
  },
  fc.record({ kind: fc.constant('start' as const) }),
  fc.record({ kind: fc.constant('abandon' as const) }),
  fc.record({ kind: fc.constantFrom('stop' as const, 'restart' as const), subcode: fc.nat(255) }),
  fc.record({ kind: fc.constant('connect-failed' as const), connection, reason: fc.string() }),
  fc.record({ kind: fc.constant('closed' as const), connection }),
  fc.record({ kind: fc.constant('flow' as const), connection, isBlocked: fc.boolean() }),
  fc.record({ kind: fc.constant('bfd-down' as const) }),
)
const steps = fc.array(fc.tuple(fc.constantFrom(0, 1, 900, 5000, 90_000, 600_000), inputs), {
  maxLength: 40,
})

holds(
  t,
  'whatever a session is told, it never throws and keeps its order',
  fc.tuple(fc.boolean(), steps),
  ([passive, story]) => {
    const session = createSession(termsOf({ peer: { passive } }))
    const records: Recorded[] = []
    const accepted = new Set<number>()
    let now = 0 as Instant
    const start = { kind: 'start' } as const
    records.push({ now, input: start, effects: session.handle(start, now) })
    for (const [ms, input] of story) {
      const until = now + ms
      for (;;) {
        const next = session.nextWake()
        if (next === undefined || next > until) break
        now = Math.max(now, next) as Instant
        records.push({ now, input: 'wake', effects: session.wake(now) })
        const after = session.nextWake()
        assert(after === undefined || after > now, 'a timer that was run is due again')
      }
      now = until as Instant
      if (input.kind === 'connected' && input.connection % 2 === 0) {
        // Whoever listens gives a number once.
        if (accepted.has(input.connection)) continue
        accepted.add(input.connection)
      }
      records.push({ now, input, effects: session.handle(input, now) })
    }
    checkOrder(records)
  },
  { numRuns: 1000 },
)
