/**
 * Our speaker beside BIRD, FRR's bgpd and GoBGP: the same octets from the same program
 * to each of them, in one run, each alone on one processor.
 *
 * TRIVIUM_LONG=1 adds 200 peers, churn in a million prefixes and a thousand sessions, and
 * runs GoBGP as often as the others: one round otherwise, and no heavy scenario. TRIVIUM_BENCH_BGP names scenarios and daemons, with
 * commas: `TRIVIUM_BENCH_BGP='500 k,BIRD,FRR'`.
 */
import { existsSync } from 'node:fs'
import { cpus } from 'node:os'
import { BIRD, DAEMONS, type Daemon, RELAY } from './bgp/daemons.ts'
import { makePlace, type Place } from './bgp/life.ts'
import { type Figures, SCENARIOS, type Scenario } from './bgp/scenarios.ts'
import { type Found, linesOf, markdownTable, textTable } from './bgp/table.ts'
import type { Bench, Report } from './harness.ts'

const IS_LONG = process.env.TRIVIUM_LONG === '1'
const CHOSEN = (process.env.TRIVIUM_BENCH_BGP ?? '').split(',').filter((word) => word !== '')

const isAsked = ({ name }: { readonly name: string }, of: readonly { name: string }[]): boolean => {
  const named = of.filter((each) => CHOSEN.includes(each.name))
  return named.length === 0 || CHOSEN.includes(name)
}

interface Told {
  readonly samples: number
  readonly say: (text: string) => void
}

type Collected = Map<string, Map<string, (Figures | string)[]>>

async function turn(place: Place, scenario: Scenario, daemon: Daemon, into: Collected) {
  const put = (what: string, figures: Figures | string): void => {
    const byDaemon = into.get(what) ?? new Map<string, (Figures | string)[]>()
    into.set(what, byDaemon)
    byDaemon.set(daemon.name, [...(byDaemon.get(daemon.name) ?? []), figures])
  }
  try {
    const found = await scenario.run(place, daemon)
    for (const [what, figures] of Object.entries(found)) put(what, figures)
  } catch (error) {
    put(scenario.name, error instanceof Error ? error.message : String(error))
  }
}

/** GoBGP needs minutes for what others do in seconds. */
const isLeftOut = (daemon: Daemon, scenario: Scenario, round: number): boolean =>
  daemon.isSlow === true && !IS_LONG && (round > 0 || scenario.isHeavy)

async function measure(place: Place, { samples, say }: Told): Promise<Found> {
  const scenarios = SCENARIOS.filter(
    (each) => isAsked(each, SCENARIOS) && (IS_LONG || !each.isLong || CHOSEN.includes(each.name)),
  )
  const all = [...DAEMONS, RELAY]
  const daemons = all.filter((each) => isAsked(each, all) && existsSync(each.program))
  for (const { name } of all.filter(({ program }) => !existsSync(program))) {
    say(`bgp: ${name} is not installed`)
  }
  const collected: Collected = new Map()
  for (const scenario of scenarios) {
    const ours = daemons.filter((each) => each !== RELAY || scenario.forRelay)
    for (let round = 0; round < Math.min(scenario.rounds, samples); round++) {
      for (let index = 0; index < ours.length; index++) {
        const daemon = ours[(index + round) % ours.length]
        if (daemon === undefined || isLeftOut(daemon, scenario, round)) continue
        say(`bgp: ${scenario.name}, round ${round + 1}, ${daemon.name}`)
        await turn(place, scenario, daemon, collected)
      }
    }
  }
  const about = Object.fromEntries(scenarios.map(({ name, about }) => [name, about]))
  return { lines: linesOf(collected, BIRD.name), about, peer: BIRD.name }
}

async function run(told: Told): Promise<Report> {
  const place = await makePlace()
  try {
    return { bench: 'bgp', rows: [], notes: [], findings: await measure(place, told) }
  } finally {
    await place.destroy()
  }
}

function unable(): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root'
  if (cpus().length < 2) return 'needs two processors'
  return existsSync(BIRD.program) ? undefined : 'needs BIRD'
}

const foundIn = ({ findings }: Report): Found => findings as Found

export const bench: Bench = {
  about: 'our BGP speaker beside BIRD, FRR and GoBGP; TRIVIUM_LONG=1 for heavy rows',
  unable,
  run,
  formats: {
    text: (report) => textTable(foundIn(report)),
    markdown: (report) => markdownTable(foundIn(report)),
  },
}
