/**
 * The agent's own end, however it comes, costs no pod its network; what others
 * put in its place it names and leaves; what nodes become it follows.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdirSync, rmdirSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import { compareDumps, dumpNetns } from '../../src/lab/dump.ts'
import { inNetns, must, run } from '../../src/lab/exec.ts'
import { type Lab, type LabAgent, type LabNode, spawnAgent } from '../../src/lab/lab.ts'
import { pingAll } from '../../src/lab/reach.ts'
import {
  added,
  callsLogged,
  cluster,
  dumps,
  endpointOf,
  ip,
  ipJson,
  type Result,
  settle,
  skip,
  sleep,
  TRIVIUM,
  warm,
} from '../support/e2e.ts'

const nodeOf = ({ nodes }: Lab, index: number): LabNode => {
  const node = nodes[index]
  if (node === undefined) throw new Error(`There is no node ${index}`)
  return node
}

const agentCommand = (
  lab: Lab,
  node: LabNode,
  { storeUrl = lab.storeUrl, level = 'info' } = {},
): readonly string[] =>
  inNetns(node.netns, [
    ...TRIVIUM,
    'agent',
    ...['--node', node.name, '--store', storeUrl, '--underlay', 'eth0', '--log-level', level],
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

t.test("the agent's end", { skip }, async (t) => {
  const { lab, agents } = await cluster(t)
  await warm(lab)
  const node = nodeOf(lab, 0)
  const pods = await Promise.all(lab.nodes.map((each) => lab.addPod(each)))
  const results: Result[] = []
  for (const pod of pods) results.push(await added(lab, pod))
  const endpoints = pods.map((pod, index) => endpointOf(pod, results[index] as Result))
  t.ok((await pingAll(endpoints)).every(({ ok }) => ok))
  const good = await dumps(lab)
  const same = async (): Promise<readonly string[]> => compareDumps(good, await dumps(lab))
  await agents[0]?.stop()

  await t.test('SIGTERM: status 0, kernel state stands', async (t) => {
    const agent = start(lab, node)
    await agent.ready
    agent.child.kill('SIGTERM')
    t.strictSame(await agent.ended, { code: 0, signal: null })
    t.strictSame(await same(), [], 'everything stands')
    t.notOk(existsSync(node.socketPath), 'the socket is gone')
  })
  for (const end of ['stop', 'kill'] as const) {
    await t.test(`a restart after ${end} costs no packet`, async (t) => {
      let agent = await lab.startAgent(node)
      const targets = endpoints[1]?.ips ?? []
      const pings = targets.map((target) =>
        run(inNetns(pods[0]?.netns ?? '', ['ping', '-nqi', '0.01', '-c', '400', target])),
      )
      await sleep(200)
      await agent[end]()
      agent = await lab.startAgent(node)
      const said = (await Promise.all(pings)).map(({ stdout }) => stdout)
      t.equal(said.length, 2, 'both families')
      for (const each of said)
        t.match(each, /400 packets transmitted, 400 received, 0% packet loss/)
      await agent.stop()
    })
  }
  await t.test('SIGKILL: the next one takes the stale socket over', async (t) => {
    const first = await lab.startAgent(node)
    await first.kill()
    t.ok(existsSync(node.socketPath), 'a socket without a listener')
    const second = await lab.startAgent(node)
    const pod = await lab.addPod(node)
    await added(lab, pod)
    t.equal(await callsLogged(second, 1), 1, 'it serves')
    t.equal((await lab.cni('DEL', pod)).status, 0)
    await lab.removePod(pod)
    t.strictSame(await same(), [])
    await refusesSecond(t, lab, node, same)
    await second.stop()
  })
  await t.test('one that cannot say which node this is ends', async (t) => {
    const file = join(dirname(node.socketPath), 'node.json')
    rmSync(file)
    mkdirSync(file)
    const { status, stderr } = await run(agentCommand(lab, node), { timeoutMs: 10_000 })
    t.equal(status, 1)
    t.match(stderr, /Cannot write \S+node\.json/)
    t.notOk(existsSync(node.socketPath), 'it does not serve')
    t.strictSame(await same(), [], 'and has changed nothing')
    rmdirSync(file)
  })
})

async function refusesSecond(
  t: Test,
  lab: Lab,
  node: LabNode,
  same: () => Promise<readonly string[]>,
): Promise<void> {
  for (const [title, storeUrl] of [
    ['on the same store', lab.storeUrl],
    ['on an empty store', `lmdb:${join(lab.dir, 'empty')}`],
  ] as const) {
    const command = agentCommand(lab, node, { storeUrl })
    const { status, stderr } = await run(command, { timeoutMs: 10_000 })
    t.equal(status, 1, `a second agent ${title} is refused`)
    t.match(stderr, `Cannot serve on ${node.socketPath}: another agent listens there`)
    t.strictSame(await same(), [], `${title}: it has changed nothing`)
  }
}

/** An agent that tells of each of its rounds. */
async function talkative(t: Test, lab: Lab, node: LabNode): Promise<LabAgent> {
  const agent = await spawnAgent(agentCommand(lab, node, { level: 'debug' }))
  t.teardown(() => agent.kill())
  return agent
}

