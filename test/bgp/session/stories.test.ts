/** Waits, limits and words: what no single transition shows. */
import t from 'tap'
import { Hand, KEEPALIVE, notification, openOf } from './support.ts'

/** How long it takes from here until something with `word` comes out. */
function until(hand: Hand, word: string): number {
  const from = hand.now
  for (let count = 0; count < 1000; count++) {
    const next = hand.session.nextWake()
    if (next === undefined) break
    if (hand.jump(next - hand.now).includes(word)) return hand.now - from
  }
  throw new Error(`no ${word} comes of itself`)
}
const untilConnect = (hand: Hand): number => until(hand, 'connect')

t.test('the wait in Idle doubles, with jitter, up to a minute', async (t) => {
  const hand = new Hand()
  hand.start()
  const waits: number[] = []
  for (let id = 1; id < 20; id += 2) {
    hand.connected(id)
    hand.hear(id, openOf({ id: '0.0.0.0' }))
    waits.push(untilConnect(hand))
  }
  const bases = [1, 2, 4, 8, 16, 32, 60, 60, 60, 60]
  for (const [index, base] of bases.entries()) {
    const wait = waits[index]!
    t.ok(wait >= 750 * base && wait <= 1000 * base, `${wait} ms of ${base} s`)
  }
  t.ok(new Set(waits.slice(6)).size > 1, 'not twice the same')
  t.equal(hand.notes.length, 1, 'the reason is said once')

  hand.connected(21)
  hand.hear(21, openOf(), KEEPALIVE)
  for (let minute = 0; minute < 10; minute++) {
    hand.pass(30_000)
    hand.hear(21, KEEPALIVE)
  }
  hand.closed(21)
  t.ok(untilConnect(hand) <= 1000, 'a session that lived for five minutes makes up for it')
})

t.test('who is not let in while it waits', async (t) => {
  const hand = new Hand()
  hand.start()
  hand.connected(1)
  hand.hear(1, notification(6, 7))
  t.equal(hand.state, 'idle')
  t.equal(hand.connected(2), '2:OPEN >open-sent', 'the peer was not ready, now it is')
  hand.hear(2, openOf(), KEEPALIVE)
  hand.closed(2)
  t.equal(hand.state, 'idle')
  t.equal(hand.connected(4), '4:OPEN >open-sent', 'only the transport was away')
  hand.hear(4, openOf(), KEEPALIVE, new Uint8Array(19))
  t.equal(hand.state, 'idle')
  t.equal(hand.connected(6), '6:6/5 6:close note', 'what failed would fail again')
  t.equal(hand.connected(8), '8:6/5 8:close', 'said once')
})

t.test('after too many prefixes the wait is the longest', async (t) => {
  const hand = new Hand()
  hand.establish({ holdSeconds: 0 })
  hand.pass(600_000)
  hand.in({ kind: 'prefixes-exceeded', family: 'ipv4', limit: 10 })
  t.ok(untilConnect(hand) >= 45_000)
})

t.test('connections that fail: every few seconds, said once', async (t) => {
  const hand = new Hand({ peer: { connectRetrySeconds: 20 } })
  hand.start()
  for (let id = 1; id < 21; id += 2) {
    hand.in({ kind: 'connect-failed', connection: id, reason: 'refused' })
    t.equal(hand.state, 'active')
    const wait = untilConnect(hand)
    t.ok(wait >= 15_000 && wait <= 20_000, `${wait} ms`)
  }
  t.strictSame(hand.notes, ['cannot connect: refused'])
})

t.test('an attempt that hangs is given up, also beside a connection of the peer', async (t) => {
  const hand = new Hand()
  hand.start()
  hand.connected(2)
  t.equal(hand.pass(5000), '1:abort note', 'the other goes on')
  t.equal(hand.closed(2), 'note >active')
  t.equal(hand.pass(5000), '3:connect >connect')
})

t.test('a peer cannot fill a log', async (t) => {
  const hand = new Hand({ peer: { passive: true } })
  hand.start()
  for (let id = 2; id < 400; id += 2) {
    hand.connected(id)
    hand.hear(id, notification(99, id % 256))
    hand.pass(60_000)
  }
  t.equal(hand.notes.length, 16)
})

t.test('passive: waits, and begins nothing', async (t) => {
  const hand = new Hand({ peer: { passive: true } })
  t.equal(hand.start(), '>active')
  t.equal(hand.session.nextWake(), undefined)
  hand.connected(2)
  hand.hear(2, openOf({ id: '0.0.0.0' }))
  t.equal(hand.pass(3600_000), '>active')
})

