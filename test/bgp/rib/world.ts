/**
 * A RIB and its model side by side: the same calls to both, and what came of them
 * compared where it can be seen, in what each peer and the kernel were told in sum.
 */
import assert from 'node:assert/strict'
import type { AttributeBytes, Attributes } from '../../../src/bgp/attributes.ts'
import type { Family, NlriSlice, Update } from '../../../src/bgp/nlri.ts'
import type { Policy } from '../../../src/bgp/policy/policy.ts'
import type { Peer } from '../../../src/bgp/rib/peers.ts'
import { PrefixTable } from '../../../src/bgp/rib/prefix-table.ts'
import { Rib, type RibOptions, type RibOutput } from '../../../src/bgp/rib/rib.ts'
import { type Ip, ipFamily, type Prefix } from '../../../src/net/mod.ts'
import { Model, type ModelOptions, OWN_ASN, OWN_ID, type PolicyFunctions } from './model.ts'

export const familyOf = (prefix: Prefix): Family => (ipFamily(prefix) === 4 ? 'ipv4' : 'ipv6')

/** Prefixes as a message has them. */
export function nlri(
  family: Family,
  prefixes: readonly { readonly prefix: Prefix; readonly pathId?: number }[],
  hasPathIds: boolean,
): NlriSlice {
  const table = new PrefixTable(family)
  // In the middle of something, as in a message.
  const bytes = new Uint8Array(8 + 21 * prefixes.length).fill(0xa5)
  let end = 3
  for (const { prefix, pathId = 0 } of prefixes) {
    table.readPrefix(prefix)
    if (hasPathIds) {
      new DataView(bytes.buffer).setUint32(end, pathId)
      end += 4
    }
    end = table.write(table.add(), bytes, end)
  }
  return { family, bytes, start: 3, end, hasPathIds }
}

/** Every prefix of a slice. */
export function* prefixesIn({ family, bytes, start, end, hasPathIds }: NlriSlice): Generator<{
  prefix: Prefix
  pathId: number
}> {
  const table = new PrefixTable(family)
  for (let at = start; at < end; ) {
    const pathId = hasPathIds ? new DataView(bytes.buffer).getUint32(at) : 0
    at = table.read(bytes, hasPathIds ? at + 4 : at)
    yield { prefix: table.prefixOf(table.add()), pathId }
  }
}

/** Attributes as bytes: this test's own code, for the RIB only compares them. */
const encoder = new TextEncoder()
export const bytesOf = (attributes: Attributes): AttributeBytes => {
  const bytes = encoder.encode(JSON.stringify(attributes))
  return { bytes, start: 0, end: bytes.length }
}
export const decode = ({ bytes, start, end }: AttributeBytes): Attributes =>
  JSON.parse(new TextDecoder().decode(bytes.subarray(start, end)))

/** Keys in order, so that equal sets are equal texts. */
export const textOf = (attributes: Attributes): string =>
  JSON.stringify(
    Object.fromEntries(Object.entries(attributes).sort(([a], [b]) => (a < b ? -1 : 1))),
  )

export interface WorldOptions extends Partial<ModelOptions> {
  readonly policies?: PolicyFunctions
  readonly rib?: Partial<RibOptions>
}

export class World {
  readonly rib: Rib
  readonly model: Model
  /** What each peer knows: `prefix pathId` to attributes as text. */
  readonly told = new Map<Ip, Map<string, string>>()
  readonly kernel = new Map<Prefix, readonly string[]>()
  /** Every output since the last look. */
  outputs: RibOutput[] = []

  constructor({ policies = {}, rib, ...options }: WorldOptions = {}) {
    const whole = { multipath: 1, medMissing: 'best', alwaysCompareMed: false, ...options } as const
    this.model = new Model(policies, whole)
    const costOf = (nextHop: Ip): number | undefined => this.model.costs.get(nextHop)
    this.rib = new Rib({ asn: OWN_ASN, routerId: OWN_ID, costOf, ...whole, ...rib })
  }

  up(peer: Peer): void {
    if (this.model.up.has(peer.address)) this.down(peer.address)
    this.model.peerUp(peer)
    this.told.set(peer.address, new Map())
    this.rib.peerUp(peer)
  }

  down(address: Ip, retain: readonly Family[] = []): void {
    if (!this.model.up.has(address)) return
    this.model.peerDown(address, retain)
    this.told.delete(address)
    this.rib.peerDown(address, retain)
  }

  learn(
    address: Ip,
    family: Family,
    routes: readonly { readonly prefix: Prefix; readonly pathId?: number }[],
    attributes: Attributes | undefined,
    hasPathIds = false,
  ): ReturnType<Rib['learn']> {
    const peer = this.model.up.get(address)
    if (peer?.families[family] === undefined) return undefined
    for (const { prefix, pathId = 0 } of routes) {
      const id = hasPathIds ? pathId : 0
      if (attributes === undefined) this.model.withdraw(address, prefix, id)
      else this.model.announce(peer, prefix, id, attributes)
    }
    const slice = nlri(family, routes, hasPathIds)
    const update: Update = {
      withdrawn: attributes === undefined ? [slice] : [],
      announced: attributes === undefined ? [] : [slice],
      attributes: attributes && bytesOf(attributes),
      endOfRib: undefined,
    }
    return this.rib.learn(address, update, decode)
  }

