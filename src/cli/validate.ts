/**
 * `trivium sim validate`: the same events on throw-away real nodes and on
 * simulated ones, and every table of both compared after each batch.
 *
 * @module
 */
import type {
  Place,
  SimulatedSide,
  ValidateBatch,
  ValidateMode,
  ValidateSize,
  ValidateStep,
} from '../../simulator/validate.ts'
import { asTriviumError, TriviumError } from '../errors.ts'
import { RealSide } from '../lab/validate-live.ts'
import { flagsOfOptions, poolFlags, portFlags } from './network-words.ts'
import { type Lacks, lackedBy } from './validate-lacks.ts'
import { compareSides, type Difference, type Look } from './validate-look.ts'

export interface ValidateOptions extends ValidateSize {
  /** Names of modes; empty: every one. */
  readonly modes: readonly string[]
  /** The command line that runs this program. */
  readonly trivium: readonly string[]
  /** Told of what begins. */
  readonly progress: (what: string) => void
}

export interface ModeResult {
  readonly mode: string
  /** Why it was not checked. */
  readonly skipped?: string
  /** Batches that this kernel cannot do, with the reason. */
  readonly leftOut: readonly string[]
  readonly batches: number
  readonly events: number
  /** Comparisons of one namespace. */
  readonly comparisons: number
  /** Rows compared, by table, all batches together. */
  readonly rows: Readonly<Record<string, number>>
  /** Tables that no program of this machine shows. */
  readonly unread: readonly string[]
  /** Those of the first batch that has any: what follows, follows from it. */
  readonly differences: readonly Difference[]
}

export type Simulator = typeof import('../../simulator/validate.ts')

/** How long real agents may take to follow; a loaded machine needs slack. */
const FOLLOW_MS_MAX = 60_000
/**
 * Before the first look and the last: agents have heard and have begun. A slower
 * one that does something else after it agreed is seen in the next batch.
 */
const CALM_MS = 150
const LAST_CALM_MS = 500
/** Between two looks. */
const LOOK_MS = 50

/** Modes that are under way at once: each waits for programs most of the time. */
const AT_ONCE = 2

/** Every mode, in the order of the list. @throws {TriviumError} USAGE without root, or for an unknown mode. */
export async function validate(
  simulator: Simulator,
  options: ValidateOptions,
): Promise<readonly ModeResult[]> {
  requireRoot()
  const modes = chosen(simulator.VALIDATE_MODES, options.modes)
  const results = new Map<ValidateMode, ModeResult>()
  let signalled: string | undefined
  const goOn = (): void => {
    if (signalled === undefined) return
    throw new TriviumError('UNAVAILABLE', `Cannot finish the validation: ended by ${signalled}`)
  }
  const waiting = [...modes]
  const work = async (): Promise<void> => {
    for (let mode = waiting.shift(); mode !== undefined; mode = waiting.shift()) {
      results.set(mode, await validateMode(simulator, mode, options, goOn))
    }
  }
  // Whoever makes namespaces takes them away: a step is ended, no other begins.
  const stop = (signal: string): void => {
    signalled = signal
  }
  for (const signal of SIGNALS) process.on(signal, stop)
  // Also when one fails, the other takes its namespaces away first.
  const ends = await Promise.allSettled(Array.from({ length: AT_ONCE }, work))
  for (const signal of SIGNALS) process.off(signal, stop)
  const failed = ends.find((end) => end.status === 'rejected')
  goOn()
  if (failed !== undefined) throw failed.reason
  return modes.flatMap((mode) => results.get(mode) ?? [])
}

function requireRoot(): void {
  if (process.getuid?.() === 0) return
  throw new TriviumError(
    'USAGE',
    'Cannot make network namespaces to compare with: this is not root',
    'Run: sudo trivium sim validate',
  )
}

function chosen(modes: readonly ValidateMode[], names: readonly string[]): readonly ValidateMode[] {
  const unknown = names.find((name) => modes.every((mode) => mode.name !== name))
  if (unknown !== undefined) {
    const known = modes.map(({ name }) => name).join(', ')
    throw new TriviumError(
      'USAGE',
      `Cannot validate mode ${JSON.stringify(unknown)}: there is ${known}`,
    )
  }
  return modes.filter(({ name }) => names.length === 0 || names.includes(name))
}

async function validateMode(
  simulator: Simulator,
  mode: ValidateMode,
  options: ValidateOptions,
  goOn: () => void,
): Promise<ModeResult> {
  goOn()
  options.progress(mode.name)
  const real = await RealSide.create({ ...options, ...mode })
  try {
    const lacks = await lackedBy(real)
    const skipped = lacks.get(mode.needs)
    if (skipped !== undefined) return { ...NOTHING, mode: mode.name, skipped }
    return await new Validation(simulator, mode, options, real, goOn).run(lacks)
  } finally {
    await real.destroy()
  }
}

const SIGNALS = ['SIGINT', 'SIGTERM'] as const
const NOTHING = {
  leftOut: [],
  batches: 0,
  events: 0,
  comparisons: 0,
  rows: {},
  unread: [],
  differences: [],
}

