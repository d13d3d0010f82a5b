/**
 * A kernel on paper: what an operation does, what it takes along, and what the
 * real one would refuse. Deliberately simpler than the simulator's.
 */
import type { KernelObject, KernelOp, KernelState } from '../../src/kernel/mod.ts'
import { identity, linkOf, subjectOf } from '../../src/kernel/mod.ts'

export class Refused extends Error {}

/** The state after `op`. @throws {Refused} The kernel would not do it. */
export function applied(state: KernelState, op: KernelOp): KernelState {
  const object = subjectOf(op)
  const key = identity(object)
  const after = new Map(state)
  if (op.kind === 'remove') {
    if (!after.delete(key)) throw new Refused(`nothing to remove: ${key}`)
    return object.kind === 'link' ? withoutLink(after, object.name) : after
  }
  if (op.kind === 'add' && state.has(key)) throw new Refused(`exists: ${key}`)
  if (op.kind === 'change' && !state.has(key)) throw new Refused(`nothing to change: ${key}`)
  for (const name of needs(object)) {
    if (!state.has(`link ${name}`)) throw new Refused(`${key} needs link ${name}`)
  }
  after.set(key, seen(object, state.get(key)))
  return after
}

/** Links that must be there first. */
function needs(object: KernelObject): readonly string[] {
  const below = linkOf(object)
  const master = object.kind === 'link' ? object.master : undefined
  return [below, master].filter((name) => name !== undefined)
}

/** A dump knows nothing of plans, and keeps what an operation left open. */
function seen(object: KernelObject, before: KernelObject | undefined): KernelObject {
  if (object.kind !== 'link') return object
  const { adopt: _planned, link, ...rest } = object
  const kind = link.type === 'veth' ? ({ type: 'veth' } as const) : link
  const { master: _left, ...kept } = before?.kind === 'link' ? before : object
  return { ...kept, ...rest, link: kind }
}

/** What hangs on a link goes with it; its ports are without a master. */
function withoutLink(state: Map<string, KernelObject>, name: string): KernelState {
  for (const [key, object] of [...state]) {
    if (linkOf(object) === name) {
      state.delete(key)
      if (object.kind === 'link') withoutLink(state, object.name)
    } else if (object.kind === 'link' && object.master === name) {
      const { master: _gone, ...port } = object
      state.set(key, port)
    }
  }
  return state
}