  endOfRib(address: Ip, family: Family): void {
    if (!this.model.up.has(address)) return
    this.model.sweep(address, family)
    const empty = { withdrawn: [], announced: [], attributes: undefined }
    this.rib.learn(address, { ...empty, endOfRib: family }, decode)
  }

  /** The timer of a restarted peer. */
  sweep(address: Ip, family: Family): void {
    if (this.rib.peers.find(address) === undefined) return
    this.model.sweep(address, family)
    this.rib.sweep(address, family)
  }

  markStale(address: Ip, family: Family): void {
    if (!this.model.up.has(address)) return
    this.model.age(address, family)
    this.rib.markStale(address, family)
  }

  originate(prefix: Prefix, attributes: Partial<Attributes> = {}): void {
    const nextHop = (familyOf(prefix) === 'ipv4' ? '0.0.0.0' : '::') as Ip
    const whole: Attributes = { origin: 'igp', asPath: [], nextHop, localPref: 100, ...attributes }
    this.model.announce(undefined, prefix, 0, whole)
    this.rib.originate(prefix, attributes)
  }

  withdrawOwn(prefix: Prefix): void {
    this.model.withdraw(undefined, prefix, 0)
    this.rib.withdraw(prefix)
  }

  setPolicies(
    addresses: readonly Ip[],
    importPolicy?: Policy,
    exportPolicy?: Policy,
    more: { readonly gracefulShutdown?: boolean; readonly transparent?: boolean } = {},
  ): void {
    const there = addresses.filter((address) => this.model.up.has(address))
    const policies = {
      ...{ gracefulShutdown: false, transparent: false, ...more },
      ...(importPolicy && { importPolicy }),
      ...(exportPolicy && { exportPolicy }),
    }
    for (const address of there) {
      const { importPolicy: _in, exportPolicy: _out, ...rest } = this.model.up.get(address)!
      const peer = { ...rest, ...policies }
      this.model.up.set(address, peer)
      this.model.known.set(address, peer)
    }
    this.rib.setPolicies(there, policies)
  }

  setCost(nextHop: Ip, cost: number | undefined): void {
    this.model.costs.set(nextHop, cost)
    this.rib.nextHopChanged(nextHop)
  }

  /** A piece of the RIB's work, carried out. */
  work(budget?: number): void {
    for (const output of this.rib.work(budget)) {
      this.outputs.push(output)
      if (output.kind === 'update') this.#tell(output)
      else if (output.kind === 'routes') {
        const hops = output.nextHops.map(({ nextHop, linkLocal, peer }) =>
          linkLocal === undefined ? nextHop : `${linkLocal}%${peer}`,
        )
        for (const { prefix } of prefixesIn(output.prefixes)) {
          if (hops.length === 0) this.kernel.delete(prefix)
          else this.kernel.set(prefix, hops.sort())
        }
      }
    }
  }

  /** All of the work; returns what came of it. */
  settle(budget?: number): readonly RibOutput[] {
    while (!this.rib.isIdle) this.work(budget)
    this.work(budget)
    const outputs = this.outputs
    this.outputs = []
    return outputs
  }

  #tell({ to, attributes, prefixes, count }: RibOutput & { kind: 'update' }): void {
    const routes = [...prefixesIn(prefixes)]
    assert.equal(routes.length, count)
    for (const address of to) {
      const told = this.told.get(address)
      assert.ok(told !== undefined, `${address} is told something while it is down`)
      for (const { prefix, pathId } of routes) {
        const key = `${prefix} ${pathId}`
        if (attributes === undefined) told.delete(key)
        else told.set(key, textOf(attributes))
      }
    }
  }

  /** @throws {AssertionError} Model and RIB differ. */
  check(): void {
    const order = <T>(entries: Iterable<readonly [string, T]>): object =>
      Object.fromEntries([...entries].sort(([a], [b]) => (a < b ? -1 : 1)))
    assert.deepEqual(order(this.kernel), order(this.model.kernel()), 'kernel')
    for (const peer of this.model.up.values()) {
      const found = new Map<string, string[]>()
      for (const [key, text] of this.told.get(peer.address)!) {
        const [prefix = ''] = key.split(' ')
        found.set(prefix, [...(found.get(prefix) ?? []), text].sort())
      }
      const wanted = [...this.model.told(peer)].map(
        ([prefix, sent]) => [prefix, sent.map(textOf).sort()] as const,
      )
      assert.deepEqual(order(found), order(wanted), `told to ${peer.address}`)
    }
  }

  /** Everybody leaves. @throws {AssertionError} The RIB still holds something. */
  empty(): void {
    for (const address of this.model.known.keys()) {
      this.down(address)
      for (const family of ['ipv4', 'ipv6'] as const) this.sweep(address, family)
    }
    for (const { prefix, peer } of [...this.model.routes]) {
      assert.equal(peer, undefined)
      this.withdrawOwn(prefix)
    }
    this.settle()
    for (const { table, paths, raw, loc, nextHops, routeSets, groups, contexts } of Object.values(
      this.rib.families,
    )) {
      const kept = [table, paths, raw, loc, nextHops, routeSets, groups].map(({ size }) => size)
      assert.deepEqual(
        kept,
        [0, 0, 0, 0, 0, 0, 0],
        'prefixes, paths, attributes, next hops, groups',
      )
      assert.equal(contexts.size, 0, 'contexts')
    }
    assert.equal(this.kernel.size, 0)
    for (const address of this.model.known.keys()) {
      assert.equal(this.rib.peers.find(address), undefined, `${address} is forgotten`)
    }
  }
}
