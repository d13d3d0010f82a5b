/**
 * The socket on which people ask a speaker: a line of JSON in, lines of JSON out.
 *
 *     {"ask":"peers"}                                   each peer a line
 *     {"ask":"routes","family":"ipv4","within":"10.0.0.0/8"}
 *     {"ask":"told","peer":"192.0.2.1","family":"ipv4"} what a peer was told
 *     {"ask":"show","prefix":"10.0.0.0/16"}             each path, and why it lost
 *     {"ask":"export","prefix":"10.0.0.0/16","peer":"192.0.2.1"}
 *     {"ask":"trial","prefix":"10.0.0.0/16","peer":"192.0.2.1"} what a policy is tried with
 *     {"ask":"covering","prefix":"10.0.0.0/16"}         the longest prefix around it
 *     {"ask":"dump"}                                    the table in MRT, base64
 *     {"ask":"reset","peer":"192.0.2.1","how":"refresh"}
 *
 * The last line is `{"end":true}` or `{"error":"…"}`. One question a connection; whoever
 * asks at length or reads slowly is shown the door.
 *
 * @module
 */
import { createServer, type Socket } from 'node:net'
import type { Family } from '../../bgp/nlri.ts'
import {
  attributesJson,
  pathJson,
  peerJson,
  routeJson,
  toldJson,
  trialJson,
} from '../../bgp/speaker/json.ts'
import type { RouteFilter } from '../../bgp/speaker.ts'
import { asTriviumError, TriviumError } from '../../errors.ts'
import { type Ip, type Prefix, parseIp, parsePrefix } from '../../net/mod.ts'
import { liveClock } from '../clock.ts'
import { publishSocket, withdrawSocket } from '../socket-file.ts'
import type { RunningSpeaker } from './speaker.ts'

export interface ControlSocket {
  close(): Promise<void>
}

const QUESTION_BYTES_MAX = 65_536
const CONNECTIONS_MAX = 32
/** Nobody reads or writes for so long. */
const SILENCE_MS_MAX = 15_000

