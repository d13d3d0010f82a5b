/**
 * Holding the simulated kernel to the real one: the simulated half.
 *
 * @example
 * const side = new SimulatedSide(grounds, ['pods'])
 * for (const batch of validateBatches(mode, size)) {
 *   for (const step of batch.steps) side.perform(step)
 *   compareRows(rowsOfTheRealKernel, side.places()[0].rows)
 * }
 *
 * @module
 */
export * from './validate-rows.ts'
export * from './validate-side.ts'
export * from './validate-steps.ts'
