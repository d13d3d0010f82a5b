/**
 * Random histories of a speaker, of links and of others who meddle: the kernel has what
 * a model of a few lines says.
 */
import fc from 'fast-check'
import t from 'tap'
import type { Family } from '../../../src/bgp/nlri.ts'
import type { Prefix } from '../../../src/net/mod.ts'
import { notRoot } from '../../netlink-ts/support.ts'
import { eventually, type RoutesWorld, routesWorld, type SpokenRoutes } from './routes-world.ts'

const LONG = process.env['TRIVIUM_LONG'] === '1'
const seedText = process.env['FC_SEED']
/** Shorter than elsewhere: a failure is looked at again and again, to make it small. */
const WAIT_MS = 5_000
const FAR = '192.0.2.7'
const RELAY = '10.0.0.4'

const PREFIXES = {
  ipv4: ['20.0.0.0/8', '20.0.0.0/9', '30.1.0.0/16', '40.1.2.0/24', '0.0.0.0/0'],
  ipv6: ['2001:db8::/32', '2001:db8:1::/48', '3000::/16', '::/0'],
} as const
const HOPS = {
  ipv4: ['10.0.0.2', '10.0.1.2', '10.0.1.3', 'fd00:1::2', FAR],
  ipv6: ['fd00::2', 'fd00:1::2', 'fd00:1::3'],
} as const

type Act =
  | { readonly kind: 'tell'; readonly family: Family; readonly prefixes: string[]; hops: string[] }
  | { readonly kind: 'link'; readonly isUp: boolean }
  | { readonly kind: 'way to far'; readonly isThere: boolean }
  | { readonly kind: 'delete' | 'steal'; readonly prefix: string }
  | { readonly kind: 'restart'; readonly forgets: number }

const tell = (family: Family): fc.Arbitrary<Act> =>
  fc.record({
    kind: fc.constant('tell' as const),
    family: fc.constant(family),
    prefixes: fc.subarray([...PREFIXES[family]], { minLength: 1 }),
    hops: fc.subarray([...HOPS[family]]),
  })
const every = [...PREFIXES.ipv4, ...PREFIXES.ipv6]
const acts: fc.Arbitrary<Act[]> = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: tell('ipv4') },
    { weight: 4, arbitrary: tell('ipv6') },
    fc.record({ kind: fc.constant('link' as const), isUp: fc.boolean() }),
    fc.record({ kind: fc.constant('way to far' as const), isThere: fc.boolean() }),
    fc.record({
      kind: fc.constantFrom('delete' as const, 'steal' as const),
      prefix: fc.constantFrom(...every),
    }),
    fc.record({ kind: fc.constant('restart' as const), forgets: fc.nat(3) }),
  ),
  { minLength: 1, maxLength: 10 },
)

interface Model {
  readonly wanted: Map<string, readonly string[]>
  isUp: boolean
  hasWay: boolean
}

/** What the kernel is to hold of a family. */
function expected({ wanted, isUp, hasWay }: Model, family: Family): Record<string, string> {
  const wayTo = (hop: string): readonly string[] => {
    if (hop === FAR) return hasWay ? [`${RELAY} eth0`] : []
    const isOnEth1 = hop.startsWith('10.0.1.') || hop.startsWith('fd00:1:')
    if (!isOnEth1) return [`${hop} eth0`]
    return isUp ? [`${hop} eth1`] : []
  }
  const isOf = (prefix: string): boolean => prefix.includes(':') === (family === 'ipv6')
  const routes = [...wanted].flatMap(([prefix, hops]): [string, string][] => {
    const ways = hops.flatMap(wayTo).sort()
    const shown = prefix.endsWith('/0') ? 'default' : prefix
    return isOf(prefix) && ways.length > 0 ? [[shown, ways.join(', ')]] : []
  })
  return Object.fromEntries(routes.sort())
}

const sorted = (routes: Readonly<Record<string, string>>): string =>
  JSON.stringify(Object.fromEntries(Object.entries(routes).sort()))