const count = (agent: LabAgent, event: string): number =>
  agent.log().split(`"event":"${event}"`).length - 1

const until = (what: () => boolean): Promise<readonly string[]> =>
  settle(() => (what() ? [] : ['not yet']))

t.test('foreign objects in the place of ours', { skip }, async (t) => {
  const { lab, agents } = await cluster(t)
  const node = nodeOf(lab, 0)
  const { netns } = node
  const good = await dumps(lab)
  const repaired = (): Promise<readonly string[]> =>
    settle(async () => compareDumps(good, await dumps(lab)))
  const routes = await ipJson(netns, 'route', 'show', 'proto', '84')
  const away = String(routes.find(({ gateway }) => gateway !== undefined)?.['dst'])
  const tunnel = String((await ipJson(netns, 'link', 'show', 'type', 'vxlan'))[0]?.['ifname'])
  await agents[0]?.stop()

  const ROWS: readonly (readonly [
    string,
    string,
    () => Promise<unknown>,
    () => Promise<unknown>,
  ])[] = [
    [
      'a route',
      away,
      () => ip(netns, 'route', 'replace', away, 'via', '192.0.2.200', 'dev', 'eth0', 'proto', '4'),
      () => ip(netns, 'route', 'del', away),
    ],
    [
      'a link',
      tunnel,
      async () => {
        // In one go: an agent that runs is faster than a second program.
        const words = `link del ${tunnel}\nlink add foreign7 type bridge\nlink set foreign7 alias "somebody else"\nlink set foreign7 name ${tunnel}\n`
        await must(['ip', '-n', netns, '-force', '-batch', '-'], { input: words })
      },
      () => ip(netns, 'link', 'del', tunnel),
    ],
  ]
  for (const [title, name, put, take] of ROWS) {
    await t.test(`${title}, there at the start`, async (t) => {
      await put()
      const before = (await dumps(lab)).filter((line) => line.includes(`"${name}"`))
      const agent = await talkative(t, lab, node)
      await restsWith(t, agent)
      t.match(agent.log(), new RegExp(`"event":"conflict".*${name}`))
      const after = (await dumps(lab)).filter((line) => line.includes(`"${name}"`))
      t.strictSame(after, before, 'is not changed')
      await take()
      t.strictSame(await repaired(), [], 'ours is back once it has gone')
      await agent.stop()
    })
  }
  await t.test('a route, put there while the agent runs', async (t) => {
    const [, , put, take] = ROWS[0] ?? []
    const agent = await talkative(t, lab, node)
    await put?.()
    const before = await dumps(lab)
    await restsWith(t, agent)
    t.strictSame(compareDumps(before, await dumps(lab)), [], 'is not changed')
    await take?.()
    t.strictSame(await repaired(), [], 'ours is back once it has gone')
    t.equal(count(agent, 'conflict'), 1)
    await agent.stop()
  })
})

