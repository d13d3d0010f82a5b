/**
 * STATUS, asked of a node that lacks one thing after the other. The kernel is
 * a stand-in with one link; the store is real.
 */
import t from 'tap'
import { memoryStore } from '../../ipam/memory-store.ts'
import {
  allocate,
  createNetwork,
  ensureBlocks,
  keys,
  parseNetworkSpec,
  registerNode,
} from '../../ipam/mod.ts'
import type { NodeRecord } from '../../ipam/records.ts'
import type { Store, Tx } from '../../ipam/store.ts'
import { cniError } from '../../src/cni/errors.ts'
import { ASKS_NOTHING, type CniRequest } from '../../src/cni/mod.ts'
import { uptimeMs } from '../../src/live/boot.ts'
import { callFields, callLevel } from '../../src/live/call-log.ts'
import type { CniHost } from '../../src/live/cni.ts'
import { status } from '../../src/live/verbs/status.ts'
import { Steps } from '../../src/live/verbs/steps.ts'
import { macFromName, parseIp } from '../../src/net/mod.ts'
import { answerOf } from '../contract/store.ts'

const NODE: NodeRecord = {
  name: 'n1',
  underlayLink: 'eth0',
  underlayIps: [parseIp('192.0.2.1')],
  underlayMtuBytes: 1500,
  vtepMac: macFromName('n1'),
  registeredMs: 0,
}

const REQUEST: CniRequest = {
  plugin: 'trivium',
  verb: 'STATUS',
  cniVersion: '1.1.0',
  containerId: '',
  netns: '',
  ifname: '',
  args: {},
  ask: ASKS_NOTHING,
  netnsOverride: false,
  config: { name: 'pods', delegation: {} },
}

interface World {
  readonly pool?: object
  readonly node?: Partial<NodeRecord>
  readonly pods?: number
  readonly link?: object | undefined
  readonly host?: Partial<CniHost>
  readonly change?: (tx: Tx) => void
  readonly request?: Partial<CniRequest>
}

const UP = { up: true, operState: 'up' }

/** The error object, or nothing when all is well; and whether the store is as it was. */
async function ask(world: World, steps = new Steps()): Promise<{ error: unknown; same: boolean }> {
  const { pool = {}, node = {}, pods = 0, host = {}, change, request = {} } = world
  const store = memoryStore({ defer: setImmediate })
  await answerOf(store, (tx) => {
    const pools = [{ cidr: '10.42.0.0/29', blockLength: 30, ...pool }]
    const { network } = createNetwork(
      tx,
      parseNetworkSpec({ name: 'pods', mode: 'vxlan', pools }, 1),
    )
    registerNode(tx, { ...NODE, ...node })
    ensureBlocks(tx, network, 'n1', 1)
    for (let number = 0; number < pods; number++) {
      const key = { network: 'pods', containerId: `c${number}`, ifname: 'eth0' }
      allocate(tx, { key, node: 'n1', netns: '', mayClaim: true, nowMs: 1, bootId: 'boot' })
    }
    change?.(tx)
  })
  const link = 'link' in world ? world.link : UP
  const stand: Partial<CniHost> = {
    nodeName: 'n1',
    bootId: 'boot',
    store,
    kernel: { link: () => link } as unknown as CniHost['kernel'],
    mayClaim: true,
    unavailable: () => undefined,
    ...host,
  }
  const before = contents(store)
  try {
    await status({ ...REQUEST, ...request }, stand as CniHost, steps)
    return { error: undefined, same: contents(store) === before }
  } catch (thrown) {
    return { error: cniError(thrown, '1.1.0'), same: contents(store) === before }
  }
}

const contents = (store: Store): string =>
  store.read((reader) =>
    JSON.stringify(
      ['network/', 'node/', 'claim/', 'use/', 'address/', 'attachment/', 'sequence/'].map(
        (range) => [...reader.range(range)],
      ),
    ),
  )

const WELL: readonly (readonly [title: string, world: World])[] = [
  ['all is well', {}],
  ['a block that is full beside one that is free', { pods: 3 }],
  ['pools for some namespaces only: somebody could be served', { pool: { namespaces: ['shop'] } }],
  [
    'an underlay that does not tell its state, as many do',
    { link: { up: true, operState: 'unknown' } },
  ],
]
for (const [title, world] of WELL) {
  t.test(`ST-02 ${title}`, async (t) => {
    t.strictSame(await ask(world), { error: undefined, same: true }, 'exit 0, nothing written')
  })
}

