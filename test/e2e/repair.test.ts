/**
 * The agent puts right what became of its own objects, on start and by the
 * timer, and leaves everything else alone. Its own end, however it comes,
 * costs no pod its network.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { compareDumps } from '../../src/lab/dump.ts'
import { inNetns, must, run } from '../../src/lab/exec.ts'
import type { Lab, LabAgent, LabNode } from '../../src/lab/lab.ts'
import { pingAll } from '../../src/lab/reach.ts'
import {
  added,
  cluster,
  dumps,
  endpointOf,
  ip,
  type Json,
  ownRoutes,
  type Result,
  settle,
  skip,
  TRIVIUM,
  warm,
} from '../support/e2e.ts'

interface Scene {
  readonly lab: Lab
  readonly node: LabNode
  readonly netns: string
  readonly hostLink: string
  readonly podIp: string
  /** A block of the other node, its gateway, and the gateway's MAC. */
  readonly away: string
  readonly away6: string
  readonly gateway: string
  readonly mac: string
}

/** Harm that a repair undoes completely. */
const DAMAGES: Readonly<Record<string, (scene: Scene) => Promise<unknown>>> = {
  "a peer's route is gone": ({ netns, away }) => ip(netns, 'route', 'del', away),
  "a peer's IPv6 route is gone": ({ netns, away6 }) => ip(netns, '-6', 'route', 'del', away6),
  "a peer's route leads elsewhere": ({ netns, away }) =>
    ip(netns, 'route', 'replace', away, 'via', '192.0.2.200', 'dev', 'eth0', 'proto', '84'),
  "a peer's IPv6 route leads elsewhere": ({ netns, away6 }) =>
    ip(
      netns,
      '-6',
      'route',
      'replace',
      away6,
      'via',
      '2001:db8::200',
      'dev',
      'eth0',
      'proto',
      '84',
    ),
  'a neighbor is gone': ({ netns, gateway }) => ip(netns, 'neigh', 'del', gateway, 'dev', 'trvx.1'),
  'a neighbor has another MAC': ({ netns, gateway }) =>
    ip(
      netns,
      'neigh',
      'replace',
      gateway,
      'lladdr',
      '02:00:00:00:00:99',
      'dev',
      'trvx.1',
      'nud',
      'permanent',
    ),
  'a forwarding entry is gone': ({ netns, mac }) =>
    bridge(netns, 'fdb', 'del', mac, 'dev', 'trvx.1'),
  'a forwarding entry leads elsewhere': ({ netns, mac }) =>
    bridge(
      netns,
      'fdb',
      'replace',
      mac,
      'dev',
      'trvx.1',
      'dst',
      '192.0.2.200',
      'self',
      'permanent',
    ),
  "the tunnel's address is gone": ({ netns }) =>
    ip(netns, 'addr', 'flush', 'dev', 'trvx.1', 'scope', 'global'),
  'the tunnel is gone': ({ netns }) => ip(netns, 'link', 'del', 'trvx.1'),
  'the tunnel is down': ({ netns }) => ip(netns, 'link', 'set', 'trvx.1', 'down'),
  'the tunnel has another MTU': ({ netns }) => ip(netns, 'link', 'set', 'trvx.1', 'mtu', '1300'),
  'the tunnel has another VNI': async ({ netns }) => {
    await ip(netns, 'link', 'del', 'trvx.1')
    await ip(
      netns,
      'link',
      'add',
      'trvx.1',
      'type',
      'vxlan',
      'id',
      '9',
      'dev',
      'eth0',
      'dstport',
      '8472',
    )
  },
  "a pod's route is gone": ({ netns, podIp }) => ip(netns, 'route', 'del', `${podIp}/32`),
  "a pod's link is down": ({ netns, hostLink }) => ip(netns, 'link', 'set', hostLink, 'down'),
  'a blackhole is gone': async ({ node, netns }) => {
    const [hole] = (await ownRoutes(node)).filter(({ type }) => type === 'blackhole')
    await ip(netns, 'route', 'del', 'blackhole', String(hole?.['dst']), 'proto', '84')
  },
  'a stale route is there': ({ netns }) =>
    ip(netns, 'route', 'add', '203.0.113.0/25', 'dev', 'eth0', 'proto', '84'),
  "a stale pod's link is there": async ({ netns }) => {
    await ip(netns, 'link', 'add', 'trv00000000abc', 'type', 'veth', 'peer', 'name', 'stale0')
    await ip(netns, 'link', 'set', 'trv00000000abc', 'alias', 'trivium pods gone eth0 7')
  },
  'a stale link is there, killed before it had an alias': ({ netns }) =>
    ip(netns, 'link', 'add', 'trv00000000abd', 'type', 'veth', 'peer', 'name', 'stale1'),
  'a stale tunnel is there': ({ netns }) =>
    ip(
      netns,
      'link',
      'add',
      'trvx.77',
      'type',
      'vxlan',
      'id',
      '77',
      'dev',
      'eth0',
      'dstport',
      '8477',
    ),
}

