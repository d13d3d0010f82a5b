/**
 * What the agent hears of changes by others, and of its own: each change is
 * made by iproute2, ethtool or nft in a namespace that we watch.
 */
import { execFileSync } from 'node:child_process'
import { closeSync } from 'node:fs'
import { openNetns } from 'netlink-ts/live'
import t, { type Test } from 'tap'
import { podElements } from '../../src/backend/firewall.ts'
import { FIREWALL } from '../../src/kernel/firewall.ts'
import { identity, type KernelEvent } from '../../src/kernel/mod.ts'
import { type LiveKernel, openKernel } from '../../src/live/kernel.ts'
import type { Ip } from '../../src/net/mod.ts'
import { sleep } from '../support/e2e.ts'

const skip = process.getuid?.() === 0 ? false : 'needs root'
const TUNNEL = ['link', 'add', 'trvx.1', 'type', 'vxlan'] as const
let count = 0

interface Watched {
  readonly kernel: LiveKernel
  /** Runs a program in the namespace. */
  readonly on: (program: string, ...args: readonly string[]) => string
  /** `new link eth0` and the like, and `look`; what was said since the last call. */
  heard(): Promise<readonly string[]>
}

function watched(t: Test): Watched {
  const name = `trvw${process.pid}-${count++}`
  execFileSync('ip', ['netns', 'add', name])
  const fd = openNetns(`/run/netns/${name}`)
  const kernel = openKernel(fd, true)
  let said: string[] = []
  const word = ({ change, object }: KernelEvent): string => `${change} ${identity(object)}`
  const stop = kernel.watch({
    events: (events) => said.push(...events.map(word)),
    changed: () => said.push('look'),
  })
  t.teardown(() => {
    stop()
    kernel.close()
    closeSync(fd)
    execFileSync('ip', ['netns', 'del', name])
  })
  return {
    kernel,
    on: (program, ...args) =>
      execFileSync('ip', ['netns', 'exec', name, program, ...args], {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'pipe'],
      }),
    async heard() {
      // Notifications are queued before the change returns; the event loop takes them up.
      for (let turn = 0; turn < 5; turn++) await sleep(2)
      const all = said
      said = []
      return all
    },
  }
}

const can = (work: () => unknown): boolean => {
  try {
    work()
    return true
  } catch {
    return false
  }
}

t.test("others' changes of our table are heard, our own are not", { skip }, async (t) => {
  const { kernel, on, heard } = watched(t)
  kernel.applyNow(FIREWALL.map((object) => ({ kind: 'add', object }) as const))
  const elements = podElements('trv0123456789a', ['10.42.0.5' as Ip, 'fd42::5' as Ip])
  kernel.applyNow(elements.map((object) => ({ kind: 'add', object })))
  t.strictSame(await heard(), [], 'a table, its rules and elements by us')

  on('nft', 'add table inet trivium_like; add chain inet trivium_like c')
  on('nft', 'add table ip trivium; add chain ip trivium c')
  t.strictSame(await heard(), [], 'tables of others, even under our name in another family')
  const harms = [
    'add rule inet trivium isolate tcp dport 25 drop',
    'flush chain inet trivium spoof',
    'delete element inet trivium pods4 { "trv0123456789a" . 10.42.0.5 }',
    'add element inet trivium pools4 { 203.0.113.0/24 }',
    'add set inet trivium stray { type ipv4_addr; }',
    'add chain inet trivium stray',
    'delete table inet trivium',
  ]
  for (const harm of harms) {
    on('nft', harm)
    t.strictSame([...new Set(await heard())], ['look'], harm)
  }
  kernel.applyNow(FIREWALL.map((object) => ({ kind: 'add', object }) as const))
  t.strictSame(await heard(), [], 'the repair')
  on('nft', 'flush', 'ruleset')
  t.strictSame([...new Set(await heard())], ['look'], 'the whole ruleset')
})

