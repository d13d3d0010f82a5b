/**
 * Networks are closed to each other until somebody opens one: whose pods, which
 * way, which port, and for how long.
 */
import t from 'tap'
import {
  echoes,
  type RunningPod,
  reaches,
  skipFor,
  type World,
  world,
} from '../support/dataplane.ts'
import { settle, skip } from '../support/e2e.ts'
import { type Probe, probe } from '../support/probe.ts'

const PAIRS = [
  { title: 'tunnel and route', a: ['--mode', 'vxlan'], b: ['--mode', 'route'] },
  { title: 'two tunnels', a: ['--mode', 'vxlan'], b: ['--mode', 'vxlan'] },
  {
    title: 'lightweight and classic tunnel',
    a: ['--flavour', 'lightweight'],
    b: ['--flavour', 'classic'],
  },
] as const

interface Cast {
  readonly all: World
  /** Pods of both nodes. */
  readonly a: readonly RunningPod[]
  readonly b: readonly RunningPod[]
}

for (const { title, ...networks } of PAIRS) {
  t.test(
    `${title}: closed, opened one way, closed`,
    { skip: skipFor([...networks.a, ...networks.b]) },
    async (t) => {
      const { all, a, b } = await cast(t, networks)
      t.strictSame(await reaches(a, a, true), [], 'a is one network')
      t.strictSame(await reaches(b, b, true), [], 'b is one network')
      t.strictSame(await reaches(a, b, false), [], 'closed from a to b')
      t.strictSame(await reaches(b, a, false), [], 'closed from b to a')
      t.strictSame(await nodesReach(all, [...a, ...b]), [], 'every node reaches every pod')

      await all.trivium('network', 'allow', 'a', 'b')
      t.strictSame(await settle(() => reaches(a, b, true)), [], 'open from a to b')
      t.strictSame(await reaches(b, a, false), [], 'still closed from b to a')
      t.match(await all.trivium('network', 'allowed'), /a +b +all/)

      await all.trivium('network', 'deny', 'a', 'b')
      t.strictSame(await settle(() => reaches(a, b, false)), [], 'closed again')
    },
  )
}

t.test('one port is opened, and only for new connections closed', { skip }, async (t) => {
  const { all, a, b } = await cast(t, { a: ['--mode', 'vxlan'], b: ['--mode', 'route'] })
  const servers = b.map(({ netns }) => probe(t, netns))
  for (const server of servers) for (const port of [8080, 8081]) await server.serveTcp(port)
  const clients = a.map((pod) => ({ pod, probe: probe(t, pod.netns) }))
  const calls = (port: number) => allCalls(clients, b, port)
  t.strictSame(await calls(8080), ['failed'], 'closed before')

  await all.trivium('network', 'allow', 'a', 'b', '--port', 'tcp/8080')
  const open = await settle(async () => (await calls(8080)).filter((each) => each !== 'answered'))
  t.strictSame(open, [], 'tcp/8080 is open, over both families, near and far')
  t.strictSame(await calls(8081), ['failed'], 'tcp/8081 is not')
  t.strictSame(await reaches(a, b, false), [], 'nor are echoes')

  const [client, server] = [clients[0]?.probe, b[1]]
  if (client === undefined || server === undefined) throw new Error('There is no pod')
  const call = await client.callTcp(server.v4, 8080)
  if (call.kind === 'failed') throw new Error(`The call failed: ${call.error}`)
  await all.trivium('network', 'deny', 'a', 'b')
  const closed = await settle(async () => (await calls(8080)).filter((each) => each !== 'failed'))
  t.strictSame(closed, [], 'closed to new connections')
  t.match(
    await client.talkTcp(call.id, 'still there?'),
    { line: 'still there?' },
    'the one under way goes on',
  )
})

async function cast(
  t: Parameters<typeof world>[0],
  networks: Readonly<Record<'a' | 'b', readonly string[]>>,
): Promise<Cast> {
  const all = await world(t, { nodes: 2, networks: { ...networks } })
  const [a, b] = [
    [await all.pod(1, 'a'), await all.pod(2, 'a')],
    [await all.pod(1, 'b'), await all.pod(2, 'b')],
  ]
  await all.settled()
  return { all, a, b }
}

/** Which nodes do not reach which pods. */
async function nodesReach({ nodes }: World, pods: readonly RunningPod[]) {
  const words = nodes.flatMap(({ name, netns }) =>
    pods.flatMap((pod) =>
      pod.ips.map(async (ip) => ((await echoes(netns, ip)) ? [] : [`${name} → ${pod.name} ${ip}`])),
    ),
  )
  return (await Promise.all(words)).flat()
}

/** How calls of every client to every pod end: each outcome once. */
async function allCalls(
  clients: readonly { readonly pod: RunningPod; readonly probe: Probe }[],
  to: readonly RunningPod[],
  port: number,
): Promise<readonly string[]> {
  const ends = await Promise.all(
    clients.flatMap(({ pod, probe: client }) =>
      to.flatMap(({ ips }) =>
        ips.map(async (ip) => {
          const call = await client.callTcp(ip, port)
          // The server says whom it sees: nobody translates between networks.
          if (call.kind === 'failed') return 'failed'
          return pod.ips.includes(call.line) ? 'answered' : `answered ${call.line}`
        }),
      ),
    ),
  )
  return [...new Set(ends)].sort()
}
