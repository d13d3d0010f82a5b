/**
 * No two pods hold one address, in the pods' own kernels, and the store says
 * the same.
 *
 * @module
 */
import { keys } from '../../ipam/keys.ts'
import type { Ip } from '../../src/net/mod.ts'
import type { Cluster } from '../world.ts'
import { type CheckResult, checkResult } from './check.ts'

export function checkUniqueAddresses(cluster: Cluster): CheckResult {
  const holders = new Map<Ip, string>()
  const findings: string[] = []
  for (const pod of cluster.pods()) {
    const name = pod.attachment.containerId
    for (const object of pod.kernel.objects()) {
      if (object.kind !== 'addr') continue
      const other = holders.get(object.ip)
      if (other !== undefined) findings.push(`${object.ip} is ${other}'s and ${name}'s`)
      holders.set(object.ip, name)
    }
  }
  const stranded = cluster.kubelets.strandedIds()
  cluster.store.read((reader) => {
    let recorded = 0
    const records = cluster.networks.flatMap((name) => [...reader.range(keys.addresses(name))])
    for (const [, { ip, containerId }] of records) {
      const holder = holders.get(ip)
      // Its pod is no more; that somebody else has it would be a mistake all the same.
      if (holder === undefined && stranded.has(containerId)) continue
      recorded++
      if (holder === containerId) continue
      findings.push(`${ip} is ${containerId}'s in the store and ${holder ?? 'nobody'}'s in kernels`)
    }
    if (recorded !== holders.size) {
      findings.push(`the store has ${recorded} addresses, kernels have ${holders.size}`)
    }
  })
  return checkResult('unique addresses', `${holders.size} addresses`, findings)
}
