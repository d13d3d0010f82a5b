/**
 * A pod on a macvlan sends as itself only: frames that it injects, as any pod with
 * NET_RAW can, are listened for by a machine of the segment.
 */
import t from 'tap'
import { inNetns, must } from '../../src/lab/exec.ts'
import { createLab, type LabNode } from '../../src/lab/lab.ts'
import type { Ip, Mac } from '../../src/net/mod.ts'
import { addedInTime, builtCli, errorOf, ipsOf, skip } from '../support/e2e.ts'
import {
  advertisement,
  announcement,
  behindOptions,
  datagram,
  ethernet,
  frameEar,
  marked,
  socketIn,
  tagged,
} from '../support/frames.ts'

const GATEWAY = ['10.60.0.254', 'fd60::fe'] as unknown as readonly [Ip, Ip]
const OTHER_MAC = '02:00:00:00:00:99' as Mac

/** What it must not send, and what the sender tells the kernel that it is. */
function foreignFrames(
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

function ownFrames(mac: Mac, four: Ip, six: Ip): Readonly<Record<string, Uint8Array>> {
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

t.test('frames of a pod on a macvlan', { skip, timeout: 120_000 }, async (t) => {
  const lab = await createLab({ nodes: 1, trivium: builtCli(), underlayMtuBytes: 1500 })
  t.teardown(() => lab.destroy())
  const node = lab.nodes[0] as LabNode
  const flags = ['--mode', 'vlan', '--vlan', '0', '--attachment', 'macvlan']
  const pools = [
    '--pool',
    '10.60.0.0/24,gateway=10.60.0.254',
    '--pool',
    'fd60::/112,gateway=fd60::fe',
  ]
  await lab.install(node, '--name', 'pods', ...flags, ...pools)
  await lab.startAgent(node)
  const machine = await lab.addHost()
  const pod = await lab.addPod(node)
  const result = await addedInTime(lab, pod)
  const [four, six] = ipsOf(result) as unknown as readonly [Ip, Ip]
  const mac = result.interfaces[0]?.mac as Mac
  const ear = await frameEar(machine.netns, 'eth0')
  t.teardown(() => ear.close())

  /** As the kernel takes it when it is not lied to; the type that a liar says. */
  const send = async (frame: Uint8Array, mark: string, taken?: number): Promise<void> => {
    const type = taken ?? ((frame[12] ?? 0) << 8) + (frame[13] ?? 0)
    const socket = await socketIn(pod.netns, 'eth0', type)
    try {
      socket.send(marked(frame, mark))
    } catch (thrown) {
      // How the kernel says that a rule has dropped it.
      if ((thrown as { code?: string }).code !== 'ENOBUFS') throw thrown
    } finally {
      socket.close()
    }
  }
  const [foreign, own] = [foreignFrames(mac, four, six), ownFrames(mac, four, six)]

  await t.test('its own arrive, no other does', async (t) => {
    for (const [mark, [frame, taken]] of Object.entries(foreign)) await send(frame, mark, taken)
    // In order: what else had a way out has arrived before.
    for (const [mark, frame] of Object.entries(own)) {
      await send(frame, mark)
      t.ok(await ear.hears(mark), mark)
    }
    t.strictSame([...ear.heard()].sort(), Object.keys(own).sort())
  })

  await t.test('the same without the guard, of which CHECK tells', async (t) => {
    const asked = { prevResult: result }
    t.equal((await lab.cni('CHECK', pod, asked)).status, 0)
    const rules = await must(inNetns(pod.netns, ['nft', 'list', 'table', 'netdev', 'trivium-eth0']))
    t.match(rules, /hook egress device "eth0" priority .*; policy drop;/)
    await must(inNetns(pod.netns, ['nft', 'flush', 'chain', 'netdev', 'trivium-eth0', 'leaving']))
    t.match(errorOf(await lab.cni('CHECK', pod, asked)), { code: 103, msg: /its rules are others/ })
    await must(inNetns(pod.netns, ['nft', 'delete', 'table', 'netdev', 'trivium-eth0']))
    t.match(errorOf(await lab.cni('CHECK', pod, asked)), { code: 103, msg: /it is missing/ })
    for (const [mark, [frame, taken]] of Object.entries(foreign)) {
      await send(frame, mark, taken)
      t.ok(await ear.hears(mark), `${mark} is heard`)
    }
  })

  await t.test('DEL takes it along', async (t) => {
    t.equal((await lab.cni('DEL', pod)).status, 0)
    const again = await addedInTime(lab, pod)
    t.equal((await lab.cni('CHECK', pod, { prevResult: again })).status, 0)
    t.equal((await lab.cni('DEL', pod)).status, 0)
    t.equal(await must(inNetns(pod.netns, ['nft', 'list', 'tables'])), '')
  })
})

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
