/** MAC addresses: one text each, unicast only, and stable for a name. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { macFromName, parseMac, tryParseMac } from '../../src/net/mod.ts'
import { holds } from '../support/property.ts'

t.equal(parseMac('02:54:72:00:00:01'), '02:54:72:00:00:01')
t.equal(
  parseMac('C2:11:22:AA:BB:CC'),
  'c2:11:22:aa:bb:cc',
  'upper case is read, lower case written',
)

const BAD = [
  '',
  '02:54:72:00:00',
  '02:54:72:00:00:01:02',
  '02-54-72-00-00-01',
  '025472000001',
  '2:54:72:0:0:1',
  '02:54:72:00:00:0g',
  '02:54:72:00:00:01 ',
  '02:54:72:00:00:01\n',
  '00:00:00:00:00:00',
  '01:00:5e:00:00:01',
  'ff:ff:ff:ff:ff:ff',
] as const
for (const text of BAD) t.equal(tryParseMac(text), undefined, `${JSON.stringify(text)} is refused`)

t.throws(() => parseMac('01:00:5e:00:00:01', 'mac'), {
  code: 'BAD_CONFIG',
  message: 'Cannot read mac "01:00:5e:00:00:01": wanted a unicast MAC like 02:54:72:00:00:01',
})

// Running nodes carry these: a change here makes every peer's entries wrong.
t.equal(macFromName('n1'), '02:1b:93:2c:d4:da')
t.equal(macFromName('pods/c0ffee/eth0'), '02:75:35:a8:43:1d')

holds(t, "a name's MAC is a locally administered unicast one", fc.string(), (name) => {
  const mac = macFromName(name)
  assert.equal(tryParseMac(mac), mac)
  assert.equal(Number.parseInt(mac.slice(0, 2), 16) & 3, 2)
  assert.equal(macFromName(name), mac)
})

t.test('names that differ a little have MACs that differ', async (t) => {
  const macs = new Set(Array.from({ length: 20_000 }, (_, index) => macFromName(`n${index}`)))
  t.equal(macs.size, 20_000)
})
