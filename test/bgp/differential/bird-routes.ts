/**
 * `show route all` of BIRD 2 as data.
 *
 * @module
 */
import { type PathWords, type SeenPath, wordsText } from './outcome.ts'

/** `172.16.0.0/16 unicast [e1 17:43:16.969 from 10.1.1.1] * (100/3) [AS65001e]` */
const HEAD = /^(?<prefix>\S*)\s+(?<how>\w+) \[(?<protocol>\S+) (?<rest>[^\]]*)\]\s*(?<best>\*?) /
const ATTRIBUTE = /^\tBGP\.(?<name>\w+): ?(?<value>.*)$/

const ORIGINS: Readonly<Record<string, string>> = {
  IGP: 'igp',
  EGP: 'egp',
  Incomplete: 'incomplete',
}

interface Entry {
  readonly prefix: string
  readonly from: string
  readonly isBest: boolean
  readonly isReachable: boolean
  readonly values: Map<string, string>
}

/** Paths by prefix of a router whose BIRD said this; those without a way to the next hop are none. */
export function parseRoutes(text: string): ReadonlyMap<string, readonly SeenPath[]> {
  const entries: Entry[] = []
  for (const line of text.split('\n')) {
    const head = HEAD.exec(line)?.groups
    if (head !== undefined) {
      const prefix = head['prefix'] || entries.at(-1)?.prefix || ''
      const from = /from (\S+)/.exec(head['rest'] ?? '')?.[1] ?? 'own'
      const isReachable = head['how'] !== 'unreachable'
      entries.push({ prefix, from, isBest: head['best'] === '*', isReachable, values: new Map() })
      continue
    }
    const attribute = ATTRIBUTE.exec(line)?.groups
    if (attribute) entries.at(-1)?.values.set(attribute['name'] ?? '', attribute['value'] ?? '')
  }
  const found = new Map<string, SeenPath[]>()
  for (const entry of entries) {
    const { prefix, from, isBest, isReachable } = entry
    const words = from === 'own' ? undefined : wordsOf(entry.values)
    const text = words === undefined ? '' : wordsText(words)
    const path: SeenPath = {
      from,
      // What nobody knows a way to is not used, whatever BIRD calls it.
      isBest: isBest && isReachable,
      text: isReachable ? text : `${text} unreachable`,
      isChosen: isBest,
      ...(words && { words }),
    }
    found.set(prefix, [...(found.get(prefix) ?? []), path])
  }
  for (const [prefix, paths] of found) found.set(prefix, byName(paths))
  return found
}

export const byName = (paths: readonly SeenPath[]): SeenPath[] =>
  [...paths].sort((left, right) => (left.from < right.from ? -1 : 1))

function wordsOf(values: ReadonlyMap<string, string>): PathWords {
  const value = (name: string): string => values.get(name) ?? ''
  const [med, originator, otc] = [values.get('med'), values.get('originator_id'), values.get('otc')]
  return {
    origin: ORIGINS[value('origin')] ?? value('origin'),
    asPath: value('as_path'),
    nextHop: value('next_hop').split(' ')[0] ?? '',
    localPref: value('local_pref'),
    ...(med !== undefined && { med }),
    communities: tuples(value('community')),
    large: tuples(value('large_community')),
    ...(originator !== undefined && { originator }),
    clusters: value('cluster_list').trim().split(' ').join(','),
    ...(otc !== undefined && { otc }),
  }
}

/** `(1,2) (3,4)` to `1:2,3:4`, in the order of numbers. */
const tuples = (text: string): string =>
  [...text.matchAll(/\(([^)]*)\)/g)]
    .map(([, inside = '']) => inside.split(',').map(Number))
    .sort(
      (left, right) => left.map((each, at) => each - right[at]!).find((each) => each !== 0) ?? 0,
    )
    .map((each) => each.join(':'))
    .join(',')
