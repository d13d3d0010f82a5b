/**
 * A world whose kernel tells of every change of its own accord, some time later.
 */
import type { AttachmentRecord, ClusterView } from '../../src/cluster/view.ts'
import {
  type KernelEvent,
  type KernelObject,
  type KernelState,
  kernelState,
  linkOf,
  satisfies,
} from '../../src/kernel/mod.ts'
import { network, networkView, viewOf } from '../backend/views.ts'
import { World } from './script.ts'

export const viewWith = (nodes: number, pods: readonly AttachmentRecord[] = []): ClusterView =>
  viewOf([networkView(network('vxlan'), nodes, pods)], nodes)

/** What a planner leaves open, a kernel fills in. */
export function inKernel(object: KernelObject): KernelObject {
  if (object.kind !== 'link') return object
  const { adopt: _planned, link, ...rest } = object
  return { ...rest, link: link.type === 'veth' ? { type: 'veth' } : link }
}

/** A world whose kernel tells of every change of its own accord, some time later. */
export class LoudWorld extends World {
  readonly told: KernelEvent[] = []
  /** Some kernels do not take an object as it is asked for. */
  bends: (object: KernelObject) => KernelObject = (object) => object

  constructor(view = viewWith(3), slice?: number) {
    super(slice)
    this.view = view
    this.until(0)
    this.deliver()
    this.take()
  }

  override apply(ops: World['applied']): ReturnType<World['apply']> {
    const before = this.kernel
    const failures = super.apply(ops)
    this.kernel = kernelState([...this.kernel.values()].map((each) => this.bends(inKernel(each))))
    this.#tell(before, this.kernel)
    return failures
  }

  /** Somebody changes one object; undefined takes it away, with what hangs on a link. */
  change(key: string, object: KernelObject | undefined): void {
    const before = this.kernel
    const after = new Map(before)
    if (object === undefined) after.delete(key)
    else after.set(key, object)
    const name = key.startsWith('link ') && object === undefined ? key.slice(5) : undefined
    for (const [other, each] of before) {
      if (name !== undefined && linkOf(each) === name) after.delete(other)
    }
    this.kernel = after
    this.#tell(before, after)
  }

  /** Linux says nothing of the IPv4 routes that end with their link. */
  #tell(before: KernelState, after: KernelState): void {
    for (const [key, object] of before) {
      const link = linkOf(object) ?? ''
      const silent =
        object.kind === 'route' && before.has(`link ${link}`) && !after.has(`link ${link}`)
      if (!after.has(key) && !silent) this.told.push({ change: 'del', object })
    }
    for (const [key, object] of after) {
      const old = before.get(key)
      const same = old !== undefined && satisfies(object, old) && satisfies(old, object)
      if (!same && object.kind !== 'sysctl') this.told.push({ change: 'new', object })
    }
  }

  deliver(count = this.told.length): void {
    const events = this.told.splice(0, count)
    if (events.length > 0) this.feed({ kind: 'kernel.events', events })
  }

  /** Lets `ms` go by; the kernel tells what it has to tell every millisecond. */
  pass(ms: number): readonly string[] {
    for (const end = this.now + ms; this.now < end; ) {
      this.until(this.now + 1)
      this.deliver()
    }
    return this.take()
  }
}
