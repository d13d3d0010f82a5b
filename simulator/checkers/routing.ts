/**
 * What speakers and switches should know, from the kernels and from what is up: the
 * plan that sessions must have carried out when all is quiet.
 *
 * @module
 */
import type { Prefix } from '../../src/net/mod.ts'
import type { Announced } from '../announcer.ts'
import type { BgpAnnouncements } from '../bgp/announce-bgp.ts'
import { Wanted } from '../bgp/wanted.ts'
import type { Fabric } from '../fabric.ts'
import { type Announcement, prefixEntry, type SwitchDevice } from '../fabric-device.ts'
import type { RackPlan } from '../underlay.ts'
import { type CheckResult, checkResult } from './check.ts'

/** An announcement and the node that it came from. */
export interface FromNode extends Announced {
  readonly node: number
}

/** What switches should hold; without BGP everything that was announced. */
export class RoutingWish {
  readonly fabric: Fabric
  readonly racks: readonly RackPlan[]
  private readonly fromNodes: readonly FromNode[]
  private readonly wanted: Wanted | undefined

  constructor(fabric: Fabric, racks: readonly RackPlan[], fromNodes: readonly FromNode[]) {
    this.fabric = fabric
    this.racks = racks
    this.fromNodes = fromNodes
    const { bgp } = fabric
    this.wanted = bgp && new Wanted(bgp.plan, (session) => bgp.isPossible(session))
  }

  /** Whether anything is wanted of a switch: not of one without power that forgets. */
  concerns({ index }: SwitchDevice): boolean {
    return this.wanted === undefined || this.fabric.paths.isUp(index)
  }

  /** Everything that nodes and other switches tell a switch. */
  told(device: SwitchDevice): readonly Announcement[] {
    const { fabric, wanted } = this
    const heard = this.fromNodes.filter(
      (from) => fabric.hears(device.index, from) && this.hears(device, from),
    )
    const held = fabric.announcer.held(device, heard)
    if (wanted === undefined || !fabric.isFabricRouted) {
      return [...held, ...(fabric.announcer.configured ?? [])]
    }
    const others = this.racks.filter(
      ({ index }) => index !== device.rack && wanted.reaches(device.index, index),
    )
    const summaries = fabric.shares.filter(
      ({ rack }) => rack === device.rack || wanted.reaches(device.index, rack),
    )
    return [
      ...held,
      ...others.flatMap(({ prefixes }) => prefixes.map(prefixEntry)),
      ...summaries.map(({ prefix }) => prefixEntry(prefix)),
      ...[...wanted.groups(device.index, this.racks.length)].map(
        ([entry, cost]): Announcement => ({ table: 'ecmp', entry, cost }),
      ),
    ]
  }

  /** Prefixes that the speaker of a switch should know, its own among them. */
  known(device: SwitchDevice): ReadonlySet<Prefix> {
    const own = this.fabric.isFabricRouted ? (this.racks[device.rack]?.prefixes ?? []) : []
    const told = this.told(device).filter(({ table }) => table !== 'mac' && table !== 'ecmp')
    const summed = this.summed(device)
    return new Set([...own, ...[...told, ...summed].map(({ entry }) => entry as Prefix)])
  }

  /** The same of a node. */
  knownBy(node: number, own: ReadonlySet<Prefix>): ReadonlySet<Prefix> {
    const { fabric, wanted } = this
    const mine = [...own]
    const tor = fabric.tor(fabric.rackOf(node))
    if (wanted === undefined || tor === undefined) return own
    if (!fabric.isFabricRouted) {
      const heard = this.fromNodes.filter((from) => wanted.hears(node, from.node))
      return new Set([...mine, ...heard.map(({ entry }) => entry.entry as Prefix)])
    }
    if (!wanted.hearsSwitch(node)) return own
    // Nodes of a rack share an AS: what one of them said is not for the others.
    const beside = this.fromNodes.flatMap(({ rack, entry }) =>
      rack === tor.rack ? [entry.entry as Prefix] : [],
    )
    const others = [...this.known(tor)].filter((prefix) => !beside.includes(prefix))
    return new Set([...mine, ...others.filter((prefix) => fabric.bgp?.isTaken(prefix))])
  }

  /** What a top-of-rack switch makes of its nodes' announcements for others. */
  private summed(device: SwitchDevice): readonly Announcement[] {
    if (!this.fabric.isFabricRouted) return []
    const own = this.fromNodes.filter(
      (from) => from.rack === device.rack && from.entry.table !== 'mac' && this.hears(device, from),
    )
    return this.fabric.announcer.held({ rack: -1 }, own)
  }

  private hears({ index }: SwitchDevice, { node, entry }: FromNode): boolean {
    const { fabric, wanted } = this
    if (wanted === undefined || fabric.bgp === undefined || entry.table === 'mac') return true
    return wanted.hears(fabric.bgp.plan.nodes + index, node)
  }
}

export function checkRoutingTables(bgp: BgpAnnouncements, wish: RoutingWish): CheckResult {
  let routes = 0
  const findings = bgp.speakers.flatMap(({ core }, index) => {
    if (core === undefined) return []
    const plan = bgp.plan.speakers[index]
    const device = plan?.node === undefined ? wish.fabric.devices[plan?.device ?? -1] : undefined
    const wanted = device === undefined ? wish.knownBy(index, bgp.ownOf(index)) : wish.known(device)
    const found = new Set(
      (['ipv4', 'ipv6'] as const).flatMap((family) =>
        [...core.routes(family)].map(({ prefix }) => prefix),
      ),
    )
    routes += found.size
    const extra = [...found].filter((prefix) => !wanted.has(prefix))
    const absent = [...wanted].filter((prefix) => !found.has(prefix))
    const words = [
      ...(extra.length === 0 ? [] : [`knows ${extra[0]} of ${extra.length} too many`]),
      ...(absent.length === 0 ? [] : [`lacks ${absent[0]} of ${absent.length}`]),
    ]
    return words.map((word) => `${plan?.name} ${word}`)
  })
  const scope = `${routes} best paths of ${bgp.speakers.length} speakers`
  return checkResult('BGP tables as planned', scope, findings)
}
