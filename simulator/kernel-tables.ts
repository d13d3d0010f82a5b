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
  type Route,
} from '../src/kernel/mod.ts'

/** Hears of every object that appears, changes or vanishes. */
export type KernelListener = (
  before: KernelObject | undefined,
  after: KernelObject | undefined,
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
  private state = new Map<string, KernelObject>()
  /** Whether `state` was handed out and must be copied before the next change. */
  private shared = false
  /** Identities of what hangs on a link, by its name, or on a set, by its identity. */
  private readonly hanging = new Map<string, Set<string>>()
  /** Routes without gateway, by link: what makes a gateway reachable. */
  protected readonly direct = new Map<string, Map<string, Route>>()

  constructor(listener: KernelListener = () => {}) {
    this.listener = listener
  }

  /** Everything the kernel holds. The map never changes; a later change makes a new one. */
  snapshot(): KernelState {
    this.shared = true
    return this.state
  }

  /** The object of an identity, without a snapshot. */
  get(key: string): KernelObject | undefined {
    return this.state.get(key)
  }

  link(name: string): Link | undefined {
    const object = this.state.get(`link ${name}`)
    return object?.kind === 'link' ? object : undefined
  }

  objects(): Iterable<KernelObject> {
    return this.state.values()
  }

  protected *links(): Iterable<Link> {
    for (const object of [...this.state.values()]) if (object.kind === 'link') yield object
  }

  protected linksOver(name: string): readonly Link[] {
    return this.hangingOn(name).filter((object) => object.kind === 'link')
  }

  protected hangingOn(name: string): readonly KernelObject[] {
    return [...(this.hanging.get(name) ?? [])].flatMap((key) => this.state.get(key) ?? [])
  }

  protected insert(object: KernelObject): undefined {
    const key = identity(object)
    const before = this.own().get(key)
    if (before === undefined) this.counts[object.kind]++
    else this.unindex(key, before)
    this.state.set(key, object)
    this.index(key, object)
    this.version++
    this.listener(before, object)
    return undefined
  }

  protected erase(object: KernelObject): void {
    const key = identity(object)
    if (!this.own().delete(key)) return
    this.counts[object.kind]--
    this.unindex(key, object)
    this.version++
    this.listener(object, undefined)
  }

  private own(): Map<string, KernelObject> {
    if (this.shared) {
      this.state = new Map(this.state)
      this.shared = false
    }
    return this.state
  }

  private index(key: string, object: KernelObject): void {
    const on = anchorOf(object)
    if (on === undefined) return
    const keys = this.hanging.get(on)
    if (keys === undefined) this.hanging.set(on, new Set([key]))
    else keys.add(key)
    if (object.kind !== 'route' || object.via !== undefined) return
    const routes = this.direct.get(on)
    if (routes === undefined) this.direct.set(on, new Map([[key, object]]))
    else routes.set(key, object)
  }

  private unindex(key: string, object: KernelObject): void {
    const on = anchorOf(object)
    if (on === undefined) return
    this.hanging.get(on)?.delete(key)
    this.direct.get(on)?.delete(key)
  }
}

/** What an object vanishes with. */
const anchorOf = (object: KernelObject): string | undefined =>
  object.kind === 'nft-element' ? `nft-set ${object.set}` : linkOf(object)