t.test('repair', { skip }, async (t) => {
  const { lab, agents } = await cluster(t)
  await warm(lab)
  const pods = await Promise.all(lab.nodes.map((node) => lab.addPod(node)))
  const results: Result[] = []
  for (const pod of pods) results.push(await added(lab, pod))
  const endpoints = pods.map((pod, index) => endpointOf(pod, results[index] as Result))
  const scene = await sceneOf(lab, results)
  const { node, netns } = scene
  await addForeign(netns)
  const good = await dumps(lab)
  const repaired = (): Promise<readonly string[]> =>
    settle(async () => compareDumps(good, await dumps(lab)))

  await t.test('by the timer', async (t) => {
    await ip(netns, 'route', 'del', scene.away)
    await ip(netns, 'link', 'set', 'trvx.1', 'mtu', '1300')
    t.not(compareDumps(good, await dumps(lab)).length, 0, 'harm was done')
    t.strictSame(await repaired(), [], 'repaired within the interval')
  })
  let agent = agents[0] as LabAgent
  for (const [title, harm] of Object.entries(DAMAGES)) {
    await t.test(`on start: ${title}`, async (t) => {
      await agent.stop()
      await harm(scene)
      t.not(compareDumps(good, await dumps(lab)).length, 0, 'harm was done')
      agent = await lab.startAgent(node)
      t.strictSame(await repaired(), [], 'as it was, foreign objects included')
    })
  }
  await t.test('forwarding that was switched off', async (t) => {
    const name = 'net.ipv4.ip_forward'
    await must(inNetns(netns, ['sysctl', '-qw', `${name}=0`]))
    await agent.stop()
    agent = await lab.startAgent(node)
    t.equal((await must(inNetns(netns, ['sysctl', '-n', name]))).trim(), '1')
  })
  await t.test('a foreign route on our prefix', async (t) => {
    const foreign = ['via', '192.0.2.200', 'dev', 'eth0', 'proto', 'static']
    await agent.stop()
    await ip(netns, 'route', 'replace', scene.away, ...foreign)
    const before = await dumps(lab)
    agent = await lab.startAgent(node)
    t.strictSame(compareDumps(before, await dumps(lab)), [], 'is not changed')
    t.match(agent.log(), /"event":"conflict"/, 'but reported')
    t.match(agent.log(), new RegExp(`"event":"conflict".*${scene.away}`))
    await ip(netns, 'route', 'del', scene.away)
    await agent.stop()
    agent = await lab.startAgent(node)
    t.strictSame(await repaired(), [], 'ours is back once it has gone')
  })
  await t.test('pods still reach each other', async (t) => {
    const reached = await pingAll(endpoints)
    t.ok(reached.length === 4 && reached.every(({ ok }) => ok))
  })
  await agent.stop()
  await t.test("the agent's end", (t) =>
    ends(t, { scene, good, target: endpoints[1]?.ips[0] ?? '', from: pods[0]?.netns ?? '' }),
  )
})

const bridge = (netns: string, ...args: readonly string[]): Promise<string> =>
  must(inNetns(netns, ['bridge', ...args]))

async function sceneOf(lab: Lab, results: readonly Result[]): Promise<Scene> {
  const [node] = lab.nodes
  if (node === undefined) throw new Error('There is no node')
  const { netns } = node
  const routes = await ownRoutes(node)
  const awayOf = (six: boolean): Json | undefined =>
    routes.find(({ dst, gateway }) => gateway !== undefined && String(dst).includes(':') === six)
  const gateway = String(awayOf(false)?.['gateway'])
  const [neigh] = JSON.parse(await ip(netns, '-j', 'neigh', 'show', gateway, 'dev', 'trvx.1'))
  return {
    lab,
    node,
    netns,
    hostLink: results[0]?.interfaces[0]?.name ?? '',
    podIp: results[0]?.ips[0]?.address.split('/')[0] ?? '',
    away: String(awayOf(false)?.['dst']),
    away6: String(awayOf(true)?.['dst']),
    gateway,
    mac: neigh.lladdr,
  }
}

