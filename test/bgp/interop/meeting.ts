/**
 * Two routers with one session between them, and what is looked at.
 *
 * Questions answer with complaints, as `settle` takes them: none is good.
 *
 * @module
 */
import type { Family } from '../../../src/bgp/nlri.ts'
import { settle } from '../../support/e2e.ts'
import {
  FAMILIES,
  familyOf,
  type Implementation,
  type PeerSpec,
  type Router,
  type RouterSpec,
  type RouteSeen,
  type RouteSpec,
} from './spec.ts'
import { makeWorld } from './world.ts'

export type Side = 'a' | 'b'

/** What is special about a session; both ends alike where nothing else is said. */
export interface Make {
  readonly families?: readonly Family[]
  /** Of the session's own addresses. @default ipv4 */
  readonly transport?: Family
  /** @default 65001 and 65002 */
  readonly asns?: readonly [number, number]
  readonly password?: readonly [string, string]
  readonly restartSeconds?: number
  readonly holdSeconds?: number
  readonly prefixesMax?: Readonly<Partial<Record<Side, number>>>
  readonly passive?: Side
  readonly routes?: (number: number) => readonly RouteSpec[]
}

export interface Pair {
  readonly a: Router
  readonly b: Router
  readonly address: Readonly<Record<Side, string>>
  readonly specs: Readonly<Record<Side, RouterSpec>>
  /** After `kill`. */
  startAgain(side: Side): Promise<void>
}

/** A router with three routes of its own, numbered from 1. */
export const base = (number: number, asn: number): Omit<RouterSpec, 'peers'> => ({
  asn,
  routerId: `10.0.0.${number}`,
  routes: [
    { prefix: `10.${number}.0.0/16`, communities: [`65001:${number}`], med: 50 },
    { prefix: `10.${number}.1.0/24` },
    { prefix: `10.${number}.2.0/24` },
    { prefix: `2001:db8:${number}::/48`, communities: [`65001:${number}`] },
  ],
})

function specOf(make: Make, side: Side, peerAddress: string): RouterSpec {
  const { asns = [65001, 65002], families = FAMILIES, routes } = make
  const [own, other] = side === 'a' ? [0, 1] : [1, 0]
  const { password, restartSeconds, holdSeconds } = make
  const prefixesMax = make.prefixesMax?.[side]
  const peer: PeerSpec = {
    address: peerAddress,
    asn: asns[other]!,
    families,
    ...(make.passive === side ? { passive: true } : {}),
    ...(password === undefined ? {} : { password: password[own]! }),
    ...(restartSeconds === undefined ? {} : { restartSeconds }),
    ...(holdSeconds === undefined ? {} : { holdSeconds }),
    ...(prefixesMax === undefined ? {} : { prefixesMax }),
  }
  const made = base(own + 1, asns[own]!)
  const own4 = { ...made, ...(routes === undefined ? {} : { routes: routes(own + 1) }) }
  const wanted = own4.routes.filter(({ prefix }) => families.includes(familyOf(prefix)))
  return { ...own4, routes: wanted, peers: [peer] }
}

/** Starts both in a world of their own, which goes whatever happens. */
export async function pairUp(
  us: Implementation,
  them: Implementation,
  make: Make,
  then: (pair: Pair) => Promise<void>,
): Promise<void> {
  const world = await makeWorld(2)
  try {
    const [first, second] = world.places
    const transport = make.transport ?? 'ipv4'
    const address = { a: first![transport], b: second![transport] }
    const specs = { a: specOf(make, 'a', address.b), b: specOf(make, 'b', address.a) }
    const makers = { a: us, b: them }
    const start = (side: Side, isRestart = false): Promise<Router> =>
      world.start(side === 'a' ? 0 : 1, makers[side], specs[side], isRestart)
    const [a, b] = await Promise.all([start('a'), start('b')])
    const pair = {
      a,
      b,
      address,
      specs,
      async startAgain(side: Side): Promise<void> {
        pair[side] = await start(side, true)
      },
    }
    try {
      await then(pair)
    } catch (error) {
      if (!(error instanceof Error)) throw error
      const logs = [pair.a, pair.b].map((each) => `--- ${each.name}\n${each.log().slice(-1500)}`)
      throw new Error(`${error.message}\n${logs.join('\n')}`)
    }
  } finally {
    await world.destroy()
  }
}