/** One mode on both sides. */
class Validation {
  readonly #simulator: Simulator
  readonly #mode: ValidateMode
  readonly #options: ValidateOptions
  readonly #real: RealSide
  /** Throws when the run is to end. */
  readonly #goOn: () => void
  readonly #networks: readonly string[]
  readonly #rows = new Map<string, number>()
  #comparisons = 0
  #events = 0
  #unread: readonly string[] = []

  constructor(
    simulator: Simulator,
    mode: ValidateMode,
    options: ValidateOptions,
    real: RealSide,
    goOn: () => void,
  ) {
    this.#goOn = goOn
    this.#simulator = simulator
    this.#mode = mode
    this.#options = options
    this.#real = real
    this.#networks = mode.networks.map(({ name }) => name)
  }

  async run(lacks: Lacks): Promise<ModeResult> {
    this.#unread = await this.#real.unread()
    const simulated = new this.#simulator.SimulatedSide(await this.#real.grounds(), this.#networks)
    const all = this.#simulator.validateBatches(this.#mode, this.#options)
    const batches = all.filter(({ needs }) => !lacks.has(needs))
    let done = 0
    let differences: readonly Difference[] = []
    for (const batch of batches) {
      this.#options.progress(`${this.#mode.name}: ${batch.title}`)
      differences = await this.#batch(batch, simulated)
      done++
      if (differences.length > 0) break
    }
    if (differences.length === 0) differences = await this.#last(simulated)
    return {
      mode: this.#mode.name,
      leftOut: all.flatMap(({ title, needs }) => {
        const why = lacks.get(needs)
        return why === undefined ? [] : [`${title}: ${why}`]
      }),
      batches: done,
      events: this.#events,
      comparisons: this.#comparisons,
      rows: Object.fromEntries(this.#rows),
      unread: this.#unread,
      differences,
    }
  }

  async #batch(batch: ValidateBatch, simulated: SimulatedSide): Promise<readonly Difference[]> {
    for (const step of batch.steps) {
      this.#goOn()
      this.#events++
      simulated.perform(step)
      try {
        await this.#perform(step)
      } catch (thrown) {
        const row = asTriviumError(thrown).message
        return [{ batch: batch.title, place: '', table: step.do, side: 'real', row }]
      }
    }
    const faults = simulated.faults.splice(0)
    if (faults.length > 0) {
      const side = 'simulated'
      return faults.map((row) => ({ batch: batch.title, place: '', table: 'fault', side, row }))
    }
    return this.#agree(batch.title, simulated.places())
  }

  /** Looks until the real nodes agree; says what is different when they do not. */
  async #agree(batch: string, simulated: readonly Place[]): Promise<readonly Difference[]> {
    await sleep(CALM_MS)
    const deadline = performance.now() + FOLLOW_MS_MAX
    for (;;) {
      this.#goOn()
      const look = this.#compare(batch, await this.#real.places(), simulated)
      if (look.differences.length === 0 || performance.now() > deadline) {
        for (const [table, rows] of look.rows) {
          this.#rows.set(table, (this.#rows.get(table) ?? 0) + rows)
        }
        this.#comparisons += simulated.length
        return look.differences
      }
      await sleep(LOOK_MS)
    }
  }

  /** Once more, when everybody had time to do too much. */
  async #last(simulated: SimulatedSide): Promise<readonly Difference[]> {
    await sleep(LAST_CALM_MS)
    return this.#compare('the end', await this.#real.places(), simulated.places()).differences
  }

  #compare(batch: string, real: readonly Place[], simulated: readonly Place[]): Look {
    const { VALIDATE_TABLES } = this.#simulator
    const tables = VALIDATE_TABLES.filter((table) => !this.#unread.includes(table))
    return compareSides(tables, batch, real, simulated)
  }

  /** The step on the real nodes. */
  async #perform(step: ValidateStep): Promise<void> {
    const real = this.#real
    switch (step.do) {
      case 'create': {
        const { name, mode, pools, options } = step.network
        const words = ['--mode', mode, ...poolFlags(pools), ...flagsOfOptions(options)]
        await real.trivium('network', 'create', name, ...words)
        if (name === this.#networks[0]) await real.install(name)
        return
      }
      case 'set': {
        const mode = step.mode === undefined ? [] : ['--mode', step.mode]
        const words = [...mode, ...flagsOfOptions(step.options)]
        await real.trivium('network', 'set', step.network, ...words)
        return
      }
      case 'allow':
        await real.trivium('network', 'allow', step.from, step.to, ...portFlags(step.ports))
        return
      case 'deny':
        await real.trivium('network', 'deny', step.from, step.to)
        return
      case 'start':
        return real.start(step.node)
      case 'stop':
        return real.stop(step.node)
      case 'forget':
        return real.forget(step.node)
      case 'add':
        return real.addPod(step.node, step.pod, this.#networkOf(step.pod))
      case 'del':
        return real.removePod(step.pod, this.#networkOf(step.pod))
      case 'mtu':
        return real.setMtu(step.bytes)
      case 'move':
        return real.move(step.node, (ip) => this.#simulator.hostOf(ip, step.host))
      case 'flap':
        return real.flap(step.node)
      case 'harm':
        return real.harm(step.node, step.link)
    }
  }

  /** As the simulator deals them out. */
  #networkOf(pod: number): string {
    return this.#networks[pod % this.#networks.length] ?? ''
  }
}

const sleep = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms))
