/**
 * What this node's kernel says of its pods.
 *
 * @module
 */
import * as nl from 'netlink-ts'
import { NetlinkSocket } from 'netlink-ts/live'
import {
  isPodLinkName,
  type Living,
  type LivingLink,
  livingIn,
  type PodEnd,
  podAliasNetwork,
} from '../kernel/mod.ts'
import { getOrNot } from '../kernel/netlink-read.ts'
import type { Ip, Mac } from '../net/mod.ts'
import type { LiveKernel } from './kernel.ts'

/** In the namespace of `netnsFd`, or the process's own; `kernel` is of the same. */
export function livingHere(kernel: LiveKernel, netnsFd?: number): Living {
  const { pods, unnamed, ...rest } = livingIn(kernel.state(), podEnds(netnsFd))
  const [named, nameless] = onMacvlans(kernel)
  return { ...rest, pods: [...pods, ...named], unnamed: [...unnamed, ...nameless] }
}

/** Pods whose links are macvlans, and those of our links that do not say whose they are. */
function onMacvlans({ macvlans }: LiveKernel): readonly [readonly LivingLink[], readonly string[]] {
  const pods: LivingLink[] = []
  const unnamed: string[] = []
  for (const link of macvlans.allNow()) {
    const { owner, mac, alias, name, nsid } = link
    if (podAliasNetwork(alias) === undefined) continue // another plugin's
    const ips = macvlans.ipsOf(link)
    // Without addresses it is what a crash left of an ADD.
    if (owner === undefined) unnamed.push(`${name} in the namespace of id ${nsid}`)
    else if (ips.length > 0) {
      pods.push({ ...owner, macvlan: true, ips, ...(mac === undefined ? {} : { mac }) })
    }
  }
  return [pods, unnamed]
}

/**
 * The other ends of our pairs, by host link; asked of the pod's namespace by its
 * number (IFLA_TARGET_NETNSID, IFA_TARGET_NETNSID), without entering it.
 */
function podEnds(netnsFd: number | undefined): ReadonlyMap<string, PodEnd> {
  const ends = new Map<string, PodEnd>()
  const socket = NetlinkSocket.open({ netnsFd })
  try {
    for (const link of socket.dump(nl.link.list())) {
      const end = isPodLinkName(link.name) ? podEnd(socket, link) : undefined
      if (end !== undefined) ends.set(link.name, end)
    }
    return ends
  } finally {
    socket.close()
  }
}

function podEnd(
  socket: NetlinkSocket,
  { link: index, linkNetnsId, master }: nl.Link,
): PodEnd | undefined {
  if (index === undefined || linkNetnsId === undefined) return undefined
  const place = { targetNetnsId: linkNetnsId }
  const mac = getOrNot(() => socket.get(nl.link.get({ index }, place)))?.mac
  const addresses = master === undefined ? [] : socket.dump(nl.addr.list({ index, ...place }))
  const ips = addresses
    .filter(({ scope }) => scope === 'global')
    .map(({ address }) => address as Ip)
  return { ips, ...(mac === undefined ? {} : { mac: mac as Mac }) }
}
