/**
 * Our nftables table on a real kernel: what is planned is what is read back, and
 * what `nft` lists.
 */
import { execFileSync } from 'node:child_process'
import { closeSync } from 'node:fs'
import { Monitor, openNetns } from 'netlink-ts/live'
import t, { type Test } from 'tap'
import { firewall, podElements } from '../../src/backend/firewall.ts'
import { FIREWALL, NFT_RULES } from '../../src/kernel/firewall.ts'
import {
  diff,
  identity,
  isNft,
  type KernelObject,
  type KernelOp,
  kernelState,
  renderState,
} from '../../src/kernel/mod.ts'
import { type LiveKernel, openKernel } from '../../src/live/kernel.ts'
import type { Ip } from '../../src/net/mod.ts'
import type { Observed } from '../../src/ports.ts'
import { network, networkView, POOL_4, POOL_6, viewOf } from '../backend/views.ts'

const skip = process.getuid?.() === 0 ? false : 'needs root'
let count = 0

function namespace(t: Test): { readonly name: string; readonly kernel: LiveKernel } {
  const name = `trvnft${process.pid}-${count++}`
  execFileSync('ip', ['netns', 'add', name])
  t.teardown(() => execFileSync('ip', ['netns', 'del', name]))
  const fd = openNetns(`/run/netns/${name}`)
  const kernel = openKernel(fd, true)
  closeSync(fd)
  t.teardown(() => kernel.close())
  return { name, kernel }
}

const nftOf = (name: string, ...args: readonly string[]): string =>
  execFileSync('ip', ['netns', 'exec', name, 'nft', ...args], { encoding: 'utf8' })

const ours = (kernel: LiveKernel): readonly KernelObject[] =>
  [...kernel.state().values()].filter(isNft)

const view = viewOf([networkView(network('vxlan', { pools: [POOL_4, POOL_6] }), 3)], 3)
const WANTED = [
  ...firewall({
    ...view,
    allows: [{ from: 'pods', to: 'pods', ports: [{ protocol: 'tcp', port: 80 }], createdMs: 0 }],
  }),
  ...podElements('trv0123456789a', ['10.42.0.5' as Ip, 'fd42::5' as Ip]),
]

t.test('what is planned is what is read', { skip }, async (t) => {
  const { name, kernel } = namespace(t)
  t.strictSame(ours(kernel), [], 'nothing of ours in an empty kernel')
  const { ops } = diff(kernelState(WANTED), kernelState([]))
  t.strictSame(
    kernel.applyNow(ops).filter((failure) => failure !== undefined),
    [],
  )
  t.equal(renderState(kernelState(ours(kernel))), renderState(kernelState(WANTED)))
  const text = nftOf(name, 'list', 'table', 'inet', 'trivium')
  t.match(text, /iifname \. ip saddr != @pods4 drop/)
  t.match(text, /ip saddr \. ip daddr @reach4 accept/)
  t.match(text, /ip6 saddr @masquerade6 ip6 daddr != @inside6 .*masquerade fully-random/)
  t.match(text, /elements = \{ "trv0123456789a" \. 10\.42\.0\.5 \}/)
  t.notMatch(text, /unknown/)
  const { ops: none } = diff(kernelState(WANTED), kernelState(ours(kernel)))
  t.strictSame(none, [], 'and nothing is left to do')

  const { ops: away } = diff(kernelState([]), kernelState(ours(kernel)))
  t.strictSame(
    kernel.applyNow(away).filter((failure) => failure !== undefined),
    [],
  )
  t.equal(nftOf(name, 'list', 'ruleset'), '', 'nothing is left')
})

t.test('no guard to remove is no transaction', { skip }, async (t) => {
  const { name, kernel } = namespace(t)
  const fd = openNetns(`/run/netns/${name}`)
  const monitor = Monitor.openNft({ netnsFd: fd })
  closeSync(fd)
  t.teardown(() => monitor.close())
  const transactions = (): number =>
    monitor.drain().events.filter(({ object }) => object === 'generation').length
  const guards = podElements('trv0123456789a', ['10.42.0.5' as Ip, 'fd42::5' as Ip])
  await kernel.removeElements(guards)
  t.equal(transactions(), 0, 'without our table there is none, either')
  kernel.applyNow(diff(kernelState(WANTED), kernelState([])).ops)
  t.ok(transactions() > 0)
  await kernel.removeElements([])
  t.equal(transactions(), 0)
  await kernel.removeElements(guards)
  t.equal(transactions(), 1, 'one for both families')
})

