/**
 * Exact arithmetic at the edges, where a logarithm rounds.
 */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { bitsFor, exponential, naturalLog } from '../../simulator/math.ts'
import { prng } from '../../src/prng.ts'
import { holds } from '../support/property.ts'

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

t.test('naturalLog() is the logarithm, to the same bit everywhere', async (t) => {
  // Digits by `bc -l`, rounded to the nearest double by the reader.
  const digits: readonly (readonly [x: number, log: string])[] = [
    [1, '0'],
    [2, '0.69314718055994530941'],
    [10, '2.30258509299404568401'],
    [0.5, '-0.69314718055994530941'],
    [1e-300, '-690.77552789821370520540'],
    [2 ** -32, '-22.18070977791825002550'],
  ]
  for (const [x, log] of digits) near(x, Number(log))
  holds(t, 'as the engine has it', fc.double({ min: 5e-324, noNaN: true }), (x) => {
    if (Number.isFinite(x)) near(x, Math.log(x))
  })
  // One unit away from the nearest: what it must be on every machine.
  t.equal(naturalLog(0.3), -1.203972804325936)
  t.equal(naturalLog(0.7), -0.35667494393873245)
  for (const x of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) t.ok(Number.isNaN(naturalLog(x)))

  /** A few units in the last place. */
  function near(x: number, log: number): void {
    const error = Math.abs(naturalLog(x) - log)
    assert.ok(error <= 4 * Number.EPSILON * Math.abs(log), `ln ${x} is ${naturalLog(x)}, ${log}`)
  }
})

t.test('exponential() has the mean and the spread that it should', async (t) => {
  const chance = prng(7)
  const count = 200_000
  let sum = 0
  let above = 0
  for (let draw = 0; draw < count; draw++) {
    const value = exponential(1000, (chance.uint32() + 1) / 2 ** 32)
    assert.ok(value >= 0 && Number.isInteger(value), String(value))
    sum += value
    if (value > 1000) above++
  }
  t.ok(Math.abs(sum / count - 1000) < 10, `mean ${sum / count}`)
  t.ok(Math.abs(above / count - 1 / Math.E) < 0.005, `${above / count} are above the mean`)
})
