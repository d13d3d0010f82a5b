/**
 * Values as a store keeps them: plain JSON, and nobody else's objects.
 *
 * @module
 */
import { invariant } from '../src/errors.ts'

/**
 * What a reader of the disk would get of `value`. Of `before`, an earlier copy of the
 * same key, parts of lists that are the very same are taken over: the next record
 * of a block has most of its long list.
 */
export type Copy = (key: string, value: unknown, before?: unknown) => unknown

/** @param seal What is done to each object and list that was made. */
function copier(seal: <T extends object>(made: T) => T): Copy {
  /** Without making text; undefined: JSON has the last word. */
  function plain(value: unknown, before: unknown): unknown {
    if (typeof value === 'string' || typeof value === 'boolean' || Number.isSafeInteger(value)) {
      return Object.is(value, -0) ? 0 : value
    }
    if (typeof value !== 'object' || value === null) return undefined
    return Array.isArray(value) ? plainList(value, before) : plainRecord(value, before)
  }

  function plainRecord(value: object, before: unknown): object | undefined {
    if (Object.getPrototypeOf(value) !== Object.prototype) return undefined
    const known = isRecord(before) ? before : NOTHING
    const copy: Record<string, unknown> = {}
    for (const name of Object.keys(value)) {
      const part = (value as Record<string, unknown>)[name]
      if (part === undefined) continue
      const own = typeof part === 'string' ? part : plain(part, known[name])
      // Assigned, `__proto__` would become no property; a method `toJSON` is no plain value.
      if (own === undefined || name === '__proto__') return undefined
      copy[name] = own
    }
    return seal(copy)
  }

  function plainList(values: readonly unknown[], before: unknown): object | undefined {
    if ('toJSON' in values) return undefined
    if (values === before) return before
    const known = Array.isArray(before) ? before : NONE
    let next = 0
    const copy: unknown[] = [...values]
    for (let index = 0; index < copy.length; index++) {
      const part = copy[index]
      // What was taken out in between is skipped; what is nowhere ends the search.
      while (next < known.length && known[next] !== part) next++
      const own = next < known.length ? known[next++] : plain(part, undefined)
      if (own === undefined) return undefined
      copy[index] = own
    }
    return seal(copy)
  }

  function sealed(value: unknown): unknown {
    if (typeof value !== 'object' || value === null) return value
    for (const part of Object.values(value)) sealed(part)
    return seal(value)
  }

  return (key, value, before) => {
    const copy = plain(value, before)
    if (copy !== undefined) return copy
    const text = JSON.stringify(value)
    invariant(text !== undefined, `the value of ${key} is JSON`)
    return sealed(JSON.parse(text))
  }
}

const NOTHING: Readonly<Record<string, unknown>> = {}
const NONE: readonly unknown[] = []

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null

/** For values that are looked at for a moment. */
export const plainCopy = copier((made) => made)

/** For values that many readers share for long. */
export const frozenCopy = copier(Object.freeze)
