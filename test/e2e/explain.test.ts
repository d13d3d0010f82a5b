/**
 * `trivium explain` on real nodes: for every fault, pings between the pods and
 * the verdict say the same in each family, and the answer names the object.
 * What it says the agent repairs, the agent repairs.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { compareDumps } from '../../src/lab/dump.ts'
import { inNetns, must, run } from '../../src/lab/exec.ts'
import type { Lab, LabAgent, LabNode, LabPod } from '../../src/lab/lab.ts'
import {
  added,
  cluster,
  dumps,
  ip,
  ipsOf,
  type Json,
  ownRoutes,
  settle,
  skip,
  TRIVIUM,
  warm,
} from '../support/e2e.ts'

interface Answer {
  readonly verdict: 'reachable' | 'broken' | 'unknown'
  readonly unseen: readonly object[]
  readonly paths: readonly { readonly family: 4 | 6; readonly verdict: string }[]
  readonly cause?: {
    readonly status: string
    readonly place: string
    readonly object: string
    readonly found: string
    readonly command?: string
    readonly byAgent?: boolean
  }
}

interface Asked {
  readonly status: number | null
  readonly answer: Answer
}

interface Scene {
  readonly lab: Lab
  readonly nodes: readonly [LabNode, LabNode]
  readonly pods: readonly [LabPod, LabPod]
  readonly ips: readonly [readonly string[], readonly string[]]
  readonly hostLinks: readonly [string, string]
  /** n2's block, as n1's route has it, and the MAC of n2's tunnel. */
  readonly away: string
  readonly mac: string
  readonly mtu: number
}

interface Fault {
  readonly harm: (scene: Scene) => Promise<unknown>
  /** Without it the agents put things right. */
  readonly undo?: (scene: Scene) => Promise<unknown>
  readonly place: string
  readonly object: RegExp
  readonly says?: RegExp
}

const nft = (netns: string, ...args: readonly string[]): Promise<string> =>
  must(inNetns(netns, ['nft', ...args]))
const bridge = (netns: string, ...args: readonly string[]): Promise<string> =>
  must(inNetns(netns, ['bridge', ...args]))
const sysctl = (netns: string, setting: string): Promise<string> =>
  must(inNetns(netns, ['sysctl', '-qw', setting]))
const [N1, N2] = [
  ({ nodes }: Scene): string => nodes[0].netns,
  ({ nodes }: Scene): string => nodes[1].netns,
]

