/**
 * What came of a network: at every router, every prefix, every path that it took in,
 * and which of them it uses. The same shape from whichever implementation.
 *
 * @module
 */
import type { Attributes } from '../../../src/bgp/attributes.ts'
import { asPathText } from '../../../src/bgp/wire/as-path.ts'

/** A path in words: all that is compared. */
export interface SeenPath {
  /** The neighbour's address, or `own`. */
  readonly from: string
  readonly isBest: boolean
  /** Attributes, one a word; empty for an own route. */
  readonly text: string
  /** Where BIRD says so: its first one, also if there is no way to it. */
  readonly isChosen?: boolean
  readonly words?: PathWords
}

/** By router, by prefix; the paths in the order of their neighbours' names. */
export type Outcome = ReadonlyMap<number, ReadonlyMap<string, readonly SeenPath[]>>

export interface Difference {
  readonly router: number
  readonly prefix: string
  readonly ours: readonly SeenPath[]
  readonly theirs: readonly SeenPath[]
}

/** Attributes as text; what is not there is not named. */
export interface PathWords {
  readonly origin: string
  readonly asPath: string
  readonly nextHop: string
  readonly localPref: string
  readonly med?: string
  readonly communities?: string
  readonly large?: string
  readonly originator?: string
  readonly clusters?: string
  readonly otc?: string
}

export const wordsText = (words: PathWords): string =>
  [
    `path [${words.asPath}]`,
    `via ${words.nextHop}`,
    `pref ${words.localPref}`,
    words.origin,
    ...(words.med === undefined ? [] : [`med ${words.med}`]),
    ...(words.communities ? [`communities ${words.communities}`] : []),
    ...(words.large ? [`large ${words.large}`] : []),
    ...(words.originator === undefined ? [] : [`originator ${words.originator}`]),
    ...(words.clusters ? [`clusters ${words.clusters}`] : []),
    ...(words.otc === undefined ? [] : [`otc ${words.otc}`]),
  ].join(' ')

/** Of attributes after import. */
export function attributeText(attributes: Attributes): string {
  const { med, communities = [], largeCommunities = [], clusterList = [] } = attributes
  const { originatorId, onlyToCustomer } = attributes
  return wordsText({
    origin: attributes.origin,
    asPath: asPathText(attributes.asPath),
    nextHop: attributes.nextHop,
    localPref: String(attributes.localPref),
    ...(med !== undefined && { med: String(med) }),
    communities: communities.map((each) => `${each >>> 16}:${each & 0xffff}`).join(','),
    large: largeCommunities.map((each) => each.join(':')).join(','),
    // Ours notes who a peer is, too, for whom it may be reflected to; only a reflector says it.
    ...(originatorId !== undefined && clusterList.length > 0 && { originator: originatorId }),
    clusters: clusterList.join(','),
    ...(onlyToCustomer !== undefined && { otc: String(onlyToCustomer) }),
  })
}

const lineOf = (paths: readonly SeenPath[]): string =>
  paths.map(({ from, isBest, text }) => `${isBest ? '*' : ' '} ${from} ${text}`).join('\n')

/** Where they differ; nowhere is empty. */
export function differences(ours: Outcome, theirs: Outcome): readonly Difference[] {
  const found: Difference[] = []
  for (const router of new Set([...ours.keys(), ...theirs.keys()])) {
    const [left, right] = [ours.get(router), theirs.get(router)]
    for (const prefix of new Set([...(left?.keys() ?? []), ...(right?.keys() ?? [])])) {
      const [mine, other] = [left?.get(prefix) ?? [], right?.get(prefix) ?? []]
      if (lineOf(mine) !== lineOf(other)) found.push({ router, prefix, ours: mine, theirs: other })
    }
  }
  return found
}

export const differenceText = ({ router, prefix, ours, theirs }: Difference): string =>
  `router ${router}, ${prefix}:\nours\n${lineOf(ours)}\nBIRD\n${lineOf(theirs)}`

/** For whether two outcomes are the same. */
export const outcomeText = (outcome: Outcome): string =>
  [...outcome]
    .map(([router, prefixes]) => {
      const lines = [...prefixes].map(([prefix, paths]) => `${prefix}\n${lineOf(paths)}`)
      return `${router}\n${lines.sort().join('\n')}`
    })
    .sort()
    .join('\n')
