/**
 * The conversation, with a scripted kernel: acknowledgements, refusals, tables in
 * parts, tables that change, strangers' messages.
 */
import t from 'tap'
import { Batch, Read } from '../../src/netlink-ts/exchange.ts'
import { NLM_F, NLMSG, viewOf } from '../../src/netlink-ts/message.ts'
import {
  addr,
  DecodeError,
  decodeEvent,
  joinMessages,
  link,
  type Message,
  NetlinkError,
  type Request,
  RTM,
  route,
  SessionError,
  splitMessages,
} from '../../src/netlink-ts/mod.ts'
import { Sequence, Session, type Wire } from '../../src/netlink-ts/session.ts'
import { ack, refuse, scripted, table } from '../../src/netlink-ts/testing.ts'
import { hex, unhex } from './support.ts'

const up = link.set({ index: 3 }, { up: true })
const many = (count: number): Request[] =>
  Array.from({ length: count }, (_, i) =>
    route.add({ family: 4, dst: `10.${i >> 8}.${i & 255}.0/24`, oif: 3 }),
  )

t.test('execute() gives one result per request, in order', async (t) => {
  const seen: number[] = []
  const conn = scripted((request) => {
    seen.push(request.seq)
    const refused = request.seq % 3 === 0
    return [refused ? refuse(request, 'EEXIST') : ack(request)]
  })
  const results = conn.execute(many(5000))
  t.equal(results.length, 5000)
  t.strictSame(
    results.flatMap((error, i) => (error === undefined ? [] : [i])),
    seen.flatMap((seq, i) => (seq % 3 === 0 ? [i] : [])),
  )
  t.equal(results[2]?.code, 'EEXIST')
  t.equal(results[2]?.request, 'route add 10.0.2.0/24 dev if3')
  t.equal(new Set(seen).size, 5000, 'every request has its own sequence number')
  t.strictSame(conn.execute([]), [], 'no requests, no results')
})

t.test('run() throws the refusal with the words of the kernel', async (t) => {
  const conn = scripted((request) => [
    refuse(request, 'EINVAL', { hint: 'Invalid prefix', offset: 36 }),
  ])
  const error = thrown(() => conn.run(up)) as NetlinkError
  t.type(error, NetlinkError)
  t.equal(error.message, 'Cannot link set dev if3 up: EINVAL: Invalid prefix')
  t.strictSame(
    [error.errno, error.code, error.hint, error.offset, error.retryable],
    [22, 'EINVAL', 'Invalid prefix', 36, false],
  )
  const busy = scripted((request) => [refuse(request, 'EBUSY')])
  t.equal((thrown(() => busy.run(up)) as NetlinkError).retryable, true)
})

t.test('an extended ACK after an echoed request', async (t) => {
  // NLM_F_ACK_TLVS without NLM_F_CAPPED: errno -17, the request's 20 bytes, then the text.
  const echoed = unhex('14000000 10000500 01000000 00000000 aabbccdd')
  const text = unhex('07000100 6e6f0000') // NLMSGERR_ATTR_MSG "no", zero, padding
  const body = Buffer.concat([unhex('efffffff'), echoed, text])
  const conn = scripted((r) => [{ ...r, type: NLMSG.error, flags: NLM_F.ackTlvs, body }])
  t.equal(conn.execute([up])[0]?.hint, 'no')
  const cut = scripted((r) => [
    { ...r, type: NLMSG.error, flags: NLM_F.ackTlvs, body: body.subarray(0, 22) },
  ])
  t.throws(() => cut.execute([up]), DecodeError, 'an echo longer than the message')
  const none = scripted((r) => [
    { ...r, type: NLMSG.error, flags: NLM_F.ackTlvs, body: body.subarray(0, 12) },
  ])
  t.throws(() => none.execute([up]), DecodeError, 'an echo without its header')
  const short = scripted((r) => [{ ...r, type: NLMSG.error, body: new Uint8Array(3) }])
  t.throws(() => short.execute([up]), DecodeError, 'no errno')
})

t.test("strangers' messages are ignored", async (t) => {
  const conn = scripted((request) => [
    { ...ack(request), seq: request.seq + 7 },
    { ...refuse(request, 'EPERM'), seq: request.seq - 1 },
    { ...request, type: RTM.newLink, flags: 0, seq: 0 },
    ack(request),
    refuse(request, 'EPERM'), // a second answer comes too late
  ])
  t.strictSame(conn.execute([up]), [undefined])
  t.strictSame(conn.execute([up]), [undefined], 'and leave nothing behind')
})

