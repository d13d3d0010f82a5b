/** Which guards DEL takes away: a transaction of nf_tables stops other verbs, so none for nothing. */
import t from 'tap'
import { keys } from '../../ipam/keys.ts'
import { memoryStore } from '../../ipam/memory-store.ts'
import { allocate, createNetwork, parseNetworkSpec } from '../../ipam/mod.ts'
import { podLinkName } from '../../src/kernel/mod.ts'
import type { CniHost } from '../../src/live/cni.ts'
import type { LiveKernel } from '../../src/live/kernel.ts'
import { del } from '../../src/live/verbs/del.ts'
import { answerOf } from '../contract/store.ts'

const KEY = { network: 'pods', containerId: 'c1', ifname: 'eth0' }
const HOST_LINK = podLinkName('pods', 'c1', 'eth0')

/** DEL of a pod in a network of that mode. @returns Guards, as the kernel was asked to remove them. */
async function removedBy(mode: string, containerId = 'c1'): Promise<readonly string[]> {
  const store = memoryStore({ defer: setImmediate })
  await answerOf(store, (tx) => {
    const pools = [{ cidr: '10.42.0.0/24' }, { cidr: 'fd42::/112' }]
    const vlan = mode === 'vlan' ? { options: { vlanId: 7 } } : {}
    createNetwork(tx, parseNetworkSpec({ name: 'pods', mode, pools, ...vlan }, 1))
    const rest = { node: 'n1', netns: '', mayClaim: true, nowMs: 1, bootId: '' }
    allocate(tx, { key: KEY, hostLink: HOST_LINK, ...rest })
  })
  const removed: string[] = []
  const kernel: Partial<LiveKernel> = {
    removeOwnLink: async () => undefined,
    removeElements: async (elements) => {
      removed.push(...elements.map(({ set, key }) => `${set} ${key}`))
    },
  }
  const hold = () => () => {}
  const host: Partial<CniHost> = { nodeName: 'n1', store, kernel: kernel as LiveKernel, hold }
  await del({ ...KEY, containerId }, true, host as CniHost)
  const left = store.read((reader) => reader.get(keys.attachment('n1', { ...KEY, containerId })))
  t.equal(left, undefined, 'the record is gone')
  return removed
}

for (const mode of ['vxlan', 'route']) {
  t.test(`${mode}: a guard each family`, async (t) => {
    const guards = [`pods4 ${HOST_LINK} . 10.42.0.1`, `pods6 ${HOST_LINK} . fd42::1`]
    t.strictSame(await removedBy(mode), guards)
  })
}

t.test('vlan: what its port may send as', async (t) => {
  const removed = await removedBy('vlan')
  const addresses = [`ports4 ${HOST_LINK} . 10.42.0.1`, `ports6 ${HOST_LINK} . fd42::1`]
  t.strictSame(removed.slice(1, 3), addresses)
  t.match(removed[0], /^ports \S+ \. [0-9a-f:]{17}$/)
  t.match(removed[3], /^ports6 \S+ \. fe80::/)
  t.equal(removed.length, 4)
})

t.test('a container that was never added has none', async (t) => {
  t.strictSame(await removedBy('vxlan', 'c2'), [])
})
