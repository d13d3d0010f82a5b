/** Random histories of a small store: pods come and go, blocks, rules, nodes. */
import fc from 'fast-check'
import {
  allocate,
  createNetwork,
  ensureBlocks,
  exclude,
  giveBackIdle,
  keys,
  type PoolSpec,
  parseNetworkSpec,
  release,
  releaseNode,
  reserve,
  type Tx,
} from '../../ipam/mod.ts'
import { isTriviumError } from '../../src/errors.ts'
import { addressAt, type Prefix, prefixOf } from '../../src/net/mod.ts'

export const LIFE_NODES = ['n1', 'n2', 'n3'] as const

export const LIFE_POOLS: readonly PoolSpec[] = [
  { cidr: '10.1.0.0/26', blockLength: 29 },
  { cidr: '10.1.0.64/26', blockLength: 29 },
  { cidr: 'fd01::/122', blockLength: 125 },
]

export const lifeStart = (tx: Tx, pools = LIFE_POOLS, name = 'pods'): void => {
  const options = { cooldownSeconds: 3 }
  createNetwork(tx, parseNetworkSpec({ name, mode: 'route', pools, options }, 1))
}

export type Event = (tx: Tx, nowMs: number) => void

const name = fc.nat(13)
const node = fc.constantFrom(...LIFE_NODES)
const key = (index: number) => ({ network: 'pods', containerId: `c${index}`, ifname: 'eth0' })
const podOf = (index: number) => ({ namespace: 'ns', name: `p${index}`, uid: `u${index}` })

const come: fc.Arbitrary<Event> = fc.tuple(node, name).map(
  ([node, index]): Event =>
    (tx, nowMs) => {
      const who = { key: key(index), node, pod: podOf(index), netns: `/run/netns/c${index}` }
      // Without a link of ours: a pod that came before its reservation has another MAC.
      const rest = { mayClaim: true, nowMs, bootId: 'boot' }
      for (const other of LIFE_NODES) {
        // One runtime, one container: not at two nodes at once.
        if (other !== node && tx.get(keys.attachment(other, key(index))) !== undefined) return
      }
      allocate(tx, { ...who, ...rest })
    },
)

const go: fc.Arbitrary<Event> = name.map(
  (index): Event =>
    (tx, nowMs) => {
      for (const node of LIFE_NODES) release(tx, node, key(index), nowMs)
    },
)

const network = (tx: Tx) => {
  const found = tx.get(keys.network('pods'))
  if (found === undefined) throw new Error('no network')
  return found
}

const spare: fc.Arbitrary<Event> = node.map(
  (node): Event =>
    (tx, nowMs) =>
      void ensureBlocks(tx, network(tx), node, nowMs),
)

const idle: fc.Arbitrary<Event> = node.map(
  (node): Event =>
    (tx, nowMs) =>
      void giveBackIdle(tx, network(tx), node, nowMs),
)

const leave: fc.Arbitrary<Event> = node.map(
  (node): Event =>
    (tx, nowMs) =>
      void releaseNode(tx, node, nowMs),
)

/** What rules refuse is no event. */
const tried =
  (event: Event): Event =>
  (tx, nowMs) => {
    try {
      event(tx, nowMs)
    } catch (thrown) {
      if (!isTriviumError(thrown) || thrown.code === 'INTERNAL') throw thrown
    }
  }

const keep: fc.Arbitrary<Event> = fc.tuple(name, fc.nat(127)).map(([index, place]): Event => {
  const ip = addressAt('10.1.0.0/25' as Prefix, BigInt(place))
  return tried((tx, nowMs) => {
    reserve(tx, { network: 'pods', ip, pod: podOf(index), nowMs })
  })
})

const shut: fc.Arbitrary<Event> = fc
  .tuple(fc.nat(127), fc.integer({ min: 26, max: 32 }))
  .map(([place, length]): Event => {
    const range = prefixOf(addressAt('10.1.0.0/25' as Prefix, BigInt(place)), length)
    return tried((tx) => void exclude(tx, 'pods', range))
  })

const event: fc.Arbitrary<Event> = fc.oneof(
  { weight: 12, arbitrary: come },
  { weight: 8, arbitrary: go },
  { weight: 2, arbitrary: spare },
  { weight: 2, arbitrary: idle },
  { weight: 1, arbitrary: leave },
  { weight: 2, arbitrary: keep },
  { weight: 1, arbitrary: shut },
)

/** Events, a second apart each. */
export const life = (maxLength: number): fc.Arbitrary<readonly Event[]> =>
  fc.array(event, { maxLength })

export function live(tx: Tx, events: readonly Event[], fromMs: number): number {
  let nowMs = fromMs
  for (const one of events) {
    nowMs += 1000
    one(tx, nowMs)
  }
  return nowMs
}

/** All records, as text. */
export const everything = (tx: Pick<Tx, 'range'>): string =>
  JSON.stringify(
    ['network/', 'node/', 'allow/', 'sequence/', 'claim/', 'use/', 'attachment/', 'address/']
      .concat('reservation/', 'reserved-for/', 'history/')
      .flatMap((range) => [...tx.range(range)]),
  )
