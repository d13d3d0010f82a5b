/** Helpers of the wire tests. */
import fc from 'fast-check'
import type { Test } from 'tap'

const seedText = process.env['FC_SEED']
const replay = seedText === undefined ? {} : { seed: Number(seedText) }

/** Asserts that `check` throws for no value; a failure prints the smallest one and the seed. */
export function holds<T>(
  t: Pick<Test, 'notOk'>,
  name: string,
  values: fc.Arbitrary<T>,
  check: (value: T) => void,
  numRuns = 1000,
): void {
  const run = fc.check(fc.property(values, check), { numRuns, ...replay })
  t.notOk(run.failed, name, { found: run.failed ? fc.defaultReportMessage(run) : 'none' })
}

/** Bytes from hexadecimal digits; spaces are for the reader. */
export function hex(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'))
}
