/**
 * The MTU of a pod's end, from the host's side. Reading it needs no more than
 * the pair's own numbers; changing it needs the pod's namespace.
 *
 * @module
 */
import { closeSync } from 'node:fs'
import * as nl from 'netlink-ts'
import { NetlinkSocket, openNetns } from 'netlink-ts/live'
import { TriviumError } from '../errors.ts'
import type { Link } from '../kernel/mod.ts'

/**
 * Sets the MTU of the other end of `hostEnd`, which lives in the namespace at
 * the planned path. Checked against the pair's numbers: a path may have been
 * taken over by another pod's namespace.
 *
 * @throws {TriviumError} KERNEL, NetnsError, NetlinkError
 */
export function setPeerMtu(host: NetlinkSocket, hostEnd: Link, mtu: number): void {
  const { link: kind, name } = hostEnd
  const path = kind.type === 'veth' ? kind.peer?.netns : undefined
  const found = host.get(nl.link.get({ name }))
  if (path === undefined || found?.link === undefined) {
    throw new TriviumError(
      'KERNEL',
      `Cannot set the MTU behind ${name}: its pod's namespace is not known`,
    )
  }
  const netnsFd = openNetns(path)
  try {
    const pod = NetlinkSocket.open({ netnsFd })
    try {
      const end = pod.get(nl.link.get({ index: found.link }))
      if (end?.link !== found.index) {
        throw new TriviumError(
          'KERNEL',
          `Cannot set the MTU behind ${name}: the namespace ${path} holds no other end of it`,
        )
      }
      pod.run(nl.link.set({ index: found.link }, { mtu }))
    } finally {
      pod.close()
    }
  } finally {
    closeSync(netnsFd)
  }
}
