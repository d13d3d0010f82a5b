/**
 * GC on a kernel that refuses: everything else still goes, side by side, and
 * the refusals are told at the end. The kernel is a stand-in; the store is real.
 */
import t from 'tap'
import { memoryStore } from '../../ipam/memory-store.ts'
import { allocate, createNetwork, keys, parseNetworkSpec } from '../../ipam/mod.ts'
import { cniError } from '../../src/cni/errors.ts'
import { ASKS_NOTHING, type CniRequest } from '../../src/cni/mod.ts'
import { kernelState, type Link, podAlias, podLinkName } from '../../src/kernel/mod.ts'
import type { CniCallInput, CniHost } from '../../src/live/cni.ts'
import type { LiveKernel } from '../../src/live/kernel.ts'
import { collect } from '../../src/live/verbs/gc.ts'
import { Steps } from '../../src/live/verbs/steps.ts'
import { answerOf } from '../contract/store.ts'

const REQUEST: CniRequest = {
  plugin: 'trivium',
  verb: 'GC',
  cniVersion: '1.1.0',
  containerId: '',
  netns: '',
  ifname: '',
  args: {},
  ask: ASKS_NOTHING,
  netnsOverride: false,
  config: { name: 'pods', delegation: {} },
}
const INPUT: CniCallInput = { plugin: 'trivium', env: {}, config: '', steps: new Steps() }
const PODS = 40

const hostLinkOf = (id: string): string => podLinkName('pods', id, 'eth0')

function leaked(id: string): Link {
  const alias = podAlias('pods', id, 'eth0', 1)
  return { kind: 'link', name: hostLinkOf(id), link: { type: 'veth' }, up: true, alias }
}

/** A node with pods, two leaked links, and a kernel that keeps the links of `stuck`. */
async function world(stuck: readonly string[]) {
  const store = memoryStore({ defer: setImmediate })
  await answerOf(store, (tx) => {
    const pools = [{ cidr: '10.42.0.0/24' }]
    createNetwork(tx, parseNetworkSpec({ name: 'pods', mode: 'route', pools }, 1))
    for (let number = 0; number < PODS; number++) {
      const containerId = `c${number}`
      const hostLink = hostLinkOf(containerId)
      const key = { network: 'pods', containerId, ifname: 'eth0' }
      const rest = { node: 'n1', netns: '', mayClaim: true, nowMs: 1, bootId: '' }
      allocate(tx, { key, hostLink, ...rest })
    }
  })
  let running = 0
  let atOnce = 0
  const removed: string[] = []
  const remove = async (name: string) => {
    running++
    atOnce = Math.max(atOnce, running)
    await new Promise((resolve) => setImmediate(resolve))
    running--
    const refused = stuck.map(hostLinkOf).includes(name)
    if (!refused) removed.push(name)
    return refused ? { code: 'EBUSY', message: `Cannot remove ${name}: EBUSY` } : undefined
  }
  const kernel: Partial<LiveKernel> = {
    stateSoon: async () => kernelState([leaked('x'), leaked('y')]),
    removeOwnLink: remove,
    removeElements: async () => {},
  }
  const host: Partial<CniHost> = {
    nodeName: 'n1',
    store,
    kernel: kernel as LiveKernel,
    locks: { hold: (_key, work) => work() },
    hold: () => () => {},
  }
  const left = (): readonly string[] =>
    store.read((reader) =>
      [...reader.range(keys.networkAttachments('n1', 'pods'))].map(([, each]) => each.containerId),
    )
  const gc = async (valid: readonly string[]): Promise<unknown> => {
    const validAttachments = valid.map((containerId) => ({ containerId, ifname: 'eth0' }))
    const request = { ...REQUEST, config: { ...REQUEST.config, validAttachments } }
    try {
      return await collect(request, INPUT, host as CniHost)
    } catch (thrown) {
      return cniError(thrown, '1.1.0')
    }
  }
  return { gc, left, removed, atOnce: () => atOnce }
}

t.test('GC-04 what is stuck does not keep the rest', async (t) => {
  const { gc, left, removed, atOnce } = await world(['c3', 'y'])
  const error = await gc(['c7'])
  t.match(error, {
    code: 101,
    msg: 'Cannot collect 2 leftovers of network pods: the rest is gone, wanted all',
    details: /EBUSY.*; .*EBUSY/,
  })
  t.strictSame(left(), ['c3', 'c7'], 'the stuck one keeps its record, the valid one everything')
  t.equal(removed.length, PODS - 2 + 1)
  t.ok(removed.includes(hostLinkOf('x')), 'a leaked link, too')
  t.ok(atOnce() > 1 && atOnce() <= 32, `${atOnce()} at once`)
})

t.test('GC-07 twice is once, and nothing to do is no error', async (t) => {
  const { gc, left } = await world([])
  t.equal(await gc([]), undefined)
  t.strictSame(left(), [])
  t.equal(await gc([]), undefined)
})

t.test('GC-02 a missing list', async (t) => {
  const { left } = await world([])
  await t.rejects(collect(REQUEST, INPUT, {} as CniHost), { code: 'BAD_CONFIG' })
  t.equal(left().length, PODS)
})
