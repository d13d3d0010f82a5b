/**
 * Bytes from outside against every decoder: what comes out is a value or a
 * DecodeError, never another error, and always after one pass over the bytes.
 *
 * The bytes are arbitrary ones, real answers of a kernel that were damaged, and
 * our own requests, which have the form of answers, damaged likewise.
 */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { ackError } from '../../src/netlink-ts/ack.ts'
import { Batch, Read } from '../../src/netlink-ts/exchange.ts'
import {
  HEADER,
  HEADER_BYTES,
  joinMessages,
  type Message,
  NLM_F,
  NLMSG,
  splitMessages,
  viewOf,
} from '../../src/netlink-ts/message.ts'
import { DecodeError, decodeEvent, link, RTM, vni } from '../../src/netlink-ts/mod.ts'
import { decodeAddr } from '../../src/netlink-ts/route/addr.ts'
import { decodeBridgeVlans } from '../../src/netlink-ts/route/bridge-vlan.ts'
import { decodeFdb } from '../../src/netlink-ts/route/fdb.ts'
import { decodeLink } from '../../src/netlink-ts/route/link.ts'
import { decodeNeigh } from '../../src/netlink-ts/route/neigh.ts'
import { decodeNexthop } from '../../src/netlink-ts/route/nexthop-object.ts'
import { decodeQdisc } from '../../src/netlink-ts/route/qdisc.ts'
import { decodeRoute } from '../../src/netlink-ts/route/route.ts'
import { decodeRule } from '../../src/netlink-ts/route/rule.ts'
import { decodeVnis } from '../../src/netlink-ts/route/vni.ts'
import { HOST_LITTLE } from '../../src/netlink-ts/writer.ts'
import { holds } from '../support/property.ts'
import { FDB_ROWS, VLAN_ROWS, VNI_ROWS } from './command-rows/bridges.ts'
import { ADDR_ROWS, LINK_ROWS } from './command-rows/links.ts'
import {
  NEIGH_ROWS,
  NEXTHOP_ROWS,
  QDISC_ROWS,
  ROUTE_ROWS,
  RULE_ROWS,
} from './command-rows/routes.ts'
import { corpus, unhex } from './support.ts'

/** Every decoder, with the types of the messages it reads. */
const decoders: Readonly<Record<string, readonly [(message: Message) => unknown, number[]]>> = {
  decodeLink: [decodeLink, [RTM.newLink, RTM.delLink]],
  decodeBridgeVlans: [decodeBridgeVlans, [RTM.newLink]],
  decodeAddr: [decodeAddr, [RTM.newAddr, RTM.delAddr]],
  decodeRoute: [decodeRoute, [RTM.newRoute, RTM.delRoute]],
  decodeNeigh: [decodeNeigh, [RTM.newNeigh, RTM.delNeigh]],
  decodeFdb: [decodeFdb, [RTM.newNeigh, RTM.delNeigh]],
  decodeRule: [decodeRule, [RTM.newRule, RTM.delRule]],
  decodeQdisc: [decodeQdisc, [RTM.newQdisc, RTM.delQdisc]],
  decodeNexthop: [decodeNexthop, [RTM.newNexthop, RTM.delNexthop]],
  decodeVnis: [decodeVnis, [RTM.newTunnel, RTM.delTunnel]],
  decodeEvent: [decodeEvent, Object.values(RTM)],
  ackError: [(message) => acknowledge(message), [NLMSG.error, NLMSG.done]],
}

function acknowledge(message: Message): unknown {
  const bytes = joinMessages([message])
  return ackError(viewOf(bytes), 0, HEADER_BYTES + message.body.length, 'nothing').message
}

const header = { flags: 0, seq: 0, pid: 0 }

const answers = ['link', 'addr', 'route4', 'route6', 'neigh', 'fdb'].flatMap((name) =>
  corpus(`dump-${name}.txt`)
    .split('\n')
    .filter((line) => line.startsWith('< '))
    .flatMap((line) => splitMessages(unhex(line.slice(2)))),
)
const rows = [LINK_ROWS, ADDR_ROWS, ROUTE_ROWS, RULE_ROWS, NEIGH_ROWS].concat([
  NEXTHOP_ROWS,
  QDISC_ROWS,
  FDB_ROWS,
  VNI_ROWS,
  VLAN_ROWS,
])
const requests = rows
  .flat()
  .flatMap((row) => row.ours(() => 3))
  .flatMap(({ message }) => splitMessages(message))
  .map((message) => ({ ...message, type: answerType(message.type) }))

/** Requests to set a link look like answers about it. */
function answerType(type: number): number {
  return type === RTM.setLink ? RTM.newLink : type
}

const seeds = [...answers, ...requests]

/** How one change damages a body. */
type Damage = (body: Uint8Array) => Uint8Array

const at = fc.nat(4095)
const damage: fc.Arbitrary<Damage> = fc.oneof(
  fc.tuple(at, fc.nat(255)).map(
    ([where, byte]): Damage =>
      (body) => {
        const changed = body.slice()
        if (changed.length > 0) changed[where % changed.length] = byte
        return changed
      },
  ),
  // Where lengths and types of attributes are.
  fc
    .tuple(at, fc.oneof(fc.constantFrom(0, 1, 3, 4, 5, 6, 7, 8, 12, 16, 20, 0xffff), fc.nat(64)))
    .map(
      ([where, value]): Damage =>
        (body) => {
          const changed = body.slice()
          const places = changed.length >> 1
          if (places > 0) viewOf(changed).setUint16((where % places) * 2, value, HOST_LITTLE)
          return changed
        },
    ),
  at.map(
    (end): Damage =>
      (body) =>
        body.slice(0, end % (body.length + 1)),
  ),
  fc.tuple(at, at, fc.nat(8)).map(
    ([from, to, times]): Damage =>
      (body) => {
        const [low, high] = [from % (body.length + 1), to % (body.length + 1)].sort((a, b) => a - b)
        const part = [...body.subarray(low, high)]
        return Uint8Array.from([...body, ...Array.from({ length: times }, () => part).flat()])
      },
  ),
)

