/**
 * Who answers ARP for an address, from anywhere on a segment.
 *
 * @module
 */
import { closeSync } from 'node:fs'
import { ARP_ETHER_TYPE, arpFrame, type Ip, type Mac, parseArp } from '../../src/net/mod.ts'
import { inNetns, openNetns, openPacketSocket, warmPool } from '../../src/netlink-ts/live/mod.ts'
import { ipJson, settle } from './e2e.ts'

/** Questions: who answers the last has answered the ones before, so whoever else answers is in. */
const ASKED = 3

/** MACs that say that they have the address. */
export async function arpAnswers(
  netns: string,
  link: string,
  address: string,
): Promise<readonly string[]> {
  const [own] = await ipJson(netns, 'addr', 'show', link)
  const senderMac = String(own?.['address']) as Mac
  const [first] = (own?.['addr_info'] ?? []) as { local: string }[]
  const senderIp = first?.local as Ip | undefined
  await warmPool()
  const fd = openNetns(`/run/netns/${netns}`)
  const socket = inNetns(fd, () => openPacketSocket(link, ARP_ETHER_TYPE))
  closeSync(fd)
  const macs = new Set<string>()
  let answers = 0
  const hear = (): void => {
    for (let frame = socket.receive(); frame !== undefined; frame = socket.receive()) {
      const arp = parseArp(frame)
      if (arp?.op !== 'reply' || arp.senderIp !== address) continue
      macs.add(arp.senderMac)
      answers += 1
    }
  }
  try {
    for (let asked = 0; asked < ASKED; asked++) {
      const wanted = answers + 1
      socket.send(arpFrame({ op: 'request', senderMac, senderIp, targetIp: address as Ip }))
      await settle(() => {
        hear()
        return answers < wanted ? ['no answer'] : []
      }, 3000)
    }
    return [...macs].sort()
  } finally {
    socket.close()
  }
}
