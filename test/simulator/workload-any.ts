/** Workloads and faults by chance, as text, for a scenario of four nodes with two pods each. */
import fc from 'fast-check'

export interface AnyWorkload {
  readonly seed: number
  readonly steps: readonly Readonly<Record<string, unknown>>[]
  readonly faults: readonly Readonly<Record<string, unknown>>[]
  /** Moments in which a pod comes, or goes when it is there, and where. */
  readonly turns: readonly (readonly [atMs: number, pod: number, node: number | undefined])[]
}

const atMs = fc.nat(5000)
const node = fc.nat(3)
const readyMs = fc.constantFrom(0, 50, 1000)

const step = fc.oneof(
  fc.record({
    kind: fc.constant('poisson'),
    atMs,
    forMs: fc.integer({ min: 1, max: 3000 }),
    perSecond: fc.constantFrom(0.5, 3, 20),
    lifetimeMs: fc.constantFrom(1, 20, 500, 20_000),
  }),
  fc.record({
    kind: fc.constant('batch'),
    atMs,
    pods: fc.integer({ min: 1, max: 12 }),
    spreadMs: fc.constantFrom(0, 3, 400),
    lifetimeMs: fc.constantFrom(1, 3, 900),
  }),
  fc.record({
    kind: fc.constant('rolling'),
    atMs,
    pods: fc.integer({ min: 1, max: 2 }),
    surge: fc.constantFrom(0, 1, '25%', '100%'),
    unavailable: fc.constantFrom(1, 2, '50%'),
    readyMs,
  }),
  fc.record({
    kind: fc.constant('statefulset'),
    atMs,
    replicas: fc.integer({ min: 1, max: 4 }),
    restarts: fc.nat(2),
    readyMs,
  }),
  fc.record({
    kind: fc.constant('drain'),
    atMs,
    node,
    eachMs: fc.constantFrom(0, 1, 100),
    forMs: fc.constantFrom(1, 500, 5000),
  }),
  fc.record({ kind: fc.constant('restart'), atMs, share: fc.constantFrom(0.1, 0.5, 1) }),
)

const LINKS = ['tor-0', 'tor-1'].flatMap((tor) => [
  [tor, 'spine-0'],
  [tor, 'spine-1'],
])
const forMs = fc.constantFrom(1, 200, 3000, 12_000)
const fault = fc.oneof(
  fc.record({ kind: fc.constant('node'), atMs, forMs, node }),
  fc.record({ kind: fc.constant('agent'), atMs, forMs, node }),
  fc.record({ kind: fc.constant('store'), atMs, forMs: fc.constantFrom(1, 200, 3000) }),
  fc.record({ kind: fc.constant('partition'), atMs, forMs, racks: fc.constant([1]) }),
  fc.record({ kind: fc.constant('tor'), atMs, forMs, rack: fc.nat(1) }),
  fc.record({ kind: fc.constant('spine'), atMs, forMs, spine: fc.nat(1) }),
  fc.record({ kind: fc.constant('link'), atMs, forMs, between: fc.constantFrom(...LINKS) }),
)

export const anyWorkload: fc.Arbitrary<AnyWorkload> = fc.record({
  seed: fc.nat(1000),
  steps: fc.array(step, { maxLength: 4 }),
  faults: fc.array(fault, { maxLength: 4 }),
  turns: fc.array(fc.tuple(atMs, fc.nat(3), fc.option(node, { nil: undefined })), { maxLength: 6 }),
})

/** Files that the workload's text names. */
export function filesOfAny({ turns }: AnyWorkload): ReadonlyMap<string, string> {
  const there = new Set<number>()
  const rows = [...turns]
    .sort(([left], [right]) => left - right)
    .map(([atMs, pod, node]) => {
      const action = there.delete(pod) ? 'remove' : 'add'
      if (action === 'add') there.add(pod)
      return `${atMs},${action},pod-${pod},${node ?? ''}`
    })
  return new Map([['any.csv', ['at_ms,action,pod,node', ...rows].join('\n')]])
}

export const workloadText = ({ steps }: AnyWorkload): string =>
  `workload: ${JSON.stringify([...steps, { kind: 'trace', file: 'any.csv' }])}`
export const faultsText = ({ faults }: AnyWorkload): string => `faults: ${JSON.stringify(faults)}`