t.test('what somebody else did to our table is seen', { skip }, async (t) => {
  const { name, kernel } = namespace(t)
  const wanted = kernelState(WANTED)
  const repair = (): readonly KernelOp[] => diff(wanted, kernelState(ours(kernel))).ops
  kernel.applyNow(repair())
  const harms = [
    'add rule inet trivium isolate tcp dport 25 drop',
    'flush chain inet trivium spoof',
    'insert rule inet trivium isolate accept',
    'add chain inet trivium isolate { policy drop; }',
    'delete element inet trivium pods4 { "trv0123456789a" . 10.42.0.5 }',
    'add element inet trivium pools4 { 203.0.113.0/24 }',
    'add chain inet trivium stray',
    'add set inet trivium stray { type ipv4_addr; }; add element inet trivium stray { 192.0.2.1 }',
    'delete table inet trivium; add table inet trivium; add set inet trivium pods4 { type ipv4_addr; }; add element inet trivium pods4 { 192.0.2.1 }; add set inet trivium pools4 { type mark; }; add chain inet trivium mine; add rule inet trivium mine ip saddr @pods4 drop',
    'flush chain inet trivium translate; delete chain inet trivium translate',
    'flush chain inet trivium isolate; delete chain inet trivium isolate; add chain inet trivium isolate { type filter hook forward priority 7; }',
    'delete table inet trivium',
  ]
  const before = nftOf(name, 'list', 'ruleset')
  for (const harm of harms) {
    nftOf(name, harm)
    t.not(repair().length, 0, harm)
    t.strictSame(
      kernel.applyNow(repair()).filter((failure) => failure !== undefined),
      [],
      harm,
    )
    t.strictSame(repair(), [], `${harm}: repaired`)
  }
  t.equal(sorted(nftOf(name, 'list', 'ruleset')), sorted(before), 'as it was, says nft')
})

const sorted = (text: string): string => text.split('\n').sort().join('\n')

t.test('one bad operation does not take the others along', { skip }, async (t) => {
  const { kernel } = namespace(t)
  kernel.applyNow(FIREWALL.map((object) => ({ kind: 'add', object }) as const))
  const good = podElements('trv0123456789a', ['10.42.0.5' as Ip])[0] as KernelObject
  const gone = podElements('trv0123456789b', ['10.42.0.6' as Ip])[0] as KernelObject
  const failures = kernel.applyNow([
    { kind: 'remove', object: gone },
    { kind: 'add', object: good },
  ])
  t.match(failures, [{ code: 'ENOENT' }, undefined])
  t.ok(ours(kernel).some((object) => identity(object) === identity(good)))
})

t.test('a cluster of many nodes', { skip }, async (t) => {
  const { name, kernel } = namespace(t)
  const wanted = kernelState([...FIREWALL, ...strangers('nodes4', 1300), ...strangers('pools4', 3)])
  const { ops } = diff(wanted, kernelState([]))
  const failures = await new Promise<readonly unknown[]>((done) => kernel.apply(ops, done))
  t.equal(failures.length, ops.length)
  t.strictSame(
    failures.filter((failure) => failure !== undefined),
    [],
  )
  const { nftables } = JSON.parse(
    nftOf(name, '-j', 'list', 'set', 'inet', 'trivium', 'nodes4'),
  ) as {
    nftables: { set?: { elem: unknown[] } }[]
  }
  t.equal(nftables.find(({ set }) => set !== undefined)?.set?.elem.length, 1300)
  t.strictSame(diff(wanted, kernelState(ours(kernel))).ops, [])
  const observed = await new Promise<Observed>((done) => kernel.observe([], done))
  t.strictSame(observed.kind === 'state' && [...observed.state].sort(), [...kernel.state()].sort())
  const { ops: away } = diff(kernelState([]), kernelState(ours(kernel)))
  await new Promise<readonly unknown[]>((done) => kernel.apply(away, done))
  t.equal(nftOf(name, 'list', 'ruleset'), '', 'nothing is left')
})

const strangers = (set: string, count: number): readonly KernelObject[] =>
  Array.from({ length: count }, (_, index) => ({
    kind: 'nft-element',
    set,
    key: `198.${18 + Math.floor(index / 65_536)}.${(index >> 8) & 255}.${index & 255}`,
  }))

t.test('every rule has expressions', async (t) => {
  t.ok(NFT_RULES.length > 10)
})
