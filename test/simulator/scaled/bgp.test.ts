/**
 * BGP in columns against the exact engine's speakers: on random small fabrics every
 * switch's table, every session, every counter and every moment is the same.
 */
import { deepEqual } from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { DAEMON_NAMES, daemonNamed } from '../../../simulator/bgp/daemons.ts'
import { routingSchema } from '../../../simulator/scenario-routing.ts'
import { holds } from '../../support/property.ts'
import { type Action, exactly, inColumns, type Story } from './bgp-fixture.ts'

type Timed = Action & { readonly tick: number }

/** Small messages of the others wait for each other (RFC 896), which is not known here. */
const daemons = DAEMON_NAMES.filter((name) => !daemonNamed(name).hasNagle)

const anyWords = fc
  .record({
    sessions: fc.constantFrom('reflectors', 'reflectors', 'mesh'),
    reflectors: fc.integer({ min: 1, max: 3 }),
    daemon: fc.constantFrom(...daemons),
    switchDaemon: fc.constantFrom(...daemons),
    gracefulRestart: fc.constantFrom(undefined, undefined, false, { restartSeconds: 20 }),
    holdSeconds: fc.constantFrom(undefined, undefined, 9, 30),
    connectRetrySeconds: fc.constantFrom(undefined, undefined, 3),
    bfd: fc.constantFrom(false, false, { intervalMs: 300, multiplier: 3 }),
  })
  .map(({ reflectors, ...rest }) => ({
    ...rest,
    ...(rest.sessions === 'reflectors' && { reflectors }),
    protocol: 'bgp',
  }))

/** Moments: all at once, and over seconds. */
const anyTick = fc.oneof(
  fc.nat({ max: 20 }),
  fc.nat({ max: 2000 }),
  fc.nat({ max: 3_000_000 }),
  fc.nat({ max: 40_000_000 }),
)

const anyStory = fc
  .record({
    nodes: fc.integer({ min: 1, max: 12 }),
    racks: fc.integer({ min: 1, max: 4 }),
    spines: fc.integer({ min: 1, max: 2 }),
    linkTicks: fc.integer({ min: 1, max: 9 }),
    convergeTicks: fc.constantFrom(1, 500, 50_000, 1_000_000),
    hasHosts: fc.boolean(),
    words: anyWords,
    starts: fc.array(anyTick, { minLength: 12, maxLength: 12 }),
    changes: fc.array(
      fc.record({ tick: anyTick, node: fc.nat({ max: 11 }), pod: fc.nat({ max: 7 }) }),
      { maxLength: 40 },
    ),
    faults: fc.array(
      fc.record({
        tick: fc.nat({ max: 100_000_000 }),
        lasts: fc.oneof(fc.nat({ max: 400_000_000 }), fc.nat({ max: 5_000_000 })),
        kind: fc.constantFrom('device', 'link', 'node', 'agent'),
        at: fc.nat({ max: 11 }),
      }),
      { maxLength: 3 },
    ),
  })
  .map(({ starts, changes, faults, words, ...shape }): Story => {
    const { nodes, racks, spines } = shape
    const { reflectors } = words as { reflectors?: number }
    const fitting = { ...words, ...(reflectors && { reflectors: Math.min(reflectors, nodes) }) }
    const actions: Timed[] = []
    for (let node = 0; node < nodes; node++)
      actions.push({ kind: 'start', node, tick: starts[node]! })
    const has = new Set<string>()
    for (const { node: at, pod, tick } of [...changes].sort((a, b) => a.tick - b.tick)) {
      const node = at % nodes
      const key = `${node} ${pod}`
      const kind = has.has(key) ? 'remove' : 'add'
      if (kind === 'add') has.add(key)
      else has.delete(key)
      actions.push({ kind, node, pod, tick })
    }
    // One thing breaks once; what a node does without power is nothing.
    const broken = new Set<string>()
    for (const fault of faults) {
      const told = faultOf(fault, nodes, racks, spines)
      const { kind: _kind, tick: _tick, ...what } = told[0]!
      const key = JSON.stringify(what)
      if (!broken.has(key)) actions.push(...told)
      broken.add(key)
    }
    return { ...shape, words: routingSchema.parse(fitting), actions }
  })

function faultOf(
  { tick, lasts, kind, at }: { tick: number; lasts: number; kind: string; at: number },
  nodes: number,
  racks: number,
  spines: number,
): readonly Timed[] {
  const end = tick + lasts
  if (kind === 'device') {
    const device = at % (racks + spines)
    return [
      { kind: 'down', device, tick },
      { kind: 'up', device, tick: end },
    ]
  }
  if (kind === 'link') {
    const link = at % (racks * spines)
    return [
      { kind: 'cut', link, tick },
      { kind: 'mend', link, tick: end },
    ]
  }
  const node = at % nodes
  return kind === 'node'
    ? [
        { kind: 'off', node, tick },
        { kind: 'on', node, tick: end },
      ]
    : [
        { kind: 'stop', node, tick },
        { kind: 'start', node, tick: end },
      ]
}

holds(
  t,
  'tables, sessions, counters and moments are those of the exact engine',
  anyStory,
  (story) => {
    const { events: _scaled, ...found } = inColumns(story)
    const { events: _exact, ...wanted } = exactly(story)
    deepEqual(found, wanted)
  },
  { numRuns: 50 },
)

t.test('a speaker that is back meets what is left of its last life', async (t) => {
  const words = routingSchema.parse({ protocol: 'bgp', sessions: 'reflectors', reflectors: 1 })
  const back = 3_001_001
  const story: Story = {
    ...{ nodes: 2, racks: 1, spines: 1, linkTicks: 1, convergeTicks: 1, hasHosts: false, words },
    actions: [
      { kind: 'start', node: 0, tick: 0 },
      { kind: 'start', node: 1, tick: 0 },
      { kind: 'down', device: 0, tick: 0 },
      { kind: 'stop', node: 1, tick: 0 },
      { kind: 'up', device: 0, tick: 3_000_001 },
      { kind: 'start', node: 1, tick: back },
    ],
  }
  const { sessions } = exactly(story)
  const [first] = (sessions as readonly (readonly unknown[])[]).filter(([, from]) => from === 1)
  t.strictSame(
    first,
    [back + 8, 1, 0, true],
    'up after four ways there and back, OPEN and KEEPALIVE',
  )
  t.strictSame(inColumns(story).sessions, sessions, 'in columns as well')
})
