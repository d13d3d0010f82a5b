/**
 * What is measured: a list of scenarios, each a daemon's life with some figures of it.
 */
import type { Ip } from '../../src/net/mod.ts'
import type { Answer } from './asks.ts'
import type { Daemon, Setting } from './daemons.ts'
import { begin, DAEMON_ADDRESS, type Life, type Place } from './life.ts'
import type { End } from './speaker.ts'

/** Figures of one row: what is not measured there is left out. */
export interface Figures {
  readonly seconds?: number
  readonly cpuSeconds?: number
  /** A route or session. */
  readonly bytes?: number
  readonly [more: string]: number | undefined
}

export interface Scenario {
  readonly name: string
  /** Runs only when asked for: TRIVIUM_LONG=1. */
  readonly isLong: boolean
  readonly rounds: number
  /** Left out for slow daemons, but with TRIVIUM_LONG=1. */
  readonly isHeavy: boolean
  /** Whether the relay can stand in for a daemon. */
  readonly forRelay: boolean
  readonly about: string
  /** Figures by row. */
  run(place: Place, daemon: Daemon): Promise<Readonly<Record<string, Figures>>>
}

const ASN = 65_000
const HOLD_SECONDS = 90
const MONITOR: End = { address: '10.99.255.1' as Ip, asn: 65_099 }

/** From 10.99.1.1 on. */
const feedersOf = (count: number): readonly End[] =>
  Array.from({ length: count }, (_, index) => ({
    address: `10.99.${1 + Math.floor(index / 250)}.${1 + (index % 250)}` as Ip,
    asn: 64_000 + index,
  }))

function setting(feeders: number, more: Partial<Setting> = {}): Setting {
  return {
    address: DAEMON_ADDRESS,
    asn: ASN,
    feeders: feedersOf(feeders),
    monitors: [MONITOR],
    tellsFeeders: false,
    holdSeconds: HOLD_SECONDS,
    ...more,
  }
}

async function inLife<Result>(
  place: Place,
  daemon: Daemon,
  terms: Setting,
  act: (life: Life, up: Answer) => Promise<Result>,
  monitors: readonly End[] = terms.monitors,
): Promise<Result> {
  const life = await begin(place, daemon, terms)
  try {
    const { feeders, holdSeconds } = terms
    const up = await life.ask({
      do: 'open',
      to: terms.address,
      pid: life.pid,
      holdSeconds,
      feeders,
      monitors,
    })
    return await act(life, up)
  } finally {
    await life.end()
  }
}

const figures = (answer: Answer, more: Figures = {}): Figures => ({
  seconds: answer.ms / 1000,
  cpuSeconds: answer.cpuMs / 1000,
  benchCpuSeconds: answer.ownCpuMs / 1000,
  ...more,
})

interface Size {
  readonly feeders: number
  readonly each: number
  readonly perUpdate: number
  readonly tellsFeeders?: boolean
}

/** Everything is announced, and a monitor told; withdrawn; and announced to a daemon that knows its work. */
function tellAll(name: string, { feeders, each, perUpdate, tellsFeeders = false }: Size) {
  return async (place: Place, daemon: Daemon): Promise<Readonly<Record<string, Figures>>> => {
    const terms = setting(feeders, { tellsFeeders })
    return inLife(place, daemon, terms, async (life, up) => {
      const count = feeders * each
      const before = await life.nodeMemory()
      const said = { do: 'say', each, perUpdate, version: 0 } as const
      const toFeeders = (live: number) => (tellsFeeders ? { feeders: live } : {})
      const announce = (): Promise<Answer> =>
        life.ask({
          ...said,
          what: 'announce',
          until: { kind: 'told', monitors: count, ...toFeeders(count - each) },
        })
      const there = await announce()
      const after = await life.nodeMemory()
      const gone = await life.ask({
        ...said,
        what: 'withdraw',
        until: { kind: 'told', monitors: 0, ...toFeeders(0) },
      })
      const bytes = (there.memory - up.memory) / count
      const node =
        before === undefined || after === undefined
          ? {}
          : {
              heapBytes: (after.heapUsed - before.heapUsed) / count,
              arrayBytes: (after.arrayBuffers - before.arrayBuffers) / count,
            }
      return {
        [name]: figures(there, { bytes, ...node }),
        [`${name}: withdrawn`]: figures(gone),
        ...(daemon.isSlow !== true && { [`${name}: again`]: figures(await announce()) }),
      }
    })
  }
}

