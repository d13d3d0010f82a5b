/**
 * Operations on a kernel: frozen data, each with its inverse, so that undo is
 * a list and a dry run is free.
 *
 * @module
 */
import { type KernelObject, type Link, peerMtuDiffers } from './state.ts'

export type KernelOp =
  | { readonly kind: 'add'; readonly object: KernelObject }
  | { readonly kind: 'change'; readonly from: KernelObject; readonly to: KernelObject }
  | { readonly kind: 'remove'; readonly object: KernelObject }

/** A notification: an object is there, new or changed, or it is gone. */
export interface KernelEvent {
  readonly change: 'new' | 'del'
  readonly object: KernelObject
}

/** The operation that takes `op` back. */
export function inverse(op: KernelOp): KernelOp {
  switch (op.kind) {
    case 'add':
      return { kind: 'remove', object: op.object }
    case 'change':
      return { kind: 'change', from: op.to, to: op.from }
    case 'remove':
      return { kind: 'add', object: op.object }
  }
}

/** What the operation leaves behind, or takes away. */
export const subjectOf = (op: KernelOp): KernelObject => (op.kind === 'change' ? op.to : op.object)

/** How one operation ended: undefined is success. */
export interface KernelFailure {
  /** Errno name, e.g. `EEXIST`. */
  readonly code: string
  readonly message: string
}

/** Which settings of a link differ from `to`; undefined in `to` leaves a setting alone. */
export function linkChanges(from: Link | undefined, to: Link): Partial<Link> {
  const change: { -readonly [K in keyof Link]?: Link[K] } = {}
  if (to.mac !== undefined && to.mac !== from?.mac) change.mac = to.mac
  if (to.mtuBytes !== undefined && to.mtuBytes !== from?.mtuBytes) change.mtuBytes = to.mtuBytes
  if (to.peerMtuBytes !== undefined && from !== undefined && peerMtuDiffers(from, to)) {
    change.peerMtuBytes = to.peerMtuBytes
  }
  if (to.alias !== undefined && to.alias !== from?.alias) change.alias = to.alias
  if (to.master !== from?.master) change.master = to.master ?? ''
  if (to.up !== (from?.up ?? false)) change.up = to.up
  return change
}
