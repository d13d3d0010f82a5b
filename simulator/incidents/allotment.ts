/**
 * The product's allocator without kernels: nodes come and go, pods get addresses, and
 * what a switch of the fabric would have to know of them is counted.
 *
 * @module
 */
import { allocate, ensureBlocks, release, releaseNode } from '../../ipam/allocator.ts'
import { keys } from '../../ipam/keys.ts'
import { memoryStore } from '../../ipam/memory-store.ts'
import { createNetwork, parseNetworkSpec } from '../../ipam/networks.ts'
import type { AttachmentKey } from '../../ipam/records.ts'
import type { Store, Tx } from '../../ipam/store.ts'
import { invariant } from '../../src/errors.ts'
import {
  type Ip,
  ipToInteger,
  macFromName,
  networkAddress,
  type Prefix,
  prefixLength,
  prefixOf,
} from '../../src/net/mod.ts'
import type { PlainRoute } from '../ortc.ts'

const NETWORK = 'pods'
/** Every node of the underlay at one address: nobody sends a packet here. */
const ANYWHERE = '192.0.2.1' as Ip
const HOST_LENGTH = 32

export interface AllotmentOptions {
  readonly pool: string
  readonly blockLength: number
  /** Nodes keep an unused block ahead, as agents do. */
  readonly spare: boolean
}

interface Member {
  readonly rack: number
  readonly pods: AttachmentKey[]
}

export class Allotment {
  private readonly store: Store
  private readonly deferred: (() => void)[] = []
  private readonly spare: boolean
  private readonly members = new Map<string, Member>()
  private pods = 0

  constructor({ pool, blockLength, spare }: AllotmentOptions) {
    this.store = memoryStore({ defer: (run) => void this.deferred.push(run) })
    this.spare = spare
    const spec = { name: NETWORK, mode: 'route', pools: [{ cidr: pool, blockLength }] }
    this.write((tx) => createNetwork(tx, parseNetworkSpec(spec, 0)))
  }

  /** @param says Whether it tells the allocator its rack, which then places by it. */
  join(node: string, rack: number, says: boolean): void {
    this.members.set(node, { rack, pods: [] })
    this.write((tx) =>
      tx.put(keys.node(node), {
        name: node,
        ...(says ? { rack: `rack-${rack}` } : {}),
        underlayLink: 'eth0',
        underlayIps: [ANYWHERE],
        underlayPrefixes: [prefixOf(ANYWHERE, 24)],
        underlayMtuBytes: 1500,
        vtepMac: macFromName(node),
        registeredMs: 0,
      }),
    )
  }

  /** @returns whether it got an address. */
  addPod(node: string): boolean {
    const member = this.members.get(node)
    invariant(member !== undefined, `node ${node} has joined`)
    const key = { network: NETWORK, containerId: `pod-${this.pods++}`, ifname: 'eth0' }
    const request = { key, node, netns: '', mayClaim: true, nowMs: 0, bootId: node }
    const answer = this.write((tx) => {
      const found = allocate(tx, request)
      const network = this.spare ? tx.get(keys.network(NETWORK)) : undefined
      if (network !== undefined) ensureBlocks(tx, network, node, 0)
      return found
    })
    if (answer.kind === 'refused') return false
    member.pods.push(key)
    return true
  }

  /** Its pods end as they should; the node goes. @param released Whether anybody says that it is gone. */
  leave(node: string, released: boolean): void {
    const { pods } = this.members.get(node) ?? { pods: [] }
    this.members.delete(node)
    this.write((tx) => {
      for (const key of pods) release(tx, node, key)
      if (released) releaseNode(tx, node)
    })
  }

  podsOf(node: string): number {
    return this.members.get(node)?.pods.length ?? 0
  }

  /** Blocks that somebody has, and those of nodes that are gone. */
  blocks(): { readonly claimed: number; readonly stranded: number } {
    const claims = this.store.read((reader) => reader.range(keys.claims(NETWORK)))
    const gone = claims.filter(([, { node }]) => !this.members.has(node))
    return { claimed: claims.length, stranded: gone.length }
  }

  /** A route a block to the rack of its node. */
  blockRoutes(): readonly PlainRoute[] {
    const claims = this.store.read((reader) => reader.range(keys.claims(NETWORK)))
    return claims.map(([, { cidr, node }]) => ({ ...plain(cidr), nextHop: this.rackOf(node) }))
  }

  /** A route a pod. */
  podRoutes(): readonly PlainRoute[] {
    const nodes = [...this.members.keys()]
    return this.store.read((reader) =>
      nodes.flatMap((node) =>
        reader
          .range(keys.attachments(node))
          .flatMap(([, { ips }]) => ips)
          .map((ip) => ({ ...host(ip), nextHop: this.rackOf(node) })),
      ),
    )
  }

  private rackOf(node: string): number {
    return this.members.get(node)?.rack ?? -1
  }

  /** In a transaction, at once. */
  private write<T>(body: (tx: Tx) => T): T {
    let answer: { readonly value: T } | undefined
    let failed: Error | undefined
    this.store.transact(body, (outcome) => {
      if (outcome.kind === 'committed') answer = { value: outcome.answer }
      else failed = outcome.error
    })
    for (const run of this.deferred.splice(0)) run()
    if (failed !== undefined) throw failed
    invariant(answer !== undefined, 'a transaction in memory ends at once')
    return answer.value
  }
}

const plain = (prefix: Prefix): Pick<PlainRoute, 'start' | 'length'> => ({
  start: Number(ipToInteger(networkAddress(prefix))),
  length: prefixLength(prefix),
})

const host = (ip: Ip): Pick<PlainRoute, 'start' | 'length'> => ({
  start: Number(ipToInteger(ip)),
  length: HOST_LENGTH,
})
