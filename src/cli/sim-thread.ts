/**
 * A thread that runs simulations one after the other, as it is told.
 *
 * @module
 */
import type { MessagePort } from 'node:worker_threads'
import type { Scenario } from '../../simulator/scenario.ts'
import { runPoint, type SweepResult } from '../../simulator/sweep/result.ts'

/** What the thread is told. */
export interface RunOrder {
  readonly key: string
  readonly scenario: Scenario
}

/** Answers each order with a result. */
export function serveRuns(port: MessagePort): void {
  port.on('message', ({ key, scenario }: RunOrder) => {
    const result: SweepResult = runPoint(key, scenario)
    port.postMessage(result)
  })
}
