/**
 * nftables on the way: our own table as its rules read, others' by policy.
 *
 * @module
 */
import type { NetworkRecord } from '../cluster/view.ts'
import { NFT_TABLE } from '../kernel/mod.ts'
import { containsIp, type Ip, ipFamily } from '../net/mod.ts'
import { counted } from '../words.ts'
import { broken, type Fault, fine, type Steps, suspect } from './hop.ts'
import type { Packet } from './packet.ts'
import type { Side } from './world.ts'

type Hook = 'prerouting' | 'input' | 'forward' | 'output' | 'postrouting'

/** Whether our chain is there with the rule that asks `set`. */
function asks({ tables }: Side, chain: string, set: string): boolean {
  const found = tables.get(`nft-chain ${chain}`)
  return found?.kind === 'nft-chain' && found.rules.includes(`@${set} `)
}

const elementWords = (set: string, fields: readonly (string | number)[]): string =>
  `element inet ${NFT_TABLE} ${set} { ${fields.join(' . ')} }`

/** An element of our own table that is not there. */
function missing(
  { planned }: Side,
  set: string,
  fields: readonly (string | number)[],
  effect: string,
): Fault {
  return {
    object: elementWords(set, fields),
    found: `missing: ${effect}`,
    wanted: 'this element',
    command: `nft add ${elementWords(set, fields)}`,
    planned: planned.get(`nft-element ${set} ${fields.join(' . ')}`),
  }
}

/** Chain `spoof` for a pod's link: it sends from its own addresses only. */
export function* fromPod(side: Side, link: string, { family, src }: Packet): Steps<true> {
  const set = `pods${family}`
  if (!asks(side, 'spoof', set)) return true
  if (!side.tables.inSet(set, link, src)) {
    yield broken(side, missing(side, set, [link, src], 'what the pod sends is dropped'))
    return undefined
  }
  yield fine(side, elementWords(set, [link, src]))
  return true
}

/** Chain `spoof` for a tunnel: packets of its own networks only. */
export function* fromTunnel(side: Side, link: string, { family, src }: Packet): Steps<true> {
  const [inside, tunnelled] = [`inside${family}`, `tunnelled${family}`]
  if (!/^trvx\./.test(link)) return true
  if (!asks(side, 'spoof', tunnelled) || !side.tables.inSet(inside, src)) return true
  if (side.tables.inSet(tunnelled, link, src)) return true
  const pool = poolOf(side, src)
  yield broken(
    side,
    missing(side, tunnelled, [link, pool ?? src], `what comes from ${src} by ${link} is dropped`),
  )
  return undefined
}

/** Chain `tunnel`: outer packets from known nodes only. */
export function* guard(
  side: Side,
  tunnel: { readonly port: number; readonly vni: number },
  outerSrc: Ip,
  family: 4 | 6,
): Steps<true> {
  const set = `nodes${family}`
  if (!asks(side, 'tunnel', 'tunnels')) return true
  if (!side.tables.inSet('tunnels', String(tunnel.port), String(tunnel.vni))) return true
  if (!side.tables.inSet(set, outerSrc)) {
    yield broken(
      side,
      missing(side, set, [outerSrc], `tunnel packets from ${outerSrc} are dropped`),
    )
    return undefined
  }
  yield fine(side, elementWords(set, [outerSrc]))
  return true
}

/**
 * Chain `isolate`, first of all: nodes do not forward each other's tunnels, so a pod
 * that sends UDP to a tunnel's port is heard only if it does not look like VXLAN of
 * one of our ids.
 */
function* mayInject(side: Side, { family, dst, reply, port, vni }: Packet): Steps<true> {
  const set = `nodes${family}`
  if (reply || port?.protocol !== 'udp' || !asks(side, 'isolate', set)) return true
  if (!side.tables.inSet(set, dst)) return true
  const ids = side.tables.elements('tunnels').flatMap((key) => {
    const [number, id] = key.split(' . ')
    return number === String(port.port) && id !== undefined ? [id] : []
  })
  if (ids.length === 0 || (vni !== undefined && !ids.includes(String(vni)))) return true
  const isSure = vni !== undefined
  const what = `udp dport ${port.port} with VNI ${isSure ? vni : ids.join(' or ')}`
  const fault: Fault = {
    object: `chain inet ${NFT_TABLE} isolate`,
    found: `${what} to node ${dst} is dropped: only nodes send into tunnels`,
    wanted: isSure ? 'another port, or the node as sender' : 'a payload that is not VXLAN',
    command: `nft list chain inet ${NFT_TABLE} isolate`,
  }
  yield isSure ? broken(side, fault) : suspect(side, fault)
  return isSure ? undefined : true
}

