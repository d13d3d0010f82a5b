/**
 * Frames that a pod must not send on a segment, those that it may, and how they are sent
 * as any pod with NET_RAW can.
 *
 * @module
 */
import type { Test } from 'tap'
import type { Ip, Mac } from '../../src/net/mod.ts'
import {
  advertisement,
  announcement,
  behindOptions,
  datagram,
  ethernet,
  type FrameEar,
  marked,
  socketIn,
  tagged,
} from './frames.ts'

export const GATEWAY = ['10.60.0.254', 'fd60::fe'] as unknown as readonly [Ip, Ip]
const OTHER_MAC = '02:00:00:00:00:99' as Mac

/** What it must not send, and what the sender tells the kernel that it is. */
export function foreignFrames(
  mac: Mac,
  four: Ip,
  six: Ip,
): Readonly<Record<string, readonly [frame: Uint8Array, taken?: number]>> {
  const local = linkLocal(mac)
  const routerAdvert = advertisement(mac, local, six)
  routerAdvert[54] = 134
  const redirect = advertisement(mac, local, six)
  redirect[54] = 137
  return {
    'another MAC': [datagram(OTHER_MAC, four, GATEWAY[0])],
    'IPv4 as gateway': [datagram(mac, GATEWAY[0], four)],
    'IPv6 as gateway': [datagram(mac, GATEWAY[1], six)],
    'IPv6 as its fe80::1': [datagram(mac, 'fe80::1' as Ip, six)],
    'ARP as gateway': [announcement(mac, GATEWAY[0])],
    'ARP, other MAC in it': [withArpMac(announcement(mac, four), OTHER_MAC)],
    'ND as gateway': [advertisement(mac, GATEWAY[1], GATEWAY[1])],
    'ND of gateway': [advertisement(mac, six, GATEWAY[1])],
    'ND of fe80::1': [advertisement(mac, local, 'fe80::1' as Ip)],
    'ND behind options': [behindOptions(advertisement(mac, six, GATEWAY[1]))],
    'ND taken for IPv4': [advertisement(mac, six, GATEWAY[1]), 0x0800],
    'IPv4 taken for ARP': [datagram(mac, GATEWAY[0], four), 0x0806],
    'a router': [routerAdvert],
    'a redirect': [redirect],
    'a VLAN tag': [tagged(datagram(mac, four, GATEWAY[0]), 7)],
    'tag taken for IPv4': [tagged(datagram(mac, four, GATEWAY[0]), 7), 0x0800],
    'another protocol': [ethernet(mac, 0x88cc, [0, 0])],
  }
}

export function ownFrames(mac: Mac, four: Ip, six: Ip): Readonly<Record<string, Uint8Array>> {
  const local = linkLocal(mac)
  return {
    'own IPv4': datagram(mac, four, GATEWAY[0]),
    'own IPv6': datagram(mac, six, GATEWAY[1]),
    'own fe80': datagram(mac, local, six),
    'own ARP': announcement(mac, four),
    'own probe': withArpSender(announcement(mac, four)),
    'own ND': advertisement(mac, six, six),
    'own ND of fe80': advertisement(mac, local, local),
  }
}

/** As the kernel takes it when it is not lied to; the type that a liar says. */
export async function inject(
  netns: string,
  frame: Uint8Array,
  mark: string,
  taken?: number,
): Promise<void> {
  const type = taken ?? ((frame[12] ?? 0) << 8) + (frame[13] ?? 0)
  const socket = await socketIn(netns, 'eth0', type)
  try {
    socket.send(marked(frame, mark))
  } catch (thrown) {
    // How the kernel says that a rule has dropped it.
    if ((thrown as { code?: string }).code !== 'ENOBUFS') throw thrown
  } finally {
    socket.close()
  }
}

function linkLocal(mac: Mac): Ip {
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = mac
    .split(':')
    .map((x) => Number.parseInt(x, 16))
  const words = [((a ^ 2) << 8) | b, (c << 8) | 0xff, 0xfe00 | d, (e << 8) | f]
  return `fe80::${words.map((word) => word.toString(16)).join(':')}` as Ip
}

function withArpMac(frame: Uint8Array, mac: Mac): Uint8Array {
  const changed = Uint8Array.from(frame)
  changed.set(
    mac.split(':').map((x) => Number.parseInt(x, 16)),
    22,
  )
  return changed
}

function withArpSender(frame: Uint8Array): Uint8Array {
  const changed = Uint8Array.from(frame)
  changed.fill(0, 28, 32)
  return changed
}

/** What a pod sends, and who listens on the segment. */
export interface Spoofing {
  /** In the pod's namespace. */
  readonly netns: string
  readonly foreign: ReturnType<typeof foreignFrames>
  readonly own: ReturnType<typeof ownFrames>
  readonly ear: FrameEar
}

/** The pod is guarded. */
export async function ownAlone(t: Test, { netns, foreign, own, ear }: Spoofing): Promise<void> {
  for (const [mark, [frame, taken]] of Object.entries(foreign)) {
    await inject(netns, frame, mark, taken)
  }
  // In order: what else had a way out has arrived before.
  for (const [mark, frame] of Object.entries(own)) {
    await inject(netns, frame, mark)
    t.ok(await ear.hears(mark), mark)
  }
  t.strictSame([...ear.heard()].sort(), Object.keys(own).sort())
}

/** Nothing guards it: what shows that the frames would arrive. */
export async function allHeard(t: Test, { netns, foreign, ear }: Spoofing): Promise<void> {
  for (const [mark, [frame, taken]] of Object.entries(foreign)) {
    await inject(netns, frame, mark, taken)
    t.ok(await ear.hears(mark), `${mark} is heard`)
  }
}
