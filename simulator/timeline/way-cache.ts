/**
 * What became of the last packet of each watched pair, for as long as nothing on its
 * way has changed: the two nodes' kernels, the two pods', and the fabric.
 *
 * @module
 */
import type { SimKernel } from '../kernel.ts'
import type { WatchedPair } from './pairs.ts'

interface Entry<T> {
  readonly kernels: readonly SimKernel[]
  readonly versions: readonly number[]
  readonly fabric: number
  readonly answer: T
}

export class WayCache<T> {
  private readonly entries = new Map<WatchedPair, Entry<T>>()

  /** @param fabric Grows with every change of a switch, link or path. */
  answer(pair: WatchedPair, fabric: number, send: () => T): T {
    const kernels = kernelsOf(pair)
    const known = this.entries.get(pair)
    const isSame =
      known?.fabric === fabric &&
      kernels.every(
        (kernel, at) => known.kernels[at] === kernel && known.versions[at] === kernel.version,
      )
    if (known !== undefined && isSame) return known.answer
    const answer = send()
    // A packet changes no kernel.
    const versions = kernels.map(({ version }) => version)
    this.entries.set(pair, { kernels, versions, fabric, answer })
    return answer
  }

  /** The pair is not watched any more. */
  forget(pair: WatchedPair): void {
    this.entries.delete(pair)
  }
}

const kernelsOf = ({ from, to }: WatchedPair): readonly SimKernel[] => [
  from.node.kernel,
  to.node.kernel,
  from.kernel,
  to.kernel,
]