t.test('an answer counts once', async (t) => {
  let first: Message | undefined
  const conn = scripted((request) => {
    first ??= request
    return [ack(first)]
  })
  t.throws(() => conn.execute([up, up]), SessionError, 'the second request is still waiting')
})

t.test("a dump ignores strangers' messages", async (t) => {
  const conn = scripted((request) => [
    { ...entry(9, 'other'), flags: 2, seq: request.seq + 1, pid: 0 },
    ...table({ ...request, seq: request.seq - 1 }, [entry(8, 'older')]),
    ...table(request, [entry(1, 'lo')]),
  ])
  t.strictSame(
    conn.dump(link.list()).map(({ name }) => name),
    ['lo'],
  )
})

t.test('a silent kernel is an error, not a hang', async (t) => {
  const conn = scripted(() => [])
  const error = thrown(() => conn.execute([up, up])) as SessionError
  t.type(error, SessionError)
  t.match(error.message, 'Cannot run a batch of 2 requests: the kernel did not answer in time')
  t.throws(() => conn.dump(link.list()), SessionError)
})

const entry = (index: number, name: string): Pick<Message, 'type' | 'body'> => {
  const [made] = splitMessages(link.add({ name, kind: { type: 'dummy' } }).message)
  const body = made!.body.slice()
  viewOf(body).setInt32(4, index, true)
  return { type: RTM.newLink, body }
}

t.test('dump() joins the parts of a table', async (t) => {
  const conn = scripted((request) => table(request, [entry(1, 'lo'), entry(2, 'eth0')]))
  t.strictSame(
    conn.dump(link.list()).map(({ index, name }) => [index, name]),
    [
      [1, 'lo'],
      [2, 'eth0'],
    ],
  )
})

t.test('dump() reads again when the table changed meanwhile', async (t) => {
  let readings = 0
  const conn = scripted((request) => {
    readings++
    const interrupted = readings < 3
    return table(request, [entry(readings, 'lo')], { interrupted })
  })
  t.strictSame(
    conn.dump(link.list()).map(({ index }) => index),
    [3],
    'only the last reading counts',
  )
  const never = scripted((request) => table(request, [], { interrupted: true }))
  const error = thrown(() => never.dump(link.list())) as SessionError
  t.equal(error.code, 'NETLINK_INTERRUPTED')
})

t.test('dump() fails with the refusal', async (t) => {
  const refused = scripted((request) => [refuse(request, 'EPERM', { hint: 'no' })])
  t.throws(() => refused.dump(link.list()), { code: 'EPERM', hint: 'no' })
  const late = scripted((request) => {
    const parts = table(request, [entry(1, 'lo')])
    const body = unhex('f3ffffff') // -13
    return parts.map((part) => (part.type === NLMSG.done ? { ...part, body } : part))
  })
  t.throws(() => late.dump(link.list()), { code: 'EACCES' }, 'an error in the last part')
  const missing = scripted((request) => [refuse(request, 'ENOENT')])
  t.strictSame(missing.dump(route.list({ table: 99 })), [], 'a table that does not exist is empty')
})

t.test('an entry that cannot be read does not leave the rest behind', async (t) => {
  const bad = { type: RTM.newLink, body: new Uint8Array(3) }
  let broken = true
  const conn = scripted((request) => table(request, broken ? [bad, entry(2, 'b')] : []))
  t.throws(() => conn.dump(link.list()), DecodeError)
  broken = false
  t.strictSame(conn.dump(link.list()), [])
})

t.test('get() reads one object, or none', async (t) => {
  const found = scripted((request) => [{ ...request, flags: 0, ...entry(7, 'eth7') }, ack(request)])
  t.equal(found.get(link.get({ name: 'eth7' }))?.index, 7)
  const none = scripted((request) => [refuse(request, 'ENODEV')])
  t.equal(none.get(link.get({ name: 'eth7' })), undefined)
  const refused = scripted((request) => [refuse(request, 'EPERM')])
  t.throws(() => refused.get(link.get({ name: 'eth7' })), NetlinkError)
})

