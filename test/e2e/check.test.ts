/**
 * CHECK, STATUS and GC: each proved by what it finds or removes, because a
 * verb that does nothing exits with 0 too.
 */
import t, { type Test } from 'tap'
import { compareDumps, dumpNetns } from '../../src/lab/dump.ts'
import { run } from '../../src/lab/exec.ts'
import type { Lab, LabPod } from '../../src/lab/lab.ts'
import { ping } from '../../src/lab/reach.ts'
import {
  added,
  cluster,
  errorOf,
  inUse,
  ip,
  ipsOf,
  type Result,
  ROADS,
  skip,
  snapshot,
  warm,
} from '../support/e2e.ts'

type Env = Readonly<Record<string, string>>

interface Subject {
  readonly pod: LabPod
  readonly result: Result
  readonly v4: string
  readonly v6: string
  readonly hostLink: string
}

/** What ADD made and somebody takes away. */
interface Damage {
  readonly title: string
  readonly side: 'pod' | 'node'
  readonly harm: (subject: Subject) => Promise<unknown>
  /** In the error. */
  readonly named: (subject: Subject) => string | RegExp
}

const DAMAGES: readonly Damage[] = [
  {
    title: 'IPv4 address',
    side: 'pod',
    harm: ({ pod, v4 }) => ip(pod.netns, 'addr', 'del', `${v4}/32`, 'dev', 'eth0'),
    named: ({ v4 }) => v4,
  },
  {
    title: 'IPv6 address',
    side: 'pod',
    harm: ({ pod, v6 }) => ip(pod.netns, 'addr', 'del', `${v6}/128`, 'dev', 'eth0'),
    named: ({ v6 }) => v6,
  },
  {
    title: 'default route',
    side: 'pod',
    harm: ({ pod }) => ip(pod.netns, 'route', 'del', 'default'),
    named: () => /route 0\.0\.0\.0\/0/,
  },
  {
    title: 'IPv6 default route',
    side: 'pod',
    harm: ({ pod }) => ip(pod.netns, '-6', 'route', 'del', 'default'),
    named: () => /route ::\/0/,
  },
  {
    title: "gateway's neighbor",
    side: 'pod',
    harm: ({ pod }) => ip(pod.netns, 'neigh', 'del', '169.254.1.1', 'dev', 'eth0'),
    named: () => /neigh.*169\.254\.1\.1/,
  },
  {
    title: 'interface',
    side: 'pod',
    harm: ({ pod }) => ip(pod.netns, 'link', 'del', 'eth0'),
    named: () => /eth0/,
  },
  {
    title: 'interface that is down',
    side: 'pod',
    harm: ({ pod }) => ip(pod.netns, 'link', 'set', 'eth0', 'down'),
    named: () => /eth0.*down/,
  },
  {
    title: 'default route to another gateway',
    side: 'pod',
    harm: async ({ pod }) => {
      await ip(pod.netns, 'addr', 'add', '198.51.100.2/24', 'dev', 'eth0')
      await ip(pod.netns, 'route', 'replace', 'default', 'via', '198.51.100.1')
    },
    named: () => /route 0\.0\.0\.0\/0/,
  },
  {
    title: 'route to the pod',
    side: 'node',
    harm: ({ pod, v4 }) => ip(pod.node.netns, 'route', 'del', `${v4}/32`),
    named: ({ v4 }) => v4,
  },
  {
    title: 'IPv6 route to the pod',
    side: 'node',
    harm: ({ pod, v6 }) => ip(pod.node.netns, '-6', 'route', 'del', `${v6}/128`),
    named: ({ v6 }) => v6,
  },
  {
    title: "host end's address",
    side: 'node',
    harm: ({ pod, hostLink }) => ip(pod.node.netns, 'addr', 'del', 'fe80::1/64', 'dev', hostLink),
    named: () => 'fe80::1',
  },
]

t.test('CHECK, STATUS and GC', { skip }, async (t) => {
  const { lab, agents, nodes } = await cluster(t)
  await warm(lab)
  for (const { road, env } of ROADS) {
    await t.test(`${road}: CHECK`, async (t) => {
      await t.test('passes, also with what later plugins change', (t) => passes(t, lab, env))
      await t.test('compares with prevResult', (t) => prevResults(t, lab, env))
      for (const damage of DAMAGES.filter(({ side }) => side === 'pod')) {
        await t.test(`finds: ${damage.title}`, (t) => finds(t, lab, damage, env))
      }
    })
    await t.test(`${road}: GC`, (t) => collects(t, lab, env))
  }
  await t.test('STATUS', async (t) => {
    const [node] = nodes
    if (node === undefined) throw new Error('There is no node')
    const pod = await lab.addPod(node)
    const asked = { cniVersion: '1.1.0' }
    const before = await snapshot(lab)
    const well = await lab.cni('STATUS', pod, asked)
    t.strictSame([well.status, well.stdout], [0, ''], 'with the agent')
    await Promise.all(agents.map((agent) => agent.stop()))
    const error = errorOf(await lab.cni('STATUS', pod, asked))
    t.equal(error.code, 50, 'without the agent')
    t.match(error.msg, /agent of node n1.*not running/)
    t.match(error.msg, node.socketPath, 'says where it should be')
    t.strictSame(compareDumps(before, await snapshot(lab)), [], 'no side effect')
  })
  // The agent would repair the node's side within seconds; without it, only CHECK could.
  for (const damage of DAMAGES.filter(({ side }) => side === 'node')) {
    await t.test(`no agent: CHECK finds: ${damage.title}`, (t) => finds(t, lab, damage, {}))
  }
})

