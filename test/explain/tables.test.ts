/** Look-ups as the kernel does them. */
import t from 'tap'
import { tablesOf } from '../../src/explain/tables.ts'
import type { KernelObject, Route } from '../../src/kernel/mod.ts'
import { parseIp, parsePrefix } from '../../src/net/mod.ts'

const route = (dst: string, link: string, metric = 0): Route => ({
  kind: 'route',
  dst: parsePrefix(dst),
  type: 'unicast',
  link,
  metric,
  protocol: 84,
})

t.test('routes: longest prefix, then lowest metric, then the first of the dump', async (t) => {
  const tables = tablesOf([
    route('10.0.0.0/8', 'wide'),
    route('10.42.0.0/26', 'late', 20),
    route('10.42.0.0/26', 'soon', 10),
    route('10.42.0.0/26', 'twin', 10),
    route('::/0', 'six', 1024),
  ])
  t.equal(tables.route(parseIp('10.42.0.5'))?.link, 'soon')
  t.equal(tables.route(parseIp('10.42.0.65'))?.link, 'wide')
  t.equal(tables.route(parseIp('192.0.2.1')), undefined, 'families do not mix')
  t.equal(tables.route(parseIp('fd42::1'))?.link, 'six')
})

t.test('sets: whole addresses, prefixes, and both in one element', async (t) => {
  const element = (set: string, key: string): KernelObject => ({ kind: 'nft-element', set, key })
  const tables = tablesOf([
    element('pods4', 'trv1 . 10.42.0.5'),
    element('reach4', '10.42.0.0/16 . 10.99.0.0/16'),
    element('reach6', 'fd42::/112 . fd99::/112'),
  ])
  t.ok(tables.inSet('pods4', 'trv1', '10.42.0.5'))
  t.notOk(tables.inSet('pods4', 'trv2', '10.42.0.5'))
  t.ok(tables.inSet('reach4', '10.42.3.3', '10.99.0.1'))
  t.notOk(tables.inSet('reach4', '10.99.0.1', '10.42.3.3'), 'the order counts')
  t.notOk(tables.inSet('reach4', '10.42.3.3'), 'all fields or none')
  t.ok(tables.inSet('reach6', 'fd42::1', 'fd99::1'))
  t.notOk(tables.inSet('nowhere', '10.42.0.5'))
})