/** One namespace for all histories; each leaves it empty. */
async function play(world: RoutesWorld, history: readonly Act[]): Promise<void> {
  const model: Model = { wanted: new Map(), isUp: true, hasWay: false }
  let routes = await world.open()
  const act = async (each: Act): Promise<void> => {
    if (each.kind === 'restart') {
      await routes.close('keep')
      routes = await world.open()
      for (const prefix of [...model.wanted.keys()].slice(0, each.forgets)) {
        model.wanted.delete(prefix)
      }
      for (const [prefix, hops] of model.wanted) await routes.tell(hops, prefix)
      routes.complete('ipv4')
      routes.complete('ipv6')
    } else await perform(world, routes, model, each)
  }
  try {
    for (const each of history) {
      await act(each)
      for (const family of ['ipv4', 'ipv6'] as const) {
        const wanted = sorted(expected(model, family))
        await eventually(
          () => sorted(world.routes(family)),
          (seen) => seen === wanted,
          () => `${JSON.stringify(each)}: wanted ${wanted}`,
          WAIT_MS,
        )
      }
    }
  } finally {
    await routes.close('remove')
    setLink(world, true)
    setWay(world, false)
  }
}

async function perform(
  world: RoutesWorld,
  routes: SpokenRoutes,
  model: Model,
  act: Exclude<Act, { kind: 'restart' }>,
): Promise<void> {
  switch (act.kind) {
    case 'tell':
      for (const prefix of act.prefixes) {
        if (act.hops.length === 0) model.wanted.delete(prefix)
        else model.wanted.set(prefix, act.hops)
      }
      return routes.tell(act.hops, ...act.prefixes)
    case 'link':
      model.isUp = act.isUp
      return setLink(world, act.isUp)
    case 'way to far':
      model.hasWay = act.isThere
      return setWay(world, act.isThere)
    case 'delete':
    case 'steal': {
      const family = act.prefix.includes(':') ? '-6' : '-4'
      const metric = family === '-6' ? '1056' : '32'
      const place = [act.prefix, 'metric', metric, 'proto', '85']
      const command = act.kind === 'delete' ? ['del', ...place] : ['replace', ...place, 'dev', 'lo']
      world.exec('sh', '-c', `ip ${family} route ${command.join(' ')} 2>&1 || true`)
      return
    }
  }
}

function setLink(world: RoutesWorld, isUp: boolean): void {
  world.ip('link', 'set', 'eth1', isUp ? 'up' : 'down')
  // The kernel forgets IPv6 addresses with a link that goes down.
  if (isUp) world.ip('-6', 'addr', 'replace', 'fd00:1::1/64', 'dev', 'eth1', 'nodad')
}

function setWay(world: RoutesWorld, isThere: boolean): void {
  const command = isThere ? 'replace' : 'del'
  world.exec('sh', '-c', `ip route ${command} ${FAR}/32 via ${RELAY} 2>&1 || true`)
}

t.test('random histories', { skip: notRoot }, async (t) => {
  const world = routesWorld(t)
  const run = await fc.check(
    fc.asyncProperty(acts, (history) => play(world, history)),
    {
      numRuns: LONG ? 300 : 12,
      ...(seedText === undefined ? {} : { seed: Number(seedText) }),
      interruptAfterTimeLimit: 600_000,
    },
  )
  t.notOk(run.failed, run.failed ? `replay with FC_SEED=${run.seed}` : 'the model is the kernel', {
    found: run.failed ? fc.defaultReportMessage(run) : 'none',
  })
})

t.test('many routes', { skip: notRoot }, async (t) => {
  const world = routesWorld(t)
  const routes = await world.open()
  const count = LONG ? 1_000_000 : 100_000
  const prefixes = Array.from(
    { length: count },
    (_, n) => `${20 + (n >>> 16)}.${(n >>> 8) & 255}.${n & 255}.0/24` as Prefix,
  )
  const said = async (what: string, hops: readonly string[]): Promise<void> => {
    const began = performance.now()
    await routes.tell(hops, ...prefixes)
    t.comment(`${count} routes ${what}: ${Math.round(performance.now() - began)} ms`)
  }
  const inKernel = (): number => Number(world.exec('sh', '-c', 'wc -l < /proc/net/route')) - 1
  const before = inKernel()
  await said('added', ['10.0.0.2'])
  t.equal(inKernel() - before, count)
  t.match(world.ip('route', 'get', '20.3.9.1'), /via 10.0.0.2 /)
  await said('changed', ['10.0.0.2', '10.0.1.2'])
  t.equal(inKernel() - before, count)
  t.match(world.ip('route', 'show', '20.3.9.0/24'), /10.0.0.2 .*\n.*10.0.1.2 /)
  await routes.close('keep')
  const began = performance.now()
  const after = await world.open()
  t.comment(`read back: ${Math.round(performance.now() - began)} ms`)
  t.match(after.counts('ipv4'), { installed: count, stale: count })
  after.complete('ipv4')
  const left = performance.now()
  await after.settled()
  t.comment(`${count} routes removed: ${Math.round(performance.now() - left)} ms`)
  t.equal(inKernel(), before)
})