/** The address under which chain `translate` lets a tunnel packet leave that a pod made. */
export function leavingAs(side: Side, packet: Packet): Packet {
  const { family, src, dst, vni } = packet
  const { tables } = side
  if (vni === undefined || !asks(side, 'translate', `masquerade${family}`)) return packet
  if (!tables.inSet(`masquerade${family}`, src) || tables.inSet(`inside${family}`, dst)) {
    return packet
  }
  const own = side.record.underlayIps.find((ip) => ipFamily(ip) === family)
  return own === undefined ? packet : { ...packet, src: own }
}

/** Chain `tunnel`, for a tunnel packet that a pod made. */
export function* intoNode(side: Side, { family, src, port, vni }: Packet): Steps<true> {
  if (port?.protocol !== 'udp' || vni === undefined) return true
  return yield* guard(side, { port: port.port, vni }, src, family)
}

/** Chain `isolate`: networks are closed to each other unless opened. */
export function* mayMeet(side: Side, packet: Packet): Steps<true> {
  if (!(yield* mayInject(side, packet))) return undefined
  const { family, src, dst, reply, port } = packet
  if (reply || !asks(side, 'isolate', `pools${family}`)) return true
  const { tables, planned } = side
  const reach = `reach${family}`
  if (tables.inSet(reach, src, dst)) return true
  const ports = port === undefined ? [] : [port.protocol, String(port.port)]
  const reachPort = `reach_port${family}`
  if (port !== undefined && tables.inSet(reachPort, src, dst, ...ports)) return true
  const pools = `pools${family}`
  if (!tables.inSet(pools, src) || !tables.inSet(pools, dst)) return true
  const [from, to] = [networkOf(side, src), networkOf(side, dst)]
  const asked =
    planned.inSet(reach, src, dst) ||
    (port !== undefined && planned.inSet(reachPort, src, dst, ...ports))
  if (asked) {
    const pair = [poolOf(side, src) ?? src, poolOf(side, dst) ?? dst]
    yield broken(side, missing(side, reach, pair, `what goes from ${src} to ${dst} is dropped`))
    return undefined
  }
  const [a, b] = [from?.name ?? src, to?.name ?? dst]
  const allow = side.view.allows.find((each) => each.from === a && each.to === b)
  const open = allow?.ports.map(({ protocol, port: number }) => `${protocol}/${number}`)
  const some = open === undefined || open.length === 0 ? '' : `, open for ${open.join(', ')} only`
  const wish = port === undefined ? '' : ` --port ${port.protocol}/${port.port}`
  yield broken(side, {
    object: `chain inet ${NFT_TABLE} isolate`,
    found: `networks ${a} and ${b} are closed to each other${some}`,
    wanted: `an opening from ${a} to ${b}`,
    command: `trivium network allow ${a} ${b}${wish}`,
  })
  return undefined
}

const networkOf = ({ view }: Side, ip: Ip): NetworkRecord | undefined =>
  view.networks.find(({ network }) => network.pools.some(({ cidr }) => containsIp(cidr, ip)))
    ?.network

const poolOf = (side: Side, ip: Ip): string | undefined =>
  networkOf(side, ip)?.pools.find(({ cidr }) => containsIp(cidr, ip))?.cidr

/** Base chains of others that drop what their rules do not accept. */
export function* others(side: Side, family: 4 | 6, hooks: readonly Hook[]): Steps<true> {
  const heard = new Set<string>(['inet', family === 4 ? 'ip' : 'ip6'])
  for (const chain of side.snapshot?.chains ?? []) {
    const meets = hooks.some((hook) => hook === chain.hook) && heard.has(chain.family)
    if (!meets || chain.policy !== 'drop') continue
    const name = `${chain.family} ${chain.table} ${chain.chain}`
    const fault: Fault = {
      object: `chain ${name}`,
      found:
        chain.rules === 0
          ? `hook ${chain.hook}, policy drop, no rules: it drops everything`
          : `hook ${chain.hook}, policy drop, ${counted(chain.rules, 'rule')}: what none of them accepts is lost`,
      wanted: 'a rule that accepts the packet, or policy accept',
      command: `nft list chain ${name}`,
    }
    if (chain.rules > 0) yield suspect(side, fault)
    else {
      yield broken(side, fault)
      return undefined
    }
  }
  return true
}
