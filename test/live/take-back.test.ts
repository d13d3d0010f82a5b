/** The first error is the one that is told, whatever becomes of taking back. */
import t from 'tap'
import { TriviumError } from '../../src/errors.ts'
import { takeBack } from '../../src/live/verbs/take-back.ts'

const first = new TriviumError('KERNEL', 'Cannot make link x: it exists', 'Remove it')

t.test('what was thrown comes again when all was taken back', async (t) => {
  let taken = 0
  await t.rejects(
    takeBack(first, async () => taken++),
    first,
  )
  t.equal(taken, 1)
})

t.test('a second error is told beside the first', async (t) => {
  const taking = async (): Promise<void> => {
    throw new TriviumError('STORE', 'Cannot write store /s: no space')
  }
  const thrown = await takeBack(first, taking).catch((error: unknown) => error)
  t.match(thrown, { code: 'KERNEL', message: first.message, cause: first })
  const { details } = thrown as TriviumError
  t.match(details, /^Remove it\. .*Cannot write store \/s: no space.*DEL or GC/)
})

t.test('what is no error of ours keeps its words', async (t) => {
  const taking = (): never => {
    throw new Error('second')
  }
  await t.rejects(takeBack(new Error('first'), taking), { message: 'first', code: 'INTERNAL' })
})
