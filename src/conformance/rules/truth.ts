/**
 * Whether a result is true: held against what the pod's namespace holds.
 *
 * @module
 */
import type { Snapshot } from '../dump.ts'
import { isAtLeast, type SpecVersion } from '../model.ts'
import { canonicalCidr, type ReadResult } from '../result.ts'
import type { World } from '../world.ts'

/** What the result says of the pod and the pod does not hold. */
export function podFaults(
  { facts }: World,
  { interfaces, ips, routes }: ReadResult,
  pod: Snapshot,
  version: SpecVersion = facts.version,
): readonly string[] {
  if (!facts.hasInterfaces) return []
  const isCurrent = isAtLeast(version, '0.3.0')
  const inside = interfaces.filter(({ sandbox }) => sandbox !== undefined)
  return [
    ...(isCurrent && inside.length === 0 ? ['no interface with a sandbox in the result'] : []),
    ...inside.flatMap(({ name, mac, mtu }) => {
      const link = pod.links.find((each) => each.name === name)
      if (link === undefined) return [`interface ${name} of the result is not in the pod`]
      return [
        ...(link.isUp ? [] : [`interface ${name} is down`]),
        ...(mac === undefined || mac.toLowerCase() === link.mac
          ? []
          : [`interface ${name} has MAC ${link.mac}, the result says ${mac}`]),
        ...(mtu === undefined || mtu === link.mtuBytes
          ? []
          : [`interface ${name} has MTU ${link.mtuBytes}, the result says ${mtu}`]),
      ]
    }),
    ...ips.flatMap(({ address, interface: index }) => {
      const name = index === undefined ? undefined : interfaces[index]?.name
      const isThere = pod.addresses.some(
        (each) => canonicalCidr(each.address) === address && (name ?? each.link) === each.link,
      )
      return isThere ? [] : [`address ${address} of the result is not in the pod`]
    }),
    ...routes.flatMap(({ dst, gw }) => {
      const found = pod.routes.filter((each) => each.dst === dst)
      if (found.length === 0) return [`route ${dst} of the result is not in the pod`]
      return gw === undefined || found.some(({ via }) => via === gw)
        ? []
        : [`route ${dst} goes via ${found[0]?.via ?? 'no gateway'}, the result says ${gw}`]
    }),
  ]
}

/** What the pod holds beyond what it held before, and the result does not say. */
export function unsaidInPod(
  { interfaces, ips }: ReadResult,
  before: Snapshot,
  after: Snapshot,
): readonly string[] {
  const had = new Set([
    ...before.links.map(({ name }) => name),
    ...before.addresses.map(({ address }) => address),
  ])
  const said = new Set([
    ...interfaces.filter(({ sandbox }) => sandbox !== undefined).map(({ name }) => name),
    ...ips.map(({ address }) => address),
  ])
  return [
    ...after.links.map(({ name }) => name).filter((name) => !had.has(name) && !said.has(name)),
    ...after.addresses
      .map(({ address }) => address)
      .filter((address) => !had.has(address) && !said.has(canonicalCidr(address))),
  ]
}

/** Links of the node that are new, and those that the result says are the node's. */
export function nodeFaults(
  { interfaces }: ReadResult,
  before: Snapshot,
  after: Snapshot,
): readonly string[] {
  const host = interfaces.filter(({ sandbox }) => sandbox === undefined)
  const had = new Set(before.links.map(({ name }) => name))
  const listed = new Set(host.map(({ name }) => name))
  return [
    ...after.links
      .filter(({ name }) => !had.has(name) && !listed.has(name))
      .map(({ name }) => `link ${name} is new on the node and not in the result`),
    ...host
      .filter(({ name }) => !after.links.some((link) => link.name === name))
      .map(({ name }) => `interface ${name} of the result is not on the node`),
  ]
}
