/**
 * The rows of the matrix: what two implementations must do together, whichever they are.
 *
 * Each row makes its own world; effects are read from the routers' own tables.
 *
 * @module
 */

import { prng } from '../../../src/prng.ts'
import { ipJson } from '../../support/e2e.ts'
import {
  base,
  exchanged,
  holdsFor,
  isDown,
  isUp,
  meet,
  type Pair,
  pairUp,
  seen,
  until,
} from './meeting.ts'
import {
  FAMILIES,
  type Feature,
  familyOf,
  type Implementation,
  type PeerSpec,
  type RouteSpec,
} from './spec.ts'
import { makeWorld } from './world.ts'

export interface Row {
  readonly name: string
  /** What is shown, in a sentence. */
  readonly says: string
  /** What the other side must have. */
  readonly needs?: readonly Feature[]
  /** A row about a speaker of ours, which another one in its place cannot do. */
  readonly isOurs?: true
  run(us: Implementation, them: Implementation, third: Implementation): Promise<void>
}

/** A session of one kind, up, with equal tables. */
const plain = (name: string, says: string, make: Parameters<typeof meet>[2]): Row => ({
  name,
  says,
  run: (us, them) => meet(us, them, make, async () => {}),
})

const SHARED = '10.99.0.0/16'
const rich = (number: number): RouteSpec => ({
  prefix: `10.${number}.5.0/24`,
  communities: [`6500${number}:100`, '1:65535', '1:4242'],
  extended: [`rt:6500${number}:7`, 'rt:1:4200000000'],
  large: [`${4_200_000_000 + number}:1:2`, '65001:4294967295:0'],
  med: 77,
})

const sessions: readonly Row[] = [
  plain('ipv4', 'a session over IPv4 for IPv4', { families: ['ipv4'] }),
  plain('ipv6', 'a session over IPv6 for IPv6', { families: ['ipv6'], transport: 'ipv6' }),
  plain('both', 'both families over one session', {}),
  plain('ebgp', 'another AS: path and next hop', { asns: [65001, 65002] }),
  plain('ibgp', 'the same AS: empty path, local preference', { asns: [65001, 65001] }),
  plain('as4', 'AS numbers above 65535', { asns: [4_200_000_001, 70_000] }),
  plain('communities', 'standard, extended and large ones', { routes: (number) => [rich(number)] }),
  plain('passive', 'we wait to be called', { passive: 'a' }),
]

const passwords: readonly Row[] = [
  plain('md5', 'the same password', { password: ['interop', 'interop'] }),
  {
    name: 'md5-wrong',
    says: 'another password: nothing comes up',
    async run(us, them) {
      const make = { password: ['interop', 'another'] } as const
      await pairUp(us, them, make, async ({ a, b, address }) => {
        await holdsFor(5000, 'no session', async () => [
          ...(await isDown(a, address.b)),
          ...(await isDown(b, address.a)),
        ])
      })
    },
  },
]

/** Two clients and a reflector between them; what each client announces, the other one sees. */
async function reflected([reflector, ...clients]: readonly [
  Implementation,
  Implementation,
  Implementation,
]): Promise<void> {
  const world = await makeWorld(3)
  try {
    const peer = (number: number, isClient: boolean): PeerSpec => ({
      address: world.places[number]!.ipv4,
      asn: 65001,
      families: ['ipv4', 'ipv6'],
      isClient,
    })
    const specs = [0, 1, 2].map((number) => ({
      ...base(number + 1, 65001),
      peers: number === 0 ? [peer(1, true), peer(2, true)] : [peer(0, false)],
      ...(number === 0 ? { routes: [] } : {}),
    }))
    const routers = await Promise.all(
      [reflector, ...clients].map((each, number) => world.start(number, each, specs[number]!)),
    )
    for (const [client, other] of [
      [1, 2],
      [2, 1],
    ] as const) {
      await until(`client ${client} has what client ${other} announces`, () =>
        seen(routers[client]!, world.places[0]!.ipv4, specs[other]!.routes, (route) => ({
          prefix: route.prefix,
          nextHop: world.places[other]![familyOf(route.prefix)],
          asPath: [],
          originatorId: specs[other]!.routerId,
          clusterList: [specs[0]!.routerId],
        })),
      )
    }
  } finally {
    await world.destroy()
  }
}