export async function serveControl(path: string, running: RunningSpeaker): Promise<ControlSocket> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    converse(socket, running)
  })
  server.maxConnections = CONNECTIONS_MAX
  const inode = await publishSocket(server, path)
  server.on('error', () => {})
  return {
    async close() {
      await withdrawSocket(path, inode)
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

function converse(socket: Socket, running: RunningSpeaker): void {
  let text = ''
  socket.setEncoding('utf8')
  socket.setTimeout(SILENCE_MS_MAX, () => socket.destroy())
  socket.on('error', () => {})
  const onData = (chunk: string): void => {
    text += chunk
    const end = text.indexOf('\n')
    if (end < 0 && text.length <= QUESTION_BYTES_MAX) return
    socket.off('data', onData)
    socket.resume()
    void answer(socket, end < 0 ? text : text.slice(0, end), running)
  }
  socket.on('data', onData)
}

async function answer(socket: Socket, question: string, running: RunningSpeaker): Promise<void> {
  try {
    let count = 0
    for (const row of rowsOf(questionOf(question), running)) {
      if (socket.destroyed) return
      // Whoever reads fast enough drains the socket without a turn of the event loop.
      if (row === PAUSE || ++count % ROWS_A_TURN === 0) {
        await new Promise((resolve) => setImmediate(resolve))
        if (row === PAUSE) continue
      }
      if (!socket.write(`${JSON.stringify(row)}\n`)) await drained(socket)
    }
    socket.end('{"end":true}\n')
  } catch (thrown) {
    socket.end(`${JSON.stringify({ error: asTriviumError(thrown).message })}\n`)
  }
}

const drained = (socket: Socket): Promise<void> =>
  new Promise((resolve) => {
    const done = (): void => {
      socket.off('drain', done)
      socket.off('close', done)
      resolve()
    }
    socket.once('drain', done)
    socket.once('close', done)
  })

type Question = Readonly<Record<string, unknown>>

function questionOf(text: string): Question {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    value = undefined
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new TriviumError('BAD_JSON', 'Cannot read the question: wanted a line of JSON, an object')
  }
  return value as Question
}

function* rowsOf(question: Question, running: RunningSpeaker): Generator<unknown> {
  const { speaker } = running
  switch (question['ask']) {
    case 'peers':
      for (const view of speaker.peers()) yield peerJson(view, liveClock.now())
      return
    case 'routes': {
      const filter = {
        ...('within' in question && { within: prefixOf(question, 'within') }),
        ...('from' in question && { from: fromOf(question) }),
      }
      yield* routesOf(running, familyOf(question), filter)
      return
    }
    case 'told':
      for (const told of speaker.toldTo(peerOf(question, running), familyOf(question))) {
        yield toldJson(told)
      }
      return
    case 'show':
      for (const path of speaker.why(prefixOf(question, 'prefix'))) yield pathJson(path)
      return
    case 'export':
      yield exported(question, running)
      return
    case 'trial':
      yield trialJson(
        running.speaker.trialGround(prefixOf(question, 'prefix'), peerOf(question, running)),
      )
      return
    case 'covering': {
      const prefix = speaker.covering(prefixOf(question, 'prefix'))
      if (prefix !== undefined) yield { prefix }
      return
    }
    case 'dump':
      for (const record of speaker.dump(Math.floor(Date.now() / 1000))) {
        yield { mrt: Buffer.from(record).toString('base64') }
      }
      return
    case 'reset':
      reset(question, running)
      return
    default:
      throw usage(
        'ask',
        question['ask'],
        'peers, routes, told, show, export, trial, covering, dump or reset',
      )
  }
}

/** What becomes of the best path on its way to a peer, and by which rule. */
/** The speaker's own work comes between. */
const PAUSE = Symbol('pause')
/** Prefixes that are looked at without a pause: some milliseconds. */
const PART = 2048
/** Rows that are written without one. */
const ROWS_A_TURN = 256

/** A filter may pass over all of a million prefixes. */
function* routesOf(
  { speaker }: RunningSpeaker,
  family: Family,
  filter: RouteFilter,
): Generator<unknown> {
  for (let from = 0; from < (speaker.rib?.families[family].table.end ?? 0); from += PART) {
    const part = { from, to: from + PART }
    for (const route of speaker.routes(family, { ...filter, part })) yield routeJson(route)
    yield PAUSE
  }
}

function exported(question: Question, running: RunningSpeaker): unknown {
  const prefix = prefixOf(question, 'prefix')
  const peer = peerOf(question, running)
  const verdict = running.speaker.exportOf(prefix, peer)
  if (verdict === undefined) {
    return { to: peer, standing: 'not told: it has no best path, or it is the peer’s own' }
  }
  if (verdict.kind === 'reject') return { to: peer, standing: `not told: ${verdict.reason}` }
  const { rule, attributes } = verdict
  return { to: peer, standing: `told by ${rule}`, ...attributesJson(attributes) }
}

const HOW = ['hard', 'in', 'out', 'refresh'] as const
const TEXT_OCTETS_MAX = 255

function reset(question: Question, running: RunningSpeaker): void {
  const peer = peerOf(question, running)
  const how = HOW.find((each) => each === question['how'])
  if (how === undefined) throw usage('how', question['how'], HOW.join(', '))
  const { text } = question
  if (text !== undefined && (typeof text !== 'string' || text.length > TEXT_OCTETS_MAX)) {
    throw usage('text', text, 'at most 255 characters')
  }
  running.feed({ kind: 'reset', peer, how, ...(text !== undefined && { text }) })
}

function peerOf(question: Question, { speaker }: RunningSpeaker): Ip {
  const peer = parseIp(String(question['peer']), 'peer')
  if (speaker.peer(peer) !== undefined) return peer
  const known = speaker.peers().map(({ address }) => address)
  const some = known.length > 10 ? [...known.slice(0, 10), '…'] : known
  throw new TriviumError(
    'NOT_FOUND',
    `Cannot find peer ${peer}: the speaker has ${some.join(', ') || 'none'}`,
  )
}

function familyOf({ family }: Question): Family {
  if (family === 'ipv4' || family === 'ipv6') return family
  throw usage('family', family, 'ipv4 or ipv6')
}

const prefixOf = (question: Question, key: string): Prefix =>
  parsePrefix(String(question[key]), key)

function fromOf({ from }: Question): Ip | 'own' {
  return from === 'own' ? from : parseIp(String(from), 'from')
}

const usage = (key: string, found: unknown, wanted: string): TriviumError =>
  new TriviumError(
    'USAGE',
    `Cannot answer: ${key} is ${(JSON.stringify(found) ?? 'missing').slice(0, 60)}, wanted ${wanted}`,
  )
