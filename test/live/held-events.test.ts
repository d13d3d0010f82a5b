/** Events about links that verbs are at work on. */
import t from 'tap'
import type { KernelEvent, KernelObject } from '../../src/kernel/mod.ts'
import { heldEvents } from '../../src/live/held-events.ts'
import type { Ip, Prefix } from '../../src/net/mod.ts'

const link = (name: string): KernelObject => ({
  kind: 'link',
  name,
  link: { type: 'veth' },
  up: true,
})
const route = (name: string): KernelObject => ({
  kind: 'route',
  dst: '10.42.0.5/32' as Prefix,
  type: 'unicast',
  link: name,
  metric: 0,
  protocol: 84,
})
const addr = (name: string): KernelObject => ({
  kind: 'addr',
  link: name,
  ip: '10.42.0.5' as Ip,
  prefixLength: 32,
})
const made = (object: KernelObject): KernelEvent => ({ change: 'new', object })
const gone = (object: KernelObject): KernelEvent => ({ change: 'del', object })

t.test('what is about a held link waits until the last verb is done, in order', (t) => {
  const told: KernelEvent[] = []
  const held = heldEvents((events) => told.push(...events))
  const events = [made(link('a')), made(addr('b')), gone(route('a')), gone(link('a'))]
  t.strictSame(held.pass(events), events, 'nobody is at work')

  const [first, second] = [held.hold('a'), held.hold('a')]
  t.strictSame(held.pass(events), [events[1]])
  first()
  first()
  t.strictSame(told, [], 'the other verb is still at work')
  second()
  t.strictSame(told, [events[0], events[2], events[3]])
  t.strictSame(held.pass(events), events, 'nobody is at work again')
  t.end()
})

t.test('a verb of which nothing was told says nothing', (t) => {
  let calls = 0
  const held = heldEvents(() => {
    calls += 1
  })
  held.hold('a')()
  t.equal(calls, 0)
  const blackhole: KernelObject = {
    kind: 'route',
    dst: '10.42.0.0/22' as Prefix,
    type: 'blackhole',
    metric: 0,
    protocol: 84,
  }
  held.hold('')
  t.strictSame(held.pass([made(blackhole)]), [made(blackhole)], 'hangs on no link')
  t.end()
})
