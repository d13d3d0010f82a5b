/**
 * Whether the next machines answer on a link: ARP and neighbour solicitation, by frames of our own.
 *
 * @module
 */
import { setTimeout as pause } from 'node:timers/promises'
import { openPacketSocket, type PacketSocket } from 'netlink-ts/live'
import {
  ARP_ETHER_TYPE,
  arpFrame,
  IPV6_ETHER_TYPE,
  type Ip,
  ipFamily,
  type Mac,
  parseArp,
  parseNdp,
  solicitationFrame,
} from '../../net/mod.ts'
import type { Gateway } from './observe.ts'

const ASK_MS = 200
const LOOK_MS = 5
/** Read at one look: a busy segment waits for the next. */
const FRAMES_MAX = 1000

/**
 * Asks until all have answered `times`, or time is up, or `isOver`.
 *
 * @returns those that have not.
 */
export async function silent(
  link: string,
  mac: Mac,
  gateways: readonly Gateway[],
  { ms, times = 1, isOver = () => false }: { ms: number; times?: number; isOver?: () => boolean },
): Promise<readonly Ip[]> {
  const answers = new Map(gateways.map(({ ip }) => [ip, 0]))
  const open = [ARP_ETHER_TYPE, IPV6_ETHER_TYPE].map((type) => openPacketSocket(link, type))
  const missing = (): readonly Gateway[] =>
    gateways.filter(({ ip }) => (answers.get(ip) ?? 0) < times)
  try {
    const end = performance.now() + ms
    while (missing().length > 0 && performance.now() < end && !isOver()) {
      for (const gateway of missing()) ask(open, mac, gateway)
      const heard = new Set<Ip>()
      const next = Math.min(end, performance.now() + ASK_MS)
      while (performance.now() < next && missing().some(({ ip }) => !heard.has(ip))) {
        await pause(LOOK_MS)
        for (const ip of answered(open)) {
          if (answers.has(ip) && !heard.has(ip)) answers.set(ip, (answers.get(ip) ?? 0) + 1)
          heard.add(ip)
        }
      }
      // One answer of many that are wanted: the next question is asked a moment later.
      if (times > 1) await pause(Math.max(0, Math.min(ASK_MS, next - performance.now())))
    }
  } finally {
    for (const socket of open) socket.close()
  }
  return missing().map(({ ip }) => ip)
}

function ask([arp, ndp]: readonly PacketSocket[], mac: Mac, { ip, from }: Gateway): void {
  const frame =
    ipFamily(ip) === 4
      ? arpFrame({ op: 'request', senderMac: mac, senderIp: from, targetIp: ip })
      : solicitationFrame(mac, ip)
  try {
    ;(ipFamily(ip) === 4 ? arp : ndp)?.send(frame)
  } catch {
    // The link is down: then nobody answers.
  }
}

function answered([arp, ndp]: readonly PacketSocket[]): readonly Ip[] {
  const found: Ip[] = []
  for (const frame of framesOf(arp)) {
    const reply = parseArp(frame)
    if (reply?.op === 'reply' && reply.senderIp !== undefined) found.push(reply.senderIp)
  }
  for (const frame of framesOf(ndp)) {
    const told = parseNdp(frame)
    if (told?.kind === 'advertisement') found.push(told.targetIp)
  }
  return found
}

function framesOf(socket: PacketSocket | undefined): readonly Uint8Array[] {
  const frames: Uint8Array[] = []
  for (let count = 0; count < FRAMES_MAX; count++) {
    try {
      const frame = socket?.receive()
      if (frame === undefined) break
      frames.push(frame)
    } catch {
      break
    }
  }
  return frames
}
