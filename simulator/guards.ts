/**
 * What our nftables table does to a packet: the rules of src/kernel/firewall.ts,
 * one function a chain, over the elements that the simulated kernel holds. A
 * chain that is not there lets everything through.
 *
 * Not here: replies, because every packet is the first of its connection.
 *
 * @module
 */
import { containsIp, type Ip, ipFamily, type Prefix, prefixFamily } from '../src/net/mod.ts'
import type { SimKernel } from './kernel.ts'

/** What a packet is for. undefined in packets: nothing that an opening of a port could match. */
export interface Flow {
  readonly protocol: 'tcp' | 'udp' | 'sctp'
  readonly port: number
  /** The payload begins like a VXLAN packet of this id: somebody makes tunnel packets himself. */
  readonly vni?: number
}

const LINK_LOCAL = /^fe[89ab]/

/** Why chain `spoof` drops a packet that comes in by `link`. */
export function spoofGuard(kernel: SimKernel, link: string, src: Ip): string | undefined {
  if (!stands(kernel, 'spoof') || !link.startsWith('trv')) return undefined
  const family = ipFamily(src)
  if (link.startsWith('trvx.')) {
    const isOurs = holds(kernel, `inside${family}`, [src])
    if (!isOurs || holds(kernel, `tunnelled${family}`, [link, src])) return undefined
    return `${src} is not of the network of ${link}`
  }
  if (link.startsWith('trvb.') || link.startsWith('trvl.')) return undefined
  if (family === 6 && (LINK_LOCAL.test(src) || src === '::')) return undefined
  if (has(kernel, `pods${family}`, `${link} . ${src}`)) return undefined
  return `${src} is not an address of ${link}`
}

/** Why chain `tunnel` drops an outer packet. */
export function tunnelGuard(
  kernel: SimKernel,
  port: number,
  vni: number,
  outerSrc: Ip,
): string | undefined {
  if (!stands(kernel, 'tunnel') || !has(kernel, 'tunnels', `${port} . ${vni}`)) return undefined
  if (has(kernel, `nodes${ipFamily(outerSrc)}`, outerSrc)) return undefined
  return `${outerSrc} is no node, and sends to VNI ${vni}`
}

/** Why chain `isolate` does not let a packet be forwarded. */
export function isolateGuard(kernel: SimKernel, src: Ip, dst: Ip, flow?: Flow): string | undefined {
  if (!stands(kernel, 'isolate')) return undefined
  const family = ipFamily(src)
  if (isTunnelled(kernel, flow) && has(kernel, `nodes${family}`, dst)) {
    return `${dst} is a node, and only nodes send to VNI ${flow?.vni}`
  }
  if (holds(kernel, `reach${family}`, [src, dst])) return undefined
  const port = flow === undefined ? [] : [flow.protocol, String(flow.port)]
  if (flow !== undefined && holds(kernel, `reach_port${family}`, [src, dst, ...port])) {
    return undefined
  }
  const pools = `pools${family}`
  if (!holds(kernel, pools, [src]) || !holds(kernel, pools, [dst])) return undefined
  return `${src} and ${dst} are of networks that are closed to each other`
}

/** Whether a datagram is one for a tunnel of this node: rules look at port and id alone. */
const isTunnelled = (kernel: SimKernel, flow: Flow | undefined): boolean =>
  flow?.protocol === 'udp' &&
  flow.vni !== undefined &&
  has(kernel, 'tunnels', `${flow.port} . ${flow.vni}`)

/** The address under which chain `translate` lets a packet leave, if not its own. */
export function translated(kernel: SimKernel, node: readonly Ip[], src: Ip, dst: Ip): Ip {
  const family = ipFamily(src)
  if (!stands(kernel, 'translate') || !holds(kernel, `masquerade${family}`, [src])) return src
  if (holds(kernel, `inside${family}`, [dst])) return src
  return node.find((ip) => ipFamily(ip) === family) ?? src
}

const stands = (kernel: SimKernel, chain: string): boolean =>
  kernel.get(`nft-chain ${chain}`) !== undefined

const has = (kernel: SimKernel, set: string, key: string): boolean =>
  kernel.get(`nft-element ${set} ${key}`) !== undefined

/** Whether an interval set takes the fields: an address is in a prefix, all else is the same. */
function holds(kernel: SimKernel, set: string, fields: readonly string[]): boolean {
  return kernel.elements(set).some(({ key }) => {
    const parts = key.split(' . ')
    return fields.every((field, index) => matches(parts[index] ?? '', field))
  })
}

function matches(part: string, field: string): boolean {
  if (part === field) return true
  if (!part.includes('/')) return false
  const prefix = part as Prefix
  const ip = field as Ip
  return prefixFamily(prefix) === ipFamily(ip) && containsIp(prefix, ip)
}