t.test(
  'KEEPALIVEs: a third of the hold time, 75 to 100 %, not more than one a second',
  async (t) => {
    for (const [holdSeconds, most] of [
      [90, 30_000],
      [3, 1000],
    ] as const) {
      const hand = new Hand()
      hand.establish({ holdSeconds })
      const waits: number[] = []
      for (let count = 0; count < 50; count++) {
        waits.push(until(hand, 'KEEPALIVE'))
        hand.hear(1, KEEPALIVE)
      }
      const [least, longest] = [Math.min(...waits), Math.max(...waits)]
      t.ok(least >= Math.max(1000, 0.75 * most) && longest <= most, `${least} to ${longest} ms`)
    }
    const none = new Hand()
    none.establish({ holdSeconds: 0 })
    t.equal(none.session.nextWake(), undefined, 'none when the hold time is 0')
  },
)

t.test('the hold time begins anew with every message', async (t) => {
  const hand = new Hand()
  hand.establish()
  for (let minute = 0; minute < 10; minute++) {
    hand.pass(89_000)
    hand.hear(1, KEEPALIVE)
  }
  t.equal(hand.state, 'established')
  t.match(hand.pass(90_000), '1:4/0 1:close')
})

t.test('a process that was held up reads before it calls the peer silent', async (t) => {
  const hand = new Hand()
  hand.establish()
  t.notMatch(hand.jump(120_000), '1:4/0')
  hand.hear(1, KEEPALIVE)
  t.notMatch(hand.pass(80_000), '1:4/0')
  t.match(hand.jump(30_000), 'KEEPALIVE')
  t.match(hand.pass(1000), '1:4/0', 'nothing was there to be read')
})

t.test('RFC 9687: a peer that takes nothing', async (t) => {
  const hand = new Hand()
  hand.establish()
  const minutes = (count: number): string => {
    const words: string[] = []
    for (let minute = 0; minute < count; minute++) {
      words.push(hand.pass(60_000))
      hand.hear(1, KEEPALIVE)
    }
    return words.join(' ')
  }
  hand.in({ kind: 'flow', connection: 1, isBlocked: true })
  minutes(7)
  hand.in({ kind: 'flow', connection: 1, isBlocked: true })
  minutes(7)
  t.equal(hand.state, 'established', 'some of it has gone out')
  t.match(minutes(1), '1:8/0 1:abort down')

  const again = new Hand()
  again.establish({ holdSeconds: 0 })
  again.in({ kind: 'flow', connection: 1, isBlocked: true })
  again.in({ kind: 'flow', connection: 1, isBlocked: false })
  t.equal(again.session.nextWake(), undefined, 'all of it has')
})

t.test('octets in any pieces', async (t) => {
  const hand = new Hand()
  hand.start()
  hand.connected(1)
  const words: string[] = []
  for (const octet of [...openOf(), ...KEEPALIVE]) words.push(hand.hear(1, Uint8Array.of(octet)))
  t.equal(
    words.filter((word) => word !== '').join(' '),
    '1:KEEPALIVE >open-confirm >established up',
  )
})

t.test('nothing behind the end of a session counts', async (t) => {
  const hand = new Hand()
  hand.establish()
  t.equal(hand.hear(1, notification(6, 2), KEEPALIVE, openOf()), '1:close down >idle')
  t.equal(hand.in({ kind: 'flow', connection: 1, isBlocked: true }), '')
  t.equal(hand.closed(1), '')
})

t.test('facts for people', async (t) => {
  const hand = new Hand()
  hand.establish()
  hand.session.countUpdates(3)
  const { facts } = hand.session
  t.equal(facts.state, 'established')
  t.equal(facts.establishedAt, 1000)
  t.equal(facts.keepaliveMs, 30_000)
  t.strictSame(facts.counters, { messagesIn: 2, messagesOut: 5, updatesIn: 0, updatesOut: 3 })
  hand.hear(1, notification(6, 2, '0568656c6c6f'))
  t.strictSame(hand.session.facts.lastError, {
    by: 'peer',
    code: 6,
    subcode: 2,
    text: 'Cease: Administrative Shutdown: hello',
  })
  t.equal(hand.session.facts.agreed, undefined)
  t.equal(hand.session.facts.establishedAt, undefined)
})
