/**
 * Values as a store keeps them: plain JSON, frozen because readers share it.
 *
 * @module
 */
import { invariant } from '../src/errors.ts'

/** What a reader of the disk would get of `value`. What is of here already is not copied again. */
export function frozenCopy(key: string, value: unknown): unknown {
  const copy = plainCopy(value)
  if (copy !== undefined) return copy
  const text = JSON.stringify(value)
  invariant(text !== undefined, `the value of ${key} is JSON`)
  return deepFreeze(JSON.parse(text))
}

/** Lists and what is in them: the next record of a block has most of the one before. */
const copies = new WeakSet<object>()

/** The same for what records are made of, without the text; undefined: JSON has the last word. */
function plainCopy(value: unknown): unknown {
  if (typeof value === 'string' || typeof value === 'boolean' || Number.isSafeInteger(value)) {
    return Object.is(value, -0) ? 0 : value
  }
  if (typeof value !== 'object' || value === null) return undefined
  if (copies.has(value)) return value
  return plainObject(value)
}

function plainObject(value: object): object | undefined {
  const copy = Array.isArray(value) ? plainArray(value) : plainRecord(value)
  return copy && Object.freeze(copy)
}

function plainRecord(value: object): object | undefined {
  if (Object.getPrototypeOf(value) !== Object.prototype) return undefined
  const copy: Record<string, unknown> = {}
  for (const name of Object.keys(value)) {
    const part = (value as Record<string, unknown>)[name]
    if (part === undefined) continue
    const plain = plainCopy(part)
    // Assigned, `__proto__` would become no property; a method `toJSON` is no plain value.
    if (plain === undefined || name === '__proto__') return undefined
    copy[name] = plain
  }
  return copy
}

function plainArray(values: readonly unknown[]): object | undefined {
  if ('toJSON' in values) return undefined
  const copy: unknown[] = []
  for (const part of values) {
    const plain = plainCopy(part)
    if (plain === undefined) return undefined
    if (typeof plain === 'object') copies.add(plain as object)
    copy.push(plain)
  }
  copies.add(copy)
  return copy
}

function deepFreeze(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  for (const part of Object.values(value)) deepFreeze(part)
  return Object.freeze(value)
}
