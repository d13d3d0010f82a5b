/**
 * A network changes its road under living pods: what each node does is what
 * `--plan` printed, echoes and TCP go on, also while a node's agent is away, was
 * killed in the middle, or the change is taken back.
 */
import t, { type Test } from 'tap'
import { compareDumps, dumpNetns } from '../../src/lab/dump.ts'
import { run } from '../../src/lab/exec.ts'
import { type RunningPod, skipFor, type World, world } from '../support/dataplane.ts'
import { dumps, settle, skip, TRIVIUM } from '../support/e2e.ts'
import { echoTraffic, tcpStream } from '../support/traffic.ts'

/** Of one pair's echoes, a hundred a second, in one change. */
const LOST_MAX = 10

const LONG = process.env['TRIVIUM_LONG'] === '1'

const STEPS: readonly (readonly [flags: readonly string[], long?: boolean])[] = [
  [['--mode', 'route']],
  [['--mode', 'vxlan']],
  [['--flavour', 'lightweight']],
  [['--flavour', 'classic']],
  [['--vxlan-port', '8473'], true],
  [['--cross-subnet'], true],
  [['--no-cross-subnet'], true],
  [['--flavour', 'lightweight', '--vxlan-port', '4790'], true],
  [['--mode', 'route'], true],
]

t.test(
  'every change, as planned and without a gap',
  { skip: skipFor(['lightweight']) },
  async (t) => {
    const { all, pods } = await living(t)
    for (const [flags, isLong] of STEPS) {
      if (isLong === true && !LONG) continue
      const name = flags.join(' ')
      const plan = await planOf(all, flags)
      const before = await everything(all, pods)
      await underTraffic(t, pods, name, async () => {
        await all.trivium('network', 'set', 'pods', ...flags)
        t.strictSame(await settle(() => onTheirWay(all)), [], `${name}: every node is there`)
        const left = await settle(async () =>
          unexplained(plan, compareDumps(before, await everything(all, pods))),
        )
        t.strictSame(left, [], `${name}: the plan, and nothing else`)
      })
    }
  },
)

t.test('nodes in different modes, and back', { skip: skipFor(['lightweight']) }, async (t) => {
  const { all, pods } = await living(t)
  const [, , third] = all.nodes
  if (third === undefined) throw new Error('there is no third node')
  await all.agents[2]?.kill()
  await underTraffic(t, pods, 'an agent is away', async () => {
    await all.trivium('network', 'set', 'pods', '--mode', 'route')
    const left = await settle(async () => {
      const found = await onTheirWay(all)
      const dev = await roadsOn(all, 0)
      return found.includes('n3') && dev.includes('eth0') ? [] : [...found, ...dev]
    })
    t.strictSame(left, [], 'n1 has gone over as far as it can')
    const other = await run([
      ...TRIVIUM,
      'network',
      'set',
      'pods',
      ...LIGHT,
      '--store',
      all.lab.storeUrl,
    ])
    t.equal(other.status, 1)
    t.match(other.stderr, /Cannot change network pods: node n3 has not followed its last change/)
    await all.trivium('network', 'set', 'pods', '--mode', 'vxlan')
    t.strictSame(await settle(() => onTheirWay(all)), [], 'taken back: n3 has never left')
    await all.trivium('network', 'set', 'pods', ...LIGHT)
    const half = await settle(async () => {
      const found = await onTheirWay(all)
      const links = (await dumpNetns(all.nodes[0]?.netns ?? '')).filter((line) =>
        /^link .*trvx/.test(line),
      )
      return links.length === 2 && found.includes('n3') ? [] : [...found, ...links]
    })
    t.strictSame(half, [], 'two tunnels side by side')
    await all.lab.startAgent(third)
    t.strictSame(await settle(() => onTheirWay(all)), [], 'n3 comes back, and all arrive')
  })
})

