/** What a kernel is given, without a kernel: sets of ways by number, and what is never steered. */
import t from 'tap'
import { type ForwardHop, ForwardSets, NO_FORWARD } from '../../../src/bgp/fib/forward-sets.ts'
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
  sets.release(id)
  t.equal(sets.size, 1)
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

t.test('destinations that no peer may steer', async (t) => {
  const isHeld = (text: string): boolean => {
    const family = text.includes(':') ? 'ipv6' : 'ipv4'
    const { bytes, start } = nlriOf(family, [{ prefix: parsePrefix(text) }], false)
    return isReserved(family, bytes, start)
  }
  const HELD = ['127.0.0.0/8', '127.1.0.0/16', '169.254.0.0/15', '224.0.0.0/8', '0.0.0.0/8']
  const HELD6 = ['::1/128', 'fe80::/64', 'ff02::/16', 'fe00::/8']
  for (const prefix of [...HELD, ...HELD6]) t.ok(isHeld(prefix), prefix)
  const FREE = ['0.0.0.0/0', '128.0.0.0/1', '126.0.0.0/8', '10.0.0.0/8', '::/0', '2001:db8::/32']
  for (const prefix of FREE) t.notOk(isHeld(prefix), prefix)
})