t.test('a link under another name is gone under the old one', { skip }, async (t) => {
  const { on, heard } = watched(t)
  on('ip', ...TUNNEL, 'id', '1', 'dstport', '8472', 'dev', 'lo', 'local', '127.0.0.1')
  await heard()
  on('ip', 'link', 'set', 'trvx.1', 'name', 'other0')
  const said = await heard()
  t.ok(said.includes('del link trvx.1'), said.join())
  t.ok(said.includes('new link other0'), said.join())
  on('ip', 'link', 'del', 'other0')
  t.ok((await heard()).includes('del link other0'), 'and its end comes under the new one')
})

t.test('VNI filters and offloads of our tunnels', { skip }, async (t) => {
  const { on, heard } = watched(t)
  const external = ['external', 'gpe', 'vnifilter', 'dstport', '8472'] as const
  if (!can(() => on('ip', ...TUNNEL, ...external))) {
    t.pass('skipped', { skip: 'no VNI filters in this kernel or iproute2' })
    return
  }
  await heard()
  on('bridge', 'vni', 'add', 'vni', '7', 'dev', 'trvx.1')
  t.ok((await heard()).includes('new vni trvx.1 7'))
  on('bridge', 'vni', 'delete', 'vni', '7', 'dev', 'trvx.1')
  t.ok((await heard()).includes('del vni trvx.1 7'))
  const offload = (to: string) => () => on('ethtool', '-K', 'trvx.1', 'tx-checksum-ip-generic', to)
  if (!can(offload('off'))) {
    t.pass('skipped', { skip: 'no ethtool' })
    return
  }
  t.ok((await heard()).includes('new offload-off trvx.1 tx-checksum-ip-generic'))
  offload('on')()
  t.ok((await heard()).includes('del offload-off trvx.1 tx-checksum-ip-generic'))
})

t.test('addresses, routes, neighbours and forwarding entries', { skip }, async (t) => {
  const { on, heard } = watched(t)
  on('ip', 'link', 'set', 'lo', 'up')
  on('ip', ...TUNNEL, 'id', '1', 'dstport', '8472', 'dev', 'lo', 'local', '127.0.0.1')
  on('ip', 'link', 'set', 'trvx.1', 'up')
  await heard()
  const mac = '02:00:00:00:00:01'
  const rows: readonly (readonly [string, string])[] = [
    ['ip addr add 10.42.0.0/32 dev trvx.1', 'new addr trvx.1 10.42.0.0/32'],
    ['ip route add 10.42.1.0/24 dev trvx.1 proto 84', 'new route 10.42.1.0/24 metric 0'],
    ['ip route add blackhole fd42::/64 proto 84', 'new route fd42::/64 metric 1024'],
    [`ip neigh add 10.42.1.0 lladdr ${mac} dev trvx.1 nud permanent`, 'new neigh trvx.1 10.42.1.0'],
    // Not permanent any more: it may go at any time.
    [`ip neigh replace 10.42.1.0 lladdr ${mac} dev trvx.1 nud stale`, 'del neigh trvx.1 10.42.1.0'],
    [`bridge fdb add ${mac} dev trvx.1 dst 192.0.2.9 self permanent`, `new fdb trvx.1 ${mac}`],
    [`bridge fdb del ${mac} dev trvx.1 self`, `del fdb trvx.1 ${mac}`],
    ['ip route del blackhole fd42::/64', 'del route fd42::/64 metric 1024'],
    ['ip route del 10.42.1.0/24', 'del route 10.42.1.0/24 metric 0'],
    ['ip addr del 10.42.0.0/32 dev trvx.1', 'del addr trvx.1 10.42.0.0/32'],
    ['ip link del trvx.1', 'del link trvx.1'],
  ]
  for (const [command, expected] of rows) {
    const [program = '', ...args] = command.split(' ')
    on(program, ...args)
    const said = await heard()
    t.ok(said.includes(expected), `${command}: ${said.join(', ')}`)
  }
})