t.test('killed in the middle: agents and command', { skip }, async (t) => {
  const { all, pods } = await living(t)
  const agents = [...all.agents]
  const command = ['network', 'set', 'pods', '--store', all.lab.storeUrl]
  await underTraffic(t, pods, 'kills', async () => {
    for (const [round, mode] of (['route', 'vxlan', 'route', 'vxlan'] as const).entries()) {
      const asked = [...TRIVIUM, ...command, '--mode', mode]
      // Somewhere between its start and its end; what it did not do is asked again.
      await run(asked, { timeoutMs: 120 + 120 * round })
      await run(asked)
      const victim = round % agents.length
      await agents[victim]?.kill()
      const [node] = all.nodes.slice(victim)
      if (node !== undefined) agents[victim] = await all.lab.startAgent(node)
      t.strictSame(await settle(() => onTheirWay(all)), [], `${round}: ${mode}, on every node`)
    }
  })
})

t.test(
  'a strict filter refuses, by name; so do pods that would lose their link',
  { skip },
  async (t) => {
    const all = await world(t, { nodes: 2, networks: { pods: [] } })
    const pod = await all.pod(1, 'pods')
    await all.settled()
    const set = (...flags: readonly string[]) =>
      run([...TRIVIUM, 'network', 'set', 'pods', ...flags, '--store', all.lab.storeUrl])
    const vlan = await set('--mode', 'vlan', '--vlan', '7', '--plan')
    t.equal(vlan.status, 1)
    t.match(vlan.stderr, `1 on node n1: ${pod.lab.containerId.slice(0, 12)}`)
    const filter = ['net.ipv4.conf.all.rp_filter=1']
    const [, second] = all.nodes
    if (second === undefined) throw new Error('there is no second node')
    await run(['ip', 'netns', 'exec', second.netns, 'sysctl', '-qw', ...filter])
    // It tells so when it registers: now, or within ten seconds.
    await all.agents[1]?.kill()
    await all.lab.startAgent(second)
    const left = await settle(async () => {
      const { status, stderr } = await set('--mode', 'route', '--plan')
      return status === 1 &&
        /net\.ipv4\.conf\.all\.rp_filter is 1 \(strict\) on node n2 /.test(stderr)
        ? []
        : [stderr]
    }, 30_000)
    t.strictSame(left, [], 'named with its node')
    t.equal((await set('--mode', 'route')).status, 1, 'nor is it done')
    t.equal((await set('--mtu', '1400')).status, 0, 'what changes no road goes on')
  },
)

const LIGHT = ['--mode', 'vxlan', '--flavour', 'lightweight']

interface Living {
  readonly all: World
  readonly pods: readonly RunningPod[]
}

/** Three nodes with a pod each. */
async function living(t: Test): Promise<Living> {
  const all = await world(t, { nodes: 3, networks: { pods: [] } })
  const pods = [await all.pod(1, 'pods'), await all.pod(2, 'pods'), await all.pod(3, 'pods')]
  await all.settled()
  return { all, pods }
}

/** Echoes between all pods and two connections, while `change` goes on. */
async function underTraffic(
  t: Test,
  pods: readonly RunningPod[],
  name: string,
  change: () => Promise<void>,
): Promise<void> {
  const [first, second, third] = pods
  if (first === undefined || second === undefined || third === undefined) throw new Error('no pods')
  const streams = [
    await tcpStream(t, first, second, second.v4),
    await tcpStream(t, second, third, third.v6),
  ]
  const traffic = await echoTraffic(t, pods)
  await change()
  const lost = await traffic.stop()
  t.comment(`${name}: lost ${lost.map((each) => each.lost).join(' ')} of ${lost[0]?.sent} each`)
  t.strictSame(
    lost.filter((each) => each.lost > LOST_MAX || each.sent < 10),
    [],
    `${name}: echoes go on`,
  )
  for (const stream of streams) t.equal(await stream.stop(), '', `${name}: TCP goes on`)
}

/** Nodes that have not followed yet, as `network show` has it. */
async function onTheirWay(all: World): Promise<readonly string[]> {
  const text = await all.trivium('network', 'show', 'pods', '-o', 'json')
  const [network] = JSON.parse(text) as { readonly notYet?: readonly string[] }[]
  return network?.notYet ?? []
}

