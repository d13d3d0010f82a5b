/** Which engine answers, what it adds to the count, and that a difference between the two is an error. */
import t from 'tap'
import { answer } from '../../../simulator/capacity/answer.ts'
import { type QuestionFlags, questionOf } from '../../../simulator/capacity/question.ts'
import { type CapacityEngine, planRuns } from '../../../simulator/capacity/run.ts'
import { answerCapacity } from '../../../simulator/main.ts'
import { type RunTasks, runHere } from '../../../simulator/other-seeds.ts'
import type { RunResult } from '../../../simulator/run.ts'

const FEW = ['vxlan', 'vxlan-lightweight', 'route-32', 'vlan']

/** Engines by mode, and sizes of the first. */
function plans(flags: QuestionFlags, choice: CapacityEngine, verify = false) {
  const { question, modes } = answer(questionOf({ mode: FEW, pods: 30, ...flags }))
  const found = planRuns(question, modes, choice, verify)
  return {
    engines: found.map(({ engine }) => engine),
    whys: found.map(({ why }) => why ?? ''),
    sizes: found[2]?.tasks.map(({ shape }) => shape.nodes),
  }
}

t.test('the engine is chosen by the size', async (t) => {
  t.strictSame(plans({ nodes: 60 }, 'auto').engines, ['exact', 'exact', 'exact', 'exact'])
  const usual = plans({ nodes: 1000 }, 'auto')
  t.strictSame([usual.engines[0], usual.engines[2]], ['scaled', 'scaled'])
  t.strictSame(usual.sizes, [1000])
  const large = plans({ nodes: 10_000 }, 'auto')
  t.strictSame(large.engines, ['count', 'count', 'count', 'count'])
  t.match(large.whys[0], /a run takes minutes: --engine scaled/)
  t.equal(plans({ nodes: 10_000 }, 'scaled').engines[0], 'scaled')
  t.equal(plans({ nodes: 10_000 }, 'auto', true).engines[0], 'scaled', '--verify takes its time')
  t.match(plans({ nodes: 5000 }, 'exact').whys[0], /the exact engine holds 2000 nodes/)
  t.equal(plans({ nodes: 1000 }, 'count').engines[0], 'count')
  // ToR host has 16 384 entries, and a pod or a node of the rack is one: 544 nodes hold.
  const limits = plans({ nodes: 1000 }, 'auto', true)
  t.strictSame(limits.sizes, [1000, 544, 545], 'the limit and one node more')
})

const SMALL = { nodes: 9, racks: 3, pods: 4, host: 40, lpm: 30, mac: 40 }

async function asked(engine: CapacityEngine, more: object = {}) {
  let text = ''
  const write = (part: string): void => {
    text += part
  }
  const options = { flags: SMALL, output: 'json', command: '', scenariosDir: '', write } as const
  const status = await answerCapacity({ ...options, engine, ...more })
  return { status, text }
}

interface Mode {
  readonly mode: string
  readonly engine: string
  readonly runs: readonly {
    readonly coldStartMs: number
    readonly differences: readonly string[]
  }[]
}

t.test('runs of every mode are what is counted, also where a table is full', async (t) => {
  for (const engine of ['exact', 'scaled'] as const) {
    const { status, text } = await asked(engine)
    t.equal(status, 0)
    const modes: readonly Mode[] = JSON.parse(text).modes
    t.ok(modes.filter((mode) => mode.engine === engine).length >= 4)
    for (const { mode, runs } of modes) {
      for (const { coldStartMs, differences } of runs) {
        t.strictSame(differences, [], mode)
        t.ok(coldStartMs > 0)
      }
    }
  }
})

t.test('a run that gives something else is shown, and is an error', async (t) => {
  const wrong: RunTasks<RunResult> = (tasks, bytes, onResult) =>
    runHere(tasks, bytes, (result, task) => {
      const modes = result.modes.map((mode) => ({
        ...mode,
        tables: mode.tables.map((figure) =>
          figure.role === 'tor' && figure.table === 'host'
            ? { ...figure, demandPeak: figure.demandPeak + 1 }
            : figure,
        ),
      }))
      onResult({ ...result, modes }, task)
    })
  const flags = { ...SMALL, mode: ['route-32'] }
  const { status, text } = await asked('exact', { flags, runTasks: wrong, output: 'text' })
  t.equal(status, 1)
  t.match(text, /DIFFER: tor host: counted 39, run 40/)
})
