/**
 * Packets to addresses of static summaries that no block has: they must end at
 * the switch of the rack whose summary it is, not come back and go round.
 *
 * @module
 */
import { keys } from '../../ipam/keys.ts'
import {
  addressAt,
  containsIp,
  type Ip,
  ipFamily,
  type Prefix,
  prefixOf,
  prefixSize,
} from '../../src/net/mod.ts'
import type { Fabric } from '../fabric.ts'
import type { SwitchDevice } from '../fabric-device.ts'
import type { Cluster } from '../world.ts'

/** As the time to live of a packet. */
const HOPS_MAX = 64

export interface UnusedAddresses {
  readonly sent: number
  /** Ended at the switch of their rack; the others before, by a failure or for want of room. */
  readonly discarded: number
  /** Went round, or to another rack. */
  readonly findings: readonly string[]
}

/** One packet for each summary, from the next rack and from the last device. */
export function checkUnusedAddresses({ fabric, store, networks }: Cluster): UnusedAddresses {
  const blocks = store.read((reader) =>
    networks.flatMap((name) => [...reader.range(keys.claims(name))].map(([, { cidr }]) => cidr)),
  )
  const { devices, shares } = fabric
  const racks = devices.filter(({ rack }) => rack !== -1).length
  const packets = shares.flatMap(({ rack, prefix }) => {
    const dst = unusedIn(prefix, blocks)
    const from = [fabric.tor((rack + 1) % racks), devices.at(-1)]
    return dst === undefined ? [] : from.flatMap((device) => (device ? [{ device, dst }] : []))
  })
  const ends = packets.map(({ device, dst }) => endOf(fabric, device, dst))
  return {
    sent: ends.length,
    discarded: ends.filter((end) => end === 'discarded').length,
    findings: ends.flatMap((end) => (typeof end === 'object' ? [end.fault] : [])),
  }
}

/** The last address that is in no block. */
function unusedIn(prefix: Prefix, blocks: readonly Prefix[]): Ip | undefined {
  const own = blocks.filter((block) => containsIp(prefix, block.slice(0, block.indexOf('/')) as Ip))
  let offset = prefixSize(prefix) - 1n
  // Each block that is met is left behind: at most as many turns as there are blocks.
  while (offset >= 0n) {
    const ip = addressAt(prefix, offset)
    const block = own.find((each) => containsIp(each, ip))
    if (block === undefined) return ip
    offset -= prefixSize(block)
  }
  return undefined
}

type End = 'discarded' | 'lost' | { readonly fault: string }

/** Where a packet ends that every device sends by the longest prefix that it holds. */
function endOf(fabric: Fabric, from: SwitchDevice, dst: Ip): End {
  const { devices, paths, prefixLengths, shares } = fabric
  const lengths = [...prefixLengths[ipFamily(dst)]].sort((a, b) => b - a)
  const name = from.name
  let device: SwitchDevice | undefined = from
  for (let hop = 0; hop < HOPS_MAX && device !== undefined; hop++) {
    const here: SwitchDevice = device
    if (!paths.isUp(here.index)) return 'lost'
    const length = lengths.find((each) => holds(here, dst, each))
    if (length === undefined) return 'lost'
    const entry = prefixOf(dst, length)
    const share = shares.find(({ prefix }) => prefix === entry)
    if (share === undefined) return { fault: `${here.name} has ${entry} for the unused ${dst}` }
    if (here.rack === share.rack) return 'discarded'
    const step = fabric.step(here, dst, share.rack, 0)
    if (step.kind === 'stuck') return 'lost'
    device = devices[step.device]
  }
  return { fault: `a packet from ${name} to the unused ${dst} goes round` }
}

function holds(device: SwitchDevice, dst: Ip, length: number): boolean {
  const state = device.ask(dst, length)
  return state === 'taken' || state === 'software'
}