/** Devices of routes to blocks of others. */
async function roadsOn(all: World, index: number): Promise<readonly string[]> {
  const lines = await dumpNetns(all.nodes[index]?.netns ?? '')
  return lines.flatMap((line) => {
    if (!line.startsWith('route') || !/protocol="84"/.test(line) || !/gateway=/.test(line))
      return []
    const [, dev = ''] = /dev="([^"]+)"/.exec(line) ?? []
    return [dev]
  })
}

/** Nodes and pods, but for what the kernel makes of itself. */
async function everything(all: World, pods: readonly RunningPod[]): Promise<readonly string[]> {
  const inPods = pods.map(async ({ netns }) =>
    (await dumpNetns(netns)).map((line) => `${netns} ${line}`),
  )
  const lines = [...(await dumps(all.lab)), ...(await Promise.all(inPods)).flat()]
  return lines.filter((line) => !/ addr trvx\.\S+ local="fe80|protocol="kernel"/.test(line))
}

/** How often each object is touched, by node (or pod's namespace) and words of its own. */
type Touched = ReadonlyMap<string, number>

async function planOf(all: World, flags: readonly string[]): Promise<Touched> {
  const text = await all.trivium('network', 'set', 'pods', ...flags, '--plan', '-o', 'json')
  const rows = JSON.parse(text) as {
    readonly node: string
    readonly steps: readonly (readonly string[])[]
  }[]
  const touched = new Map<string, number>()
  for (const { node, steps } of rows) {
    for (const command of steps.flat()) {
      const key = commandSubject(node, command)
      touched.set(key, (touched.get(key) ?? 0) + 1)
    }
  }
  return touched
}

function commandSubject(node: string, command: string): string {
  const [, pod] = /^ip -n (\S+)/.exec(command) ?? []
  const words = command.replace(/^ip (-n \S+ |-6 )?|^bridge |^nft /, '')
  const dev = /\bdev (\S+)/.exec(words)?.[1] ?? ''
  const [kind = '', verb = '', third = '', fourth = ''] = words.split(' ')
  switch (kind) {
    case 'link':
      return `${pod ?? node} link ${verb === 'add' ? fourth : dev}`
    case 'addr':
      return `${node} addr ${third.split('/')[0]} ${dev}`
    case 'route':
      return `${node} route ${third === 'blackhole' ? fourth : third}`
    case 'neigh':
    case 'fdb':
      return `${node} ${kind} ${third} ${dev}`
    case 'vni':
      return `${node} vni ${dev}`
    default:
      return `${node} element ${words.split(' ')[4]}`
  }
}

function lineSubject(line: string): string {
  const [, place = '', kind = '', rest = ''] =
    /^[-+] (\S+) (nft element|\S+) (.*)$/.exec(line) ?? []
  const field = (name: string): string => new RegExp(`\\b${name}="([^"]*)"`).exec(rest)?.[1] ?? ''
  switch (kind) {
    case 'link':
      return `${place} link ${field('ifname')}`
    case 'addr':
      return `${place} addr ${field('local')} ${rest.split(' ')[0]}`
    case 'route':
      return `${place} route ${field('dst')}`
    case 'neigh':
      return `${place} neigh ${field('dst')} ${field('dev')}`
    case 'fdb':
      return `${place} fdb ${field('mac')} ${field('ifname')}`
    case 'vni':
      return `${place} vni ${field('ifname')}`
    default:
      return `${place} element ${rest.split(' ')[2]}`
  }
}

/** What changed and was not planned, or was planned once and did not change. */
function unexplained(plan: Touched, changes: readonly string[]): readonly string[] {
  const changed = new Set(changes.map(lineSubject))
  return [
    ...changes.filter((line) => !plan.has(lineSubject(line))).map((line) => `unplanned: ${line}`),
    ...[...plan].flatMap(([key, times]) =>
      times === 1 && !changed.has(key) ? [`not done: ${key}`] : [],
    ),
  ]
}
