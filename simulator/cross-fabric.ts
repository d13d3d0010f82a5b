/**
 * A packet through the switches, from the top-of-rack switch of one rack to that of another.
 *
 * @module
 */
import { hash64 } from '../src/hash.ts'
import { containsIp, type Ip, ipFamily, prefixOf } from '../src/net/mod.ts'
import { cut, type Delivery, lost, type Trail } from './delivery.ts'
import type { Fabric } from './fabric.ts'
import type { SwitchDevice } from './fabric-device.ts'
import { lossTogether, narrower } from './link-quality.ts'

/** As the time to live of a packet. */
const HOPS_MAX = 64

/** Frames do not pass WAN routers, which route. */
export function divided(id: number, fabric: Fabric, from: number, to: number): Delivery {
  const sites = [from, to].map((rack) => fabric.dataCenterOf(rack))
  const reason = `VLAN ${id} is not stretched from data centre ${sites.join(' to ')}`
  return { kind: 'lost', reason, overflow: false, divided: true }
}

/**
 * Through the switches, hop by hop. Inside a rack nodes exchange frames, and a
 * full MAC table floods but delivers. Between racks each switch needs an entry for `dst`.
 *
 * @param as A frame of a VLAN is switched between racks, too.
 */
export function crossFabric(
  fabric: Fabric,
  from: number,
  to: number,
  dst: Ip,
  trail: Trail,
  as: 'frame' | 'packet' = 'packet',
): Delivery | undefined {
  const { devices, paths } = fabric
  const routes = from !== to && as === 'packet'
  const flow = hash64(`${from} ${dst}`)[0] >>> 0
  let device = fabric.tor(from)
  for (let hop = 0; hop < HOPS_MAX && device !== undefined; hop++) {
    if (!paths.isUp(device.index)) return cut(`${device.name} is down`)
    const unknown = routes ? lacking(fabric, device, to, dst, trail) : undefined
    if (unknown !== undefined) return unknown
    if (device.rack === to) return undefined
    const step = routes ? fabric.step(device, dst, to, flow) : paths.step(device.index, to, flow)
    if (step.kind === 'stuck') return cut(step.reason)
    trail.latencyTicks += step.link.latencyTicks
    trail.lossPpm = lossTogether(trail.lossPpm, step.link.lossPpm)
    trail.mbps = narrower(trail.mbps, step.link.mbps)
    device = devices[step.device]
  }
  return cut(`no way from rack ${from} to rack ${to} in ${HOPS_MAX} hops`)
}

/** Why a switch cannot route a packet to the rack where `dst` is. */
function lacking(
  fabric: Fabric,
  device: SwitchDevice,
  to: number,
  dst: Ip,
  trail: Trail,
): Delivery | undefined {
  const { prefixLengths, shares } = fabric
  const around = shares.find(({ prefix }) => containsIp(prefix, dst))
  // At home a static summary discards; elsewhere it leads to its own rack only.
  const isHelp = around?.rack === to && device.rack !== to
  const answers = [...prefixLengths[ipFamily(dst)]]
    .filter((length) => isHelp || around?.prefix !== prefixOf(dst, length))
    .map((length) => device.ask(dst, length))
  if (answers.includes('taken')) return undefined
  if (answers.includes('software')) {
    trail.software = true
    return undefined
  }
  if (answers.includes('refused')) return lost(`${device.name} has no room for ${dst}`, true)
  if (answers.includes('queued')) return lost(`${device.name} has not yet written ${dst}`, true)
  return lost(`${device.name} never heard of ${dst}`)
}
