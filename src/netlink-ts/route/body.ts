/**
 * Bodies of rtnetlink messages: a fixed struct, then attributes.
 *
 * @module
 */
import { DecodeError } from '../errors.ts'
import { type Message, viewOf } from '../message.ts'

/**
 * A view over a message's body.
 *
 * @throws {DecodeError} It is shorter than its struct.
 */
export function bodyOf(message: Message, struct: string, bytes: number): DataView {
  if (message.body.length < bytes) {
    throw new DecodeError(struct, 0, `${bytes} bytes`, message.body.length)
  }
  return viewOf(message.body)
}

/** Drops the keys whose value is undefined, so that equal objects have equal keys. */
export function present<T extends object>(value: T): T {
  const bag = value as Record<string, unknown>
  for (const key of Object.keys(bag)) {
    if (bag[key] === undefined) delete bag[key]
  }
  return value
}

/** Joins the words of a description, leaving out what is absent. */
export function words(...parts: readonly (string | number | false | undefined)[]): string {
  return parts.filter((part) => part !== undefined && part !== false && part !== '').join(' ')
}

/** `name value` when there is a value. */
export const word = (name: string, value: string | number | undefined): string | undefined =>
  value === undefined ? undefined : `${name} ${value}`
