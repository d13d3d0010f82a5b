/**
 * Runs that are done elsewhere: who runs them, and on how many threads, is the caller's.
 *
 * @module
 */
import { runWith } from './engine.ts'
import type { Progress, RunResult } from './run.ts'
import type { Scenario } from './scenario.ts'
import { otherSeeds, type Task } from './seeds.ts'

/**
 * Runs tasks in any order and tells each result; ends early, without an error, when it is told to.
 *
 * @param bytes Heap that one needs.
 */
export type RunTasks<Result> = (
  tasks: readonly Task[],
  bytes: number,
  onResult: (result: Result, task: Task) => void,
) => Promise<void>

/** One after the other, here. */
export const runHere: RunTasks<RunResult> = async (tasks, _bytes, onResult) => {
  for (const task of tasks) onResult(runWith('auto', task.scenario), task)
}

/**
 * Runs scenarios under the seeds that follow their own.
 *
 * @param count Of all seeds, the own included.
 * @returns of each scenario the other seeds' results, in the order of seeds.
 */
export async function runOtherSeeds(
  scenarios: readonly Scenario[],
  count: number,
  bytes: number,
  runTasks: RunTasks<RunResult> = runHere,
  progress: Progress = () => {},
): Promise<readonly (readonly RunResult[])[]> {
  const tasks = scenarios.flatMap((scenario, place) =>
    otherSeeds(scenario, count).map((other): Task => {
      const words = `seed ${other.seed} on ${other.nodes} nodes`
      return { key: `${place} ${other.seed}`, scenario: other, words }
    }),
  )
  if (tasks.length === 0) return scenarios.map(() => [])
  const found = new Map<string, RunResult>()
  progress(0, 'other seeds')
  await runTasks(tasks, bytes, (result, { key }) => {
    found.set(key, result)
    progress(found.size / tasks.length, `${found.size} of ${tasks.length} other runs`)
  })
  return scenarios.map((scenario, place) =>
    otherSeeds(scenario, count).map(({ seed }) => found.get(`${place} ${seed}`)!),
  )
}