t.test('a batch stays inside its limits', async (t) => {
  const requests = many(100)
  const batch = new Batch(requests, { bytes: 256, messages: 3 }, 1)
  const sizes: number[] = []
  for (let out = batch.next(); out !== undefined; out = batch.next()) {
    const messages = splitMessages(out.slice())
    sizes.push(messages.length)
    t.ok(out.length <= 256 && messages.length <= 3)
    t.ok(messages.every(({ flags }) => (flags & NLM_F.ack) !== 0))
    for (const message of messages) {
      const answer = joinMessages([ack(message)])
      batch.handle(viewOf(answer), answer.length)
    }
    t.equal(batch.waiting, 0)
  }
  t.equal(
    sizes.reduce((sum, n) => sum + n, 0),
    100,
  )
  const huge = link.set({ index: 1 }, { alias: 'x'.repeat(1000) })
  const alone = new Batch([requests[0]!, huge, requests[1]!], { bytes: 256, messages: 3 }, 1)
  const first = splitMessages(alone.next()!).length
  alone.waiting = 0
  const second = splitMessages(alone.next()!)
  t.strictSame([first, second.length], [1, 1], 'a request longer than the limit goes alone')
  t.equal(second[0]?.body.length, huge.message.length - 16)
})

t.test('sequence numbers wrap', async (t) => {
  const queue: Uint8Array[] = []
  const wire: Wire = {
    limits: { bytes: 65536, messages: 100 },
    send: (datagram) => {
      for (const request of splitMessages(datagram.slice()))
        queue.push(joinMessages([ack(request)]))
    },
    receive(deliver) {
      const datagram = queue.shift()
      if (datagram !== undefined) deliver(viewOf(datagram), datagram.length)
      return datagram !== undefined
    },
  }
  const session = new Session(wire, new Sequence(0xffff_fffe))
  t.strictSame(session.execute(many(5)), [undefined, undefined, undefined, undefined, undefined])
  t.strictSame(session.execute(many(2)), [undefined, undefined])
})

t.test('a dump that ends without an errno', async (t) => {
  const read = new Read(link.list(), 9)
  const done = joinMessages([
    { type: NLMSG.done, flags: 2, seq: 9, pid: 0, body: new Uint8Array(0) },
  ])
  read.handle(viewOf(done), done.length)
  t.equal(read.done, true)
  t.equal(read.error, undefined)
})

t.test('a request longer than any before it', async (t) => {
  const multipath = Array.from({ length: 2000 }, (_, i) => ({ gateway: '10.0.0.2', oif: i + 1 }))
  const [message] = splitMessages(route.add({ family: 4, dst: '10.1.0.0/24', multipath }).message)
  const event = decodeEvent(message!)
  t.match(event, { kind: 'route', route: { dst: '10.1.0.0/24' } })
  t.strictSame(
    event?.kind === 'route' && event.route.multipath?.map(({ oif }) => oif),
    multipath.map(({ oif }) => oif),
  )
})

t.test('a destination longer than its family is refused', async (t) => {
  const [message] = splitMessages(route.add({ family: 4, dst: '10.1.0.0/24', oif: 1 }).message)
  message!.body[1] = 33
  t.throws(() => decodeEvent(message!), DecodeError)
})

for (const [what, bytes] of [
  ['a message header cut short', '10000000'],
  ['a message shorter than its header', '0f000000030000000000000000000000'],
  ['a message past the end', '14000000030000000000000000000000'],
] as const) {
  t.throws(() => splitMessages(unhex(bytes)), DecodeError, what)
}

t.test('joinMessages() pads and splitMessages() skips the padding', async (t) => {
  const message = { type: 16, flags: 1, seq: 2, pid: 3, body: unhex('0a0b0c') }
  const joined = joinMessages([message, message])
  t.equal(joined.length, 40)
  t.strictSame(
    splitMessages(joined).map(({ body, ...rest }) => ({ ...rest, body: hex(body) })),
    [
      { type: 16, flags: 1, seq: 2, pid: 3, body: '0a0b0c' },
      { type: 16, flags: 1, seq: 2, pid: 3, body: '0a0b0c' },
    ],
  )
})

t.throws(
  () => link.set({ name: 'a' }, { name: 'b' }),
  RangeError,
  'a rename needs the link by index',
)
t.throws(() => route.add({ family: 6, dst: '10.0.0.0/8' }), RangeError, 'dst of another family')
t.throws(() => addr.add({ index: 1, address: '10.0.0.1', prefixLength: 33 }), RangeError, '/33')

function thrown(work: () => unknown): unknown {
  try {
    work()
  } catch (error) {
    return error
  }
  return undefined
}
