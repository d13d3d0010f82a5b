/** Pods of real clusters: what is read of `kubectl get pods -A -o json`, and garbage. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import t from 'tap'
import { parsePodList } from '../../simulator/timeline/kubernetes.ts'
import { isTriviumError } from '../../src/errors.ts'
import { holds } from '../support/property.ts'

const options = { file: 'pods.json', nodes: 3 }
const FILE = new URL('../../simulator/scenarios/pods.json', import.meta.url)

/** One pod of a list, with some of its fields changed. */
function podWith(change: Readonly<Record<string, unknown>> = {}): string {
  const metadata = { name: 'a', namespace: 'n', creationTimestamp: '2026-03-01T08:00:00Z' }
  const pod = { kind: 'Pod', metadata, spec: { nodeName: 'w' }, status: { phase: 'Running' } }
  return JSON.stringify({ kind: 'List', items: [{ ...pod, ...change }] })
}

t.test('a real format', async (t) => {
  const { pods, nodes, skipped } = parsePodList(readFileSync(FILE, 'utf8'), options)
  t.strictSame(nodes, ['worker-a', 'worker-b', 'worker-c'])
  t.strictSame(skipped, { hostNetwork: 2, ended: 1, unscheduled: 1 })
  t.strictSame(
    pods.map(({ name, node, nature }) => `${node} ${nature} ${name}`),
    [
      '0 free kube-system/coredns-5d78c9869d-2xk8p',
      '2 free kube-system/coredns-5d78c9869d-hj6lw',
      '0 daemon logging/collector-4tq9z',
      '1 daemon logging/collector-8sx2c',
      '2 daemon logging/collector-vn5kd',
      '0 replica db/postgres-0',
      '1 replica db/postgres-1',
      '0 free shop/web-6b7f4c9d88-8mzkq',
      '1 free shop/web-6b7f4c9d88-c2vxr',
      '1 free shop/web-6b7f4c9d88-tt4hn',
      '2 free shop/web-6b7f4c9d88-zw9pl',
    ],
  )
})

t.test('what may be missing', async (t) => {
  const { pods } = parsePodList(podWith({ status: undefined, kind: undefined }), options)
  t.strictSame(pods, [{ name: 'n/a', node: 0, nature: 'free' }])
  const list = podWith().replace('"List"', '"PodList"')
  t.equal(parsePodList(`\ufeff${list}`, options).pods.length, 1)
})

const MISTAKES: readonly (readonly [what: string, text: string, message: RegExp])[] = [
  ['nothing', '', /pods\.json: found no JSON .*wanted the output of kubectl/],
  ['half a file', podWith().slice(0, 40), /found no JSON/],
  ['another thing', '[1]', /pods\.json: found a list, wanted an object/],
  ['null', 'null', /found null, wanted an object/],
  [
    'another kind',
    '{"kind":"NodeList","items":[]}',
    /kind: found "NodeList", wanted List or PodList/,
  ],
  ['no items', '{"kind":"List"}', /items: found nothing, wanted a list of pods/],
  ['items of text', '{"kind":"List","items":"x"}', /items: found "x", wanted a list/],
  ['no pods', '{"kind":"List","items":[]}', /found 0 items and no pod with a network/],
  ['a node among pods', podWith({ kind: 'Node' }), /items\[0\]\.kind: found "Node", wanted Pod/],
  ['no metadata', podWith({ metadata: 1 }), /items\[0\]\.metadata: found 1, wanted an object/],
  ['no name', podWith({ metadata: {} }), /items\[0\]\.metadata\.name: found nothing, wanted text/],
  [
    'a number for a node',
    podWith({ spec: { nodeName: 7 } }),
    /items\[0\]\.spec\.nodeName: found 7, wanted text/,
  ],
  [
    'owners of text',
    podWith({ metadata: { name: 'a', ownerReferences: 'x' } }),
    /ownerReferences: found "x", wanted a list/,
  ],
  [
    'an owner that is none',
    podWith({ metadata: { name: 'a', ownerReferences: [null] } }),
    /ownerReferences\[0\]: found null/,
  ],
  [
    'text for a status',
    podWith({ status: 'up' }),
    /items\[0\]\.status: found "up", wanted an object/,
  ],
  [
    'a long name',
    podWith({ metadata: { name: 'a'.repeat(2000) } }),
    /metadata\.name: found .*wanted at most 1000 characters/,
  ],
]
for (const [what, text, message] of MISTAKES) {
  t.throws(() => parsePodList(text, options), { code: 'BAD_CONFIG', message }, what)
}

t.test('more nodes than there are', async (t) => {
  const text = readFileSync(FILE, 'utf8')
  const message = /pods are on 3 nodes, wanted nodes: 3 in the scenario \(found 2\)/
  t.throws(() => parsePodList(text, { ...options, nodes: 2 }), { code: 'BAD_CONFIG', message })
})

t.test('a pod listed twice', async (t) => {
  const list = JSON.parse(podWith())
  const text = JSON.stringify({ ...list, items: [list.items[0], list.items[0]] })
  t.throws(() => parsePodList(text, options), { message: /items\[1\]: n\/a is listed twice/ })
})

t.test('garbage is refused in words, never by accident', async (t) => {
  const base = readFileSync(FILE, 'utf8')
  const cut = fc.tuple(fc.nat(base.length), fc.nat(30), fc.string({ maxLength: 5 }))
  holds(t, 'a part replaced', cut, ([at, length, text]) => {
    survives(base.slice(0, at) + text + base.slice(at + length))
  })
  holds(t, 'any JSON for a part of a pod', fc.tuple(fc.json(), fc.nat(3)), ([json, place]) => {
    const key = ['metadata', 'spec', 'status', 'kind'][place] ?? ''
    survives(podWith({ [key]: JSON.parse(json) }))
  })
  holds(t, 'any JSON', fc.json(), survives)
  holds(t, 'any items', fc.array(fc.jsonValue()), (items) =>
    survives(JSON.stringify({ kind: 'List', items })),
  )
  survives('['.repeat(1_000_000))
  survives(`{"kind":"List","items":${'['.repeat(100_000)}${']'.repeat(100_000)}}`)
  survives('{"kind":"List","__proto__":{"items":[]},"items":[{"metadata":{"name":"__proto__"}}]}')
})

function survives(text: string): void {
  try {
    parsePodList(text, options)
  } catch (thrown) {
    assert.ok(isTriviumError(thrown) && thrown.code === 'BAD_CONFIG', String(thrown))
  }
}
