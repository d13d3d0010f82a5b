/**
 * After the last pod is gone nothing of it is left: in the store, in any
 * kernel, in any switch. Nodes keep their blocks; those are theirs.
 *
 * @module
 */
import { keys } from '../../ipam/keys.ts'
import { isPodLinkName, type KernelObject, linkOf, ROUTE_PROTOCOL } from '../../src/kernel/mod.ts'
import { entryOn } from '../carriage.ts'
import { SWITCH_TABLES } from '../profiles.ts'
import type { Cluster } from '../world.ts'
import { type CheckResult, checkResult } from './check.ts'

export function checkNoLeak(cluster: Cluster): CheckResult {
  const { nodes, fabric, store, networks } = cluster
  const findings: string[] = []
  // Of nodes that never came back; reported as stranded.
  const stranded = cluster.kubelets.strandedIds()
  store.read((reader) => {
    for (const network of networks) {
      for (const [, { ip, containerId }] of reader.range(keys.addresses(network))) {
        if (stranded.has(containerId)) continue
        findings.push(`the store still gives ${ip} to ${containerId}`)
      }
    }
    for (const node of nodes) {
      if (cluster.broken.has(node)) continue
      const { record } = node
      for (const [, { containerId }] of reader.range(keys.attachments(record.name))) {
        findings.push(`the store still attaches ${containerId} to ${record.name}`)
      }
      const uses = networks.flatMap((name) => [...reader.range(keys.uses(record.name, name))])
      for (const [, use] of uses) {
        if (use.used !== 0) findings.push(`block ${use.cidr} still counts ${use.used} addresses`)
      }
    }
  })
  const ofNodes = new Set<string>()
  for (const { record, kernel } of nodes) {
    for (const object of kernel.objects()) {
      const link = placeOf(object)
      if (link !== undefined && (isPodLinkName(link) || isWayToMacvlan(object, link))) {
        findings.push(`${record.name} still has a ${object.kind} at ${link}`)
      }
      const entry = entryOn(fabric.roads, object)
      if (entry !== undefined) ofNodes.add(entry.entry)
    }
  }
  for (const { name, tables } of fabric.devices) {
    for (const table of SWITCH_TABLES) {
      for (const entry of tables[table].entries()) {
        const isPods = entry.startsWith('pod ') || (table.startsWith('host') && !isUnderlay(entry))
        if (isPods && !ofNodes.has(entry)) findings.push(`${name} still has ${table} ${entry}`)
      }
    }
  }
  if (fabric.pods !== 0) findings.push(`switches still count ${fabric.pods} pods`)
  return checkResult('no leak', `${cluster.podsRemoved} pods deleted`, findings)

  function isUnderlay(entry: string): boolean {
    const ip = entry.slice(0, entry.indexOf('/'))
    return nodes.some(({ record }) => record.underlayIps.some((own) => own === ip))
  }
}

/** All of a pod's macvlan that is on its node. */
function isWayToMacvlan(object: KernelObject, link: string): boolean {
  if (!link.startsWith('trvm.')) return false
  const isOurRoute = object.kind === 'route' && object.protocol === ROUTE_PROTOCOL
  return object.kind === 'nft-element' || isOurRoute
}

/** The link that an object is, is on, or speaks of. */
function placeOf(object: KernelObject): string | undefined {
  if (object.kind === 'link') return object.name
  if (object.kind === 'nft-element') return object.key.split(' . ')[0]
  return linkOf(object)
}
