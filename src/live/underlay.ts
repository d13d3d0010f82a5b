/**
 * The node as its underlay link shows it now.
 *
 * @module
 */
import { release } from 'node:os'
import * as nl from 'netlink-ts'
import { NetlinkSocket } from 'netlink-ts/live'
import type { NodeRecord } from '../../ipam/records.ts'
import { TriviumError } from '../errors.ts'
import { uplinkOfAlias } from '../kernel/take-over/plan.ts'
import { type Ip, ipFamily, macFromName, prefixOf } from '../net/mod.ts'

export interface Underlay {
  /**
   * Reads addresses and MTU of the link: the first global one of each family. In
   * pool threads, because whoever holds the kernel's lock may hold it for long.
   *
   * @throws {TriviumError} BAD_CONFIG when the link is missing or has no address.
   */
  read(nowMs: number): Promise<NodeRecord>
  close(): void
}

/** The link of that name in the namespace of this process. */
export function openUnderlay(node: string, linkName: string): Underlay {
  const socket = NetlinkSocket.open()
  return {
    read: (nowMs) => readUnderlay(socket, node, linkName, nowMs),
    close: () => socket.close(),
  }
}

/** The bridge that has taken the link over: addresses and routes are there. */
async function bridgeAbove(
  socket: NetlinkSocket,
  { name, master }: nl.Link,
): Promise<nl.Link | undefined> {
  if (master === undefined) return undefined
  const above = await socket.getAsync(nl.link.get({ index: master }))
  return above !== undefined && uplinkOfAlias(above.alias) === name ? above : undefined
}

async function readUnderlay(
  socket: NetlinkSocket,
  node: string,
  linkName: string,
  nowMs: number,
): Promise<NodeRecord> {
  const named = await socket.getAsync(nl.link.get({ name: linkName }))
  const link = named && ((await bridgeAbove(socket, named)) ?? named)
  if (named === undefined || link === undefined) {
    const names = (await socket.dumpAsync(nl.link.list())).map(({ name }) => name)
    throw new TriviumError(
      'BAD_CONFIG',
      `Cannot use underlay ${linkName}: no such link, this node has ${names.join(', ')}`,
      'Name the one to other nodes: trivium agent --underlay NAME',
    )
  }
  const all = await socket.dumpAsync(nl.addr.list())
  const own = all.filter(({ index, scope }) => index === link.index && scope === 'global')
  const first = ([4, 6] as const).flatMap((family) => {
    const found = own.find(({ address }) => ipFamily(address as Ip) === family)
    return found === undefined ? [] : [found]
  })
  const ips = first.map(({ address }) => address as Ip)
  if (ips.length === 0) {
    throw new TriviumError(
      'BAD_CONFIG',
      `Cannot use underlay ${linkName}: it has no address, wanted one that other nodes reach`,
      'Give it one first, or take another link: trivium agent --underlay NAME',
    )
  }
  return {
    name: node,
    underlayLink: link.name,
    ...(link !== named && { uplinkPort: named.name }),
    underlayIps: ips,
    underlayMtuBytes: link.mtu,
    underlayPrefixes: first.map(({ address, prefixLength }) =>
      prefixOf(address as Ip, prefixLength),
    ),
    kernelRelease: release(),
    vtepMac: macFromName(node),
    registeredMs: nowMs,
  }
}
