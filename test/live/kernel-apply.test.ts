/**
 * How operations reach one namespace's kernel: in order, by both ways in, and
 * removals that leave what is not there, or not ours, alone.
 */
import { execFileSync } from 'node:child_process'
import { closeSync } from 'node:fs'
import { inNetns, openNetns, warmPool } from 'netlink-ts/live'
import t, { type Test } from 'tap'
import { podElements } from '../../src/backend/firewall.ts'
import { FIREWALL } from '../../src/kernel/firewall.ts'
import type { KernelObject, KernelOp, NftObject } from '../../src/kernel/mod.ts'
import { type LiveKernel, openKernel } from '../../src/live/kernel.ts'
import type { Ip } from '../../src/net/mod.ts'

const skip = process.getuid?.() === 0 ? false : 'needs root'
let count = 0

interface Ground {
  readonly name: string
  readonly fd: number
  readonly kernel: LiveKernel
}

function ground(t: Test): Ground {
  const name = `trvka${process.pid}-${count++}`
  execFileSync('ip', ['netns', 'add', name])
  const fd = openNetns(`/run/netns/${name}`)
  const kernel = openKernel(fd, true)
  t.teardown(() => {
    kernel.close()
    closeSync(fd)
    execFileSync('ip', ['netns', 'del', name])
  })
  return { name, fd, kernel }
}

const on = (name: string, ...args: readonly string[]): string =>
  execFileSync('ip', ['netns', 'exec', name, ...args], { encoding: 'utf8' })

const ip = (name: string, ...args: readonly string[]): string =>
  execFileSync('ip', ['-n', name, ...args], { encoding: 'utf8' })

const add = (object: KernelObject): KernelOp => ({ kind: 'add', object })
const bridge = (name: string): KernelObject => ({
  kind: 'link',
  name,
  link: { type: 'bridge' },
  up: true,
})
const addr = (link: string, text: string): KernelObject => ({
  kind: 'addr',
  link,
  ip: text as Ip,
  prefixLength: 64,
})
/** With this setting, a link takes no IPv6 address any more and drops those it has. */
const noIpv6 = (link: string): KernelOp =>
  add({ kind: 'sysctl', name: `net.ipv6.conf.${link}.disable_ipv6`, value: '1' })

t.before(() => warmPool())

t.test('a sysctl waits for what was asked before it', { skip }, (t) => {
  const { name, fd, kernel } = ground(t)
  const ops = [add(bridge('br0')), add(addr('br0', '2001:db8::5')), noIpv6('br0')]
  t.strictSame(
    // A sysctl is a file of the namespace that the thread is in.
    inNetns(fd, () => kernel.applyNow(ops)),
    [undefined, undefined, undefined],
    'the address was taken, before the link took none',
  )
  t.notMatch(ip(name, 'addr', 'show', 'br0'), '2001:db8::5', 'then the setting removed it')
  t.end()
})

t.test('from a pool thread the same happens, in order', { skip }, async (t) => {
  const { name, kernel } = ground(t)
  const ops = [
    ...FIREWALL.map(add),
    add(bridge('br0')),
    add(addr('br0', '2001:db8::5')),
    add(addr('nobody', '2001:db8::6')),
    add(bridge('br0')),
    ...podElements('br0', ['10.42.0.5' as Ip]).map(add),
  ]
  const failures = await new Promise<readonly ({ readonly code: string } | undefined)[]>((done) =>
    kernel.apply(ops, done),
  )
  const codes = failures.slice(FIREWALL.length).map((failure) => failure?.code)
  t.strictSame(codes, [undefined, undefined, 'ENODEV', 'EEXIST', undefined])
  t.match(ip(name, 'addr', 'show', 'br0'), '2001:db8::5/64')
  t.match(on(name, 'nft', 'list', 'set', 'inet', 'trivium', 'pods4'), '"br0" . 10.42.0.5')
})

