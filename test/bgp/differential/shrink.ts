/**
 * The smallest part of a network that still shows a fault: whatever can be left out is.
 *
 * @module
 */
import type { Policy } from '../../../src/bgp/policy/policy.ts'
import type { Prefix } from '../../../src/net/mod.ts'
import type { End, Event, Session, Topology } from './topology.ts'

/** `isBad` is asked for several at a time, at most `atOnce`. */
export async function shrink(
  topology: Topology,
  isBad: (smaller: Topology) => boolean | Promise<boolean>,
  atOnce = 1,
): Promise<Topology> {
  let current = topology
  for (;;) {
    const next = await firstBad([...smaller(current)], isBad, atOnce)
    if (next === undefined) return current
    current = next
  }
}

async function firstBad(
  candidates: readonly Topology[],
  isBad: (smaller: Topology) => boolean | Promise<boolean>,
  atOnce: number,
): Promise<Topology | undefined> {
  for (let from = 0; from < candidates.length; from += atOnce) {
    const some = candidates.slice(from, from + atOnce)
    const verdicts = await Promise.all(some.map((each) => isBad(each)))
    const found = some[verdicts.indexOf(true)]
    if (found !== undefined) return found
  }
  return undefined
}

/** Every network with one thing less, large things first. */
function* smaller(topology: Topology): Generator<Topology> {
  const { routers, sessions, events } = topology
  const prefixes = new Set<Prefix>([
    ...routers.flatMap(({ originate }) => originate.map(({ prefix }) => prefix)),
    ...events.flatMap((event) => (event.kind === 'announce' ? [event.route.prefix] : [])),
  ])
  if (prefixes.size > 1) for (const prefix of prefixes) yield onlyPrefix(topology, prefix)
  if (events.length > 0) yield { ...topology, events: [] }
  for (const { id } of routers) yield withoutRouter(topology, id)
  for (const { id } of sessions) yield withoutSession(topology, id)
  for (const event of events) {
    yield { ...topology, events: events.filter((each) => each !== event) }
  }
  for (const router of routers) {
    for (const route of router.originate) {
      const originate = router.originate.filter((each) => each !== route)
      yield { ...topology, routers: swap(routers, router, { ...router, originate }) }
    }
  }
  for (const session of sessions) {
    for (const plainer of plainerSessions(session)) {
      yield { ...topology, sessions: swap(sessions, session, plainer) }
    }
  }
}

const swap = <T>(all: readonly T[], from: T, to: T): readonly T[] =>
  all.map((each) => (each === from ? to : each))

function onlyPrefix(topology: Topology, prefix: Prefix): Topology {
  return {
    ...topology,
    routers: topology.routers.map((router) => ({
      ...router,
      originate: router.originate.filter((each) => each.prefix === prefix),
    })),
    events: topology.events.filter((event) => {
      if (event.kind === 'cut') return true
      return (event.kind === 'announce' ? event.route.prefix : event.prefix) === prefix
    }),
  }
}

function withoutRouter(topology: Topology, id: number): Topology {
  const gone = topology.sessions.filter(({ ends }) => ends.some(({ router }) => router === id))
  const rest = gone.reduce((smaller, session) => withoutSession(smaller, session.id), topology)
  const isElsewhere = (event: Event): boolean => event.kind === 'cut' || event.router !== id
  return {
    ...rest,
    routers: rest.routers.filter((each) => each.id !== id),
    events: rest.events.filter(isElsewhere),
  }
}

const withoutSession = (topology: Topology, id: number): Topology => ({
  ...topology,
  sessions: topology.sessions.filter((each) => each.id !== id),
  events: topology.events.filter((event) => event.kind !== 'cut' || event.session !== id),
})

function* plainerSessions(session: Session): Generator<Session> {
  const [left, right] = session.ends
  for (const family of session.families) {
    if (session.families.length > 1) yield { ...session, families: [family] }
  }
  if (left.role !== undefined) {
    const { role: _, ...first } = left
    const { role: __, ...second } = right
    yield { ...session, ends: [first, second] }
  }
  for (const end of plainerEnds(left)) yield { ...session, ends: [end, right] }
  for (const end of plainerEnds(right)) yield { ...session, ends: [left, end] }
}

function* plainerEnds(end: End): Generator<End> {
  for (const way of ['importPolicy', 'exportPolicy'] as const) {
    const policy: Policy | undefined = end[way]
    for (const rule of policy?.rules ?? []) {
      const rules = policy?.rules.filter((each) => each !== rule)
      yield { ...end, [way]: { ...policy, rules } }
    }
  }
}