const reflectors: readonly Row[] = [
  {
    name: 'reflector-ours',
    says: 'we reflect between it and another client',
    run: (us, them, third) => reflected([us, them, third]),
  },
  {
    name: 'reflector-theirs',
    says: 'it reflects between us and another client',
    needs: ['reflector'],
    run: (us, them, third) => reflected([them, us, third]),
  },
]

/** One side dies and comes back; the other one has its routes all the time, and no others in the end. */
const restart = (name: string, says: string, dying: 'a' | 'b', feature: Feature): Row => ({
  name,
  says,
  needs: [feature],
  async run(us, them) {
    await meet(us, them, { restartSeconds: 30 }, async (pair) => {
      const helper = dying === 'a' ? pair.b : pair.a
      const kept = (): Promise<readonly string[]> => exchanged(pair, dying === 'a' ? 'b' : 'a')
      await pair[dying].kill()
      await until('the helper notices', () => isDown(helper, pair.address[dying]))
      await holdsFor(1500, 'routes are kept', kept)
      const again = pair.startAgain(dying)
      let isBack = false
      void again.finally(() => {
        isBack = true
      })
      while (!isBack) await holdsFor(50, 'routes are kept while it comes back', kept)
      await again
      await until('the session is back', async () => {
        await holdsFor(0, 'routes are kept while the session comes back', kept)
        return isUp(helper, pair.address[dying])
      })
      await holdsFor(1500, 'routes are kept after the session is back', kept)
      await until('everything is there', () => exchanged(pair, 'both'))
    })
  },
})

const restarts: readonly Row[] = [
  restart('restart-ours', 'we die and come back: it keeps our routes', 'a', 'restart-helper'),
  restart('restart-theirs', 'it dies and comes back: we keep its routes', 'b', 'restart-self'),
]

/** One side asks, and is told everything again. FRR 8.4 answers only once it has sent an End-of-RIB. */
const refresh = (
  name: string,
  says: string,
  asking: 'a' | 'b',
  needs: readonly Feature[],
): Row => ({
  name,
  says,
  needs,
  async run(us, them) {
    await meet(us, them, { restartSeconds: 30 }, async (pair) => {
      const other = pair.address[asking === 'a' ? 'b' : 'a']
      await holdsFor(1000, 'a quiet session', () => exchanged(pair, 'both'))
      const before = (await pair[asking].session(other)).updates
      await pair[asking].refresh(other)
      await until('it was told again', async () => {
        const now = (await pair[asking].session(other)).updates
        return now > before ? [] : [`${now} updates as before`]
      })
      await until('tables are as before', () => exchanged(pair, 'both'))
    })
  },
})

const enhanced: Row = {
  name: 'refresh-enhanced',
  says: 'what is said again has a beginning and an end (RFC 7313)',
  needs: ['refresh-ask', 'refresh-enhanced'],
  async run(us, them) {
    await meet(us, them, { restartSeconds: 30 }, async (pair) => {
      await pair.b.refresh(pair.address.a)
      await until('it took place', async () => {
        const { told } = await pair.b.session(pair.address.a)
        return them.enhancedRefresh?.test(told) === true ? [] : [told.slice(0, 2000)]
      })
      await holdsFor(1000, 'tables are as before', () => exchanged(pair, 'both'))
    })
  },
}

const refreshes: readonly Row[] = [
  refresh('refresh-asked', 'it asks, and we say everything again', 'b', ['refresh-ask']),
  refresh('refresh-asking', 'we ask, and it says everything again', 'a', []),
  enhanced,
]

