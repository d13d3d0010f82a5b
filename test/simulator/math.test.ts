/**
 * Exact arithmetic at the edges, where a logarithm rounds.
 */
import t from 'tap'
import { bitsFor } from '../../simulator/math.ts'

t.test('bitsFor() is exact on both sides of every power of two', async (t) => {
  t.strictSame([0, 0.5, 1].map(bitsFor), [0, 0, 0])
  let power = 2
  for (let bits = 1; bits <= 128; bits++) {
    t.equal(bitsFor(power), bits, `2^${bits}`)
    if (bits < 52) t.equal(bitsFor(power + 0.5), bits + 1, `2^${bits} and a half`)
    if (bits > 1 && bits < 53) t.equal(bitsFor(power - 1), bits, `2^${bits} - 1`)
    power *= 2
  }
})

t.test('bitsFor() ends for what is no count', async (t) => {
  t.equal(bitsFor(Number.NaN), 0)
  t.equal(bitsFor(-1), 0)
  t.equal(bitsFor(Number.POSITIVE_INFINITY), 1024)
})
