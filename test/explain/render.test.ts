/** Answers as a person reads them. */
import t from 'tap'
import { renderExplanation } from '../../src/explain/mod.ts'
import { golden } from '../support/golden.ts'
import { type Ground, Scene } from './scene.ts'

interface Shown {
  readonly title: string
  readonly ground?: Ground
  readonly harm?: (scene: Scene) => void
  readonly to?: 'b' | 'z'
  readonly all?: boolean
}

const SHOWN: readonly Shown[] = [
  { title: 'a tunnel, everything well' },
  {
    title: 'lightweight, the answer is lost: the way back is told',
    ground: { options: { flavour: 'lightweight' } },
    harm: (s) => s.drop('n2', /^route 10\.42\.0\.64\/26/),
  },
  { title: 'the other node was not seen', harm: (s) => s.unseen.add('n2') },
  {
    title: 'somebody may drop it',
    ground: { mode: 'route' },
    harm: (s) => {
      const chain = { family: 'ip', table: 'filter', chain: 'FORWARD', hook: 'forward' }
      s.chains.set('n2', [{ ...chain, priority: 0, policy: 'drop', rules: 7 }])
    },
  },
  { title: 'closed networks, every path', to: 'z', all: true },
]

t.test('texts', async (t) => {
  const texts = SHOWN.map(({ title, ground, harm, to = 'b', all }) => {
    const scene = new Scene(ground)
    harm?.(scene)
    return `=== ${title}\n\n${renderExplanation(scene.explain('a', to), all)}`
  })
  golden(t, 'explain', texts.join('\n'))
})
