/**
 * What speakers make of some simple networks: one suite, run over the simulated network
 * and over the sockets of Linux. Each story says which tables there must be after each
 * of its acts; tables are what `trivium bgp routes -o json` prints.
 */
import type { Test } from 'tap'

/** A router that runs our speaker. */
export interface Actor {
  readonly name: string
  readonly asn: number
  readonly originates: readonly string[]
  readonly peers: readonly { readonly name: string; readonly isClient?: true }[]
}

/** Where a story is played. */
export interface Stage {
  /** The process starts, after a kill with the mark of one that restarts. */
  start(name: string, isRestart: boolean): void | Promise<void>
  /** The process ends without a word; its kernel closes what it had. */
  kill(name: string): void | Promise<void>
  /** Waits for a router's table of what others taught; returns what it is in the end. */
  table(name: string, wanted: readonly string[]): Promise<readonly string[]>
}

export interface StageOptions {
  readonly actors: readonly Actor[]
  /** RFC 4724, of every session. */
  readonly restarts: boolean
}

type Act =
  | { readonly kind: 'start' | 'kill' | 'restart'; readonly who: string }
  | { readonly kind: 'table'; readonly who: string; readonly is: readonly string[] }

interface Story extends StageOptions {
  readonly about: string
  readonly acts: readonly Act[]
}

/** As much of a row of `trivium bgp routes -o json` as stories read. */
export interface RouteRow {
  readonly prefix: string
  readonly from: string
  readonly nextHops: readonly string[]
  readonly asPath: string
}

/** What others taught, with names in the place of addresses. */
export const linesOf = (
  rows: readonly RouteRow[],
  nameOf: (address: string) => string,
): readonly string[] =>
  rows
    .filter(({ from }) => from !== 'own')
    .map(({ prefix, nextHops, asPath }) =>
      `${prefix} via ${nextHops.map(nameOf).join(' ')}, path ${asPath}`.trim(),
    )
    .sort()

const start = (who: string): Act => ({ kind: 'start', who })
const table = (who: string, ...is: string[]): Act => ({ kind: 'table', who, is })

const TWO: readonly Actor[] = [
  { name: 'a', asn: 65001, originates: ['10.1.0.0/24'], peers: [{ name: 'b' }] },
  { name: 'b', asn: 65002, originates: ['10.2.0.0/24', '10.3.0.0/26'], peers: [{ name: 'a' }] },
]
const OF_B = ['10.2.0.0/24 via b, path 65002', '10.3.0.0/26 via b, path 65002']

const STORIES: readonly Story[] = [
  {
    about: 'two routers of two ASes',
    actors: TWO,
    restarts: false,
    acts: [
      start('a'),
      start('b'),
      table('a', ...OF_B),
      table('b', '10.1.0.0/24 via a, path 65001'),
    ],
  },
  {
    about: 'a reflector between two clients: next hops are the clients',
    restarts: false,
    actors: [
      { name: 'a', asn: 65001, originates: ['10.1.0.0/24'], peers: [{ name: 'b' }] },
      {
        name: 'b',
        asn: 65001,
        originates: [],
        peers: [
          { name: 'a', isClient: true },
          { name: 'c', isClient: true },
        ],
      },
      { name: 'c', asn: 65001, originates: ['10.3.0.0/24'], peers: [{ name: 'b' }] },
    ],
    acts: [
      ...['a', 'b', 'c'].map(start),
      table('a', '10.3.0.0/24 via c, path'),
      table('b', '10.1.0.0/24 via a, path', '10.3.0.0/24 via c, path'),
      table('c', '10.1.0.0/24 via a, path'),
      { kind: 'kill', who: 'c' },
      table('a'),
    ],
  },
  {
    about: 'a process that ends takes its routes with it, and brings them back',
    actors: TWO,
    restarts: false,
    acts: [
      start('a'),
      start('b'),
      table('a', ...OF_B),
      { kind: 'kill', who: 'b' },
      table('a'),
      { kind: 'restart', who: 'b' },
      table('a', ...OF_B),
    ],
  },
  {
    about: 'with graceful restart its routes stay while it is away',
    actors: TWO,
    restarts: true,
    acts: [
      start('a'),
      start('b'),
      table('a', ...OF_B),
      { kind: 'kill', who: 'b' },
      table('a', ...OF_B),
      { kind: 'restart', who: 'b' },
      table('b', '10.1.0.0/24 via a, path 65001'),
      table('a', ...OF_B),
    ],
  },
]

export function bgpStories(
  t: Test,
  set: (t: Test, options: StageOptions) => Stage | Promise<Stage>,
): void {
  for (const { about, acts, ...options } of STORIES) {
    t.test(about, async (t) => {
      const stage = await set(t, options)
      for (const act of acts) {
        if (act.kind === 'table') {
          const { who, is } = act
          t.strictSame(await stage.table(who, is), is, `the table of ${who}`)
        } else if (act.kind === 'kill') await stage.kill(act.who)
        else await stage.start(act.who, act.kind === 'restart' && options.restarts)
      }
    })
  }
}
