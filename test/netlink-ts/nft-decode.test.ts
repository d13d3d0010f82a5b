/**
 * nftables without a kernel: damaged messages, refused values, and a scripted
 * kernel that changes its mind.
 */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { type Message, NLM_F, NLMSG, splitMessages } from '../../src/netlink-ts/message.ts'
import { DecodeError, nft } from '../../src/netlink-ts/mod.ts'
import { decodeChain } from '../../src/netlink-ts/nft/chain.ts'
import { decodeElements, elementsOf } from '../../src/netlink-ts/nft/element.ts'
import { decodeGeneration } from '../../src/netlink-ts/nft/generation.ts'
import { decodeRule } from '../../src/netlink-ts/nft/rule.ts'
import { decodeSet } from '../../src/netlink-ts/nft/set.ts'
import { decodeTable } from '../../src/netlink-ts/nft/table.ts'
import { ack, refuse, scriptedNft, table } from '../../src/netlink-ts/testing.ts'
import { rows } from './nft-rows/mod.ts'
import { holds } from './support.ts'

const messages = rows
  .flatMap(({ ours }) => ours.flat())
  .flatMap((request) => request.messages.map((message) => splitMessages(message)[0]!))

/** Every reader, on every message: each leaves alone what is not its own. */
function readAll(message: Message): void {
  for (const decode of [decodeTable, decodeChain, decodeSet, decodeGeneration]) {
    attempt(() => decode(message))
  }
  attempt(() => nft.decodeNftEvent(message))
  attempt(() => nft.ruleText(decodeRule(message)?.expressions ?? []))
  const raws = attempt(() => decodeElements(message)) ?? []
  for (const shape of SHAPES) attempt(() => elementsOf(shape, raws))
}

const SHAPES: readonly nft.SetShape[] = [
  { key: ['ifname', 'ipv4_addr'] },
  { key: ['ipv4_addr'], flags: ['interval'] },
  { key: ['inet_service', 'ipv6_addr'], flags: ['interval'] },
  { key: ['ether_addr'], data: ['mark'] },
  { key: [63, 'mark'], data: 'verdict' },
  { key: [] },
]

function attempt<T>(work: () => T): T | undefined {
  try {
    return work()
  } catch (error) {
    assert.ok(error instanceof DecodeError, error instanceof Error ? error.stack : String(error))
    return undefined
  }
}

t.ok(messages.length > 100, 'there is something to damage')

const damaged = fc
  .tuple(
    fc.nat(messages.length - 1),
    // Few, and rarely a cut: most of it must pass the outer lengths to get anywhere.
    fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 3 }),
    fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, fc.nat(40)),
  )
  .map(([which, changes, cut]): Message => {
    const { body, ...message } = messages[which]!
    const bytes = body.slice()
    for (const [at, byte] of changes) bytes[at % bytes.length] = byte
    return { ...message, body: bytes.slice(0, Math.max(0, bytes.length - cut)) }
  })

holds(t, 'damaged messages are read or refused with DecodeError', damaged, readAll)

const random = fc.record({
  type: fc.integer({ min: 0xa00, max: 0xa20 }),
  flags: fc.constant(0),
  seq: fc.constant(0),
  pid: fc.constant(0),
  body: fc.uint8Array({ maxLength: 120 }),
})

holds(t, 'random bodies are read or refused with DecodeError', random, readAll)