/** Things that look like ours, or lie beside them, and are not. */
async function addForeign(netns: string): Promise<void> {
  await ip(netns, 'route', 'add', '203.0.113.128/25', 'dev', 'eth0', 'proto', '99')
  await ip(netns, '-6', 'route', 'add', '2001:db8:1::/48', 'via', '2001:db8::9', 'proto', '99')
  await ip(netns, 'addr', 'add', '198.51.100.1/24', 'dev', 'eth0')
  await ip(
    netns,
    'neigh',
    'add',
    '192.0.2.77',
    'lladdr',
    '02:00:00:00:00:77',
    'dev',
    'eth0',
    'nud',
    'permanent',
  )
  for (const name of ['trv-something', 'trvx.abc', 'trv0123456789', 'trvb']) {
    await ip(netns, 'link', 'add', name, 'type', 'bridge')
  }
  // Our exact shape, but whoever made it says whose it is.
  await ip(netns, 'link', 'add', 'foreign1', 'type', 'veth', 'peer', 'name', 'foreign0')
  await ip(netns, 'link', 'set', 'foreign1', 'alias', 'somebody else')
  await ip(netns, 'link', 'set', 'foreign1', 'name', 'trv0123456789a')
  await run(inNetns(netns, ['nft', 'add', 'table', 'inet', 'trivium_like']))
}

interface Ends {
  readonly scene: Scene
  readonly good: readonly string[]
  readonly from: string
  readonly target: string
}

async function ends(t: Test, { scene, good, from, target }: Ends): Promise<void> {
  const { lab, node } = scene
  const same = async (): Promise<readonly string[]> => compareDumps(good, await dumps(lab))
  await t.test('SIGTERM: status 0, kernel state stands', async (t) => {
    const agent = start(lab, node)
    await agent.ready
    agent.child.kill('SIGTERM')
    t.strictSame(await agent.ended, { code: 0, signal: null })
    t.strictSame(await same(), [], 'everything stands')
    t.notOk(existsSync(node.socketPath), 'the socket is gone')
  })
  await t.test('a restart costs no packet', async (t) => {
    let agent = await lab.startAgent(node)
    const pinging = run(inNetns(from, ['ping', '-n', '-q', '-i', '0.02', '-c', '200', target]))
    for (const end of ['stop', 'kill', 'stop'] as const) {
      await agent[end]()
      agent = await lab.startAgent(node)
    }
    t.match((await pinging).stdout, /200 packets transmitted, 200 received/)
    await agent.stop()
  })
  await t.test('SIGKILL: the next one takes the stale socket over', async (t) => {
    const first = await lab.startAgent(node)
    await first.kill()
    t.ok(existsSync(node.socketPath), 'a socket without a listener')
    const second = await lab.startAgent(node)
    const pod = await lab.addPod(node)
    await added(lab, pod)
    t.match(second.log(), /"event":"cni","verb":"ADD"/, 'it serves')
    t.equal((await lab.cni('DEL', pod)).status, 0)
    await lab.removePod(pod)
    t.strictSame(await same(), [])
    await refusesSecond(t, scene, same)
    await second.stop()
  })
}

async function refusesSecond(
  t: Test,
  { lab, node }: Scene,
  same: () => Promise<readonly string[]>,
): Promise<void> {
  for (const [title, storeUrl] of [
    ['on the same store', lab.storeUrl],
    ['on an empty store', `lmdb:${join(lab.dir, 'empty')}`],
  ] as const) {
    const { status, stderr } = await run(agentCommand(lab, node, storeUrl), { timeoutMs: 10_000 })
    t.equal(status, 1, `a second agent ${title} is refused`)
    t.match(stderr, `Cannot serve on ${node.socketPath}: another agent listens there`)
    t.strictSame(await same(), [], `${title}: it has changed nothing`)
  }
}

const agentCommand = (lab: Lab, node: LabNode, storeUrl = lab.storeUrl): readonly string[] =>
  inNetns(node.netns, [
    ...TRIVIUM,
    'agent',
    ...['--node', node.name, '--store', storeUrl, '--underlay', 'eth0'],
    ...['--state-dir', join(lab.dir, node.name), '--socket', node.socketPath],
  ])

interface Started {
  readonly child: ChildProcess
  readonly ready: Promise<void>
  readonly ended: Promise<{ code: number | null; signal: NodeJS.Signals | null }>
}

/** The lab's own handle does not tell the exit status. */
function start(lab: Lab, node: LabNode): Started {
  const [program = '', ...args] = agentCommand(lab, node)
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] })
  const ended = new Promise<Awaited<Started['ended']>>((resolve) =>
    child.once('exit', (code, signal) => resolve({ code, signal })),
  )
  const ready = new Promise<void>((resolve) => {
    let log = ''
    child.stderr.on('data', (chunk: Buffer) => {
      log += chunk.toString()
      if (log.includes('"event":"ready"')) resolve()
    })
  })
  return { child, ended, ready: Promise.race([ready, ended.then(() => {})]) }
}
