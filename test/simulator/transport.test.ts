/** How connections between simulated speakers end, as both ends hear it. */
import t from 'tap'
import type { SessionPlan } from '../../simulator/bgp/plan.ts'
import { Transport, type WayState } from '../../simulator/bgp/transport.ts'
import { Engine, TICKS_PER_MS } from '../../simulator/clock.ts'
import type { Ip } from '../../src/net/mod.ts'
import { prng } from '../../src/prng.ts'

const [ONE, OTHER] = ['10.0.0.1', '10.0.0.2'] as Ip[] as [Ip, Ip]
const PLAN: SessionPlan = {
  ends: [0, 1],
  addresses: [ONE, OTHER],
  ips: [[], []],
  way: { kind: 'path' },
}
const LATENCY_MS = 10

/** A connection that is up, number 1 at the first side and 2 at the second, and what is heard. */
function connected() {
  const engine = new Engine()
  const heard: string[] = []
  let way: WayState = {
    isUp: true,
    latencyTicks: LATENCY_MS * TICKS_PER_MS,
    lossPpm: 0,
    mbps: undefined,
  }
  const say = (side: number, text: string): void => {
    heard.push(`${engine.tick / TICKS_PER_MS} ms, side ${side}: ${text}`)
  }
  const transport = new Transport(engine, {
    sessions: [PLAN],
    wayOf: () => way,
    chance: prng(1),
    ends: {
      connected: () => {},
      failed: (_session, side, _id, reason) => say(side, reason),
      received: (_session, side, _id, bytes) => say(side, `${bytes.length} octets`),
      closed: (_session, side, _id, reason) => say(side, reason),
      hostOf: () => 'runs',
      lifeOf: () => 1,
    },
  })
  const run = (): readonly string[] => {
    while (engine.step());
    return heard.splice(0)
  }
  transport.connect(0, 0, 1)
  run()
  const setUp = (isUp: boolean): void => {
    way = { ...way, isUp }
    transport.changed(0)
  }
  return { transport, run, setUp }
}

const MESSAGE = new Uint8Array(30)

t.test('a close comes behind what was sent, an abort says that it is one', async (t) => {
  const closed = connected()
  closed.transport.send(0, 0, 1, MESSAGE)
  closed.transport.close(0, 0, 1)
  t.strictSame(closed.run(), ['40 ms, side 1: 30 octets', '40 ms, side 1: closed by the peer'])
  const aborted = connected()
  aborted.transport.close(0, 0, 1, true)
  t.strictSame(aborted.run(), ['40 ms, side 1: reset by the peer'])
  t.equal(aborted.transport.pending, 0)
})

t.test('an abort without a way is heard of only by who sends', async (t) => {
  const { transport, run, setUp } = connected()
  setUp(false)
  transport.send(0, 0, 1, MESSAGE)
  transport.close(0, 0, 1, true)
  t.equal(transport.pending, 0, 'nothing waits')
  setUp(true)
  t.strictSame(run(), [], 'what waited is gone, and nobody was told')
  transport.send(0, 1, 2, MESSAGE)
  // A retransmission that found nothing to send took 200 ms.
  t.strictSame(run(), ['250 ms, side 1: closed by the peer'])
})
