/** The simulated kernel under the suite that the real one has to pass, too. */
import t from 'tap'
import { Engine } from '../../simulator/clock.ts'
import { SimKernel } from '../../simulator/kernel.ts'
import { kernelPort } from '../../simulator/kernel-port.ts'
import { lookUp } from '../../simulator/lookup.ts'
import type { KernelObject } from '../../src/kernel/mod.ts'
import { type KernelUnderTest, kernelContract } from '../contract/kernel.ts'
import { mustIp, mustPrefix } from './support.ts'

const UNDERLAY: readonly KernelObject[] = [
  {
    kind: 'link',
    name: 'under0',
    link: { type: 'other', name: 'ether' },
    up: true,
    mtuBytes: 1500,
  },
  { kind: 'addr', link: 'under0', ip: mustIp('192.0.2.1'), prefixLength: 24 },
  { kind: 'addr', link: 'under0', ip: mustIp('2001:db8::1'), prefixLength: 64 },
]

function simulated(): KernelUnderTest {
  const engine = new Engine()
  const kernel = new SimKernel('contract')
  for (const object of UNDERLAY) kernel.apply({ kind: 'add', object })
  const port = kernelPort(engine, kernel, 0)
  return {
    port,
    settle: () => void engine.run(() => false, 1e9),
    podNetns: '/run/netns/pod',
    setSysctl: (name, value) => {
      const object = { kind: 'sysctl', name, value } as const
      kernel.apply({ kind: 'change', from: object, to: object })
    },
    addPair: (object) => kernel.apply({ kind: 'add', object }),
    // There is no other truth about it.
    peerMtuBytes: () => kernel.link('trv0123456789a')?.peerMtuBytes,
    close: () => {},
  }
}

kernelContract(t, 'simulated', simulated)

t.test('a snapshot never changes afterwards', async (t) => {
  const kernel = new SimKernel('snapshot')
  for (const object of UNDERLAY) kernel.apply({ kind: 'add', object })
  const before = kernel.snapshot()
  const size = before.size
  kernel.apply({ kind: 'remove', object: UNDERLAY[1]! })
  t.equal(before.size, size)
  t.equal(kernel.snapshot().size, size - 2, 'the address and its connected route')
})

t.test('lookUp(): longest prefix, then metric; blackholes; a router must forward', async (t) => {
  const kernel = new SimKernel('routes')
  for (const object of UNDERLAY) kernel.apply({ kind: 'add', object })
  const route = (dst: string, via: string | undefined, metric = 0): KernelObject => ({
    kind: 'route',
    dst: mustPrefix(dst),
    type: via === undefined ? 'blackhole' : 'unicast',
    ...(via === undefined ? {} : { link: 'under0', via: mustIp(via) }),
    metric,
    protocol: 84,
  })
  const routes = [
    route('10.0.0.0/8', '192.0.2.8'),
    route('10.42.0.0/16', undefined),
    route('10.42.0.0/26', '192.0.2.9', 5),
    route('10.42.0.0/26', '192.0.2.10', 4),
  ]
  for (const object of routes) t.equal(kernel.apply({ kind: 'add', object }), undefined)
  const via = (dst: string): string => {
    const hop = lookUp(kernel, mustIp(dst), false)
    return hop.kind === 'out' ? hop.nextHop : hop.kind === 'drop' ? hop.reason : hop.kind
  }
  t.equal(via('10.42.0.5'), '192.0.2.10', 'the lower metric')
  t.equal(via('10.42.1.5'), '10.42.1.5 is in blackhole 10.42.0.0/16')
  t.equal(via('10.1.0.1'), '192.0.2.8')
  t.equal(via('192.0.2.77'), '192.0.2.77', 'connected')
  t.equal(via('192.0.2.1'), 'local')
  t.equal(via('203.0.113.1'), 'no route to 203.0.113.1')
  const arrived = lookUp(kernel, mustIp('10.1.0.1'), true)
  t.match(arrived, { kind: 'drop', reason: 'net.ipv4.ip_forward is off' })
})

t.test('two links have one address: the route of the one that stays is there', async (t) => {
  const kernel = new SimKernel('n0')
  const ip = mustIp('fd42::')
  for (const name of ['left', 'kept']) {
    kernel.apply({
      kind: 'add',
      object: { kind: 'link', name, link: { type: 'bridge' }, up: true },
    })
    kernel.apply({ kind: 'add', object: { kind: 'addr', link: name, ip, prefixLength: 128 } })
  }
  kernel.apply({
    kind: 'remove',
    object: { kind: 'addr', link: 'left', ip, prefixLength: 128 },
  })
  t.match(kernel.get('route fd42::/128 metric 256'), { link: 'kept' })
})

t.test('a setting of a link is there as long as the link', async (t) => {
  const kernel = new SimKernel('n0')
  for (const object of UNDERLAY) kernel.apply({ kind: 'add', object })
  const filter = { kind: 'sysctl', name: 'net.ipv4.conf.trvm/0.arp_filter', value: '1' } as const
  t.match(kernel.apply({ kind: 'add', object: filter }), { code: 'ENOENT' })
  const object: KernelObject = {
    kind: 'link',
    name: 'trvm.0',
    link: { type: 'macvlan', mode: 'bridge', parent: 'under0' },
    up: true,
  }
  kernel.apply({ kind: 'add', object })
  t.equal(kernel.apply({ kind: 'add', object: filter }), undefined)
  kernel.apply({ kind: 'remove', object })
  t.equal(kernel.get(`sysctl ${filter.name}`), undefined)
})
