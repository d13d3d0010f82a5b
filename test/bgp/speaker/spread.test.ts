/** Routes go from one speaker to the next, and go again. */
import t from 'tap'
import { SpeakerNetwork } from '../../../src/bgp/speaker/in-memory.ts'
import { at, peer, speaker, table } from './support.ts'

t.test('a route goes through three ASes, and its withdrawal', async (t) => {
  const net = new SpeakerNetwork()
  const first = speaker(1, 65001, [peer('192.0.2.2', 65002)], ['10.1.0.0/16', '2001:db8:1::/48'])
  net.add('a', at(1), first)
  const b = net.add(
    'b',
    at(2),
    speaker(2, 65002, [peer('192.0.2.1', 65001), peer('192.0.2.3', 65003)]),
  )
  const c = net.add('c', at(3), speaker(3, 65003, [peer('192.0.2.2', 65002)], ['10.3.0.0/16']))
  net.settle()
  t.strictSame(table(b), ['10.1.0.0/16 via 192.0.2.1 65001', '10.3.0.0/16 via 192.0.2.3 65003'])
  t.strictSame(table(c), ['10.1.0.0/16 via 192.0.2.2 65002 65001', '10.3.0.0/16 via 0.0.0.0'])
  t.strictSame(table(c, 'ipv6'), ['2001:db8:1::/48 via 2001:db8::2 65002 65001'])
  net.feed('a', { kind: 'configure', config: { ...first, originate: [] } })
  net.settle()
  t.strictSame(table(c), ['10.3.0.0/16 via 0.0.0.0'])
  t.strictSame(table(c, 'ipv6'), [])
})
