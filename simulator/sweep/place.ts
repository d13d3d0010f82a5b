/**
 * Puts a value at a path of what a scenario file holds.
 *
 * @module
 */
import { stringify } from 'yaml'
import { show } from '../scenario-values.ts'
import type { Setting } from './file.ts'

/** Told why a path leads nowhere; throws. */
export type Refuse = (path: string, why: string) => never

type Holder = Record<string, unknown> | unknown[]

/** A copy of `base` with every setting in its place. Maps that are missing on the way are made. */
export function placed(base: unknown, settings: readonly Setting[], refuse: Refuse): unknown {
  const copy = structuredClone(base)
  for (const { path, value } of settings) {
    const steps = path.split('.')
    const last = steps.pop() ?? ''
    let at: unknown = copy
    for (const [index, step] of steps.entries()) {
      const way = steps.slice(0, index).join('.')
      at = below(holderOf(at, way, path, refuse), step, path, refuse)
    }
    const holder = holderOf(at, steps.join('.'), path, refuse)
    if (Array.isArray(holder)) holder[placeIn(holder, last, path, refuse)] = structuredClone(value)
    else holder[last] = structuredClone(value)
  }
  return copy
}

function below(holder: Holder, step: string, path: string, refuse: Refuse): unknown {
  if (Array.isArray(holder)) return holder[placeIn(holder, step, path, refuse)]
  if (!Object.hasOwn(holder, step)) holder[step] = {}
  return holder[step]
}

function holderOf(found: unknown, way: string, path: string, refuse: Refuse): Holder {
  if (typeof found === 'object' && found !== null) return found as Holder
  return refuse(path, `${way} is ${show(found)} in the base, wanted a map or a list there`)
}

function placeIn(list: readonly unknown[], step: string, path: string, refuse: Refuse): number {
  const place = Number(step)
  if (/^\d{1,9}$/.test(step) && place < list.length) return place
  return refuse(path, `found ${show(step)}, wanted a place in a list of ${list.length}, from 0 on`)
}

const WORDS_MAX = 60

/** A value in one short line. */
export function wordsOf(value: unknown): string {
  if (typeof value === 'string') return value
  if (typeof value !== 'object' || value === null) return String(value)
  const text = stringify(value, { collectionStyle: 'flow', lineWidth: 0 }).trim()
  return text.length <= WORDS_MAX ? text : `${text.slice(0, WORDS_MAX - 1)}…`
}

/** `nodes=100 times.storeMs=5`. */
export const pointWords = (settings: readonly Setting[]): string =>
  settings.map(({ path, value }) => `${path}=${wordsOf(value)}`).join(' ')
