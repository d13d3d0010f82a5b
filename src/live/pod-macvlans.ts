/**
 * Pods' macvlans, from the node's namespace. All of such a link is in the pod's: the
 * node finds it again by the id that ADD gave to that namespace, which lives as long
 * as the namespace does, whatever becomes of its path.
 *
 * @module
 */
import * as nl from 'netlink-ts'
import type { NetlinkSocket } from 'netlink-ts/live'
import { type KernelFailure, podAliasOwner } from '../kernel/mod.ts'
import { getOrNot } from '../kernel/netlink-read.ts'
import type { Ip, Mac } from '../net/mod.ts'
import { failureOf } from './kernel-apply.ts'
import { waitElsewhere } from './patience.ts'

/** One link, as the node sees it. */
export interface PodMacvlan {
  /** The node's id of its namespace. */
  readonly nsid: number
  readonly index: number
  readonly name: string
  /** What it says whose it is; undefined: nothing, as one that a crash left. */
  readonly owner: ReturnType<typeof podAliasOwner>
  readonly alias?: string
  readonly mac?: Mac
}

export interface PodMacvlans {
  /** Gives the namespace an id, where it has none. @throws {NetlinkError} */
  know(netnsFd: number): void
  /** The id of a namespace; undefined where it has none. */
  idOf(netnsFd: number): number | undefined
  /** Those in one namespace; none where it has no id. */
  inNetns(netnsFd: number): readonly PodMacvlan[]
  /** Those of every namespace with an id, in a pool thread: 20 µs a namespace. */
  all(): Promise<readonly PodMacvlan[]>
  /** The same, now. */
  allNow(): readonly PodMacvlan[]
  /** Addresses of global scope that were given, not learnt from a router of the segment. */
  ipsOf(link: PodMacvlan): readonly Ip[]
  /** Waits until it is gone; gone already is fine. */
  remove(link: PodMacvlan): Promise<KernelFailure | undefined>
}

/** @param socket Of the node's namespace. */
export function podMacvlans(socket: NetlinkSocket): PodMacvlans {
  const nsidOf = (netnsFd: number): number | undefined =>
    getOrNot(() => socket.get(nl.nsid.get({ netnsFd })))
  const links = (nsid: number): nl.DumpRequest<nl.Link> =>
    nl.link.list({ kind: 'macvlan', targetNetnsId: nsid })

  function look(nsid: number): readonly PodMacvlan[] {
    // A namespace that goes away meanwhile has none.
    const found = getOrNot(() => socket.dump(links(nsid)))
    return (found ?? []).flatMap((link) => macvlanOf(nsid, link))
  }

  return {
    idOf: nsidOf,
    know(netnsFd) {
      if (nsidOf(netnsFd) !== undefined) return
      const [refused] = socket.execute([nl.nsid.add({ netnsFd })])
      if (refused !== undefined && refused.code !== 'EEXIST') throw refused
    },
    inNetns(netnsFd) {
      const nsid = nsidOf(netnsFd)
      return nsid === undefined ? [] : look(nsid)
    },
    async all() {
      const found: PodMacvlan[] = []
      for (const nsid of await socket.dumpAsync(nl.nsid.list())) {
        const rows = await socket.dumpAsync(links(nsid)).catch(() => [])
        found.push(...rows.flatMap((link) => macvlanOf(nsid, link)))
      }
      return found
    },
    allNow: () => socket.dump(nl.nsid.list()).flatMap(look),
    ipsOf: ({ nsid, index }) =>
      (getOrNot(() => socket.dump(nl.addr.list({ index, targetNetnsId: nsid }))) ?? [])
        .filter(({ scope, flags }) => scope === 'global' && flags.includes('permanent'))
        .map(({ address }) => address as Ip),
    async remove({ nsid, index }) {
      const request = nl.link.remove({ index }, { targetNetnsId: nsid })
      const [error] = await waitElsewhere(() => socket.executeAsync([request]))
      // EINVAL: the namespace itself is gone.
      const isGone = error === undefined || error.code === 'ENODEV' || error.code === 'EINVAL'
      return isGone ? undefined : failureOf(error)
    },
  }
}

function macvlanOf(nsid: number, link: nl.Link): readonly PodMacvlan[] {
  const { kind, index, name, alias, mac } = link
  if (kind !== 'macvlan') return []
  return [
    {
      ...{ nsid, index, name, owner: podAliasOwner(alias) },
      ...(alias === undefined ? {} : { alias }),
      ...(mac === undefined ? {} : { mac: mac as Mac }),
    },
  ]
}