/** The sender has one route of its own and the same one from a third router; the receiver gets both. */
const addPath = (
  name: string,
  says: string,
  sending: 'a' | 'b',
  needs: readonly Feature[],
): Row => ({
  name,
  says,
  needs,
  async run(us, them, third) {
    const world = await makeWorld(3)
    try {
      const at = (number: number): string => world.places[number]!.ipv4
      const receiving = sending === 'a' ? 1 : 0
      const sender = 1 - receiving
      const peer = (number: number, addPath?: 'send' | 'receive'): PeerSpec => ({
        address: at(number),
        asn: 65001 + number,
        families: ['ipv4'],
        ...(addPath === undefined ? {} : { addPath }),
      })
      const makes = [us, them, third]
      const sendsAlone = makes[sender]!.lacks.table !== undefined
      const shared: RouteSpec = { prefix: SHARED }
      const specs = [
        { peers: [peer(receiving, 'send'), ...(sendsAlone ? [] : [peer(2)])], number: sender },
        { peers: [peer(sender, 'receive')], number: receiving },
        { peers: [peer(sender)], number: 2 },
      ].map(({ peers, number }) => ({
        number,
        spec: { ...base(number + 1, 65001 + number), peers },
      }))
      const routers = await Promise.all(
        specs
          .filter(({ number }) => number !== 2 || !sendsAlone)
          .map(({ number, spec }) => {
            const two = [
              { ...shared, pathId: 1, med: 1 },
              { ...shared, pathId: 2, med: 2 },
            ]
            const routes = number === receiving ? [] : sendsAlone ? two : [shared]
            return world.start(number, makes[number]!, { ...spec, routes })
          }),
      )
      await until('two paths of one prefix', async () => {
        const paths = (await routers[1]!.routes()).filter(({ prefix }) => prefix === SHARED)
        return paths.length === 2 ? [] : [`${paths.length} paths: ${JSON.stringify(paths)}`]
      })
    } finally {
      await world.destroy()
    }
  },
})

const addPaths: readonly Row[] = [
  addPath('add-path-ours', 'we send two paths of a prefix', 'a', ['add-path-receive']),
  addPath('add-path-theirs', 'it sends two paths of a prefix', 'b', ['add-path-send']),
]

/** Five routes where two are allowed: FRR 8.4 looks before it counts, so three would pass. */
const many = (number: number): readonly RouteSpec[] =>
  [0, 1, 2, 3, 4].map((place) => ({ prefix: `10.${number}.${place}.0/24` }))

const limit = (name: string, says: string, limited: 'a' | 'b', needs: readonly Feature[]): Row => ({
  name,
  says,
  needs,
  async run(us, them) {
    const make = { families: ['ipv4'], prefixesMax: { [limited]: 2 }, routes: many } as const
    await pairUp(us, them, make, async (pair) => {
      const other = limited === 'a' ? 'b' : 'a'
      await until('the limit is reached and the session over', async () => {
        const { told } = await pair[limited].session(pair.address[other])
        const log = `${told}\n${pair[limited].log()}`
        return /prefix(es)?.{0,20}limit|limit.{0,20}prefix|maximum.{0,20}prefix|MAXPFX|limit exceeded/i.test(
          log,
        )
          ? isDown(pair[limited], pair.address[other])
          : ['nothing is said of a limit']
      })
      await until('its end is seen', () => isDown(pair[other], pair.address[limited]))
    })
  },
})

const limits: readonly Row[] = [
  limit('limit-ours', 'it teaches more than we allow: we end the session', 'a', []),
  limit('limit-theirs', 'we teach more than it allows: it ends the session', 'b', ['prefix-limit']),
]

