/**
 * What must be true of a store after any history: checked by reading all of it,
 * with plain loops that share no arithmetic with the allocator.
 */
import assert from 'node:assert/strict'
import { Address4, Address6 } from 'ip-address'
import { keys } from '../../ipam/keys.ts'
import type {
  AddressRecord,
  AttachmentRecord,
  BlockClaim,
  BlockUse,
  NetworkRecord,
} from '../../ipam/records.ts'
import type { Reader } from '../../ipam/store.ts'

/** First and last address of a CIDR as integers, read by another library. */
export function bounds(cidr: string): readonly [first: bigint, last: bigint] {
  const range = cidr.includes(':') ? new Address6(cidr) : new Address4(cidr)
  return [range.startAddress().bigInt(), range.endAddress().bigInt()]
}

const integer = (ip: string): bigint => bounds(ip)[0]

/** Asserts every invariant for the given nodes. Throws on the first that is broken. */
export function checkInvariants(reader: Reader, nodes: readonly string[]): void {
  for (const [, network] of reader.range(keys.networks)) {
    const claims = [...reader.range(keys.claims(network.name))].map(([, claim]) => claim)
    checkClaims(reader, network, claims)
    checkUses(reader, network, claims, nodes)
    checkAddresses(reader, network, claims, nodes)
    checkReservations(reader, network)
    checkRules(reader, network)
  }
}

function checkClaims(reader: Reader, network: NetworkRecord, claims: readonly BlockClaim[]): void {
  const firsts = new Set<string>()
  let last = [-1n, -1n] as readonly [bigint, bigint]
  let family = ''
  for (const claim of claims) {
    const pool = network.pools.find(({ cidr }) => cidr === claim.pool)
    assert.ok(pool, `${claim.cidr} is of a pool`)
    const [[first, end], [poolFirst, poolEnd]] = [bounds(claim.cidr), bounds(pool.cidr)]
    assert.ok(first >= poolFirst && end <= poolEnd, `${claim.cidr} lies in ${pool.cidr}`)
    assert.ok(claim.cidr.endsWith(`/${pool.blockLength}`), `${claim.cidr} has the block length`)
    const claimFamily = claim.cidr.includes(':') ? '6' : '4'
    if (family === claimFamily) assert.ok(first > last[1], `${claim.cidr} overlaps no other`)
    ;[family, last] = [claimFamily, [first, end]]
    if (pool.floating === true) assert.ok(!claim.first, `${claim.cidr} is no tunnel endpoint`)
    if (!claim.first) continue
    const owner = `${claim.node} ${claimFamily}`
    assert.ok(!firsts.has(owner), `${claim.node} has one first block`)
    firsts.add(owner)
  }
  for (const { node, cidr } of claims) {
    // Also who has only floating addresses: peers reach them by the first block.
    assert.ok(firsts.has(`${node} ${cidr.includes(':') ? '6' : '4'}`), `${node} has a first block`)
    assert.ok(reader.get(keys.use(node, network.name, cidr)), `${cidr} has a use`)
  }
}

function checkUses(
  reader: Reader,
  network: NetworkRecord,
  claims: readonly BlockClaim[],
  nodes: readonly string[],
): void {
  const addresses = [...reader.range(keys.addresses(network.name))].map(([, address]) => address)
  for (const node of nodes) {
    for (const [, use] of reader.range(keys.uses(node, network.name))) {
      const claim = claims.find(({ cidr }) => cidr === use.cidr)
      assert.equal(claim?.node, node, `${use.cidr} is claimed by its user`)
      assert.equal(claim?.first, use.first, `${use.cidr}: claim and use agree on first`)
      const held = addresses.filter(({ block }) => block === use.cidr).length
      assert.equal(use.used, held, `${use.cidr} counts its addresses`)
      checkCooling(use, addresses)
    }
  }
}

function checkCooling(use: BlockUse, addresses: readonly AddressRecord[]): void {
  const [first, last] = bounds(use.cidr)
  const held = addresses.map(({ ip }) => integer(ip))
  const seen = new Set<number>()
  for (const { offset } of use.cooling ?? []) {
    assert.ok(first + BigInt(offset) <= last, `${offset} is a place in ${use.cidr}`)
    assert.ok(!seen.has(offset), `${offset} of ${use.cidr} cools once`)
    assert.ok(!held.includes(first + BigInt(offset)), `${offset} of ${use.cidr} is nobody's`)
    seen.add(offset)
  }
  assert.notEqual(use.cooling?.length, 0, `${use.cidr}: nothing cools means no list`)
}