t.test('guards go where they are, and missing ones do not hinder', { skip }, async (t) => {
  const { name, kernel } = ground(t)
  const elements = (last: number): ReturnType<typeof podElements> =>
    podElements(`trv${last}`, [`10.42.0.${last}` as Ip])
  t.equal(kernel.hasTable(FIREWALL[0] as NftObject), false)
  await kernel.removeElements(elements(1)) // no table: nothing to do
  kernel.applyNow(FIREWALL.map(add))
  t.equal(kernel.hasTable(FIREWALL[0] as NftObject), true)
  kernel.applyNow([1, 2, 3, 4].flatMap(elements).map(add))
  const refused = new Promise((done) =>
    kernel.apply(
      elements(9).map((object) => ({ kind: 'remove', object })),
      done,
    ),
  )
  // While a refused transaction waits in a pool thread, and all in one go.
  await Promise.all([1, 8, 2, 3].map((last) => kernel.removeElements(elements(last))))
  t.match(await refused, [{ code: 'ENOENT' }])
  const left = on(name, 'nft', 'list', 'set', 'inet', 'trivium', 'pods4')
  t.match(left, '10.42.0.4')
  t.notMatch(left, /10\.42\.0\.[1239]/)
})

t.test('many links end side by side, and others of the name stay', { skip }, async (t) => {
  const { name, kernel } = ground(t)
  const ours = Array.from({ length: 40 }, (_, index) => `trv${String(index).padStart(11, '0')}`)
  const script = [...ours, 'trvfffffffffff'].map(
    (each) => `link add ${each} type veth peer name p${each.slice(-9)}`,
  )
  script.push('link set trvfffffffffff alias "mine, not yours"')
  execFileSync('ip', ['-n', name, '-batch', '-'], { input: script.join('\n') })
  t.ok(kernel.hasLink(ours[0] ?? ''))
  t.notOk(kernel.hasLink('a name that is too long'))
  const asked = [...ours, 'trvfffffffffff', 'trveeeeeeeeeee', ...ours.slice(0, 5)]
  const failures = await Promise.all(asked.map((each) => kernel.removeOwnLink(each)))
  t.strictSame(failures.filter(Boolean), [], 'a link twice, and one that is not there: no failure')
  const left = JSON.parse(ip(name, '-j', 'link')) as readonly { ifname: string }[]
  const names = left.map(({ ifname }) => ifname).filter((each) => each.startsWith('trv'))
  t.strictSame(names, ['trvfffffffffff'], 'gone when answered, and only ours')
})

t.test(
  'a link that this process made is its own, another of that name is not',
  { skip },
  async (t) => {
    const { name, kernel } = ground(t)
    const link = 'trv0123456789a'
    const isThere = (): boolean => ip(name, '-br', 'link').includes(link)
    t.strictSame(await kernel.applySoon([add(bridge(link))]), [undefined])
    ip(name, 'link', 'set', link, 'alias', 'of somebody who named it anew')
    t.equal(await kernel.removeOwnLink(link), undefined)
    t.notOk(isThere(), 'its own')
    t.strictSame(await kernel.applySoon([add(bridge(link))]), [undefined])
    ip(name, 'link', 'del', link)
    ip(name, 'link', 'add', link, 'type', 'bridge')
    ip(name, 'link', 'set', link, 'alias', 'foreign')
    t.equal(await kernel.removeOwnLink(link), undefined)
    t.ok(isThere(), 'in the place of its own')
    t.strictSame((await kernel.applySoon([add(bridge(link))]))[0]?.code, 'EEXIST')
    t.equal(await kernel.removeOwnLink(link), undefined)
    t.ok(isThere(), 'where it could not make one')
  },
)

t.test('a link that took the name of an observed one stays', { skip }, async (t) => {
  const { name, kernel } = ground(t)
  ip(name, 'link', 'add', 'seen', 'type', 'bridge')
  ip(name, 'link', 'set', 'seen', 'alias', 'trivium red')
  const seen = [...kernel.state().values()].find(
    (object) => object.kind === 'link' && object.name === 'seen',
  )
  if (seen === undefined) throw new Error('The link was not observed')
  const removed = (): Promise<unknown> =>
    new Promise((done) => kernel.apply([{ kind: 'remove', object: seen }], done))
  ip(name, 'link', 'del', 'seen')
  ip(name, 'link', 'add', 'seen', 'type', 'bridge')
  ip(name, 'link', 'set', 'seen', 'alias', 'foreign')
  t.match(await removed(), [{ code: 'ENODEV' }], 'the one that was seen is gone')
  t.match(ip(name, 'link', 'show', 'seen'), 'foreign', 'the other is there')
  ip(name, 'link', 'set', 'seen', 'alias', 'trivium red')
  t.strictSame(await removed(), [undefined])
  t.notMatch(ip(name, 'link', 'show'), 'seen')
})
