/**
 * What switches call what nodes announced.
 *
 * @module
 */
import { podLinkName } from '../../src/kernel/mod.ts'
import { hostPrefix, ipFromInteger } from '../../src/net/mod.ts'
import type { Plan } from './accept.ts'
import { podOf } from './announcements.ts'
import { blockOf, POD_LINK } from './contents.ts'

export class EntryNames {
  private readonly plan: Plan
  private readonly pods: { address(pod: number): number }

  constructor(plan: Plan, pods: { address(pod: number): number }) {
    this.plan = plan
    this.pods = pods
  }

  of(entry: number): string {
    const pod = podOf(entry)
    if (pod < 0) return blockOf(this.plan, entry)
    if (this.plan.announces === 'macs') {
      return `pod ${podLinkName(this.plan.network, `pod-${pod}`, POD_LINK)}`
    }
    return hostPrefix(ipFromInteger(4, BigInt(this.pods.address(pod))))
  }
}
