/** A store with some life in it, to be spoilt. */
import { memoryStore } from '../../ipam/memory-store.ts'
import {
  allocate,
  createNetwork,
  keys,
  type Outcome,
  parseNetworkSpec,
  type Store,
  type Tx,
} from '../../ipam/mod.ts'
import type { AddressRecord, AttachmentRecord, BlockClaim } from '../../ipam/records.ts'
import type { Ip } from '../../src/net/mod.ts'

export const NODES = ['n1', 'n2'] as const
export const BOOT = 'boot-1'

export interface SmallStore {
  run<T>(body: (tx: Tx) => T): T
}

export function smallStore(): SmallStore {
  const queue: (() => void)[] = []
  const store: Store = memoryStore({ defer: (run) => queue.push(run) })
  return {
    run<T>(body: (tx: Tx) => T): T {
      let outcome: Outcome<T> | undefined
      store.transact(body, (ended) => {
        outcome = ended
      })
      for (let step = queue.shift(); step !== undefined; step = queue.shift()) step()
      if (outcome?.kind === 'committed') return outcome.answer
      throw outcome?.error
    },
  }
}

/** Dual stack, blocks of four, three pods on n1 and two on n2. */
export function inhabited(): SmallStore {
  const store = smallStore()
  const pools = [
    { cidr: '10.1.0.0/27', blockLength: 30 },
    { cidr: 'fd01::/123', blockLength: 126 },
  ]
  store.run((tx) => createNetwork(tx, parseNetworkSpec({ name: 'pods', mode: 'vxlan', pools }, 1)))
  for (const [node, count] of [
    ['n1', 3],
    ['n2', 2],
  ] as const) {
    for (let pod = 0; pod < count; pod++) store.run((tx) => add(tx, node, `${node}c${pod}`))
  }
  return store
}

export function add(tx: Tx, node: string, containerId: string, requested?: readonly Ip[]): void {
  const answer = allocate(tx, {
    key: { network: 'pods', containerId, ifname: 'eth0' },
    node,
    netns: `/run/netns/${containerId}`,
    hostLink: `trv${containerId}`,
    mayClaim: true,
    nowMs: 1,
    bootId: BOOT,
    ...(requested === undefined ? {} : { requested }),
  })
  if (answer.kind === 'refused') throw new Error(answer.message)
}

const at = <T>(tx: Tx, range: string, index: number): readonly [string, T] => {
  const pairs = [...tx.range<T>(range)]
  const pair = pairs[index % pairs.length]
  if (pair === undefined) throw new Error(`nothing under ${range}`)
  return pair
}

/** Ways to spoil a store, by name; `index` chooses the record. */
export const SPOILS: Readonly<Record<string, (tx: Tx, index: number) => void>> = {
  'an attachment forgotten': (tx, index) => tx.remove(at(tx, 'attachment/', index)[0]),
  'an address forgotten': (tx, index) => tx.remove(at(tx, 'address/', index)[0]),
  'a use forgotten': (tx, index) => tx.remove(at(tx, 'use/', index)[0]),
  'a claim forgotten': (tx, index) => tx.remove(at(tx, 'claim/', index)[0]),
  'a wrong counter': (tx, index) => {
    const [key, use] = at<{ used: number }>(tx, 'use/', index)
    tx.put(key, { ...use, used: use.used + 1 })
  },
  'a claim given away': (tx, index) => {
    const [key, claim] = at<BlockClaim>(tx, 'claim/', index)
    tx.put(key, { ...claim, node: claim.node === 'n1' ? 'n2' : 'n1' })
  },
  'a first block more or less': (tx, index) => {
    const [key, claim] = at<BlockClaim>(tx, 'claim/', index)
    tx.put(key, { ...claim, first: !claim.first })
  },
  'a claim of another pool': (tx, index) => {
    const [key, claim] = at<BlockClaim>(tx, 'claim/', index)
    tx.put(key, { ...claim, pool: '10.9.0.0/24' as BlockClaim['pool'] })
  },
  'a claim over others': (tx, index) => {
    // The lowest block, so that it still begins where its prefix does.
    const [key, claim] = at<BlockClaim>(tx, `claim/pods/${index % 2 === 0 ? 6 : 4}/`, 0)
    const cidr = claim.cidr.replace('/30', '/28').replace('/126', '/124') as BlockClaim['cidr']
    tx.put(key, { ...claim, cidr })
  },
  'another number': (tx, index) => {
    const [key, address] = at<AddressRecord>(tx, 'address/', index)
    tx.put(key, { ...address, sequence: address.sequence + 1 })
  },
  'another holder': (tx, index) => {
    const [key, address] = at<AddressRecord>(tx, 'address/', index)
    tx.put(key, { ...address, containerId: 'stranger' })
  },
  'an address in another block': (tx, index) => {
    const [key, address] = at<AddressRecord>(tx, 'address/', index)
    const [, other] = at<BlockClaim>(tx, 'claim/', index)
    tx.put(key, { ...address, block: other.cidr })
  },
  'an address listed twice': (tx, index) => {
    const [key, one] = at<AttachmentRecord>(tx, 'attachment/', index)
    const [, other] = at<AttachmentRecord>(tx, 'attachment/', index + 1)
    tx.put(key, { ...one, ips: [...one.ips, ...other.ips] })
  },
  'a tunnel endpoint for a pod': (tx, index) => {
    const [key, one] = at<AttachmentRecord>(tx, 'attachment/n1/', index)
    const ip = '10.1.0.0' as Ip
    tx.put(key, { ...one, ips: [...one.ips, ip] })
    const { network, containerId, ifname, sequence } = one
    const block = '10.1.0.0/30' as AddressRecord['block']
    tx.put(keys.address('pods', ip), { network, containerId, ifname, sequence, ip, block })
    const use = tx.get(keys.use('n1', 'pods', block))
    if (use !== undefined) tx.put(keys.use('n1', 'pods', block), { ...use, used: use.used + 1 })
  },
}