/** One report, and no rounds but the timer's. */
async function restsWith(t: Test, agent: LabAgent): Promise<void> {
  t.strictSame(await until(() => count(agent, 'conflict') > 0), [], 'it is reported')
  await sleep(200)
  const rounds = count(agent, 'observe')
  t.ok(rounds > 0, 'rounds are told')
  await sleep(2000)
  t.ok(count(agent, 'observe') <= rounds + 1, 'and not looked at without end')
  t.equal(count(agent, 'conflict'), 1, 'once')
}

t.test('nodes that change', { skip }, async (t) => {
  const { lab, agents } = await cluster(t, { nodes: 3 })
  const [one, , three] = lab.nodes.map((_, index) => nodeOf(lab, index))
  if (one === undefined || three === undefined) throw new Error('There are no three nodes')
  const good = await dumps(lab)
  const repaired = (): Promise<readonly string[]> =>
    settle(async () => compareDumps(good, await dumps(lab)))
  const lines = async (word: string, node = one): Promise<readonly string[]> =>
    (await dumpNetns(node.netns)).filter((line) => line.includes(`="${word}"`))
  const move = async (node: LabNode, from: string, to: string): Promise<void> => {
    await ip(node.netns, 'addr', 'del', `${from}/24`, 'dev', 'eth0')
    await ip(node.netns, 'addr', 'add', `${to}/24`, 'dev', 'eth0')
  }
  let agent = agents[0] as LabAgent
  const restart = async (work: () => Promise<unknown>): Promise<void> => {
    await agent.stop()
    await work()
    agent = await lab.startAgent(one)
  }

  await t.test("the node's own address", async (t) => {
    await move(one, '192.0.2.1', '192.0.2.71')
    const moved = async (): Promise<readonly string[]> => {
      const own = (await dumpNetns(one.netns)).some((line) => /^link .*192\.0\.2\.71/.test(line))
      const theirs = (await lines('192.0.2.71', three)).length > 0
      return own && theirs ? [] : ['not yet']
    }
    t.strictSame(await settle(moved), [], 'the tunnel starts there, and its peers know')
    await restart(() => move(one, '192.0.2.71', '192.0.2.1'))
    t.strictSame(await repaired(), [], 'and back while the agent is down')
  })
  await t.test("a peer's address", async (t) => {
    const before = (await lines('192.0.2.3')).length
    t.ok(before > 0)
    await restart(async () => {
      await move(three, '192.0.2.3', '192.0.2.73')
      // Its own agent says so in the store.
      await settle(async () =>
        (await lines('192.0.2.73', nodeOf(lab, 1))).length > 0 ? [] : ['no'],
      )
    })
    const moved = async (): Promise<readonly string[]> => lines('192.0.2.3')
    t.strictSame(await settle(moved), [], 'found at the start')
    t.equal((await lines('192.0.2.73')).length, before)
    await move(three, '192.0.2.73', '192.0.2.3')
    t.strictSame(await repaired(), [], 'and back while the agent runs')
  })
  await t.test('a peer that is gone', async (t) => {
    const gone = (): Promise<readonly string[]> => settle(() => lines('192.0.2.3'))
    const forget = () => lab.trivium('node', 'delete', 'n3', '--force', '--store', lab.storeUrl)
    await agents[2]?.stop()
    await restart(forget)
    t.strictSame(await gone(), [], 'while the agent was down')
    const back = await lab.startAgent(three)
    const returned = async (): Promise<readonly string[]> =>
      (await lines('192.0.2.3')).length > 0 ? [] : ['not yet']
    t.strictSame(await settle(returned), [], 'it comes back')
    await back.stop()
    await forget()
    t.strictSame(await gone(), [], 'while the agent runs')
  })
})
