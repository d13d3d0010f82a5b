/**
 * Who had which address when.
 *
 * A release writes one record an address, into a ring of its block: the holder
 * of now stands in the attachment, so ADD writes nothing for it. The place in
 * the ring is counted in the block's record; nothing is read to write it, and a
 * block never has more than HISTORY_MAX records.
 *
 * @module
 */
import { containsIp, type Ip, type Prefix } from '../src/net/mod.ts'
import { mayMention } from './attachment-words.ts'
import { blockOf } from './blocks.ts'
import { keys } from './keys.ts'
import type {
  AddressRecord,
  AttachmentRecord,
  BlockUse,
  HistoryRecord,
  NetworkRecord,
  PodName,
} from './records.ts'
import { isPod } from './reservations.ts'
import { type Key, type Reader, type Tx, texts } from './store.ts'

/** Releases that a block remembers: twice its addresses, for a block of 64. */
export const HISTORY_MAX = 128

/** Remembers a release; the block's record afterwards, which the caller writes. */
export function remember(
  tx: Tx,
  use: BlockUse,
  attachment: AttachmentRecord,
  { ip }: AddressRecord,
  toMs: number,
): BlockUse {
  const { network, containerId, ifname, node, pod, addedMs } = attachment
  const released = use.released ?? placeAfter(tx, network, use.cidr)
  tx.put(keys.historySlot(network, use.cidr, released % HISTORY_MAX), {
    ip,
    network,
    node,
    containerId,
    ifname,
    ...(pod === undefined ? {} : { pod }),
    fromMs: addedMs,
    toMs,
  })
  return { ...use, released: released + 1 }
}

/** Where the ring of a block goes on that had another owner before. Once for each claim. */
function placeAfter(reader: Reader, network: string, cidr: Prefix): number {
  const past = [...reader.range(keys.blockHistory(network, cidr))].map(([, { toMs }]) => toMs)
  return past.length < HISTORY_MAX ? past.length : past.lastIndexOf(Math.max(...past)) + 1
}

/** Records in no ring of a block of their network: nobody looks for them there. */
export function* misplacedHistory(
  reader: Reader,
  networks: ReadonlyMap<string, NetworkRecord>,
): Generator<readonly [Key<HistoryRecord>, { readonly network: string }]> {
  for (const [key, { ip }] of reader.range(keys.allHistory)) {
    const [, network = '', , , text = ''] = key.split('/')
    const pool = networks.get(network)?.pools.find(({ cidr }) => containsIp(cidr, ip))
    const place = Number(text)
    const right =
      pool !== undefined &&
      place < HISTORY_MAX &&
      keys.historySlot(network, blockOf(pool, ip), place) === key
    if (!right) yield [key, { network }]
  }
}

/** Whose past is asked for; `atMs`: only who had it then. */
export type HistoryQuestion = { readonly atMs?: number } & (
  | { readonly ip: Ip }
  | { readonly pod: PodName }
)

/** A holder of the past, or of now: then without `toMs`. */
export type Holding = Omit<HistoryRecord, 'toMs'> & { readonly toMs?: number }

/**
 * Who had the address, or what the pod had, oldest first. For a pod: reads all
 * that is remembered of every network.
 */
export function historyOf(reader: Reader, question: HistoryQuestion): readonly Holding[] {
  const found: Holding[] = []
  for (const [, network] of reader.range(keys.networks)) {
    found.push(
      ...('ip' in question
        ? ofAddress(reader, network, question.ip)
        : ofPod(reader, network, question.pod)),
    )
  }
  const { atMs } = question
  return found
    .filter(
      ({ fromMs, toMs }) =>
        atMs === undefined || (fromMs <= atMs && (toMs === undefined || atMs < toMs)),
    )
    .sort((a, b) => a.fromMs - b.fromMs || (a.toMs ?? Infinity) - (b.toMs ?? Infinity))
}

function ofAddress(reader: Reader, network: NetworkRecord, ip: Ip): readonly Holding[] {
  const pool = network.pools.find(({ cidr }) => containsIp(cidr, ip))
  if (pool === undefined) return []
  const block = blockOf(pool, ip)
  const past = [...reader.range(keys.blockHistory(network.name, block))].map(([, one]) => one)
  const address = reader.get(keys.address(network.name, ip))
  const node = reader.get(keys.claim(network.name, block))?.node
  const now =
    address === undefined || node === undefined
      ? undefined
      : reader.get(keys.attachment(node, address))
  return [...past.filter((one) => one.ip === ip), ...(now === undefined ? [] : [holding(now, ip)])]
}

function ofPod(reader: Reader, network: NetworkRecord, pod: PodName): readonly Holding[] {
  const found: Holding[] = []
  const mayBe = mayMention(pod)
  texts(reader, keys.networkHistory(network.name), (text) => {
    if (!mayBe(text)) return
    const one = JSON.parse(text) as HistoryRecord
    if (isPod(pod, one.pod)) found.push(one)
  })
  const nodes = new Set([...reader.range(keys.claims(network.name))].map(([, { node }]) => node))
  for (const node of nodes) {
    texts(reader, keys.networkAttachments(node, network.name), (text) => {
      if (!mayBe(text)) return
      const one = JSON.parse(text) as AttachmentRecord
      if (isPod(pod, one.pod)) found.push(...one.ips.map((ip) => holding(one, ip)))
    })
  }
  return found
}

function holding(attachment: AttachmentRecord, ip: Ip): Holding {
  const { network, node, containerId, ifname, pod, addedMs } = attachment
  const who = pod === undefined ? {} : { pod }
  return { ip, network, node, containerId, ifname, ...who, fromMs: addedMs }
}
