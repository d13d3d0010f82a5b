/**
 * A segment that pods share with strangers (VLAN mode): who else has a pod's
 * address, and that the pod has it now.
 *
 * @module
 */
import { setTimeout as pause } from 'node:timers/promises'
import * as live from 'netlink-ts/live'
import { blockOf } from '../../../ipam/blocks.ts'
import { takenByOther } from '../../../ipam/cooling.ts'
import { keys } from '../../../ipam/keys.ts'
import { hasReservations, reservationOf } from '../../../ipam/reservations.ts'
import { podMac } from '../../backend/routed-pod.ts'
import type { CniRequest } from '../../cni/mod.ts'
import { TriviumError } from '../../errors.ts'
import {
  ARP_ETHER_TYPE,
  advertisementFrame,
  arpFrame,
  claimant,
  containsIp,
  IPV6_ETHER_TYPE,
  type Ip,
  type IpFamily,
  ipFamily,
  type Mac,
  neighbourWith,
  parseArp,
  parseNdp,
  solicitationFrame,
} from '../../net/mod.ts'
import type { PodNetns } from '../netns.ts'
import { transact } from '../transact.ts'
import type { Allocated } from './allocate.ts'
import type { CniHost } from './host.ts'

/**
 * RFC 5227 section 1.1 wants three probes within two seconds and two more of waiting, RFC 4862
 * one within a second and one more of waiting, which no runtime grants an ADD: two, a tenth of a
 * second apart, and as long again to answer.
 */
const PROBES = 2
const PROBE_MS = 100
const LOOK_MS = 10
/** Read at one look: a busy segment waits for the next. */
const FRAMES_MAX = 1000

/** How a family asks and tells. */
interface Words {
  readonly etherType: number
  ask(mac: Mac, ip: Ip): Uint8Array
  tell(mac: Mac, ip: Ip): Uint8Array
  /** Who else has the address, by a frame from anybody. */
  other(frame: Uint8Array, ip: Ip, own: Mac): Mac | undefined
}

const WORDS: Readonly<Record<IpFamily, Words>> = {
  4: {
    etherType: ARP_ETHER_TYPE,
    ask: (senderMac, targetIp) =>
      arpFrame({ op: 'request', senderMac, senderIp: undefined, targetIp }),
    tell: (senderMac, ip) => arpFrame({ op: 'request', senderMac, senderIp: ip, targetIp: ip }),
    other(frame, ip, own) {
      const arp = parseArp(frame)
      return arp && claimant(arp, ip, own)
    },
  },
  6: {
    etherType: IPV6_ETHER_TYPE,
    ask: solicitationFrame,
    tell: advertisementFrame,
    other(frame, ip, own) {
      const ndp = parseNdp(frame)
      return ndp && neighbourWith(ndp, ip, own)
    },
  },
}

/** Somebody else has the address; another may do. */
export class TakenOnWire extends TriviumError {
  readonly ip: Ip
  readonly mac: Mac
  /** The pod may have no other. */
  isReserved = false
  /** That of the other family, taken as well. */
  also: TakenOnWire | undefined

  constructor(ip: Ip, mac: Mac) {
    const found = `${mac} answers for it on the segment`
    const hint =
      'Keep the address from pods (trivium ipam reserve ADDRESS/32), or take it from that machine'
    super('CONFLICT', `Cannot use address ${ip}: ${found}, wanted nobody`, hint)
    this.ip = ip
    this.mac = mac
  }
}

/** A pod's end of its link, which is up. */
export interface SegmentPort {
  readonly netnsFd: number
  readonly ifname: string
  readonly mac: Mac
}

const open = ({ netnsFd, ifname }: SegmentPort, { etherType }: Words): live.PacketSocket =>
  live.inNetns(netnsFd, () => live.openPacketSocket(ifname, etherType))

/** Asks for 200 ms whether anybody else has the address. @throws {TakenOnWire} */
export async function probe(port: SegmentPort, ip: Ip): Promise<void> {
  const words = WORDS[ipFamily(ip)]
  const socket = open(port, words)
  try {
    const asking = words.ask(port.mac, ip)
    for (let sent = 0; sent < PROBES; sent++) {
      socket.send(asking)
      for (const end = performance.now() + PROBE_MS; performance.now() < end; ) {
        await pause(LOOK_MS)
        const mac = heard(socket, words, ip, port.mac)
        if (mac !== undefined) throw new TakenOnWire(ip, mac)
      }
    }
  } finally {
    socket.close()
  }
}

function heard(socket: live.PacketSocket, words: Words, ip: Ip, own: Mac): Mac | undefined {
  for (let count = 0; count < FRAMES_MAX; count++) {
    const frame = socket.receive()
    if (frame === undefined) return undefined
    const mac = words.other(frame, ip, own)
    if (mac !== undefined) return mac
  }
  return undefined
}

/** Tells switches and neighbours where the address is now (RFC 5227 section 2.3, RFC 4861 section 7.2.6). */
export function announce(port: SegmentPort, ip: Ip): void {
  const words = WORDS[ipFamily(ip)]
  const socket = open(port, words)
  try {
    socket.send(words.tell(port.mac, ip))
  } finally {
    socket.close()
  }
}

/** What an ADD does on the segment; undefined where the pod's link is on none. */
export function segmentOf(
  { ifname }: CniRequest,
  { attachment, network }: Allocated,
  netns: PodNetns,
): { readonly probe: () => Promise<void>; readonly announce: () => void } | undefined {
  if (network.mode !== 'vlan') return undefined
  const port = { netnsFd: netns.fd, ifname, mac: podMac(attachment) }
  const { ips } = attachment
  return {
    async probe() {
      if (network.options.conflictProbe !== true) return
      // Both families at once.
      const asked = await Promise.allSettled(ips.map((ip) => probe(port, ip)))
      const [first, second] = asked.flatMap((each) =>
        each.status === 'rejected' ? [each.reason] : [],
      )
      if (first instanceof TakenOnWire && second instanceof TakenOnWire) first.also = second
      if (first !== undefined) throw first
    },
    announce() {
      try {
        for (const ip of ips) announce(port, ip)
      } catch {
        // Without the right to send frames: switches hear of it with the pod's first packet.
      }
    },
  }
}

/** The address rests as one that was given up, and `ipam why` tells who has it. */
export async function setAside(
  taken: TakenOnWire,
  { config }: CniRequest,
  { store, nodeName }: CniHost,
): Promise<void> {
  const { ip, mac } = taken
  await transact(store, (tx) => {
    const network = tx.get(keys.network(config.name))
    const pool = network?.pools.find(({ cidr }) => containsIp(cidr, ip))
    if (network === undefined || pool === undefined) return
    if (hasReservations(tx, network) && reservationOf(tx, network, ip) !== undefined) {
      taken.isReserved = true
    }
    const key = keys.use(nodeName, network.name, blockOf(pool, ip))
    const use = tx.get(key)
    if (use === undefined || tx.get(keys.address(network.name, ip)) !== undefined) return
    tx.put(key, takenByOther(network, use, ip, mac, Date.now()))
  })
}