async function subjectOn(lab: Lab, env: Env): Promise<Subject> {
  const [node] = lab.nodes
  if (node === undefined) throw new Error('There is no node')
  const pod = await lab.addPod(node)
  const result = await added(lab, pod, {}, env)
  const [v4 = '', v6 = ''] = ipsOf(result)
  return { pod, result, v4, v6, hostLink: result.interfaces[0]?.name ?? '' }
}

async function remove(t: Test, lab: Lab, { pod }: Subject, env: Env): Promise<void> {
  t.equal((await lab.cni('DEL', pod, {}, env)).status, 0, 'DEL')
  await lab.removePod(pod)
}

async function passes(t: Test, lab: Lab, env: Env): Promise<void> {
  const subject = await subjectOn(lab, env)
  const { pod, result } = subject
  const check = () => lab.cni('CHECK', pod, { prevResult: result }, env)
  const first = await check()
  t.strictSame([first.status, first.stdout], [0, ''], 'right after ADD')
  await ip(pod.netns, 'link', 'set', 'eth0', 'mtu', '1400')
  await ip(pod.netns, 'route', 'add', '198.51.100.0/24', 'dev', 'eth0')
  await ip(pod.netns, 'addr', 'add', '198.51.100.9/32', 'dev', 'eth0')
  const later = await check()
  t.strictSame([later.status, later.stdout], [0, ''], 'after another plugin had its turn')
  await remove(t, lab, subject, env)
  t.equal(errorOf(await check()).code, 103, 'and not after DEL')
}

async function prevResults(t: Test, lab: Lab, env: Env): Promise<void> {
  const subject = await subjectOn(lab, env)
  const { pod, result } = subject
  t.match(errorOf(await lab.cni('CHECK', pod, {}, env)), {
    code: 7,
    msg: 'required prevResult missing',
  })
  const wrong = { ...result, ips: [{ address: '10.42.255.1/32', interface: 1 }, result.ips[1]] }
  const error = errorOf(await lab.cni('CHECK', pod, { prevResult: wrong }, env))
  t.equal(error.code, 103)
  t.match(error.msg, subject.v4, 'names the address that is missing')
  await remove(t, lab, subject, env)
}

async function finds(t: Test, lab: Lab, { harm, named }: Damage, env: Env): Promise<void> {
  const subject = await subjectOn(lab, env)
  const { pod, result } = subject
  t.equal((await lab.cni('CHECK', pod, { prevResult: result }, env)).status, 0, 'good at first')
  await harm(subject)
  const damaged = await dumpNetns(pod.netns)
  for (const time of ['first', 'second']) {
    const error = errorOf(await lab.cni('CHECK', pod, { prevResult: result }, env))
    t.equal(error.code, 103, `${time} CHECK`)
    t.match(error.msg, named(subject))
  }
  t.strictSame(compareDumps(damaged, await dumpNetns(pod.netns)), [], 'nothing was repaired')
  await remove(t, lab, subject, env)
}

async function collects(t: Test, lab: Lab, env: Env): Promise<void> {
  const [here, there] = lab.nodes
  if (here === undefined || there === undefined) throw new Error('There are not two nodes')
  const subjects: Subject[] = []
  for (let number = 0; number < 3; number++) subjects.push(await subjectOn(lab, env))
  const [kept, gone, ...more] = subjects
  if (kept === undefined || gone === undefined) throw new Error('There are not three pods')
  const elsewhere = await lab.addPod(there)
  await added(lab, elsewhere, {}, env)
  const used = await inUse(lab)
  const gc = (valid: unknown) =>
    lab.cni('GC', kept.pod, { cniVersion: '1.1.0', 'cni.dev/valid-attachments': valid }, env)
  const before = await snapshot(lab)

  t.equal(errorOf(await gc(undefined)).code, 7, 'a missing list is refused')
  t.equal(errorOf(await gc('all')).code, 7, 'a list that is none is refused')
  t.strictSame(compareDumps(before, await snapshot(lab)), [], 'and removes nothing')

  const valid = [kept.pod, ...more.map(({ pod }) => pod)].map(({ containerId }) => ({
    containerID: containerId,
    ifname: 'eth0',
  }))
  for (const time of ['first', 'second']) {
    const { status, stdout } = await gc(valid)
    t.strictSame([status, stdout], [0, ''], `${time} GC`)
    t.equal(await inUse(lab), used - 2, 'one pod has lost its two addresses')
  }
  t.ok((await ping(here.netns, kept.v4)).ok, 'a valid pod still answers')
  const links = await run(['ip', '-n', here.netns, '-br', 'link'])
  t.notMatch(links.stdout, gone.hostLink, 'the link of the other one is gone')

  t.equal((await gc([])).status, 0, 'an empty list: nothing is valid')
  t.equal(await inUse(lab), 2, "another node's pod keeps its addresses")
  for (const { pod } of subjects) await lab.removePod(pod)
  t.equal((await lab.cni('DEL', elsewhere, {}, env)).status, 0)
  await lab.removePod(elsewhere)
}
