/**
 * Snapshots from outside: what was taken reads back the same, and nothing else
 * does harm.
 */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { isTriviumError } from '../../src/errors.ts'
import {
  examine,
  explain,
  type NodeSnapshot,
  parseSnapshot,
  renderExplanation,
} from '../../src/explain/mod.ts'
import { holds } from '../support/property.ts'
import { Scene } from './scene.ts'

const scene = new Scene({ options: { flavour: 'lightweight' } })
const { views } = scene
const good = scene.snapshot('n1')
const healthy = {
  node: 'n1',
  agentProblem: undefined,
  socketPath: '/run/trivium/agent.sock',
  storeProblem: undefined,
  view: scene.view('n1'),
}
const text = JSON.stringify(good)

t.strictSame(parseSnapshot(text, 'itself'), good, 'reads back the same')

const REFUSED: Readonly<Record<string, [json: string, code: string, says: RegExp]>> = {
  'not JSON': ['{', 'BAD_JSON', /Cannot read snapshot x: not JSON/],
  'no object': ['[]', 'BAD_JSON', /the snapshot is not an object/],
  'another version': ['{"version":2}', 'BAD_CONFIG', /version 2, wanted 1/],
  'no objects': [
    '{"version":1,"node":"a","takenMs":1,"kernelRelease":"6"}',
    'BAD_JSON',
    /objects is not a list/,
  ],
  'an unknown kind': [
    JSON.stringify({ ...good, objects: [{ kind: 'toString' }] }),
    'BAD_JSON',
    /objects\[0\]\.kind is not a kind we know/,
  ],
  'an address that is none': [
    JSON.stringify({ ...good, objects: [{ kind: 'addr', link: 'a', ip: 'x', prefixLength: 1 }] }),
    'BAD_JSON',
    /objects\[0\]\.ip is not an IP/,
  ],
  'a count that is none': [
    JSON.stringify({ ...good, takenMs: -1 }),
    'BAD_JSON',
    /takenMs is not a count/,
  ],
}

t.test('refused, with the field', async (t) => {
  for (const [name, [json, code, says]] of Object.entries(REFUSED)) {
    try {
      parseSnapshot(json, 'x')
      t.fail(name)
    } catch (thrown) {
      t.ok(isTriviumError(thrown), name)
      t.equal((thrown as { code: string }).code, code, name)
      t.match((thrown as Error).message, says, name)
    }
  }
})

t.test('what is not known is left out', async (t) => {
  const more = { ...good, secret: 1, objects: [{ ...good.objects[0], __proto__: 1, more: 2 }] }
  const read = parseSnapshot(JSON.stringify(more), 'x')
  t.notOk('secret' in read)
  t.strictSame(read.objects, [good.objects[0]])
})

/** Places in the JSON value, to be overwritten. */
function harmed(value: unknown, path: readonly number[], by: unknown): unknown {
  const [step, ...rest] = path
  if (step === undefined || typeof value !== 'object' || value === null) return by
  const entries = Object.entries(value)
  if (entries.length === 0) return by
  const at = step % entries.length
  const changed = entries.map(([key, each], index) => [
    key,
    index === at ? harmed(each, rest, by) : each,
  ])
  return Array.isArray(value) ? changed.map(([, each]) => each) : Object.fromEntries(changed)
}

holds(
  t,
  'any change of any place is read, and walked over, or refused with a TriviumError',
  fc.tuple(fc.array(fc.nat(200), { minLength: 1, maxLength: 5 }), fc.jsonValue()),
  ([path, by]) => {
    let read: NodeSnapshot
    try {
      read = parseSnapshot(JSON.stringify(harmed(good, path, by)), 'x')
    } catch (thrown) {
      assert.ok(isTriviumError(thrown), String(thrown))
      assert.match(thrown.message, /^Cannot read snapshot x: /)
      return
    }
    const snapshots = new Map([['n1', read]])
    renderExplanation(explain({ from: scene.end('a'), to: scene.end('b'), views, snapshots }))
    examine({ ...healthy, snapshot: read })
  },
)
