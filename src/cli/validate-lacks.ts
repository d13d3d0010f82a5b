/**
 * What this kernel cannot do, so that it is left out of a validation.
 *
 * @module
 */
import { release } from 'node:os'
import type { ValidateFeature } from '../../simulator/validate.ts'
import { GPE_KERNEL, offloadsGpe } from '../kernel-release.ts'
import type { RealSide } from '../lab/validate-live.ts'

/** What the kernel lacks, and how to say so. */
export type Lacks = ReadonlyMap<ValidateFeature | undefined, string>

/** Asks by trying in a node, and the release where trying tells nothing. */
export async function lackedBy(real: RealSide): Promise<Lacks> {
  const lacks = new Map<ValidateFeature, string>()
  if (!(await real.hasVlan())) lacks.set('802.1Q', 'this kernel has no 802.1Q')
  if (!offloadsGpe(release())) {
    lacks.set('lightweight', `lightweight tunnels are for Linux ${GPE_KERNEL} and newer`)
  } else if (!(await real.hasGpe())) {
    lacks.set('lightweight', 'this kernel makes no VXLAN-GPE link with a VNI filter')
  }
  return lacks
}
