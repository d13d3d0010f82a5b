/** When small messages leave, in the terms of TCP; and in which order a daemon writes them. */
import t from 'tap'
import { Nagle } from '../../simulator/bgp/nagle.ts'
import { birdOrder } from '../../simulator/bgp/update-order.ts'
import { Engine, EVENT, TICKS_PER_MS } from '../../simulator/clock.ts'

const LATENCY_MS = 10
const HEADER_OCTETS = 19

/** A BGP message of so many octets; `mark` is its name. */
function message(mark: number, octets = 30): Uint8Array {
  const bytes = new Uint8Array(octets)
  bytes.fill(0xff, 0, 16)
  bytes.set([octets >> 8, octets & 0xff, 2], 16)
  bytes[octets - 1] = mark
  return bytes
}

interface Arrival {
  readonly mark: number
  readonly ms: number
}

/** Two ends, 10 ms from each other, and what arrived at the second one. */
function pair(isOn: readonly [boolean, boolean]) {
  const engine = new Engine()
  const arrivals: Arrival[] = []
  let held = 0
  const nagle: Nagle = new Nagle({
    ...{ engine, session: 0, isOn },
    latencyTicks: () => LATENCY_MS * TICKS_PER_MS,
    put: (side, bytes) => {
      engine.later(LATENCY_MS * TICKS_PER_MS, EVENT.bgp, 0, 0, () => {
        nagle.arrived(side)
        if (side === 0) arrivals.push({ mark: bytes.at(-1)!, ms: engine.tick / TICKS_PER_MS })
      })
      return engine.tick + LATENCY_MS * TICKS_PER_MS
    },
    onHeld: (_bytes, change) => {
      held += change
    },
  })
  const at = (ms: number, run: () => void): void => {
    engine.later(ms * TICKS_PER_MS, EVENT.bgp, 0, 0, run)
  }
  const end = (): readonly Arrival[] => {
    while (engine.step());
    t.equal(held, 0, 'nothing is held for ever')
    return arrivals
  }
  return { nagle, at, end }
}

t.test('a small one waits for the acknowledgement of the one before', async (t) => {
  const { nagle, at, end } = pair([true, false])
  at(0, () => nagle.send(0, message(1)))
  at(1, () => nagle.send(0, message(2)))
  at(2, () => nagle.send(0, message(3)))
  at(100, () => nagle.send(0, message(4)))
  t.strictSame(end(), [
    { mark: 1, ms: 10 },
    { mark: 2, ms: 30 },
    { mark: 3, ms: 30 },
    { mark: 4, ms: 110 },
  ])
})

t.test('messages that come together are written one by one', async (t) => {
  const { nagle, at, end } = pair([true, true])
  at(0, () => nagle.send(0, Uint8Array.of(...message(1), ...message(2), ...message(3))))
  t.strictSame(
    end().map(({ ms }) => ms),
    [10, 30, 30],
  )
})

t.test('nothing waits where the rule is off, nor what fills a segment', async (t) => {
  const off = pair([false, true])
  off.at(0, () => off.nagle.send(0, message(1)))
  off.at(1, () => off.nagle.send(0, message(2)))
  t.strictSame(
    off.end().map(({ ms }) => ms),
    [10, 11],
  )
  const on = pair([true, true])
  on.at(0, () => on.nagle.send(0, message(1)))
  on.at(1, () => on.nagle.send(0, message(2, 1460)))
  t.strictSame(
    on.end().map(({ ms }) => ms),
    [10, 11],
  )
})

t.test('an end that answered acknowledges late, once, or with its next message', async (t) => {
  const late = pair([true, true])
  late.at(0, () => late.nagle.send(0, message(1)))
  late.at(12, () => late.nagle.send(1, message(9)))
  late.at(100, () => late.nagle.send(0, message(2)))
  late.at(101, () => late.nagle.send(0, message(3)))
  late.at(300, () => late.nagle.send(0, message(4)))
  late.at(301, () => late.nagle.send(0, message(5)))
  t.strictSame(
    late.end().map(({ ms }) => ms),
    [10, 110, 110 + 44 + 20, 310, 330],
  )
  const answered = pair([true, true])
  answered.at(0, () => answered.nagle.send(0, message(1)))
  answered.at(12, () => answered.nagle.send(1, message(9)))
  answered.at(100, () => answered.nagle.send(0, message(2)))
  answered.at(101, () => answered.nagle.send(0, message(3)))
  answered.at(115, () => answered.nagle.send(1, message(9)))
  t.strictSame(
    answered.end().map(({ ms }) => ms),
    [10, 110, 125 + 10],
  )
})

t.test('the last message of a connection does not wait', async (t) => {
  const { nagle, at, end } = pair([true, true])
  at(0, () => nagle.send(0, Uint8Array.of(...message(1), ...message(2))))
  at(1, () => nagle.flush(0))
  t.strictSame(
    end().map(({ ms }) => ms),
    [10, 11],
  )
})

/** An UPDATE of these withdrawn octets, attributes and prefixes. */
function update(
  withdrawn: readonly number[],
  attributes: readonly number[],
  nlri: readonly number[],
): Uint8Array {
  const body = [0, withdrawn.length, ...withdrawn, 0, attributes.length, ...attributes, ...nlri]
  const header = [...Array.from({ length: 16 }, () => 0xff), 0, HEADER_OCTETS + body.length, 2]
  return Uint8Array.of(...header, ...body)
}

t.test('BIRD tells one family after the other, and withdraws first', async (t) => {
  const origin = [0x40, 1, 1, 0]
  const messages = {
    announce4: update([], origin, [8, 10]),
    withdraw4: update([8, 10], [], []),
    announce6: update([], [...origin, 0x90, 14, 0, 3, 0, 2, 1], []),
    withdraw6: update([], [0x80, 15, 3, 0, 2, 1], []),
  }
  const { announce4, withdraw4, announce6, withdraw6 } = messages
  const ordered = (last: 'ipv4' | 'ipv6') => {
    const found = birdOrder([announce6, announce4, withdraw6, withdraw4], last)
    const names = found.messages.map((each) =>
      Object.entries(messages)
        .find(([, message]) => message === each)
        ?.at(0),
    )
    return [...names, found.last]
  }
  t.strictSame(ordered('ipv4'), ['withdraw4', 'announce4', 'withdraw6', 'announce6', 'ipv6'])
  t.strictSame(ordered('ipv6'), ['withdraw6', 'announce6', 'withdraw4', 'announce4', 'ipv4'])
})

t.test('BIRD withdraws IPv4 prefixes together', async (t) => {
  const found = birdOrder([update([8, 10], [], []), update([16, 172, 16], [], [])], 'ipv4')
  t.strictSame(found.messages, [update([8, 10, 16, 172, 16], [], [])])
})