t.test('values that no message can hold are refused before anything is sent', async (t) => {
  const set = { family: 'inet', table: 'demo', set: 's' } as const
  const add =
    (shape: nft.SetShape, ...elements: readonly nft.Element[]) =>
    () =>
      nft.element.add({ ...set, ...shape, elements })
  const refused: Readonly<Record<string, () => unknown>> = {
    'two fields where one is wanted': add({ key: ['ipv4_addr'] }, ['10.0.0.1', 1]),
    'an address of the other family': add({ key: ['ipv4_addr'] }, ['fd00::1']),
    'a prefix without the flag interval': add({ key: ['ipv4_addr'] }, ['10.0.0.0/24']),
    'a prefix with host bits': add({ key: ['ipv4_addr'], flags: ['interval'] }, ['10.0.0.1/24']),
    'an end before the start': add({ key: ['inet_service'], flags: ['interval'] }, [
      { from: 9, to: 1 },
    ]),
    'a range of a mark': add({ key: ['mark'], flags: ['interval'] }, [{ from: 1, to: 9 }]),
    'a port above 65535': add({ key: ['inet_service'] }, [65536]),
    'a name of 16 bytes': add({ key: ['ifname'] }, ['abcdefghijklmnop']),
    'data in a set': add({ key: ['mark'] }, { key: [1], data: [2] }),
    'an unknown type': add({ key: ['constructor' as never] }, ['x']),
    'an unknown family': () => nft.table.add({ family: 'toString' as never, name: 'x' }),
    'an unknown expression': () => rule([{ type: 'nonsense' } as never]),
    'register 16': () => rule([{ type: 'meta', key: 'mark', dreg: 16 }]),
    'a value that is not hexadecimal': () => rule([{ type: 'cmp', op: 'eq', value: 'xy' }]),
    'a comment of 200 bytes': () => rule([], 'x'.repeat(200)),
    'a hook of another family': () =>
      nft.chain.add({
        family: 'inet',
        table: 'demo',
        name: 'c',
        type: 'filter',
        hook: 'egress',
        priority: 0,
      }),
  }
  for (const [name, work] of Object.entries(refused)) t.throws(work, RangeError, name)
})

function rule(expressions: readonly nft.Expr[], comment?: string): nft.NftRequest {
  return nft.rule.add({ family: 'inet', table: 'demo', chain: 'c', expressions, comment })
}

const isChange = ({ flags }: Message): boolean => (flags & NLM_F.ack) !== 0
const demo = { family: 'inet', name: 'demo' } as const

t.test('a transaction refused as a whole', async (t) => {
  const conn = scriptedNft((message) => {
    if (message.type === 0x10) return [refuse(message, 'EPERM')]
    return isChange(message) ? [ack(message)] : []
  })
  const results = conn.transact([nft.table.add(demo), nft.table.remove(demo)])
  t.strictSame(
    results.map((error) => error?.message),
    Array(2).fill('Cannot run a transaction of 2 requests: EPERM'),
  )
  const [alone] = conn.transact([nft.table.add(demo)])
  t.equal(alone?.message, 'Cannot add table inet demo: EPERM')
})

t.test('a dump that EINTR ends is read again', async (t) => {
  let dumps = 0
  const conn = scriptedNft((message) => {
    const [part] = nft.table.add({ ...demo, name: `t${dumps}` }).messages
    const rows = table(message, splitMessages(part!))
    if (dumps++ > 0) return rows
    const end = { ...rows.at(-1)!, body: Uint8Array.from([0xfc, 0xff, 0xff, 0xff]) } // -EINTR
    return [...rows.slice(0, -1), end]
  })
  const names = conn.dump(nft.table.list()).map(({ name }) => name)
  t.strictSame(names, ['t1'])
  t.equal(dumps, 2)
})

t.test('a set that grows while it is read is read again', async (t) => {
  const set = { family: 'inet', table: 'demo', set: 's', key: ['mark'] } as const
  let dumps = 0
  const conn = scriptedNft((message) => {
    // Grown once: the second element is sent twice, and the third is left out.
    const elements = dumps++ === 0 ? [[1], [2], [2]] : [[1], [3], [2]]
    const parts = elements.flatMap((each) => nft.element.add({ ...set, elements: [each] }).messages)
    return table(message, parts.flatMap(splitMessages))
  })
  t.strictSame(conn.dump(nft.element.list(set)), [[1], [3], [2]])
  t.equal(dumps, 2)
  const twins = scriptedNft((message) => {
    const [part] = nft.element.add({ ...set, elements: [[1], [1]] }).messages
    return table(message, splitMessages(part!))
  })
  t.throws(() => twins.dump(nft.element.list(set)), { code: 'NETLINK_INTERRUPTED' })
})

t.test('answers of an earlier transaction are nobody else’s', async (t) => {
  const late: Message[] = []
  const conn = scriptedNft((message) => {
    if (message.type === NLMSG.done) return []
    if (!isChange(message)) return late.splice(0)
    late.push(refuse(message, 'EBUSY'))
    return [ack(message)]
  })
  t.strictSame(conn.transact([nft.table.add(demo)]), [undefined])
  t.strictSame(conn.transact([nft.table.add(demo)]), [undefined])
})