const UNFIT: readonly (readonly [title: string, world: World, code: number, msg: RegExp])[] = [
  [
    'every address is taken',
    { pods: 6 },
    50,
    /^Cannot allocate an IPv4 address in network pods: every block of 10\.42\.0\.0\/29 \(2 blocks of \/30\) is claimed, node n1 uses 6 of 6 addresses/,
  ],
  [
    'the own block is full, and nobody may claim another',
    { pods: 3, pool: { cidr: '10.42.0.0/28' }, host: { mayClaim: false } },
    50,
    /wanted one more block for the node$/,
  ],
  [
    'the agent has not come through its first round',
    { host: { unavailable: () => 'Cannot serve ADD yet: the agent …' } },
    50,
    /^Cannot serve ADD yet/,
  ],
  [
    'no such network',
    { change: (tx) => tx.remove(keys.network('pods')) },
    50,
    /^Cannot find network pods/,
  ],
  ['no such node', { change: (tx) => tx.remove(keys.node('n1')) }, 50, /^Cannot find node n1/],
  [
    'a store that cannot be read',
    {
      host: {
        store: {
          ...memoryStore({ defer: setImmediate }),
          read(body) {
            const fail = (): never => {
              throw new Error('Input/output error')
            }
            return body({ get: fail, range: fail })
          },
        },
      },
    },
    50,
    /Input\/output error/,
  ],
  [
    'the underlay is gone',
    { link: undefined },
    51,
    /^Cannot reach other nodes from n1: underlay eth0: it is not there, wanted it up$/,
  ],
  ['the underlay is down', { link: { up: false, operState: 'down' } }, 51, /eth0: it is down/],
  [
    'the underlay has no carrier',
    { link: { up: true, operState: 'lowerLayerDown' } },
    51,
    /eth0: it has no carrier/,
  ],
  [
    'no road: the underlay is too narrow for the tunnel',
    { node: { underlayMtuBytes: 100 } },
    51,
    /^Cannot run vxlan over an underlay of 100 bytes/,
  ],
  [
    'no road: the node has no address for the tunnel',
    { node: { underlayIps: [] } },
    51,
    /^Cannot reach node n1 by VXLAN: its underlay eth0 has \[\], wanted an address/,
  ],
]
for (const [title, world, code, msg] of UNFIT) {
  t.test(`ST-03 ${title}`, async (t) => {
    const { error, same } = await ask(world)
    t.match(error, { code, msg })
    if (world.host?.store === undefined) t.ok(same, 'ST-05 nothing was written')
  })
}

t.test('ST-04 the delegated plugin says the same', async (t) => {
  const { error } = await ask({ pods: 6, request: { plugin: 'trivium-ipam' } })
  t.match(error, { code: 50, msg: /^Cannot allocate an IPv4 address/ })
})

/** A member of a cluster, heard of so long ago; its lease is an hour. */
const heardOf = (agoMs: number, mark = 7): World => ({
  change(tx) {
    const lease = { bootId: 'boot', fromUptimeMs: uptimeMs() - agoMs, lengthMs: 3_600_000 }
    const incarnation = { machine: 'm', store: 's' }
    const more = { beats: 1, revision: 1, joined: true, lease, mark }
    tx.put(keys.membership, { incarnation, ...more })
  },
})

t.test(
  'a lease that nears its end is told, and pods are taken on as long as it lasts',
  async (t) => {
    const env = { CNI_COMMAND: 'STATUS' }
    const told = async (agoMs: number): Promise<readonly unknown[]> => {
      const steps = new Steps()
      const { error } = await ask(heardOf(agoMs), steps)
      const call = { plugin: 'trivium', env, steps, exitStatus: 0, road: 'agent' } as const
      return [error, callLevel(call), callFields(call)['leaseLeftSeconds']]
    }
    t.strictSame(await told(1_000_000), [undefined, 'debug', undefined])
    t.strictSame(await told(3_000_000), [undefined, 'warn', 600])
    t.match((await ask(heardOf(4_000_000))).error, { code: 50, msg: /the lease is 3600 s/ })
  },
)

t.test("without an agent an older copy of a cluster's store serves nobody", async (t) => {
  const older = { ...heardOf(0, 6), host: { newestMark: () => 7 } }
  t.match((await ask(older)).error, { code: 50, msg: /its store is an older copy/ })
  const same = { ...heardOf(0, 7), host: { newestMark: () => 7 } }
  t.equal((await ask(same)).error, undefined)
})
