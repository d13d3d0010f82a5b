/** Two sessions over connections that are delayed, cut into pieces and broken. */
import t from 'tap'
import { prng } from '../../../src/prng.ts'
import { bothTerms, Pipe } from './pipe.ts'

t.test('two sessions find each other', async (t) => {
  const [a, b] = bothTerms()
  const pipe = new Pipe(a, b, { random: prng(1), delayMsMax: 20, piecesMax: 3 })
  pipe.feed('a', { kind: 'start' })
  pipe.feed('b', { kind: 'start' })
  pipe.run(300_000)
  t.equal(pipe.sessions.a.facts.state, 'established')
  t.equal(pipe.sessions.b.facts.state, 'established')
  t.equal(pipe.openWires, 1)
  t.equal(pipe.sessions.a.facts.agreed?.holdSeconds, 90)
  t.strictSame(pipe.sessions.b.facts.agreed?.context.families, ['ipv4', 'ipv6'])
})
