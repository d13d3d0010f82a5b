/**
 * Test files one after the other in one process, each as a subtest: a start of
 * Node with tap takes five seconds where everything is emulated.
 *
 * @module
 */
import tap, { type Test } from 'tap'

/** The file that runs. */
let current: Test = tap
let chosen: RegExp | undefined

/** Loads a file, waits for its tests. */
export async function runFile(
  file: string,
  only: RegExp | undefined,
  load: () => Promise<unknown>,
): Promise<void> {
  await tap.test(file, async (t) => {
    current = t
    chosen = only
    await load()
  })
}

type TestCall = (name: string, ...rest: readonly unknown[]) => unknown

/** What a file gets when it imports `tap`: its subtest, less the tests that were not chosen. */
export const fileTest: unknown = new Proxy(
  {},
  {
    get(_, key) {
      const member: unknown = Reflect.get(current, key)
      if (typeof member !== 'function') return member
      const call = member.bind(current) as TestCall
      if (key !== 'test') return call
      return (name: string, ...rest: readonly unknown[]) =>
        chosen === undefined || chosen.test(name) ? call(name, ...rest) : undefined
    },
  },
)