/** The same, once each has what the other one announces. */
export const meet = (
  us: Implementation,
  them: Implementation,
  make: Make,
  then: (pair: Pair) => Promise<void>,
): Promise<void> =>
  pairUp(us, them, make, async (pair) => {
    await until('each has what the other announces', () => exchanged(pair, 'both'))
    await then(pair)
  })

/** Most that anything takes to come about; a busy machine needs slack. */
const MS_MAX = 60_000

export async function until(
  what: string,
  ask: () => Promise<readonly string[]>,
  msMax = MS_MAX,
): Promise<void> {
  const left = await settle(ask, msMax)
  if (left.length > 0) throw new Error(`not so: ${what}: ${left.join('; ')}`)
}

/** Looks again and again for so long; once when it is 0. */
export async function holdsFor(
  ms: number,
  what: string,
  ask: () => Promise<readonly string[]>,
): Promise<void> {
  const deadline = performance.now() + ms
  do {
    const found = await ask()
    if (found.length > 0) throw new Error(`no more so: ${what}: ${found.join('; ')}`)
    await new Promise((done) => setTimeout(done, Math.min(ms, 200)))
  } while (performance.now() < deadline)
}

export const isUp = async (router: Router, peer: string): Promise<readonly string[]> =>
  (await router.session(peer)).isUp ? [] : [`${router.name}: the session to ${peer} is not up`]

export const isDown = async (router: Router, peer: string): Promise<readonly string[]> =>
  (await router.session(peer)).isUp ? [`${router.name}: the session to ${peer} is up`] : []

/** Whether a side's table is what the other side announces. */
export async function exchanged(pair: Pair, side: Side | 'both'): Promise<readonly string[]> {
  if (side === 'both') return [...(await exchanged(pair, 'a')), ...(await exchanged(pair, 'b'))]
  const other = side === 'a' ? 'b' : 'a'
  const isInternal = pair.specs.a.asn === pair.specs.b.asn
  return seen(pair[side], pair.address[other], pair.specs[other].routes, ({ prefix }) => ({
    nextHop: pair[other].place[familyOf(prefix)],
    asPath: isInternal ? [] : [pair.specs[other].asn],
    ...(isInternal ? { localPref: 100 } : {}),
  }))
}

/** What a table lacks of what was announced, has besides, or has otherwise. */
export async function seen(
  router: Router,
  from: string,
  announced: readonly RouteSpec[],
  expected: (route: RouteSpec) => Partial<RouteSeen>,
): Promise<readonly string[]> {
  const found = (await router.routes()).filter((route) => route.from === from)
  const wanted = new Set(announced.map(({ prefix }) => prefix))
  const complaints = found
    .filter(({ prefix }) => !wanted.has(prefix))
    .map(({ prefix }) => `${router.name} has ${prefix}, which was not announced`)
  for (const route of announced) {
    const paths = found.filter(({ prefix }) => prefix === route.prefix)
    if (paths.length !== 1)
      complaints.push(`${router.name}: ${paths.length} paths to ${route.prefix}`)
    for (const path of paths) {
      complaints.push(...differences(router, path, { ...said(route), ...expected(route) }))
    }
  }
  return complaints
}

const said = ({
  med,
  communities = [],
  extended = [],
  large = [],
}: RouteSpec): Partial<RouteSeen> => ({
  ...(med === undefined ? {} : { med }),
  communities,
  extended,
  large,
})

function differences(
  router: Router,
  path: RouteSeen,
  wanted: Partial<RouteSeen>,
): readonly string[] {
  return Object.entries(wanted).flatMap(([key, value]) => {
    const found = path[key as keyof RouteSeen]
    const [one, other] = [found, value].map((each) => JSON.stringify(canonical(key, each)))
    return one === other ? [] : [`${router.name}: ${path.prefix} ${key} ${one}, wanted ${other}`]
  })
}

/** Lists of communities have no order. */
const canonical = (key: string, value: unknown): unknown =>
  Array.isArray(value) && !['asPath', 'clusterList'].includes(key) ? [...value].sort() : value
