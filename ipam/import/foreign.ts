/**
 * What other address managers hold, in one form.
 *
 * Parsers are total: whatever they are given they answer with what they could
 * read and, in words, what they could not.
 *
 * @module
 */
import type { Ip, Prefix } from '../../src/net/mod.ts'

/** One address that somebody gave. */
export interface ForeignAddress {
  readonly ip: Ip
  /** undefined: nobody says whose it is. */
  readonly containerId?: string
  readonly ifname?: string
  readonly pod?: { readonly namespace: string; readonly name: string }
  /** undefined: the node that was read. */
  readonly node?: string
}

/** A range that belongs to a node. */
export interface ForeignBlock {
  readonly cidr: Prefix
  /** undefined: the node that was read; empty: nobody says whose it is. */
  readonly node?: string
}

export interface Foreign {
  readonly addresses: readonly ForeignAddress[]
  readonly blocks: readonly ForeignBlock[]
  /** What was left out, and why, in words. */
  readonly ignored: readonly string[]
}

/** More of anything is left out. */
export const ENTRIES_MAX = 1_000_000

/** Collects what a parser finds. */
export interface Gathering {
  readonly addresses: ForeignAddress[]
  readonly blocks: ForeignBlock[]
  readonly ignored: string[]
}

export const gathering = (): Gathering => ({ addresses: [], blocks: [], ignored: [] })

type Json = Readonly<Record<string, unknown>>

export const asObject = (value: unknown): Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : {}

export const asList = (value: unknown): readonly unknown[] =>
  Array.isArray(value) ? value.slice(0, ENTRIES_MAX) : []

/** A name that may stand in a key: no slash, no white space, not long. */
export const asName = (value: unknown): string | undefined =>
  typeof value === 'string' && /^[^/\s]{1,512}$/.test(value) ? value : undefined

/** Items of a list object (`kubectl get -o json`), or the one object itself. */
export function itemsOf(value: unknown, kind: string): readonly Json[] {
  const object = asObject(value)
  const all = Array.isArray(value)
    ? asList(value)
    : 'items' in object
      ? asList(object['items'])
      : [object]
  return all.map(asObject).filter((each) => each['kind'] === kind)
}

/** `namespace/name`. */
export function podOf(value: unknown): { namespace: string; name: string } | undefined {
  const [namespace, name, ...rest] = typeof value === 'string' ? value.split('/', 3) : []
  return asName(namespace) && asName(name) && rest.length === 0
    ? { namespace: namespace ?? '', name: name ?? '' }
    : undefined
}

/** A piece of something from outside, short enough for a message. */
export const told = (value: unknown): string => String(JSON.stringify(value) ?? value).slice(0, 80)
