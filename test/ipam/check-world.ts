/** A store with some life in it, to be spoilt. */
import {
  allocate,
  createNetwork,
  exclude,
  keys,
  parseNetworkSpec,
  release,
  reserve,
  type Tx,
} from '../../ipam/mod.ts'
import type {
  AddressRecord,
  AttachmentRecord,
  BlockClaim,
  BlockUse,
  HistoryRecord,
  NetworkRecord,
  PodIdentity,
  Reservation,
} from '../../ipam/records.ts'
import { type Ip, offsetIn, type Prefix } from '../../src/net/mod.ts'
import { type SmallStore, smallStore } from './small-store.ts'

export const NODES = ['n1', 'n2'] as const
export const BOOT = 'boot-1'

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

/** With reservations, of which one is in use, an excluded range, and a pod that ended. */
export function ruled(): SmallStore {
  const store = inhabited()
  store.run((tx) => {
    for (const [ip, name] of [
      ['10.1.0.6', 'kept'],
      ['10.1.0.18', 'later'],
      ['fd01::12', 'later'],
    ] as const) {
      const pod = { namespace: 'db', name }
      if (name === 'kept')
        release(tx, 'n2', { network: 'pods', containerId: 'n2c1', ifname: 'eth0' })
      reserve(tx, { network: 'pods', ip: ip as Ip, pod, nowMs: 2 })
    }
    exclude(tx, 'pods', '10.1.0.24/31' as Prefix)
    add(tx, 'n2', 'ended')
    release(tx, 'n2', { network: 'pods', containerId: 'ended', ifname: 'eth0' }, 3)
    add(tx, 'n2', 'kept', undefined, { namespace: 'db', name: 'kept', uid: 'u' })
  })
  return store
}

export function add(
  tx: Tx,
  node: string,
  containerId: string,
  requested?: readonly Ip[],
  pod?: PodIdentity,
): void {
  const answer = allocate(tx, {
    key: { network: 'pods', containerId, ifname: 'eth0' },
    node,
    netns: `/run/netns/${containerId}`,
    hostLink: `trv${containerId}`,
    mayClaim: true,
    nowMs: 1,
    bootId: BOOT,
    ...(requested === undefined ? {} : { requested }),
    ...(pod === undefined ? {} : { pod }),
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

/** As SPOILS, for what `ruled` has more. */
export const RULE_SPOILS: Readonly<Record<string, (tx: Tx, index: number) => void>> = {
  'a held address that rests': (tx, index) => {
    const [, { ip, block, network }] = at<AddressRecord>(tx, 'address/', index)
    for (const [key, use] of tx.range(keys.allUses)) {
      if (use.cidr !== block || !key.includes(`/${network}/`)) continue
      const offset = Number(offsetIn(block, ip))
      tx.put(key, { ...use, cooling: [...(use.cooling ?? []), { offset, sinceMs: 9 }] })
    }
  },
  'an address that rests twice': (tx, index) => {
    const [key, use] = at<BlockUse>(tx, 'use/', index)
    const { cooling = [] } = use
    tx.put(key, {
      ...use,
      cooling: [...cooling, { offset: 3, sinceMs: 8 }, { offset: 3, sinceMs: 9 }],
    })
  },
  'a place that no block has': (tx, index) => {
    const [key, use] = at<BlockUse>(tx, 'use/', index)
    tx.put(key, { ...use, cooling: [{ offset: 4, sinceMs: 9 }] })
  },
  'a reservation forgotten': (tx, index) => tx.remove(at(tx, 'reservation/', index)[0]),
  'a list of reservations forgotten': (tx, index) => tx.remove(at(tx, 'reserved-for/', index)[0]),
  'a list of reservations with a stranger': (tx, index) => {
    const [key, ips] = at<readonly Ip[]>(tx, 'reserved-for/', index)
    tx.put(key, [...ips, '10.1.0.29' as Ip])
  },
  'a reservation in another block': (tx, index) => {
    const [key, reservation] = at<Reservation>(tx, 'reservation/', index)
    tx.remove(key)
    tx.put(keys.reservation('pods', '10.1.0.8/30' as Prefix, reservation.ip), reservation)
  },
  'a reservation in no pool': (tx, index) => {
    const [key, reservation] = at<Reservation>(tx, 'reservation/', index)
    const ip = '10.9.0.9' as Ip
    tx.remove(key)
    tx.put(keys.reservation('pods', '10.9.0.8/30' as Prefix, ip), { ...reservation, ip })
  },
  'a reservation of what may become a tunnel endpoint': (tx) => {
    const ip = '10.1.0.20' as Ip
    const pod = { namespace: 'db', name: 'endpoint' }
    const [, model] = at<Reservation>(tx, 'reservation/', 0)
    tx.put(keys.reservation('pods', '10.1.0.20/30' as Prefix, ip), { ...model, ip, pod })
    tx.put(keys.reservedFor('pods', pod), [ip])
  },
  'a second reservation of a family': (tx, index) => {
    const [, model] = at<Reservation>(tx, 'reservation/', index)
    const ip = '10.1.0.22' as Ip
    const more = '10.1.0.23' as Ip
    const list = keys.reservedFor('pods', model.pod)
    for (const each of [ip, more]) {
      const key = keys.reservation('pods', '10.1.0.20/30' as Prefix, each)
      tx.put(key, { ...model, ip: each })
    }
    tx.put(list, [...new Set([...(tx.get(list) ?? []), ip, more])])
  },
  "a reservation of another's address": (tx, index) => {
    const [, { ip, block }] = at<AddressRecord>(tx, 'address/', index)
    const pod = { namespace: 'db', name: 'thief' }
    const [, model] = at<Reservation>(tx, 'reservation/', 0)
    tx.put(keys.reservation('pods', block, ip), { ...model, ip, pod })
    tx.put(keys.reservedFor('pods', pod), [ip])
  },
  'an excluded range outside': (tx) => {
    const network = tx.get(keys.network('pods')) as NetworkRecord
    tx.put(keys.network('pods'), { ...network, exclusions: ['10.9.0.0/24' as Prefix] })
  },
  'a past in another block': (tx, index) => {
    const [key, past] = at<HistoryRecord>(tx, 'history/', index)
    tx.remove(key)
    tx.put(keys.historySlot('pods', '10.1.0.8/30' as Prefix, 0), past)
  },
  'a past beyond the ring': (tx, index) => {
    const [, past] = at<HistoryRecord>(tx, 'history/', index)
    tx.put(keys.historySlot('pods', '10.1.0.4/30' as Prefix, 128), past)
  },
}
