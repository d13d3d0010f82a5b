/**
 * Values as a store keeps them: plain JSON, and nobody else's objects.
 *
 * @module
 */
import { invariant } from '../src/errors.ts'

/** What a reader of the disk would get of `value`. */
export type Copy = (key: string, value: unknown) => unknown

/** From here on a list is remembered, which costs more than to copy a short one. */
const LONG = 8

/** @param seal What is done to each object and list that was made. */
function copier(seal: <T extends object>(made: T) => T): Copy {
  /** Long lists and what is in them: the next record of a block has most of the one before. */
  const copies = new WeakSet<object>()

  /** Without making text; undefined: JSON has the last word. */
  function plain(value: unknown): unknown {
    if (typeof value === 'string' || typeof value === 'boolean' || Number.isSafeInteger(value)) {
      return Object.is(value, -0) ? 0 : value
    }
    if (typeof value !== 'object' || value === null) return undefined
    if (copies.has(value)) return value
    return Array.isArray(value) ? plainList(value) : plainRecord(value)
  }

  function plainRecord(value: object): object | undefined {
    if (Object.getPrototypeOf(value) !== Object.prototype) return undefined
    const copy: Record<string, unknown> = {}
    for (const name of Object.keys(value)) {
      const part = (value as Record<string, unknown>)[name]
      if (part === undefined) continue
      const own = plain(part)
      // Assigned, `__proto__` would become no property; a method `toJSON` is no plain value.
      if (own === undefined || name === '__proto__') return undefined
      copy[name] = own
    }
    return seal(copy)
  }

  function plainList(values: readonly unknown[]): object | undefined {
    if ('toJSON' in values) return undefined
    const isLong = values.length >= LONG
    const copy: unknown[] = []
    for (const part of values) {
      const own = plain(part)
      if (own === undefined) return undefined
      if (isLong && typeof own === 'object' && own !== part) copies.add(own as object)
      copy.push(own)
    }
    if (isLong) copies.add(copy)
    return seal(copy)
  }

  function sealed(value: unknown): unknown {
    if (typeof value !== 'object' || value === null) return value
    for (const part of Object.values(value)) sealed(part)
    return seal(value)
  }

  return (key, value) => {
    const copy = plain(value)
    if (copy !== undefined) return copy
    const text = JSON.stringify(value)
    invariant(text !== undefined, `the value of ${key} is JSON`)
    return sealed(JSON.parse(text))
  }
}

/** For values that are looked at for a moment. */
export const plainCopy = copier((made) => made)

/** For values that many readers share for long. */
export const frozenCopy = copier(Object.freeze)
