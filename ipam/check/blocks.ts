/**
 * Claims and uses: invariants 2 to 4 of the README.
 *
 * @module
 */
import {
  containsPrefix,
  ipToInteger,
  networkAddress,
  prefixFamily,
  prefixLength,
  prefixSize,
} from '../../src/net/mod.ts'
import { counted } from '../../src/words.ts'
import { restingIn } from '../cooling.ts'
import { type BlockClaim, isFloating } from '../records.ts'
import type { Books, OwnedUse } from './books.ts'
import type { IpamFinding } from './finding.ts'

export function* checkBlocks(books: Books): Generator<IpamFinding> {
  for (const claim of books.claims) yield* checkClaim(books, claim)
  yield* overlaps(books.claims)
  yield* firsts(books)
  for (const use of books.uses) yield* checkUse(books, use)
}

const subjectOf = ({ cidr }: { readonly cidr: string }): string => `block ${cidr}`

function* checkClaim(books: Books, claim: BlockClaim): Generator<IpamFinding> {
  const { network, node, cidr } = claim
  const base = { subject: subjectOf(claim), network, node }
  const record = books.networks.get(network)
  if (record === undefined) {
    const found = `claimed by node ${node} in network ${network}, which is not there`
    yield { ...base, code: 'unknown-network', severity: 'fail', found, wanted: 'no claim' }
    return
  }
  const pool = record.pools.find((each) => each.cidr === claim.pool)
  const fits = pool && containsPrefix(pool.cidr, cidr) && prefixLength(cidr) === pool.blockLength
  if (fits !== true) {
    const found =
      pool === undefined ? `pool ${claim.pool} is none of the network's` : `in ${claim.pool}`
    const wanted =
      pool === undefined ? 'one of its pools' : `a /${pool.blockLength} of ${pool.cidr}`
    yield { ...base, code: 'claim-outside-pool', severity: 'fail', found, wanted }
  }
  const use = books.useOf(node, network, cidr)
  if (use === undefined && !books.keepsUsesOf(node)) return
  if (use === undefined) {
    const repair = { kind: 'count-block', node, network, cidr } as const
    const found = `node ${node} has it and does not know`
    const wanted = 'a use of the same node'
    yield { ...base, code: 'claim-without-use', severity: 'fail', found, wanted, repair }
  } else if (use.first !== claim.first) {
    const found = `its claim says ${claim.first}, its use ${use.first}`
    const wanted = 'both the same about the tunnel endpoint'
    yield { ...base, code: 'first-differs', severity: 'fail', found, wanted }
  }
}

/** Claims come in address order, so a block can only overlap the widest before it. */
function* overlaps(claims: readonly BlockClaim[]): Generator<IpamFinding> {
  let last: { claim: BlockClaim; end: bigint } | undefined
  for (const claim of claims) {
    const start = ipToInteger(networkAddress(claim.cidr))
    const end = start + prefixSize(claim.cidr)
    const isNear =
      last !== undefined &&
      last.claim.network === claim.network &&
      prefixFamily(last.claim.cidr) === prefixFamily(claim.cidr)
    if (last !== undefined && isNear && start < last.end) {
      const { network, node } = claim
      const found = `it overlaps ${last.claim.cidr} of node ${last.claim.node}`
      const wanted = 'addresses of its own'
      const subject = subjectOf(claim)
      yield { code: 'claim-overlap', severity: 'fail', subject, network, node, found, wanted }
    }
    if (last === undefined || !isNear || end > last.end) last = { claim, end }
  }
}

/** One first block for each node, network and family, of those that stay with their node. */
function* firsts({ claims, networks }: Books): Generator<IpamFinding> {
  const owners = new Map<string, BlockClaim[]>()
  for (const claim of claims) {
    const record = networks.get(claim.network)
    if (record !== undefined && isFloating(record, claim) && !claim.first) continue
    const owner = `${claim.network}/${claim.node}/${prefixFamily(claim.cidr)}`
    const known = owners.get(owner)
    if (known === undefined) owners.set(owner, [claim])
    else known.push(claim)
  }
  for (const blocks of owners.values()) {
    const first = blocks.filter((claim) => claim.first)
    const [one] = blocks
    if (first.length === 1 || one === undefined) continue
    const { network, node } = one
    const base = { severity: 'fail', network, node } as const
    const wanted = 'exactly one first block, whose network address is the tunnel endpoint'
    const subject = `node ${node}, IPv${prefixFamily(one.cidr)}`
    if (first.length === 0) {
      const found = `none of its ${counted(blocks.length, 'block')} is the first`
      yield { ...base, code: 'first-missing', subject, found, wanted }
    } else {
      const found = `${first.map(({ cidr }) => cidr).join(' and ')} are first blocks`
      yield { ...base, code: 'first-twice', subject, found, wanted }
    }
  }
}

function* checkUse(books: Books, use: OwnedUse): Generator<IpamFinding> {
  const { node, network, cidr } = use
  const base = { subject: subjectOf(use), network, node, severity: 'fail' } as const
  const claim = books.claimOf(network, cidr)
  if (claim?.node !== node) {
    const found = `node ${node} uses it, ${claim === undefined ? 'nobody' : `node ${claim.node}`} has it`
    const repair = { kind: 'remove-use', node, network, cidr } as const
    yield { ...base, code: 'use-without-claim', found, wanted: `a claim of node ${node}`, repair }
    return
  }
  const held = books.heldIn(network, cidr)
  const repair = { kind: 'count-block', node, network, cidr } as const
  if (held !== use.used) {
    const found = `counts ${counted(use.used, 'address')}, has ${held}`
    yield { ...base, code: 'use-count', found, wanted: `${held}`, repair }
  }
  const right = restingIn(use, (ip) => books.addressOf(network, ip) !== undefined)
  if (right.length === (use.cooling ?? right).length) return
  const found = `lists ${counted(use.cooling?.length ?? 0, 'resting address')}, of which ${right.length} can rest`
  const wanted = 'places of it that nobody holds, each once'
  yield { ...base, code: 'cooling-wrong', found, wanted, repair }
}
