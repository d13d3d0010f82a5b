/** What befalls a cluster, in any order: acts that several properties share. */
import fc from 'fast-check'
import { NODES, type World } from './member-world.ts'

/** Of one node, by its place in the world, or of etcd. */
export type Act =
  | { readonly kind: 'add' | 'del'; readonly node: number; readonly which: number }
  | { readonly kind: 'cut' | 'mend' | 'restart' | 'wipe'; readonly node: number }
  | { readonly kind: 'time'; readonly ms: number }
  | { readonly kind: 'down' | 'up' | 'lose' }

/** As much of what is under way as happens in so many steps. */
export interface Steps {
  readonly kind: 'steps'
  readonly count: number
}

export const node = fc.nat(NODES - 1)

export const only = <K extends string>(...kinds: readonly K[]): fc.Arbitrary<K> =>
  fc.constantFrom(...kinds)

/** @param max The most of them. */
export const steps = (max: number): fc.Arbitrary<Steps> =>
  fc.record({ kind: only('steps'), count: fc.integer({ min: 1, max }) })

export const time = (...ms: readonly number[]): fc.Arbitrary<Act> =>
  fc.record({ kind: only('time'), ms: fc.constantFrom(...ms) })

export interface Run<T> {
  readonly acts: readonly T[]
  /** For `worldOf`. */
  readonly seed: number
}

export const runsOf = <T>(act: fc.Arbitrary<T>): fc.Arbitrary<Run<T>> =>
  fc.record({
    acts: fc.array(act, { minLength: 5, maxLength: 40 }),
    seed: fc.integer({ min: 1, max: 2 ** 31 - 1 }),
  })

export function befall(world: World, act: Act): void {
  const at = 'node' in act ? world.nodes[act.node] : undefined
  if (act.kind === 'add') for (let n = 0; n <= act.which % 8; n++) at?.add()
  if (act.kind === 'del') at?.del(act.which)
  if (act.kind === 'time') world.advance(act.ms)
  if (act.kind === 'up' || act.kind === 'down') world.etcd.up = act.kind === 'up'
  if (act.kind === 'lose') world.loseNext = 1
  if (at !== undefined && (act.kind === 'cut' || act.kind === 'mend')) at.cut = act.kind === 'cut'
  if (act.kind === 'restart' || act.kind === 'wipe') {
    world.drain()
    if (act.kind === 'wipe') at?.wipe()
    else at?.kill()
    at?.start()
  }
}

/** Nothing is cut, down or about to be lost any more. */
export function heal(world: World): void {
  world.etcd.up = true
  world.loseNext = 0
  for (const each of world.nodes) each.cut = false
}

/** Long enough for everybody: whose watch is late at the first look is not at the second. */
export function comeToRest(world: World): void {
  for (let n = 0; n < 3; n++) world.advance(100_000)
}
