/**
 * What BIRD's manual says it chooses, step by step, on what BIRD itself shows: for telling
 * a choice that its rules give from one that it did not make again.
 *
 * @module
 */
import { compareIp, type Ip } from '../../../src/net/mod.ts'
import type { PathWords, SeenPath } from './outcome.ts'
import { endAddress, ownerOf, routerOf, sidesOf, type Topology } from './topology.ts'

interface Candidate {
  readonly path: SeenPath
  readonly words: PathWords
}

/** Whether a router's choice among these paths is another than its rules give. */
export function breaksRules(
  topology: Topology,
  router: number,
  paths: readonly SeenPath[],
): boolean {
  const chosen = paths.find(({ isChosen }) => isChosen === true)
  if (chosen === undefined || chosen.from === 'own') return false
  const all = paths.flatMap((path): Candidate[] =>
    path.words === undefined ? [] : [{ path, words: path.words }],
  )
  return byRules(topology, router, all) !== chosen
}

function byRules(
  topology: Topology,
  router: number,
  all: readonly Candidate[],
): SeenPath | undefined {
  const { costs } = routerOf(topology, router)
  const sides = sidesOf(topology, router)
  const sideOf = ({ path }: Candidate): (typeof sides)[number] =>
    sides.find(({ session, far }) => endAddress(session, far) === path.from)!
  const isOutside = (each: Candidate): boolean => sideOf(each).near.kind === 'ebgp'
  const missing = topology.medMissing === 'best' ? 0 : 0xffff_ffff
  const medOf = ({ words }: Candidate): number => Number(words.med ?? missing)
  const idOf = (each: Candidate): Ip =>
    (each.words.originator as Ip | undefined) ??
    routerOf(topology, sideOf(each).far.router).routerId
  let left = all
  const least = (key: (each: Candidate) => number): void => {
    const best = Math.min(...left.map(key))
    left = left.filter((each) => key(each) === best)
  }
  least(({ path }) => (path.text.endsWith('unreachable') ? 1 : 0))
  least(({ words }) => -Number(words.localPref))
  least(({ words }) => asnsOf(words).length)
  least(({ words }) => ['igp', 'egp', 'incomplete'].indexOf(words.origin))
  const before = left
  left = left.filter((each) =>
    before.every((other) => {
      const isCompared =
        topology.alwaysCompareMed || asnsOf(other.words)[0] === asnsOf(each.words)[0]
      return !isCompared || medOf(each) <= medOf(other)
    }),
  )
  least((each) => (isOutside(each) ? 0 : 1))
  least(({ words }) => costs[ownerOf(words.nextHop as Ip)] ?? 0)
  left = left.filter((each) => left.every((other) => compareIp(idOf(each), idOf(other)) <= 0))
  least(({ words }) => (words.clusters ? words.clusters.split(',').length : 0))
  return [...left].sort((one, other) => compareIp(one.path.from as Ip, other.path.from as Ip))[0]
    ?.path
}

const asnsOf = ({ asPath }: PathWords): readonly string[] =>
  asPath === '' ? [] : asPath.split(' ')