/** One side stands still; the other one ends the session, and both find each other again. */
const silence = (name: string, says: string, silent: 'a' | 'b'): Row => ({
  name,
  says,
  async run(us, them) {
    await meet(us, them, { holdSeconds: 3 }, async (pair) => {
      const other = silent === 'a' ? pair.b : pair.a
      pair[silent].signal('SIGSTOP')
      try {
        await until('the hold timer ends the session', () => isDown(other, pair.address[silent]))
        await until('no routes are left', async () => {
          const left = await other.routes()
          return left.map(({ prefix }) => `${prefix} is still there`)
        })
      } finally {
        pair[silent].signal('SIGCONT')
      }
      await until('both are back', () => exchanged(pair, 'both'))
    })
  },
})

const silences: readonly Row[] = [
  silence('hold-theirs', 'it stands still: we end the session', 'b'),
  silence('hold-ours', 'we stand still: it ends the session', 'a'),
]

/** What the kernel has of a speaker of ours: routes of protocol 85, next hops of the other side. */
async function inKernel({ a, b, specs }: Pair): Promise<readonly string[]> {
  const complaints: string[] = []
  for (const family of FAMILIES) {
    const flag = family === 'ipv4' ? '-4' : '-6'
    const routes = await ipJson(a.place.netns, flag, 'route', 'show', 'proto', '85')
    const found = routes.map(({ dst, gateway }) => `${dst} via ${gateway}`)
    const wanted = specs.b.routes
      .filter(({ prefix }) => familyOf(prefix) === family)
      .map(({ prefix }) => `${prefix} via ${b.place[family]}`)
    const hops =
      family === 'ipv4' ? found : found.map((each) => each.replace(/fe80:\S+/, b.place.ipv6))
    complaints.push(...missing(wanted, hops, 'the kernel lacks'))
    complaints.push(...missing(hops, wanted, 'the kernel has'))
  }
  return complaints
}

const missing = (
  wanted: readonly string[],
  found: readonly string[],
  what: string,
): readonly string[] =>
  wanted.filter((each) => !found.includes(each)).map((each) => `${what} ${each}`)

const kernel: Row = {
  name: 'kernel',
  says: 'its routes are in our kernel, also while we die and come back; they go with it',
  isOurs: true,
  async run(us, them) {
    await meet(us, them, { restartSeconds: 30 }, async (pair) => {
      const has = (): Promise<readonly string[]> => inKernel(pair)
      await until('the kernel has what it announces', has)
      await pair.a.kill()
      await holdsFor(500, 'routes stay when we die', has)
      await pair.startAgain('a')
      await until('the session is back', async () => {
        await holdsFor(0, 'routes stay while we come back', has)
        return exchanged(pair, 'a')
      })
      await holdsFor(1500, 'routes stay after we are back', has)
    })
    await meet(us, them, {}, async (pair) => {
      await until('the kernel has what it announces', () => inKernel(pair))
      await pair.b.kill()
      await until('they go with it', async () => {
        const left = await ipJson(pair.a.place.netns, '-4', 'route', 'show', 'proto', '85')
        return left.map(({ dst }) => `${dst} is still there`)
      })
    })
  },
}

const RESETS = 20

const storm: Row = {
  name: 'storm',
  says: `${RESETS} resets at random moments: equal tables in the end`,
  async run(us, them) {
    const random = prng(Number(process.env['FC_SEED'] ?? 20261121))
    await meet(us, them, {}, async (pair) => {
      for (let count = 0; count < RESETS; count++) {
        const side = random.below(2) === 0 ? 'a' : 'b'
        await pair[side].reset(pair.address[side === 'a' ? 'b' : 'a'])
        await new Promise((done) => setTimeout(done, random.below(700)))
      }
      await until('both are back', () => exchanged(pair, 'both'), 90_000)
    })
  },
}

export const ROWS: readonly Row[] = [
  ...sessions,
  ...reflectors,
  ...passwords,
  ...restarts,
  ...refreshes,
  ...addPaths,
  ...limits,
  ...silences,
  kernel,
  storm,
]
