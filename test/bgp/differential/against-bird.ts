/**
 * One network of BIRD processes, compared with what ours came to.
 *
 * @module
 */
import { birdConfig, type Equaliser } from './bird-config.ts'
import { BirdLab } from './bird-lab.ts'
import { breaksRules } from './bird-rules.ts'
import { type Difference, differences, type Outcome } from './outcome.ts'
import type { Topology } from './topology.ts'

export interface Compared {
  readonly seed: number
  /** Undefined: all is equal. */
  readonly problem?: string
  readonly found: readonly Difference[]
  /** How often BIRD had to learn a path anew to choose by its own rules. */
  readonly relearnt: number
}

const pause = (milliseconds: number): Promise<void> =>
  new Promise((done) => setTimeout(done, milliseconds))

const POLL_MS = 250
const POLLS_UP_MAX = 240
const POLLS_EQUAL_MAX = 16
const RELEARN_MAX = 4

/** Both side by side, before the events and after them. */
export async function againstBird(
  topology: Topology,
  expected: { readonly outcome: Outcome; readonly after: Outcome },
  scratch: string,
  without?: Equaliser,
): Promise<Compared> {
  const { seed, events } = topology
  const lab = new BirdLab(topology, scratch, {
    configOf: (id) => birdConfig(topology, id, { without }),
  })
  const cut = new Set(events.flatMap((event) => (event.kind === 'cut' ? [event.session] : [])))
  try {
    await pause(800)
    if (!(await becomes(() => lab.isUp(), POLLS_UP_MAX))) {
      return { seed, problem: `sessions stay down: ${lab.said}`, found: [], relearnt: 0 }
    }
    const before = await closest(lab, expected.outcome, new Set())
    if (before.found.length > 0) return { seed, problem: 'at first', ...before }
    for (const event of events) await lab.carryOut(event)
    const after = await closest(lab, expected.after, cut)
    const relearnt = before.relearnt + after.relearnt
    return { seed, ...after, relearnt, ...(after.found.length > 0 && { problem: 'after events' }) }
  } finally {
    await lab.stop()
  }
}

async function becomes(is: () => Promise<boolean>, polls: number): Promise<boolean> {
  for (let poll = 0; poll < polls; poll++) {
    if (await is()) return true
    await pause(POLL_MS)
  }
  return false
}

/**
 * Waits for equality; what is different when it does not come.
 *
 * With `deterministic med on`, BIRD 2.0.12 takes a path as best without a comparison when it
 * comes in place of the best one and from another neighbour AS. Where a choice is not what
 * BIRD's rules give, the path is taken back and taught again; what is different by rule
 * stays so.
 */
async function closest(
  lab: BirdLab,
  expected: Outcome,
  cut: ReadonlySet<number>,
): Promise<Pick<Compared, 'found' | 'relearnt'>> {
  let found: readonly Difference[] = []
  const isEqual = async (): Promise<boolean> => {
    found = differences(expected, await lab.outcome())
    return found.length === 0
  }
  for (let relearnt = 0; ; relearnt++) {
    if (await becomes(isEqual, POLLS_EQUAL_MAX)) return { found, relearnt }
    const wrong = found.filter(({ router, theirs }) => breaksRules(lab.topology, router, theirs))
    if (wrong.length === 0 || relearnt === RELEARN_MAX) return { found, relearnt }
    for (const { router, theirs } of wrong) {
      const chosen = theirs.find(({ isChosen }) => isChosen === true)
      if (chosen !== undefined) await lab.relearn(router, chosen.from)
    }
    await becomes(() => lab.isUp(cut), POLLS_UP_MAX)
  }
}
