/**
 * A scenario's fabric as a topology, and what makes it impossible.
 *
 * @module
 */
import { TICKS_PER_MS } from './clock.ts'
import { Routing } from './fabric-routing.ts'
import { generateTopology, listedTopology, type Topology } from './fabric-topology.ts'
import { mbpsOf, ppmOf } from './link-quality.ts'
import { SWITCH_PROFILES } from './profiles.ts'
import type { Scenario } from './scenario.ts'
import type { Complaint } from './scenario-rules.ts'
import { among } from './suggest.ts'

type Sized = Pick<Scenario, 'racks' | 'spines' | 'fabric'>

export function topologyOf({ racks, spines, fabric }: Sized): Topology {
  const link = {
    latencyTicks: fabric.linkUs,
    lossPpm: ppmOf(fabric.lossPercent),
    mbps: mbpsOf(fabric.linkGbps),
  }
  if (fabric.kind === 'listed') return listedTopology(fabric.devices, fabric.links, link)
  const { kind, wanMs, wanGbps, wanLossPercent } = fabric
  return generateTopology({
    ...fabric,
    kind,
    racks,
    spines,
    link,
    wan: {
      latencyTicks: wanMs * TICKS_PER_MS,
      lossPpm: ppmOf(wanLossPercent),
      mbps: mbpsOf(wanGbps),
    },
  })
}

/** What is wrong with the fabric. */
export function checkFabric(scenario: Scenario): Complaint | undefined {
  return listed(scenario) ?? generated(scenario) ?? joined(scenario)
}

function listed({ fabric, racks }: Scenario): Complaint | undefined {
  const { kind, devices, links } = fabric
  if (kind !== 'listed') {
    const path = ['fabric', devices.length > 0 ? 'devices' : 'links']
    if (devices.length + links.length === 0) return undefined
    return { path, message: `belongs to kind listed, not ${kind}` }
  }
  const names = devices.map(({ name }) => name)
  for (const [index, { name, profile }] of devices.entries()) {
    const path = ['fabric', 'devices', String(index)]
    if (names.indexOf(name) !== index) return { path, message: `device ${name} is listed twice` }
    const profiles = SWITCH_PROFILES.map((known) => known.name)
    if (profile === undefined || profiles.includes(profile)) continue
    return { path, message: `no profile "${profile}", ${among(profile, profiles)}` }
  }
  const tors = devices.filter(({ role }) => role === 'tor').length
  if (tors !== racks) {
    const message = `found ${tors} devices of role tor, wanted one a rack (${racks})`
    return { path: ['fabric', 'devices'], message }
  }
  for (const [index, { between }] of links.entries()) {
    const path = ['fabric', 'links', String(index)]
    const stranger = between.find((name) => !names.includes(name))
    if (stranger !== undefined) {
      return { path, message: `no device ${stranger}, ${among(stranger, names)}` }
    }
    if (between[0] === between[1]) {
      return { path, message: `joins ${between[0]} to itself, wanted two devices` }
    }
    const twin = links.findIndex((link) => between.every((name) => link.between.includes(name)))
    if (twin !== index) return { path, message: `${between.join(' and ')} are joined twice` }
  }
  return undefined
}

function generated({ fabric, racks }: Scenario): Complaint | undefined {
  const { kind, groups, dataCenters } = fabric
  if (kind === 'listed') return undefined
  const least = dataCenters * (kind === 'three-tier' ? groups : 1)
  if (racks < least) {
    const path = ['fabric', kind === 'three-tier' ? 'groups' : 'dataCenters']
    return { path, message: `${least} groups of racks, wanted at most one a rack (${racks})` }
  }
  return undefined
}

/** Every rack reaches every other when everything is up. */
function joined(scenario: Scenario): Complaint | undefined {
  const topology = topologyOf(scenario)
  const state = {
    links: topology.links.map(() => true),
    devices: topology.devices.map(() => true),
  }
  const routing = new Routing(topology, state)
  for (const [index, { name, rack }] of topology.devices.entries()) {
    if (rack === 0 || routing.nextHops(index, 0).length > 0) continue
    const message = `no path from ${name} to ${topology.devices[0]?.name ?? 'rack 0'}`
    return { path: ['fabric', scenario.fabric.kind === 'listed' ? 'links' : 'kind'], message }
  }
  return undefined
}
