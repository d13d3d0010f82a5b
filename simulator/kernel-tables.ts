/**
 * The storage under a simulated kernel: objects by identity, and what hangs on
 * each link and each set. It knows no rules; kernel.ts does.
 *
 * @module
 */
import {
  identity,
  type KernelObject,
  type KernelState,
  type Link,
  linkOf,
  type NftElement,
  type Route,
} from '../src/kernel/mod.ts'
import { Snapshot } from './kernel-snapshot.ts'

/** Hears of every object that appears, changes or vanishes; `key` is its identity. */
export type KernelListener = (
  before: KernelObject | undefined,
  after: KernelObject | undefined,
  key: string,
) => void

export class KernelTables {
  /** Grows with every change. */
  version = 0
  readonly counts: Record<KernelObject['kind'], number> = {
    link: 0,
    addr: 0,
    route: 0,
    neigh: 0,
    fdb: 0,
    vni: 0,
    'offload-off': 0,
    'nft-table': 0,
    'nft-set': 0,
    'nft-element': 0,
    'nft-chain': 0,
    sysctl: 0,
  }

  private readonly listener: KernelListener
  private readonly state = new Map<string, KernelObject>()
  /** Links by name, in the order of `state`: nearly every operation asks for one. */
  private readonly linkByName = new Map<string, Link>()
  /** The last one that was handed out. */
  private shown: Snapshot | undefined
  /** Identities of what hangs on a link, by its name; made when somebody asks, which few kernels are. */
  private onLink: Map<string, Set<string>> | undefined
  /** Identities of a set's elements, by its name; of those that somebody asked for. */
  private readonly inSet = new Map<string, Set<string>>()
  /** Routes without gateway, by link: what makes a gateway reachable. */
  protected readonly direct = new Map<string, Map<string, Route>>()

  constructor(listener: KernelListener = () => {}) {
    this.listener = listener
  }

  /** Everything the kernel holds now, whatever changes later. */
  snapshot(): KernelState {
    if (this.shown?.isCurrent === true) return this.shown
    const made = new Snapshot(this.state)
    this.shown?.handOver(made)
    this.shown = made
    return made
  }

  /** The object of an identity, without a snapshot. */
  get(key: string): KernelObject | undefined {
    return this.state.get(key)
  }

  link(name: string): Link | undefined {
    return this.linkByName.get(name)
  }

  objects(): Iterable<KernelObject> {
    return this.state.values()
  }

  protected *links(): Iterable<Link> {
    yield* [...this.linkByName.values()]
  }

  protected linksOver(name: string): readonly Link[] {
    return this.hangingOn(name).filter((object) => object.kind === 'link')
  }

  protected hangingOn(name: string): readonly KernelObject[] {
    this.onLink ??= this.indexOfLinks()
    return [...(this.onLink.get(name) ?? [])].flatMap((key) => this.state.get(key) ?? [])
  }

  private indexOfLinks(): Map<string, Set<string>> {
    const index = new Map<string, Set<string>>()
    for (const [key, object] of this.state) {
      const on = linkOf(object)
      if (on !== undefined) keysAt(index, on).add(key)
    }
    return index
  }

  /** Elements of a set. Cost: linear in them. */
  elements(set: string): readonly NftElement[] {
    const keys = this.inSet.get(set) ?? this.keysIn(set)
    return [...keys].flatMap((key) => {
      const object = this.state.get(key)
      return object?.kind === 'nft-element' ? [object] : []
    })
  }

  private keysIn(set: string): ReadonlySet<string> {
    const keys = keysAt(this.inSet, set)
    for (const [key, object] of this.state) {
      if (object.kind === 'nft-element' && object.set === set) keys.add(key)
    }
    return keys
  }

  /** @param key Its identity, where it is known already. */
  protected insert(object: KernelObject, key = identity(object)): undefined {
    const before = this.state.get(key)
    this.shown?.note(key, before)
    if (before === undefined) this.counts[object.kind]++
    else this.unindex(key, before)
    this.state.set(key, object)
    this.index(key, object)
    this.version++
    this.listener(before, object, key)
    return undefined
  }

  protected erase(object: KernelObject): void {
    const key = identity(object)
    const before = this.state.get(key)
    if (before === undefined) return
    this.shown?.note(key, before)
    this.state.delete(key)
    if (object.kind === 'link') this.linkByName.delete(object.name)
    this.counts[object.kind]--
    this.unindex(key, object)
    this.version++
    this.listener(object, undefined, key)
  }

  private index(key: string, object: KernelObject): void {
    if (object.kind === 'link') this.linkByName.set(object.name, object)
    else if (object.kind === 'nft-element') {
      this.inSet.get(object.set)?.add(key)
      return
    }
    const on = linkOf(object)
    if (on === undefined) return
    if (this.onLink !== undefined) keysAt(this.onLink, on).add(key)
    if (object.kind !== 'route' || object.via !== undefined) return
    const routes = this.direct.get(on)
    if (routes === undefined) this.direct.set(on, new Map([[key, object]]))
    else routes.set(key, object)
  }

  private unindex(key: string, object: KernelObject): void {
    if (object.kind === 'nft-element') {
      this.inSet.get(object.set)?.delete(key)
      return
    }
    const on = linkOf(object)
    if (on === undefined) return
    this.onLink?.get(on)?.delete(key)
    this.direct.get(on)?.delete(key)
  }
}

function keysAt(index: Map<string, Set<string>>, place: string): Set<string> {
  const known = index.get(place)
  if (known !== undefined) return known
  const made = new Set<string>()
  index.set(place, made)
  return made
}
