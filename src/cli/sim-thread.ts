/**
 * A thread that runs simulations one after the other, as it is told.
 *
 * @module
 */
import type { MessagePort } from 'node:worker_threads'
import { runWith } from '../../simulator/engine.ts'
import type { RunResult } from '../../simulator/run.ts'
import type { Scenario } from '../../simulator/scenario.ts'
import { runPoint, type SweepResult } from '../../simulator/sweep/result.ts'

/** What the thread is told. */
export interface RunOrder {
  readonly key: string
  readonly scenario: Scenario
  readonly wants: Wanted
}

/** `figures`: what a sweep keeps. `whole`: what a report shows, but for the scenario, which the asker has. */
export type Wanted = 'figures' | 'whole'
export type WholeResult = Omit<RunResult, 'scenario'>

/** Answers each order with a result. */
export function serveRuns(port: MessagePort): void {
  port.on('message', ({ key, scenario, wants }: RunOrder) => {
    if (wants === 'figures') port.postMessage(runPoint(key, scenario) satisfies SweepResult)
    else {
      const { scenario: _, ...result } = runWith('auto', scenario)
      port.postMessage(result satisfies WholeResult)
    }
  })
}
