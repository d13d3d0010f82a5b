/**
 * Links and addresses of one namespace, followed by notifications.
 *
 * @module
 */
import * as nl from 'netlink-ts'
import type { NetlinkSocket } from 'netlink-ts/live'
import {
  containsIp,
  type Ip,
  type IpFamily,
  ipFamily,
  type Prefix,
  prefixLength,
  prefixOf,
} from '../../net/mod.ts'

interface Address {
  readonly index: number
  readonly ip: Ip
  /** Addresses that are on the link: those of its network, or the other end's. */
  readonly network: Prefix
}

export interface KernelLinks {
  /** Whether the link is there and up. */
  isUp(index: number): boolean
  /** Returns whether routes by the link are lost. */
  link(change: 'new' | 'del', link: nl.Link): boolean
  /** Returns the family whose last address on the link it was: the kernel drops its routes. */
  address(change: 'new' | 'del', addr: nl.Addr): IpFamily | undefined
  isOwn(ip: Ip): boolean
  /** The link that is up and has an address whose network holds `ip`; the longest one's. */
  linkOf(ip: Ip): number | undefined
}

/** Reads both tables; subscribe before. */
export function kernelLinks(socket: NetlinkSocket): KernelLinks {
  const up = new Map<number, boolean>()
  const addresses = new Map<string, Address>()
  const own = new Map<Ip, number>()

  const self: KernelLinks = {
    isUp: (index) => up.get(index) === true,
    link(change, { index, up: isUp }) {
      const wasUp = up.get(index) === true
      if (change === 'del') up.delete(index)
      else up.set(index, isUp)
      return wasUp && (change === 'del' || !isUp)
    },
    address(change, { index, address, prefixLength: length, peer }) {
      const ip = address as Ip
      const key = `${index} ${ip}/${length} ${peer ?? ''}`
      const before = addresses.has(key)
      if (change === 'new') {
        addresses.set(key, { index, ip, network: prefixOf((peer ?? ip) as Ip, length) })
      } else addresses.delete(key)
      const count = (own.get(ip) ?? 0) + Number(addresses.has(key)) - Number(before)
      if (count === 0) own.delete(ip)
      else own.set(ip, count)
      const family = ipFamily(ip)
      const isLeft = [...addresses.values()].some(
        (each) => each.index === index && ipFamily(each.ip) === family,
      )
      return change === 'del' && !isLeft ? family : undefined
    },
    isOwn: (ip) => own.has(ip),
    linkOf(ip) {
      let best: Address | undefined
      for (const each of addresses.values()) {
        if (up.get(each.index) !== true || !containsIp(each.network, ip)) continue
        if (best === undefined || prefixLength(each.network) > prefixLength(best.network))
          best = each
      }
      return best?.index
    },
  }
  for (const link of socket.dump(nl.link.list())) self.link('new', link)
  for (const addr of socket.dump(nl.addr.list())) self.address('new', addr)
  return self
}
