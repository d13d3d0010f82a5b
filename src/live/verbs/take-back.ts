/**
 * What a verb that failed had made goes away again; what went wrong first is what is told.
 *
 * @module
 */
import { asTriviumError, TriviumError } from '../../errors.ts'

/**
 * Takes back, and throws `thrown`; with a word more when that failed, too.
 *
 * @param taking Takes back all that was made before.
 */
export async function takeBack(thrown: unknown, taking: () => unknown): Promise<never> {
  try {
    await taking()
  } catch (again) {
    const [first, second] = [asTriviumError(thrown), asTriviumError(again)]
    const more = `What it had made could not be taken away (${second.message}): DEL or GC does that`
    const details = first.details === '' ? more : `${first.details}. ${more}`
    throw new TriviumError(first.code, first.message, details, thrown)
  }
  throw thrown
}
