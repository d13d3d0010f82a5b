/**
 * A pool given away to the last address.
 *
 * @module
 */
import type { Attachment, World } from '../world.ts'

/** More ADDs than this are not tried. */
export const EXHAUST_MAX = 40
const AT_ONCE = 5

/** Why a rule that needs an empty pool says nothing. */
export const TOO_MANY = `more than ${EXHAUST_MAX} addresses: give the plugin a small pool to see`

export interface Exhausted {
  readonly attachments: readonly Attachment[]
  /** Why the last ADD was refused; undefined: none was. */
  readonly refusal: string | undefined
}

/** Adds pods until one is refused. */
export async function exhaust(world: World): Promise<Exhausted> {
  const attachments: Attachment[] = []
  let refusal: string | undefined
  while (attachments.length < EXHAUST_MAX && refusal === undefined) {
    const pods = await world.pods(AT_ONCE)
    const tried = await Promise.all(pods.map((pod) => world.tryAdd(pod)))
    for (const { attachment, why } of tried) {
      if (attachment === undefined) refusal ??= why
      else attachments.push(attachment)
    }
  }
  return { attachments, refusal }
}
