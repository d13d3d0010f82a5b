/**
 * veth pairs: the peer is a whole link inside the request, so it can be born in
 * another network namespace, under its final name and address.
 *
 * Source: include/uapi/linux/veth.h, VETH_INFO_PEER.
 *
 * @module
 */
import { writeAttrs } from '../attrs.ts'
import type { Writer } from '../writer.ts'
import { linkAttrs, writeIfInfo } from './link-attrs.ts'

const VETH_INFO_PEER = 1

/** The other end of a pair. It is born down: the kernel refuses to open it before its pair exists. */
export interface VethPeer {
  readonly name?: string | undefined
  readonly mac?: string | undefined
  /** Bytes. */
  readonly mtu?: number | undefined
  readonly group?: number | undefined
  /** An open file descriptor of the namespace the peer is born in. */
  readonly netnsFd?: number | undefined
}

/** A veth pair. Reading a link gives no `peer`: it is `Link.link`, in `Link.linkNetnsId`. */
export interface VethKind {
  readonly type: 'veth'
  readonly peer?: VethPeer | undefined
}

/** Appends the contents of IFLA_INFO_DATA. */
export function writeVeth(out: Writer, { peer }: VethKind): void {
  if (peer === undefined) return
  const start = out.beginAttr(VETH_INFO_PEER)
  writeIfInfo(out, {})
  const { name, mac, mtu, group, netnsFd } = peer
  writeAttrs(out, linkAttrs, { name, mac, mtu, group, netnsFd })
  out.endAttr(start)
}
