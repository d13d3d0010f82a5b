/**
 * Long answers of the speaker's control socket: made as fast as they are read, in
 * small pieces between which the speaker works, and no longer than anybody listens.
 */
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { serveControl } from '../../../src/live/bgp/control.ts'
import type { RunningSpeaker } from '../../../src/live/bgp/speaker.ts'
import { parseIp, parsePrefix } from '../../../src/net/mod.ts'
import { sleep } from '../../support/e2e.ts'
import { ownFolder } from '../../support/folder.ts'

const ROWS = 30_000
/** Rows that are made without a turn of the event loop; a socket takes more, about 470. */
const ROWS_A_TURN_MAX = 300
/** Parts of the table that are looked at without one, the next one begun. */
const PARTS_A_TURN_MAX = 2
const PART = 2048
const PARTS = 64

const PEER = parseIp('192.0.2.2')
const ATTRIBUTES = { origin: 'igp', asPath: [], nextHop: PEER } as const

/** A speaker with much to tell, that counts what was asked of it. */
function talker() {
  const made = { rows: 0, parts: 0, isOver: false }
  const speaker = {
    has: () => true,
    peer: () => ({}),
    *toldTo() {
      try {
        for (; made.rows < ROWS; made.rows++) {
          yield { prefix: parsePrefix('10.0.0.0/8'), pathId: made.rows, attributes: ATTRIBUTES }
        }
      } finally {
        made.isOver = true
      }
    },
    // Nothing in it is what was asked for.
    routes() {
      made.parts++
      return []
    },
    rib: { families: { ipv4: { table: { end: PARTS * PART } } } },
  }
  return { made, running: { speaker } as unknown as RunningSpeaker }
}

async function asking(t: Test, question: object) {
  const { made, running } = talker()
  const path = join(ownFolder(t), 'bgp.sock')
  const control = await serveControl(path, running)
  const socket = connect(path)
  t.teardown(async () => {
    socket.destroy()
    await control.close()
  })
  socket.pause()
  socket.write(`${JSON.stringify(question)}\n`)
  return { made, socket }
}

const TOLD = { ask: 'told', peer: PEER, family: 'ipv4' }

/** Lines, and the most that `count` grew by in a turn of the event loop. */
async function read(socket: Socket, count: () => number) {
  let [text, before, most] = ['', count(), 0]
  let isOver = false
  socket.setEncoding('utf8')
  socket.on('data', (chunk: string) => {
    text += chunk
  })
  socket.once('close', () => {
    isOver = true
  })
  socket.resume()
  while (!isOver) {
    await turn()
    most = Math.max(most, count() - before)
    before = count()
  }
  return { lines: text.trimEnd().split('\n'), most }
}

t.test('who does not read is not told more than fits between; then, everything', async (t) => {
  const { made, socket } = await asking(t, TOLD)
  let before = -1
  for (; before !== made.rows && made.rows < ROWS; await sleep(100)) before = made.rows
  t.ok(made.rows < ROWS / 2, `${made.rows} rows wait to be read`)
  const { lines, most } = await read(socket, () => made.rows)
  t.equal(lines.pop(), '{"end":true}')
  const ids = lines.map((line) => (JSON.parse(line) as { pathId?: number }).pathId ?? 0)
  t.strictSame([ids.length, ids.findIndex((id, place) => id !== place)], [ROWS, -1])
  t.ok(most <= ROWS_A_TURN_MAX, `${most} rows in one turn`)
})

t.test('who looks for something rare does not keep the speaker from its work', async (t) => {
  const { made, socket } = await asking(t, { ask: 'routes', family: 'ipv4', within: '10.0.0.0/8' })
  const { lines, most } = await read(socket, () => made.parts)
  t.strictSame(lines, ['{"end":true}'])
  t.equal(made.parts, PARTS)
  t.ok(most <= PARTS_A_TURN_MAX, `${most} parts in one turn`)
})

t.test('who goes away is told no more', async (t) => {
  for (const isReading of [true, false]) {
    const { made, socket } = await asking(t, TOLD)
    if (isReading) socket.resume()
    while (made.rows === 0) await sleep(20)
    socket.destroy()
    for (let n = 0; n < 1000 && !made.isOver; n++) await sleep(10)
    t.ok(made.isOver, 'it is over')
    t.ok(made.rows < ROWS, `after ${made.rows} rows`)
  }
})