const FAULTS: Readonly<Record<string, Fault>> = {
  "the peer's route is gone": {
    harm: (s) => ip(N1(s), 'route', 'del', s.away),
    place: 'node n1',
    object: /^route 10\.42\.\d+\.\d+\/26 via .* dev trvx\.1/,
    says: /missing/,
  },
  "the gateway's neighbour is gone": {
    harm: (s) => ip(N1(s), 'neigh', 'del', s.away.replace('/26', ''), 'dev', 'trvx.1'),
    place: 'node n1',
    object: /^neigh 10\.42\.\d+\.\d+ lladdr .* dev trvx\.1/,
  },
  'the forwarding entry is gone': {
    harm: (s) => bridge(N1(s), 'fdb', 'del', s.mac, 'dev', 'trvx.1'),
    place: 'node n1',
    object: /^fdb .* dev trvx\.1 dst 192\.0\.2\.2/,
  },
  'the forwarding entry leads to nobody': {
    harm: (s) =>
      bridge(
        N1(s),
        ...['fdb', 'replace', s.mac, 'dev', 'trvx.1', 'dst', '192.0.2.200', 'self', 'permanent'],
      ),
    place: 'node n1',
    object: /^fdb .* dst 192\.0\.2\.200/,
  },
  "the tunnel's address is gone": {
    harm: (s) => ip(N1(s), '-4', 'addr', 'flush', 'dev', 'trvx.1', 'scope', 'global'),
    place: 'node n1',
    object: /^addr 10\.42\.\d+\.\d+\/32 dev trvx\.1/,
    says: /routes of trvx\.1 went with it/,
  },
  'the tunnel is gone': {
    harm: (s) => ip(N1(s), 'link', 'del', 'trvx.1'),
    place: 'node n1',
    object: /^link trvx\.1$/,
    says: /no such link/,
  },
  'the tunnel is down': {
    harm: (s) => ip(N1(s), 'link', 'set', 'trvx.1', 'down'),
    place: 'node n1',
    object: /^link trvx\.1$/,
    says: /down/,
  },
  'the tunnel is too narrow': {
    harm: (s) => ip(N1(s), 'link', 'set', 'trvx.1', 'mtu', '1300'),
    place: 'node n1',
    object: /^link trvx\.1$/,
    says: /mtu 1300/,
  },
  'the other tunnel has another MAC': {
    harm: (s) => ip(N2(s), 'link', 'set', 'trvx.1', 'address', '02:00:00:00:00:77'),
    place: 'node n2',
    object: /^link trvx\.1$/,
    says: /address 02:00:00:00:00:77/,
  },
  'the other tunnel is gone': {
    harm: (s) => ip(N2(s), 'link', 'del', 'trvx.1'),
    place: 'node n2',
    object: /^link trvx\.1$/,
  },
  'the other tunnel is down': {
    harm: (s) => ip(N2(s), 'link', 'set', 'trvx.1', 'down'),
    place: 'node n2',
    object: /^link trvx\.1$/,
  },
  "the pod's route on its node is gone": {
    harm: (s) => ip(N2(s), 'route', 'del', `${s.ips[1][0]}/32`),
    place: 'node n2',
    object: /^route 10\.42\.\d+\.\d+\/32 dev trv/,
    says: /blackhole .* is taken/,
  },
  'somebody made a blackhole': {
    harm: (s) => ip(N1(s), 'route', 'add', 'blackhole', `${s.ips[1][0]}/32`),
    undo: (s) => ip(N1(s), 'route', 'del', 'blackhole', `${s.ips[1][0]}/32`),
    place: 'node n1',
    object: /^route blackhole 10\.42\.\d+\.\d+\/32/,
  },
  'somebody has a more specific route': {
    harm: (s) => ip(N1(s), 'route', 'add', `${s.ips[1][0]}/32`, 'via', '192.0.2.200'),
    undo: (s) => ip(N1(s), 'route', 'del', `${s.ips[1][0]}/32`),
    place: 'node n1',
    object: /^route 10\.42\.\d+\.\d+\/32 via 192\.0\.2\.200/,
    says: /not ours/,
  },
  'the peer changed its underlay address': {
    async harm(s) {
      await ip(N2(s), 'addr', 'del', '192.0.2.2/24', 'dev', 'eth0')
      await ip(N2(s), 'addr', 'add', '192.0.2.22/24', 'dev', 'eth0')
    },
    async undo(s) {
      await ip(N2(s), 'addr', 'del', '192.0.2.22/24', 'dev', 'eth0')
      await ip(N2(s), 'addr', 'add', '192.0.2.2/24', 'dev', 'eth0')
    },
    place: 'store',
    object: /^address 192\.0\.2\.2 of node n2$/,
    says: /eth0 of n2 has 192\.0\.2\.22/,
  },
  'the underlay is down': {
    harm: (s) => ip(N1(s), 'link', 'set', 'eth0', 'down'),
    async undo(s) {
      await ip(N1(s), 'link', 'set', 'eth0', 'up')
      await ip(N1(s), 'addr', 'add', '2001:db8::1/64', 'dev', 'eth0', 'nodad')
    },
    place: 'node n1',
    object: /^link eth0$/,
    says: /down/,
  },
  'the underlay is too narrow': {
    harm: (s) => ip(N1(s), 'link', 'set', 'eth0', 'mtu', '1400'),
    undo: (s) => ip(N1(s), 'link', 'set', 'eth0', 'mtu', '1500'),
    place: 'node n1',
    object: /^link eth0$/,
    says: /mtu 1400/,
  },
  'forwarding is off': {
    harm: (s) => sysctl(N1(s), 'net.ipv4.ip_forward=0'),
    undo: (s) => sysctl(N1(s), 'net.ipv4.ip_forward=1'),
    place: 'node n1',
    object: /^sysctl net\.ipv4\.ip_forward$/,
  },
  'a strict filter, and another way back': {
    async harm(s) {
      await sysctl(N2(s), 'net.ipv4.conf.all.rp_filter=1')
      await ip(N2(s), 'route', 'add', `${s.ips[0][0]}/32`, 'via', '192.0.2.1', 'dev', 'eth0')
    },
    async undo(s) {
      await sysctl(N2(s), 'net.ipv4.conf.all.rp_filter=0')
      await ip(N2(s), 'route', 'del', `${s.ips[0][0]}/32`)
    },
    place: 'node n2',
    object: /^sysctl net\.ipv4\.conf\.all\.rp_filter$/,
    says: /come in by trvx\.1, the way back is route .* dev eth0/,
  },
  'somebody drops what is forwarded': {
    harm: (s) =>
      nft(
        N1(s),
        'add table inet fw; add chain inet fw onward { type filter hook forward priority 0; policy drop; }',
      ),
    undo: (s) => nft(N1(s), 'delete table inet fw'),
    place: 'node n1',
    object: /^chain inet fw onward$/,
    says: /policy drop, no rules/,
  },
  'somebody drops tunnel packets': {
    harm: (s) =>
      nft(
        N2(s),
        'add table ip fw; add chain ip fw in { type filter hook input priority 0; policy drop; }',
      ),
    undo: (s) => nft(N2(s), 'delete table ip fw'),
    place: 'node n2',
    object: /^chain ip fw in$/,
  },
  'the anti-spoof element is missing': {
    harm: (s) =>
      nft(N1(s), `delete element inet trivium pods4 { ${s.hostLinks[0]} . ${s.ips[0][0]} }`),
    place: 'node n1',
    object: /^element inet trivium pods4 { trv/,
  },
  'the guard does not know the node': {
    harm: (s) => nft(N2(s), 'delete element inet trivium nodes4 { 192.0.2.1 }'),
    place: 'node n2',
    object: /^element inet trivium nodes4 { 192\.0\.2\.1 }$/,
  },
  "the host's end is down": {
    harm: (s) => ip(N1(s), 'link', 'set', s.hostLinks[0], 'down'),
    place: 'node n1',
    object: /^link trv/,
  },
  "the pod's gateway is forgotten": {
    harm: (s) => ip(s.pods[0].netns, 'neigh', 'del', '169.254.1.1', 'dev', 'eth0'),
    undo: (s) =>
      ip(
        s.pods[0].netns,
        ...['neigh', 'replace', '169.254.1.1', 'lladdr', '02:74:72:69:76:01', 'dev', 'eth0'],
        ...['nud', 'permanent'],
      ),
    place: 'pod default/a',
    object: /^neigh 169\.254\.1\.1 /,
  },
  // Last: a pod's interface is ADD's alone, so nothing brings its addresses back.
  "the pod's interface is down": {
    harm: (s) => ip(s.pods[1].netns, 'link', 'set', 'eth0', 'down'),
    undo: async () => {},
    place: 'pod default/b',
    object: /^link eth0$/,
    says: /down/,
  },
}

t.test('explain', { skip }, async (t) => {
  const { lab, agents } = await cluster(t)
  const scene = await sceneOf(lab)
  await t.test('agents answer through the store', (t) => throughStore(t, scene, agents))
  for (const agent of agents) await agent.stop()
  const good = await dumps(lab)
  await t.test('nothing is broken', (t) => agree(t, scene))
  for (const [title, fault] of Object.entries(FAULTS)) {
    await t.test(title, (t) => tryFault(t, scene, fault, good))
  }
  await t.test('the doctor, on a node with much wrong', (t) => ill(t, scene))
})

t.test('explain: two networks', { skip }, async (t) => {
  const { lab, agents } = await cluster(t)
  const store = ['--store', lab.storeUrl]
  await lab.trivium('network', 'create', 'zone', '--pool', '10.99.0.0/16', ...store)
  const left = await settle(async () => {
    const links = await Promise.all(lab.nodes.map(({ netns }) => ip(netns, 'route')))
    return links.filter((text) => !/^10\.99\..* dev trvx/m.test(text))
  })
  t.strictSame(left, [], 'both nodes have the second tunnel')
  const scene = await sceneOf(lab, { name: 'zone' })
  await t.test('are closed to each other', async (t) => {
    const { cause } = await agree(t, scene)
    t.match(cause?.found ?? '', /networks pods and zone are closed to each other/)
    t.equal(cause?.command, 'trivium network allow pods zone')
  })
  await t.test('until they are opened', async (t) => {
    await lab.trivium('network', 'allow', 'pods', 'zone', ...store)
    await settle(async () => {
      const tables = await Promise.all(
        lab.nodes.map(({ netns }) => nft(netns, 'list set inet trivium reach4')),
      )
      return tables.filter((text) => !text.includes('10.42.0.0/16 . 10.99.0.0/16'))
    })
    t.equal((await agree(t, scene)).verdict, 'reachable')
  })
  for (const agent of agents) await agent.stop()
})

t.test('explain: lightweight tunnels', { skip }, async (t) => {
  const { lab, agents } = await cluster(t)
  await lab.trivium('network', 'set', 'pods', '--flavour', 'lightweight', '--store', lab.storeUrl)
  const left = await settle(async () => {
    const routes = await Promise.all(lab.nodes.map(({ netns }) => ip(netns, 'route')))
    return routes.filter((text) => !text.includes('encap ip id 1'))
  })
  if (left.length > 0) {
    t.comment(`skipped: this kernel makes no lightweight tunnel: ${left.join(' ')}`)
    return
  }
  const scene = await sceneOf(lab)
  for (const agent of agents) await agent.stop()
  const good = await dumps(lab)
  await t.test('nothing is broken', (t) => agree(t, scene))
  await t.test('the route carries another VNI', (t) => tryFault(t, scene, WRONG_VNI, good))
  await t.test('the other side does not take the VNI', (t) => tryFault(t, scene, NO_VNI, good))
})

const WRONG_VNI: Fault = {
  harm: (s) =>
    ip(
      N1(s),
      ...['route', 'replace', s.away, 'encap', 'ip', 'id', '7', 'dst', '192.0.2.2'],
      ...['dev', 'trvx.1', 'proto', '84'],
    ),
  place: 'node n1',
  object: /^route .* encap ip id 7 dst 192\.0\.2\.2 dev trvx\.1/,
}
const NO_VNI: Fault = {
  harm: (s) => bridge(N2(s), 'vni', 'delete', 'vni', '1', 'dev', 'trvx.1'),
  place: 'node n2',
  object: /^vni 1 dev trvx\.1$/,
}

/** @param other Configuration of pod b, where it is another network's. */
async function sceneOf(lab: Lab, other: Json = {}): Promise<Scene> {
  await warm(lab)
  const [n1, n2] = lab.nodes as [LabNode, LabNode]
  const pods = [await lab.addPod(n1), await lab.addPod(n2)] as const
  const results = [await named(lab, pods[0], 'a'), await named(lab, pods[1], 'b', other)] as const
  const routes = await ownRoutes(n1)
  const away = routes.find(
    ({ dst, dev, type }) => dev === 'trvx.1' && type !== 'blackhole' && !String(dst).includes(':'),
  )
  const [tunnel] = JSON.parse(await ip(n2.netns, '-j', 'link', 'show', 'trvx.1'))
  return {
    lab,
    nodes: [n1, n2],
    pods,
    ips: [ipsOf(results[0]), ipsOf(results[1])],
    hostLinks: [results[0].interfaces[0]?.name ?? '', results[1].interfaces[0]?.name ?? ''],
    away: String(away?.['dst']),
    mac: tunnel.address,
    mtu: results[0].interfaces[0]?.mtu ?? tunnel.mtu,
  }
}

const named = (lab: Lab, pod: LabPod, name: string, extra: Json = {}) =>
  added(lab, pod, extra, {
    CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=${name};K8S_POD_UID=${name};K8S_POD_INFRA_CONTAINER_ID=${pod.containerId}`,
  })

/** Asks in n1, with a snapshot of n2 taken there. */
async function ask({ lab, nodes: [n1, n2] }: Scene): Promise<Asked> {
  const file = join(lab.dir, 'n2.json')
  const store = ['--store', lab.storeUrl]
  writeFileSync(
    file,
    await must(inNetns(n2.netns, [...TRIVIUM, 'node', 'snapshot', '--node', 'n2', ...store])),
  )
  const args = ['explain', 'default/a', 'default/b', '--node', 'n1', '--snapshot', file]
  return asked(inNetns(n1.netns, [...TRIVIUM, ...args, ...store]))
}

async function asked(command: readonly string[]): Promise<Asked> {
  const { status, stdout, stderr } = await run([...command, '-o', 'json'])
  if (stdout === '') throw new Error(stderr)
  const [answer] = JSON.parse(stdout) as Answer[]
  return { status, answer: answer as Answer }
}

/** Whether a full-sized packet comes back, in each family. */
async function pings({ pods: [a], ips: [, far], mtu }: Scene): Promise<readonly boolean[]> {
  return Promise.all(
    far.map(async (target) => {
      const headers = target.includes(':') ? 48 : 28
      const size = ['-M', 'do', '-s', String(mtu - headers)]
      const command = ['ping', '-n', '-c', '3', '-i', '0.3', '-W', '1', ...size, target]
      return (await run(inNetns(a.netns, command))).status === 0
    }),
  )
}

/** The verdict of each family is what pings say. */
async function agree(t: Test, scene: Scene): Promise<Answer> {
  const [{ status, answer }, reached] = [await ask(scene), await pings(scene)]
  const said = scene.ips[1].map((target) => {
    const family = target.includes(':') ? 6 : 4
    return !answer.paths.some((path) => path.family === family && path.verdict === 'broken')
  })
  t.strictSame(said, reached, 'as pings say', { cause: answer.cause })
  t.equal(status, reached.every(Boolean) ? 0 : 1, 'the exit status')
  return answer
}

async function tryFault(
  t: Test,
  scene: Scene,
  fault: Fault,
  good: readonly string[],
): Promise<void> {
  const { lab, nodes, pods } = scene
  await fault.harm(scene)
  const { cause } = await agree(t, scene)
  t.equal(cause?.status, 'broken')
  t.equal(cause?.place, fault.place)
  t.match(cause?.object ?? '', fault.object)
  if (fault.says !== undefined) t.match(cause?.found ?? '', fault.says)
  if (fault.undo === undefined) {
    t.equal(cause?.byAgent, true, 'it says that the agent repairs it')
    const agents = await Promise.all(lab.nodes.map((node) => lab.startAgent(node)))
    const left = await settle(async () => compareDumps(good, await dumps(lab)))
    t.strictSame(left, [], 'and the agent does')
    await Promise.all(agents.map((agent) => agent.stop()))
  } else await fault.undo(scene)
  // A packet that was too big has taught pods and nodes a smaller path.
  for (const { netns } of [...pods, ...nodes]) {
    await ip(netns, 'route', 'flush', 'cache')
    await ip(netns, '-6', 'route', 'flush', 'cache')
  }
}

async function throughStore(
  t: Test,
  { lab, nodes: [n1, n2] }: Scene,
  agents: readonly LabAgent[],
): Promise<void> {
  const store = ['--store', lab.storeUrl]
  const command = [...TRIVIUM, 'explain', 'default/a', 'default/b', ...store]
  const patient = [...command, '--wait', '30000', '--socket']
  const here = inNetns(n1.netns, [...patient, n1.socketPath])
  const whole = await asked(here)
  t.equal(whole.status, 0, 'on n1: n2 answers')
  t.strictSame(whole.answer.unseen, [])
  t.equal((await asked([...patient, '/nowhere/agent.sock'])).status, 0, 'on no node: both answer')
  const pid = agents[1]?.pid ?? 0
  process.kill(pid, 'SIGSTOP')
  try {
    const part = await run([...here, '--wait', '500'])
    t.equal(part.status, 3, 'n2 does not answer')
    t.match(
      part.stdout,
      /node n2 was not seen: its agent did not answer within 0\.5 s; there, run "trivium node snapshot/,
    )
  } finally {
    process.kill(pid, 'SIGCONT')
  }
  for (const args of [['default/nobody'], ['10.42.200.1']]) {
    const { status } = await run([...TRIVIUM, 'explain', 'default/a', ...args, ...store])
    t.equal(status, 2, `${args[0]} is nobody`)
  }
  const well = await doctor(n2, lab)
  t.strictSame(well.troubles, [], 'the doctor finds nothing broken')
  t.not(well.status, 2)
}

interface Diagnosis {
  readonly status: number | null
  readonly troubles: readonly { readonly check: string; readonly command?: string }[]
}

async function doctor({ netns, socketPath }: LabNode, { storeUrl }: Lab): Promise<Diagnosis> {
  const args = ['doctor', '--node', 'n2', '--socket', socketPath, '--store', storeUrl, '-o', 'json']
  const { status, stdout } = await run(inNetns(netns, [...TRIVIUM, ...args]))
  const findings = JSON.parse(stdout) as (Diagnosis['troubles'][number] & { severity: string })[]
  return { status, troubles: findings.filter(({ severity }) => severity === 'fail') }
}

/** Several troubles at once, each found. */
async function ill(t: Test, scene: Scene): Promise<void> {
  const [, n2] = scene.nodes
  const away = (await ownRoutes(n2)).find(
    ({ dev, type }) => dev === 'trvx.1' && type !== 'blackhole',
  )
  await ip(n2.netns, 'route', 'del', String(away?.['dst']))
  await ip(n2.netns, 'link', 'set', 'eth0', 'mtu', '1400')
  const foreign = ['type', 'vxlan', 'id', '77', 'dev', 'eth0', 'dstport', '8472']
  await ip(n2.netns, 'link', 'add', 'foreign0', ...foreign)
  await nft(
    n2.netns,
    'add table ip fw; add chain ip fw in { type filter hook input priority 0; policy drop; }',
  )
  const { status, troubles } = await doctor(n2, scene.lab)
  t.equal(status, 2)
  const checks = troubles.map(({ check }) => check)
  for (const check of ['agent', 'kernel', 'underlay', 'tunnel', 'nftables']) {
    t.ok(checks.includes(check), check, { troubles })
  }
  t.match(
    troubles.find(({ check }) => check === 'kernel')?.command ?? '',
    `route add ${away?.['dst']}`,
  )
}
