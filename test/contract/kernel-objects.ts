/** Objects and operations in which the kernel's contract is written. */
import {
  type Addr,
  type Fdb,
  type KernelObject,
  type KernelOp,
  type Link,
  type Neigh,
  ROUTE_PROTOCOL,
  type Route,
  type Vni,
} from '../../src/kernel/mod.ts'
import { type Ip, type Mac, type Prefix, prefixFamily } from '../../src/net/mod.ts'

export interface Case {
  readonly name: string
  /** Settings of the kernel before that. */
  readonly sysctls?: Readonly<Record<string, string>>
  readonly ops: readonly KernelOp[]
  /** Errno of the operations that fail, by their place. */
  readonly errors?: Readonly<Record<number, string>>
  /**
   * Of those, what an older kernel accepts and does not do: the state is the same.
   * @default none
   */
  readonly untold?: readonly number[]
  /** What is ours afterwards. */
  readonly state: readonly KernelObject[]
}

export const UNDERLAY = 'under0'
export const VTEP = '02:00:00:00:00:0a' as Mac
export const PEER = '02:00:00:00:00:0b' as Mac
export const PEER_IP = '192.0.2.2' as Ip

export const add = (object: KernelObject): KernelOp => ({ kind: 'add', object })
export const remove = (object: KernelObject): KernelOp => ({ kind: 'remove', object })
export const change = <T extends KernelObject>(from: T, to: T): KernelOp => ({
  kind: 'change',
  from,
  to,
})

export const vxlan = (settings: Partial<Link> = {}): Link => ({
  kind: 'link',
  name: 'trvx.7',
  link: { type: 'vxlan', vni: 7, port: 8472, underlay: UNDERLAY, local: '192.0.2.1' as Ip },
  up: true,
  mac: VTEP,
  mtuBytes: 1450,
  alias: 'trivium pods',
  ...settings,
})
/** A lightweight tunnel: it has no MAC, and no underlay. */
export const gpe = (settings: Partial<Link> = {}): Link => ({
  kind: 'link',
  name: 'trvx.9',
  link: { type: 'vxlan-gpe', port: 4790 },
  up: true,
  mtuBytes: 1464,
  alias: 'trivium pods',
  ...settings,
})
export const vni = (id: number, link = 'trvx.9'): Vni => ({ kind: 'vni', link, vni: id })
/** Into the tunnel, to `encapDst`. */
export const encap = (dst: string, rest: Partial<Route> = {}): Route =>
  route(dst, { link: 'trvx.9', encapVni: 9, encapDst: PEER_IP, ...rest })
export const bridge = (settings: Partial<Link> = {}): Link => ({
  kind: 'link',
  name: 'trvb.7',
  link: { type: 'bridge' },
  up: true,
  mac: '02:00:00:00:00:0c' as Mac,
  mtuBytes: 1500,
  alias: 'trivium pods',
  ...settings,
})
export const vlan = (settings: Partial<Link> = {}): Link => ({
  kind: 'link',
  name: 'trvl.7',
  link: { type: 'vlan', parent: UNDERLAY, id: 7 },
  up: true,
  mac: '02:00:00:00:00:0d' as Mac,
  mtuBytes: 1500,
  alias: 'trivium pods',
  ...settings,
})
/** A routed pod's pair, whose other end is in `netns`. */
export const pair = (netns: string, mtuBytes: number, peerMtuBytes?: number): Link => ({
  kind: 'link',
  name: 'trv0123456789a',
  link: { type: 'veth', peer: { name: 'eth0', mac: PEER, netns } },
  up: true,
  mac: VTEP,
  mtuBytes,
  ...(peerMtuBytes === undefined ? {} : { peerMtuBytes }),
  alias: 'trivium pods c0 eth0 1',
})
export const addr = (ip: string, prefixLength: number, link = 'trvx.7'): Addr => ({
  kind: 'addr',
  link,
  ip: ip as Ip,
  prefixLength,
})
export const neigh = (ip: string, mac = PEER, link = 'trvx.7'): Neigh => ({
  kind: 'neigh',
  link,
  ip: ip as Ip,
  mac,
})
export const fdb = (mac: Mac, dst = PEER_IP, link = 'trvx.7'): Fdb => ({
  kind: 'fdb',
  link,
  mac,
  dst,
})
export const route = (dst: string, rest: Partial<Route>): Route => ({
  kind: 'route',
  dst: dst as Prefix,
  type: 'unicast',
  metric: prefixFamily(dst as Prefix) === 4 ? 0 : 1024,
  protocol: ROUTE_PROTOCOL,
  ...rest,
})
export const onlink = (dst: string, via: string): Route =>
  route(dst, { link: 'trvx.7', via: via as Ip, onlink: true })
export const toPeer = route('10.42.5.0/26', { link: UNDERLAY, via: PEER_IP })