/** Nobody is told at first; then a monitor comes. */
function learnAlone(name: string, count: number) {
  return async (place: Place, daemon: Daemon): Promise<Readonly<Record<string, Figures>>> => {
    const terms = setting(1)
    const act = async (life: Life, up: Answer) => {
      const said = { do: 'say', what: 'announce', each: count, perUpdate: 100 } as const
      const learnt = await life.ask({ ...said, version: 0, until: { kind: 'quiet' } })
      const open = {
        do: 'open',
        to: terms.address,
        pid: life.pid,
        holdSeconds: HOLD_SECONDS,
      } as const
      const came = await life.ask({ ...open, feeders: [], monitors: [MONITOR], told: count })
      const bytes = (learnt.memory - up.memory) / count
      // How long the session takes to come up is a matter of the daemon's timers.
      const seconds = (came.ms - (came.upMs ?? 0)) / 1000
      return {
        [name]: figures(learnt, { bytes }),
        [`${name}: a peer comes`]: figures(came, { seconds }),
      }
    }
    return inLife(place, daemon, terms, act, [])
  }
}

interface Churn {
  readonly prefixes: number
  readonly perTick: number
  readonly tickMs: number
  readonly ticks: number
}

function churn(name: string, { prefixes, ...ticks }: Churn) {
  return async (place: Place, daemon: Daemon): Promise<Readonly<Record<string, Figures>>> =>
    inLife(place, daemon, setting(1), async (life, up) => {
      const there = await life.ask({
        do: 'say',
        what: 'announce',
        each: prefixes,
        perUpdate: 100,
        version: 0,
        until: { kind: 'told', monitors: prefixes },
      })
      const found = await life.ask({ do: 'churn', prefixes, ...ticks, version: 1 })
      const delays = [...(found.delaysMs ?? [])].sort((left, right) => left - right)
      const at = (share: number): number => delays[Math.floor(share * (delays.length - 1))] ?? 0
      const share = found.cpuMs / (ticks.ticks * ticks.tickMs)
      return {
        [`${name}: announced`]: figures(there, { bytes: (there.memory - up.memory) / prefixes }),
        [name]: {
          seconds: at(0.5) / 1000,
          p99Seconds: at(0.99) / 1000,
          cpuSeconds: share,
          bytes: (found.memory - up.memory) / prefixes,
        },
      }
    })
}

function sessions(name: string, count: number, idleSeconds: number) {
  return async (place: Place, daemon: Daemon): Promise<Readonly<Record<string, Figures>>> =>
    inLife(place, daemon, setting(count, { holdSeconds: 30 }), async (life, up) => {
      const idle = await life.ask({ do: 'idle', seconds: idleSeconds })
      return {
        [`${name}: all up`]: figures(up, { bytes: (up.memory - life.memory) / count }),
        [`${name}: idle`]: { cpuSeconds: idle.cpuMs / 1000 / idleSeconds },
      }
    })
}

const announceAndWithdraw = 'until a monitor has been told of all of them'

const scenario = (
  name: string,
  run: (name: string) => Scenario['run'],
  more: Partial<Scenario> & Pick<Scenario, 'about'>,
): Scenario => ({
  name,
  run: run(name),
  isLong: false,
  isHeavy: false,
  rounds: 3,
  forRelay: false,
  ...more,
})

export const SCENARIOS: readonly Scenario[] = [
  scenario('500 k', (name) => tellAll(name, { feeders: 1, each: 500_000, perUpdate: 100 }), {
    about: `500,000 prefixes of one peer, 100 in an UPDATE, ${announceAndWithdraw}`,
    forRelay: true,
  }),
  scenario('500 k alone', (name) => learnAlone(name, 500_000), {
    about: 'the same with nobody to tell, until the daemon is quiet; then a peer comes',
  }),
  scenario('500 k x 1', (name) => tellAll(name, { feeders: 1, each: 500_000, perUpdate: 1 }), {
    about: 'the same, one in an UPDATE',
    forRelay: true,
    rounds: 2,
    isHeavy: true,
  }),
  scenario('10 peers', (name) => tellAll(name, { feeders: 10, each: 10_000, perUpdate: 100 }), {
    about: '10,000 prefixes each, one monitor',
  }),
  scenario(
    '10 peers all told',
    (name) => tellAll(name, { feeders: 10, each: 10_000, perUpdate: 100, tellsFeeders: true }),
    { about: '10,000 prefixes each, and everybody is told those of the others' },
  ),
  scenario('50 peers', (name) => tellAll(name, { feeders: 50, each: 10_000, perUpdate: 100 }), {
    about: '10,000 prefixes each, one monitor',
    rounds: 2,
    isHeavy: true,
  }),
  scenario('200 peers', (name) => tellAll(name, { feeders: 200, each: 10_000, perUpdate: 100 }), {
    about: '10,000 prefixes each, one monitor',
    isLong: true,
    rounds: 1,
  }),
  scenario(
    '1 M churn',
    (name) => churn(name, { prefixes: 1_000_000, perTick: 1000, tickMs: 100, ticks: 100 }),
    {
      about:
        '1,000,000 prefixes of one peer, 10,000 a second change their path: processor, and delay to the monitor',
      isLong: true,
      rounds: 1,
      isHeavy: true,
    },
  ),
  scenario('1000 sessions', (name) => sessions(name, 1000, 20), {
    about: 'hold time 30 s, nothing announced',
    isLong: true,
    rounds: 1,
  }),
]
