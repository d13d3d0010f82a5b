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

export interface EntrySources {
  /** A pod's address. */
  address(pod: number): number
  /** The block of a claim, by its number in the pool. */
  block(claim: number): number
}

export class EntryNames {
  private readonly plan: Plan
  private readonly sources: EntrySources

  constructor(plan: Plan, sources: EntrySources) {
    this.plan = plan
    this.sources = sources
  }

  of(entry: number): string {
    const pod = podOf(entry)
    if (pod < 0) return blockOf(this.plan, this.sources.block(entry))
    if (this.plan.announces === 'macs') {
      return `pod ${podLinkName(this.plan.network, `pod-${pod}`, POD_LINK)}`
    }
    return hostPrefix(ipFromInteger(4, BigInt(this.sources.address(pod))))
  }
}