function checkReservations(reader: Reader, network: NetworkRecord): void {
  const byPod = new Map<string, string[]>()
  for (const [, { ip, pod, mac }] of reader.range(keys.reservations(network.name))) {
    const family = ip.includes(':') ? 6 : 4
    const own = reader.get(keys.reservedFor(network.name, pod)) ?? []
    assert.ok(own.includes(ip), `${ip} is known to its pod`)
    const name = `${family} ${pod.namespace}/${pod.name}`
    byPod.set(name, [...(byPod.get(name) ?? []), ip])
    const address = reader.get(keys.address(network.name, ip))
    if (address === undefined) continue
    for (const [, { node }] of reader.range(keys.claims(network.name))) {
      const held: AttachmentRecord | undefined = reader.get(keys.attachment(node, address))
      if (held?.sequence !== address.sequence) continue
      assert.equal(held.pod?.name, pod.name, `${ip} is its pod's or nobody's`)
      if (held.hostLink !== undefined) assert.equal(held.mac, mac, `${ip} comes with its MAC`)
    }
  }
  let count = 0
  for (const [, ips] of reader.range(keys.networkReserved(network.name))) count += ips.length
  assert.equal(count, [...byPod.values()].flat().length, 'both records of each reservation')
  for (const [name, ips] of byPod) assert.equal(ips.length, 1, `${name} has one`)
}

const within = (inner: string, outer: string): boolean => {
  if (inner.includes(':') !== outer.includes(':')) return false
  const [[first, last], [outerFirst, outerLast]] = [bounds(inner), bounds(outer)]
  return first >= outerFirst && last <= outerLast
}

/** The block of a key's hexadecimal start, in the pool that contains it. */
function blockAt(network: NetworkRecord, family: string, hex: string): string {
  const start = BigInt(`0x${hex}`)
  const address = family === '4' ? Address4.fromBigInt(start) : Address6.fromBigInt(start)
  const text = address.correctForm()
  const pool = network.pools.find(({ cidr }) => within(text, cidr))
  return pool === undefined ? 'none' : `${text}/${pool.blockLength}`
}

/** Reservations and history stand with their block; excluded ranges in a pool. */
function checkRules(reader: Reader, network: NetworkRecord): void {
  const { name, pools, exclusions = [] } = network
  for (const [key, { ip }] of reader.range(keys.reservations(name))) {
    const [, , family = '', hex = '', own = ''] = key.split('/')
    const block = blockAt(network, family, hex)
    assert.notEqual(block, 'none', `${ip} is reserved in a pool`)
    assert.ok(within(ip, block), `${ip} stands with its block`)
    assert.equal(BigInt(`0x${own}`), integer(ip), `${ip} stands at its place`)
    const floats = pools.some(({ cidr, floating }) => floating === true && within(ip, cidr))
    if (!floats) assert.notEqual(integer(ip), bounds(block)[0], `${ip} is no tunnel endpoint ever`)
    for (const { cidr } of pools) {
      if (!ip.includes(':')) assert.notEqual(integer(ip), bounds(cidr)[1], `${ip} is no broadcast`)
    }
  }
  for (const [key, { ip }] of reader.range(keys.networkHistory(name))) {
    const [, , family = '', hex = '', place] = key.split('/')
    assert.ok(within(ip, blockAt(network, family, hex)), `${ip} is remembered with its block`)
    assert.ok(Number(place) < 128, `${ip} is remembered in the ring`)
  }
  for (const range of exclusions) {
    assert.ok(
      pools.some(({ cidr }) => within(range, cidr)),
      `${range} is of a pool`,
    )
  }
}

function checkAddresses(
  reader: Reader,
  network: NetworkRecord,
  claims: readonly BlockClaim[],
  nodes: readonly string[],
): void {
  const held = new Map<string, string>()
  for (const node of nodes) {
    for (const [, attachment] of reader.range(keys.networkAttachments(node, network.name))) {
      for (const ip of attachment.ips) {
        assert.equal(held.get(ip), undefined, `${ip} is held once`)
        held.set(ip, attachment.containerId)
        const address = reader.get(keys.address(network.name, ip))
        assert.equal(address?.containerId, attachment.containerId, `${ip} knows its holder`)
        assert.equal(address?.sequence, attachment.sequence, `${ip} knows its sequence`)
        const claim = claims.find(({ cidr }) => cidr === address?.block)
        assert.equal(claim?.node, node, `${ip} is in a block of its node`)
        checkNotReserved(network, claim!, ip)
      }
    }
  }
  const count = [...reader.range(keys.addresses(network.name))].length
  assert.equal(count, held.size, 'every address has a holder')
}

function checkNotReserved(network: NetworkRecord, claim: BlockClaim, ip: string): void {
  const [first, last] = bounds(claim.cidr)
  const [poolFirst, poolLast] = bounds(claim.pool)
  const value = integer(ip)
  assert.ok(value >= first && value <= last, `${ip} lies in ${claim.cidr}`)
  if (claim.first) assert.notEqual(value, first, `${ip} is no tunnel endpoint`)
  assert.notEqual(value, poolFirst, `${ip} is no network address`)
  if (!ip.includes(':')) assert.notEqual(value, poolLast, `${ip} is no broadcast address`)
  for (const { gateway } of network.pools) assert.notEqual(ip, gateway, `${ip} is no gateway`)
}
