/** What a kernel is given, without a kernel: sets of ways by number, and what is never steered. */
import t from 'tap'
import {
  type ForwardHop,
  ForwardSets,
  NO_FORWARD,
  UNKNOWN_FORWARD,
} from '../../../src/bgp/fib/forward-sets.ts'
import { isReserved } from '../../../src/bgp/fib/reserved.ts'
import { WantedSets } from '../../../src/bgp/fib/wanted-sets.ts'
import { nlriOf } from '../../../src/bgp/wire/mod.ts'
import { parseIp, parsePrefix } from '../../../src/net/mod.ts'

const ip = (text: string) => parseIp(text)
const hop = (gateway: string, link = 1, weight = 1): ForwardHop => ({
  gateway: ip(gateway),
  link,
  weight,
})
const [left, right] = [hop('192.0.2.1'), hop('192.0.2.2')]

t.test('a set has one number, in whatever order, until its last holder lets go', async (t) => {
  const sets = new ForwardSets()
  const id = sets.hold([left, right])
  t.equal(sets.hold([right, left]), id)
  t.not(sets.hold([left]), id)
  t.equal(sets.hold([]), NO_FORWARD)
  sets.release(id)
  t.equal(sets.size, 2, 'the other holder has it')
  t.ok(sets.uses(id, 1))
  t.equal(sets.share(id), id)
  sets.release(id)
  t.equal(sets.size, 2, 'a shared one is held once more')
  sets.release(id)
  t.equal(sets.size, 1)
  t.equal(sets.hold([right]), id, 'its number is given again')
  t.notOk(sets.uses(UNKNOWN_FORWARD, 1), 'nobody knows')
})

t.test('two ways that differ in anything are two', async (t) => {
  const sets = new ForwardSets()
  const ways: readonly ForwardHop[] = [
    left,
    right,
    hop('192.0.2.1', 2),
    { link: 1, weight: 1 },
    { ...left, isOnlink: true },
    { ...left, encap: { id: 1 } },
    { ...left, encap: { id: 2 } },
  ]
  t.equal(new Set(ways.map((way) => sets.hold([way]))).size, ways.length)
})

t.test('weights: twice is twice, alone is 1, at most 256', async (t) => {
  const sets = new ForwardSets()
  const weights = (hops: readonly ForwardHop[]) =>
    sets.of(sets.hold(hops)).map(({ weight }) => weight)
  t.strictSame(weights([left, left, right]), [2, 1])
  t.strictSame(weights([hop('192.0.2.1', 1, 200), hop('192.0.2.1', 1, 200), right]), [256, 1])
  t.strictSame(weights([left, left]), [1])
})

t.test('what a next hop comes to is asked again for those that changed', async (t) => {
  const forwards = new ForwardSets()
  const ways = new Map([['192.0.2.1', [left]]])
  const wanted = new WantedSets(forwards, ({ nextHop }) => ways.get(nextHop) ?? [])
  const [first, second] = [{ nextHop: ip('192.0.2.1') }, { nextHop: ip('192.0.2.2') }]
  const [one, both] = [wanted.hold([first]), wanted.hold([first, second])]
  t.equal(wanted.forwardOf(one), wanted.forwardOf(both), 'the second cannot be used yet')
  ways.set('192.0.2.2', [right])
  t.strictSame(wanted.changed(new Set([ip('192.0.2.2')])), [both])
  t.not(wanted.forwardOf(one), wanted.forwardOf(both))
  t.strictSame(wanted.changed(new Set([ip('192.0.2.2')])), [], 'once')
  wanted.release(one)
  wanted.release(both)
  t.equal(wanted.size + forwards.size, 0, 'nothing is left behind')
})

t.test('wanted sets have a number each, until the last holder lets go', async (t) => {
  const asked: string[] = []
  const wanted = new WantedSets(new ForwardSets(), ({ nextHop }) => {
    asked.push(nextHop)
    return [hop(nextHop)]
  })
  const [first, second] = [{ nextHop: ip('192.0.2.1') }, { nextHop: ip('192.0.2.2') }]
  const own = { nextHop: ip('192.0.2.1'), linkLocal: ip('fe80::1'), peer: ip('192.0.2.9') }
  const sets = [[first], [first, second], [own], [{ ...own, peer: ip('192.0.2.8') }]]
  const ids = sets.map((set) => wanted.hold(set))
  t.equal(new Set(ids).size, ids.length)
  const [one = 0, both = 0, near = 0] = ids
  t.equal(wanted.hold([second, first]), both, 'in whatever order')
  t.strictSame(wanted.hopsOf(both), [first, second])
  asked.length = 0
  wanted.changed(new Set([ip('192.0.2.9')]))
  t.strictSame(asked, ['192.0.2.1'], 'of a link-local one its peer counts; others are not asked')
  wanted.share(near)
  wanted.release(near)
  t.strictSame(wanted.hopsOf(near), [own], 'a shared one is held once more')
  wanted.release(one)
  t.equal(wanted.hold([second]), one, 'its number is given again')
})

t.test('destinations that no peer may steer', async (t) => {
  const isHeld = (text: string): boolean => {
    const family = text.includes(':') ? 'ipv6' : 'ipv4'
    const { bytes, start } = nlriOf(family, [{ prefix: parsePrefix(text) }], false)
    return isReserved(family, bytes, start)
  }
  const HELD = [
    '127.0.0.0/8',
    '127.1.0.0/16',
    '169.254.0.0/15',
    '224.0.0.0/8',
    '0.0.0.0/8',
    '255.255.255.255/32',
  ]
  const HELD6 = [
    '::/128',
    '::1/128',
    '::ffff:0:0/96',
    '::ffff:192.0.2.1/128',
    'fe80::/64',
    'ff02::/16',
    'fe00::/8',
  ]
  for (const prefix of [...HELD, ...HELD6]) t.ok(isHeld(prefix), prefix)
  const FREE = ['0.0.0.0/0', '128.0.0.0/1', '126.0.0.0/8', '10.0.0.0/8', '::/0', '2001:db8::/32']
  for (const prefix of FREE) t.notOk(isHeld(prefix), prefix)
})