const damagedOf = (whole: readonly Message[]): fc.Arbitrary<Message> =>
  fc
    .tuple(fc.nat(whole.length - 1), fc.array(damage, { minLength: 1, maxLength: 6 }))
    .map(([which, changes]) => {
      const seed = whole[which]!
      return { ...seed, body: changes.reduce((body, change) => change(body), seed.body) }
    })

/** A value or a DecodeError. */
function attempt<T>(work: () => T): T | undefined {
  try {
    return work()
  } catch (error) {
    if (error instanceof DecodeError) return undefined
    throw error
  }
}

t.test('the seeds are good: every decoder reads some', async (t) => {
  for (const [name, [decode, types]] of Object.entries(decoders)) {
    const own = seeds.filter(({ type }) => types.includes(type))
    const read = own.filter((message) => {
      const found = attempt(() => decode(message))
      return Array.isArray(found) ? found.length > 0 : found !== undefined
    })
    if (name !== 'ackError') t.ok(read.length > 0, `${name} reads ${read.length} of ${own.length}`)
  }
})

const numRuns = 1000
for (const [name, [decode, types]] of Object.entries(decoders)) {
  const arbitrary = fc.record({
    type: fc.constantFrom(...types),
    flags: fc.constantFrom(0, NLM_F.ackTlvs, NLM_F.capped | NLM_F.ackTlvs),
    seq: fc.constant(0),
    pid: fc.constant(0),
    body: fc.uint8Array({ maxLength: 120 }),
  })
  holds(t, `${name}: arbitrary bytes`, arbitrary, (m) => void attempt(() => decode(m)), { numRuns })
  if (name === 'ackError') continue
  const own = damagedOf(seeds.filter(({ type }) => types.includes(type)))
  holds(t, `${name}: damaged messages`, own, (m) => void attempt(() => decode(m)), { numRuns })
}

t.test('a prefix longer than an address', async (t) => {
  for (const [decode, type, place] of [
    [decodeRule, RTM.newRule, 1],
    [decodeRule, RTM.newRule, 2],
    [decodeRoute, RTM.newRoute, 1],
  ] as const) {
    const body = new Uint8Array(12)
    body[0] = 2 // AF_INET
    body[place] = 33
    t.throws(() => decode({ ...header, type, body }), DecodeError)
  }
})

// The most a datagram can hold: 64 KiB of the shortest attributes there are, in
// themselves and inside another attribute. Linear work, or the test never ends.
t.test('many attributes', async (t) => {
  for (const [name, [decode, types]] of Object.entries(decoders)) {
    for (let type = 0; type < 64; type++) {
      for (const struct of [8, 12, 16, 20]) {
        for (const wrapper of [undefined, 2, 9, 18, 26]) {
          const body = crowd(struct, type, wrapper)
          for (const kind of name === 'decodeEvent' ? [16, 20, 24, 28, 32] : types) {
            attempt(() => decode({ ...header, type: kind, body }))
          }
        }
      }
    }
    t.pass(name)
  }
})

/** A struct of family AF_BRIDGE, then attributes of 4 to 8 bytes as far as they go. */
function crowd(struct: number, type: number, wrapper: number | undefined): Uint8Array {
  const body = new Uint8Array(16_384)
  const view = viewOf(body)
  body[0] = 7
  let offset = struct
  if (wrapper !== undefined) {
    view.setUint16(offset, body.length - offset, HOST_LITTLE)
    view.setUint16(offset + 2, wrapper, HOST_LITTLE)
    offset += 4
  }
  const length = type % 3 === 0 ? 4 : 8
  for (; offset + 8 <= body.length; offset += length) {
    view.setUint16(offset, length, HOST_LITTLE)
    view.setUint16(offset + 2, type, HOST_LITTLE)
  }
  return body
}

const datagram = fc.oneof(
  fc.uint8Array({ maxLength: 200 }),
  fc.array(damagedOf(seeds), { maxLength: 3 }).map(joinMessages),
)

holds(t, 'a whole datagram: the messages in it', datagram, (bytes) => {
  const messages = attempt(() => splitMessages(bytes)) ?? []
  assert.ok(messages.length <= bytes.length / HEADER_BYTES)
})

// What a socket delivers goes through these before any decoder.
holds(t, 'a whole datagram: a dump and a batch under way', datagram, (bytes) => {
  const view = viewOf(bytes)
  if (bytes.length >= HEADER_BYTES) view.setUint32(HEADER.seq, 1, HOST_LITTLE)
  for (const request of [link.list(), vni.list()]) {
    const read = new Read<unknown>(request, 1)
    attempt(() => read.handle(view, bytes.length))
    assert.ok(read.error === undefined || read.error instanceof Error)
  }
  const batch = new Batch([link.set({ index: 1 }, { up: true })], { bytes: 64, messages: 1 }, 1)
  batch.next()
  attempt(() => batch.handle(view, bytes.length))
})
