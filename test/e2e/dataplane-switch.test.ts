/**
 * A living network changes: its flavour, its underlay's MTU, its checksum
 * offload. Pods keep running, nobody restarts anything.
 */
import t, { type Test } from 'tap'
import { compareDumps, dumpNetns } from '../../src/lab/dump.ts'
import { inNetns, must } from '../../src/lab/exec.ts'
import {
  echoes,
  type RunningPod,
  reaches,
  skipFor,
  type World,
  world,
} from '../support/dataplane.ts'
import { dumps, ipJson, settle } from '../support/e2e.ts'

const OVERHEAD_BYTES = { classic: 50, lightweight: 36 } as const

t.test(
  'a living network changes its flavour and back',
  { skip: skipFor(['lightweight']) },
  async (t) => {
    const all = await world(t, { nodes: 2, networks: { pods: [] } })
    const pods = [await all.pod(1, 'pods'), await all.pod(2, 'pods'), await all.pod(2, 'pods')]
    await all.settled()
    const seen = { classic: await everything(all, pods), lightweight: [] as readonly string[] }
    t.ok(
      seen.classic.some((line) => / fdb .*trvx\.1/.test(line)),
      'classic has forwarding entries',
    )

    for (const [round, flavour] of (['lightweight', 'classic', 'lightweight'] as const).entries()) {
      await all.trivium('network', 'set', 'pods', '--flavour', flavour)
      const before = seen[flavour]
      const left = await settle(async () => {
        const now = await everything(all, pods)
        return before.length > 0 ? compareDumps(before, now) : missing(now, all)
      })
      t.strictSame(left, [], `${round}: ${flavour}, as planned`)
      // Running pods follow a little later.
      await checkMtu(t, all, pods, 1500 - OVERHEAD_BYTES[flavour])
      seen[flavour] = await everything(all, pods)
      t.strictSame(await reaches(pods, pods, true), [], `${round}: all pairs by ${flavour}`)
    }
    t.strictSame(
      seen.lightweight.filter((line) => /(neigh|fdb) .*trvx/.test(line)),
      [],
      'lightweight keeps no neighbor and no entry',
    )
  },
)

for (const flavour of ['classic', 'lightweight', 'route'] as const) {
  t.test(
    `${flavour}: everything follows the underlay's MTU`,
    { skip: skipFor([flavour]) },
    async (t) => {
      const flags = flavour === 'route' ? ['--mode', 'route'] : ['--flavour', flavour]
      const all = await world(t, { nodes: 2, networks: { pods: flags } })
      const pods = [await all.pod(1, 'pods'), await all.pod(2, 'pods')]
      await all.settled()
      for (const underlayBytes of [1400, 1600, 1500]) {
        const overhead = flavour === 'route' ? 0 : OVERHEAD_BYTES[flavour]
        await all.lab.setUnderlayMtu(underlayBytes)
        await checkMtu(t, all, pods, underlayBytes - overhead)
      }
    },
  )
}

for (const flavour of ['classic', 'lightweight'] as const) {
  t.test(`${flavour}: checksum offload off and on`, { skip: skipFor([flavour]) }, async (t) => {
    const all = await world(t, { nodes: 2, networks: { pods: ['--flavour', flavour] } })
    const pods = [await all.pod(1, 'pods'), await all.pod(2, 'pods')]
    await all.settled()
    for (const [choice, word] of [
      ['off', 'off'],
      ['auto', 'on'],
      ['off', 'off'],
      ['on', 'on'],
    ] as const) {
      await all.trivium('network', 'set', 'pods', '--checksum-offload', choice)
      const left = await settle(async () => {
        const found = await Promise.all(all.nodes.map(({ netns }) => txChecksum(netns)))
        return found.map(String).filter((each) => each !== word)
      })
      t.strictSame(left, [], `${choice}: tx-checksumming: ${word} on every node`)
      t.strictSame(await reaches(pods, pods, true), [], `${choice}: pods reach each other`)
    }
  })
}

/** Nodes and pods, but for what the kernel draws by lot. */
async function everything(all: World, pods: readonly RunningPod[]): Promise<readonly string[]> {
  const inPods = await Promise.all(
    pods.map(async ({ lab, netns }) =>
      (await dumpNetns(netns)).map((line) => `${lab.containerId} ${line}`),
    ),
  )
  // A tunnel without MAC has a random link-local address.
  const lines = [...(await dumps(all.lab)), ...inPods.flat()]
  return lines.filter((line) => !/ addr trvx\.\S+ local="fe80/.test(line))
}

/** Before a flavour was seen for the first time: every node has its tunnel and nothing of the other. */
function missing(lines: readonly string[], { nodes }: World): readonly string[] {
  const old = lines.filter((line) => /(neigh|fdb) .*trvx/.test(line))
  const without = nodes.filter(
    ({ name }) => !lines.some((line) => line.startsWith(`${name} route`) && line.includes('encap')),
  )
  return [...old, ...without.map(({ name }) => `${name} has no route with a tunnel`)]
}

async function checkMtu(
  t: Test,
  all: World,
  pods: readonly RunningPod[],
  mtu: number,
): Promise<void> {
  const left = await settle(async () => {
    const inPods = pods.map(({ netns }) => ipJson(netns, 'link', 'show', 'dev', 'eth0'))
    const onNodes = all.nodes.map(async ({ netns }) =>
      (await ipJson(netns, 'link')).filter(({ ifname }) => /^trv/.test(String(ifname))),
    )
    return (await Promise.all([...inPods, ...onNodes]))
      .flat()
      .filter((link) => link['mtu'] !== mtu)
      .map(({ ifname, mtu: found }) => `${ifname} ${found}`)
  })
  t.strictSame(left, [], `${mtu} bytes on tunnels, pods' links and in pods`)
  const [from, to] = [pods[0], pods.at(-1)]
  for (const ip of to?.ips ?? []) {
    t.ok(await echoes(from?.netns ?? '', ip, { bytes: mtu }), `${mtu} bytes to ${ip} come back`)
    const longer = await echoes(from?.netns ?? '', ip, { bytes: mtu + 1, expected: false })
    t.notOk(longer, `${mtu + 1} bytes to ${ip} do not`)
  }
}

async function txChecksum(netns: string): Promise<string | undefined> {
  const text = await must(inNetns(netns, ['ethtool', '-k', 'trvx.1']))
  return /^tx-checksumming: (\w+)/m.exec(text)?.[1]
}
