/**
 * CHECK, STATUS and GC: each proved by what it finds or removes, because a
 * verb that does nothing exits with 0 too.
 */
import t, { type Test } from 'tap'
import { podAlias, podLinkName } from '../../src/kernel/mod.ts'
import { compareDumps, dumpNetns } from '../../src/lab/dump.ts'
import { inNetns, must, run } from '../../src/lab/exec.ts'
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

const nft = (netns: string, ...args: readonly string[]): Promise<string> =>
  must(inNetns(netns, ['nft', ...args]))

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
    title: "IPv6 gateway's neighbor",
    side: 'pod',
    harm: ({ pod }) => ip(pod.netns, 'neigh', 'del', 'fe80::1', 'dev', 'eth0'),
    named: () => /neigh.*fe80::1/,
  },
  {
    title: 'another interface of that name',
    side: 'pod',
    harm: async ({ pod }) => {
      await ip(pod.netns, 'link', 'del', 'eth0')
      await ip(pod.netns, 'link', 'add', 'eth0', 'type', 'bridge')
      await ip(pod.netns, 'link', 'set', 'eth0', 'up')
    },
    named: () => /interface eth0.*type bridge, wanted veth/,
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
    title: 'host end that is down',
    side: 'node',
    harm: ({ pod, hostLink }) => ip(pod.node.netns, 'link', 'set', hostLink, 'down'),
    named: ({ hostLink }) => `link ${hostLink} in the node: it is down`,
  },
  {
    title: 'guard of the address',
    side: 'node',
    harm: ({ pod, hostLink, v4 }) =>
      nft(
        pod.node.netns,
        'delete',
        'element',
        'inet',
        'trivium',
        'pods4',
        `{ ${hostLink} . ${v4} }`,
      ),
    named: ({ hostLink, v4 }) => `nft-element pods4 ${hostLink} . ${v4}`,
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
  const { storeUrl } = lab
  await lab.trivium('network', 'create', 'web', '--pool', '10.44.0.0/16', '--store', storeUrl)
  await warm(lab)
  for (const { road, env } of ROADS) {
    await t.test(`${road}: CHECK`, async (t) => {
      await t.test('CHK-03 CHK-06 passes, also with what later plugins change', (t) =>
        passes(t, lab, env),
      )
      await t.test('CHK-02 compares with prevResult', (t) => prevResults(t, lab, env))
      const inPods = DAMAGES.filter(({ side }) => side === 'pod')
      await Promise.all(inPods.map((damage) => finds(t, lab, damage, env)))
    })
    await t.test(`GC-02 GC-03 GC-08 ${road}: GC`, (t) => collects(t, lab, env))
  }
  await t.test('ST-02 ST-05 STATUS', async (t) => {
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
    await t.test(`CHK-05 no agent: finds: ${damage.title}`, (t) => finds(t, lab, damage, {}))
  }
  await t.test('GC-03 GC-06 GC-07 what crashes left', (t) => sweeps(t, lab))
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

async function finds(
  t: Test,
  lab: Lab,
  { title, harm, named, side }: Damage,
  env: Env,
): Promise<void> {
  const subject = await subjectOn(lab, env)
  const { pod, result } = subject
  t.equal(
    (await lab.cni('CHECK', pod, { prevResult: result }, env)).status,
    0,
    `${title}: good at first`,
  )
  await harm(subject)
  // The agent may repair the node meanwhile; what CHECK repairs would be in the pod, or on a node without agent.
  const places = side === 'pod' ? [pod.netns] : [pod.netns, pod.node.netns]
  const look = async (): Promise<readonly string[]> =>
    (await Promise.all(places.map(dumpNetns))).flat()
  const damaged = await look()
  for (const time of ['first', 'second']) {
    const error = errorOf(await lab.cni('CHECK', pod, { prevResult: result }, env))
    t.equal(error.code, 103, `CHK-04 ${title}: ${time} CHECK`)
    t.match(error.msg, named(subject), `CHK-04 ${title}: named`)
  }
  t.strictSame(compareDumps(damaged, await look()), [], `CHK-08 ${title}: nothing was repaired`)
  await remove(t, lab, subject, env)
}

/** Another network on the same nodes. */
const WEB = { name: 'web' }

/** A host end without record, as a process killed at the worst moment leaves it, and what hangs on it. */
async function leak(netns: string, network: string, ip4: string): Promise<void> {
  const name = podLinkName(network, 'leaked', 'eth0')
  const [peer, alias] = [`p${name.slice(3)}`, podAlias(network, 'leaked', 'eth0', 99)]
  await ip(netns, 'link', 'add', name, 'type', 'veth', 'peer', 'name', peer)
  await ip(netns, 'link', 'set', name, 'alias', alias)
  await ip(netns, 'link', 'set', name, 'up')
  await ip(netns, 'route', 'add', `${ip4}/32`, 'dev', name, 'proto', '84')
  const element = `{ ${name} . ${ip4} }`
  await nft(netns, 'add', 'element', 'inet', 'trivium', 'pods4', element)
}

/** Without an agent, which would remove them too: GC alone must. */
async function sweeps(t: Test, lab: Lab): Promise<void> {
  const subject = await subjectOn(lab, {})
  const { pod, result } = subject
  const { netns } = pod.node
  await leak(netns, 'web', '10.44.0.99')
  await ip(netns, 'link', 'add', 'veth99', 'type', 'veth', 'peer', 'name', 'veth98')
  const before = await snapshot(lab)
  await leak(netns, 'pods', '10.42.0.99')
  t.not(compareDumps(before, await snapshot(lab)).length, 0, 'something was leaked')
  const valid = [{ containerID: pod.containerId, ifname: 'eth0' }]
  for (const time of ['first', 'second']) {
    const gc = { cniVersion: '1.1.0', 'cni.dev/valid-attachments': valid }
    const { status, stdout } = await lab.cni('GC', pod, gc)
    t.strictSame([status, stdout], [0, ''], `${time} GC`)
    const left = compareDumps(before, await snapshot(lab))
    t.strictSame(left, [], `${time} GC: the leak is gone, all else is as it was`)
  }
  t.equal((await lab.cni('CHECK', pod, { prevResult: result })).status, 0, 'the pod is whole')
  for (const name of ['veth99', podLinkName('web', 'leaked', 'eth0')])
    await ip(netns, 'link', 'del', name)
  await remove(t, lab, subject, {})
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
  const neighbour = await lab.addPod(here)
  const web = await added(lab, neighbour, WEB, env)
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

  const empty = await gc([])
  t.strictSame([empty.status, empty.stdout], [0, ''], 'an empty list: nothing is valid')
  t.equal(await inUse(lab), 3, "another node's pod and another network's keep their addresses")
  const checked = await lab.cni('CHECK', neighbour, { ...WEB, prevResult: web }, env)
  t.strictSame([checked.status, checked.stdout], [0, ''], "GC-06 the other network's pod is whole")
  t.equal((await lab.cni('DEL', neighbour, WEB, env)).status, 0)
  await lab.removePod(neighbour)
  for (const { pod } of subjects) await lab.removePod(pod)
  t.equal((await lab.cni('DEL', elsewhere, {}, env)).status, 0)
  await lab.removePod(elsewhere)
}
