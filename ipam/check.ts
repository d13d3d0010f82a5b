/**
 * Is the store true? Every invariant of the README, read off the records alone,
 * and one node's records against its kernel.
 *
 * @module
 */

import { checkAddresses } from './check/addresses.ts'
import { checkBlocks } from './check/blocks.ts'
import { readBooks } from './check/books.ts'
import type { IpamFinding, KernelLook } from './check/finding.ts'
import { checkKernel } from './check/kernel.ts'
import { checkHistory, checkReservations } from './check/rules.ts'
import { keys } from './keys.ts'
import type { RestoreMark } from './records.ts'
import type { Reader } from './store.ts'

export type * from './check/finding.ts'
export { confirmed } from './check/kernel.ts'

/**
 * Everything that is wrong, blocks first. Changes nothing.
 *
 * @param look What this node's kernel said; undefined: the store alone is judged.
 */
export function checkIpam(reader: Reader, look?: KernelLook): readonly IpamFinding[] {
  const books = readBooks(reader)
  const kernel = look === undefined ? [] : [...checkKernel(books, look)]
  const rules = [...checkReservations(books), ...checkHistory(reader, books)]
  const half = checkRestore(reader.get(keys.restore))
  const disputes = checkDisputes(reader)
  const all = [
    ...half,
    ...disputes,
    ...checkBlocks(books),
    ...checkAddresses(books),
    ...rules,
    ...kernel,
  ]
  // Two that hold one address are each told of the other.
  return [...new Map(all.toReversed().map((each) => [nameOf(each), each])).values()].toReversed()
}

function checkRestore(mark: RestoreMark | undefined): readonly IpamFinding[] {
  if (mark === undefined) return []
  const found = `begun, not ended: the backup with sum ${mark.sha256}`
  const wanted = 'its end: trivium ipam restore FILE, with that file'
  const base = { code: 'restore-unfinished', severity: 'fail', network: '' } as const
  return [{ ...base, subject: 'restore', found, wanted }]
}

/** In a cluster: what nodes say of blocks that others have, after the store was lost or put back. */
function checkDisputes(reader: Reader): readonly IpamFinding[] {
  return [...reader.range(keys.disputes)].map(([, { network, cidr, node }]) => {
    const owner = reader.get(keys.claim(network, cidr))?.node ?? 'nobody'
    return {
      code: 'block-disputed',
      severity: 'fail',
      network,
      subject: `block ${cidr}`,
      node,
      found: `it is the block of node ${owner}, and node ${node} has pods in it`,
      wanted: `pods of one of them there: delete those of ${node} or of ${owner}, they come back in other blocks`,
    }
  })
}

const nameOf = ({ code, subject, network }: IpamFinding): string => `${code} ${subject} ${network}`
