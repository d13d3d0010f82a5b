/**
 * ADD and DEL by both roads: results in every version, failures that leave
 * nothing, and a DEL that always works.
 */
import '../support/on-disk.ts'
import t, { type Test } from 'tap'
import { compareDumps } from '../../src/lab/dump.ts'
import { run } from '../../src/lab/exec.ts'
import type { Lab, LabAgent, LabPod } from '../../src/lab/lab.ts'
import { ping } from '../../src/lab/reach.ts'
import {
  added,
  cluster,
  errorOf,
  inUse,
  ip,
  ipJson,
  ipsOf,
  type Json,
  ROADS,
  resultOf,
  skip,
  snapshot,
  warm,
} from '../support/e2e.ts'

const VERSIONS = ['0.1.0', '0.2.0', '0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'] as const

t.test('verbs', { skip }, async (t) => {
  const { lab, agents } = await cluster(t)
  await warm(lab)
  for (const { road, env } of ROADS) {
    const servedBefore = served(agents[0])
    await t.test(`OUT-05 ADD-05 ADD-06 ${road}: the result in every version`, (t) =>
      shapes(t, lab, env),
    )
    await t.test(`${road}: failing ADD`, (t) => failingAdds(t, lab, env))
    await t.test(`${road}: DEL`, (t) => dels(t, lab, env))
    const count = served(agents[0]) - servedBefore
    if (road === 'Node entry') t.equal(count, 0, `${road}: no call reached the agent`)
    else t.ok(count > 2 * VERSIONS.length, `${road}: ${count} calls reached the agent`)
  }
  await t.test('both roads mixed', async (t) => {
    const [first, second] = ROADS
    for (const [add, del] of [
      [first, second],
      [second, first],
    ] as const) {
      const before = await snapshot(lab)
      const pod = await podOn(lab)
      const result = await added(lab, pod, {}, add.env)
      t.equal((await lab.cni('CHECK', pod, { prevResult: result }, del.env)).status, 0)
      t.equal((await lab.cni('DEL', pod, {}, del.env)).status, 0)
      await lab.removePod(pod)
      t.strictSame(
        compareDumps(before, await snapshot(lab)),
        [],
        `added by ${add.road}, deleted by ${del.road}`,
      )
    }
  })
})

/** How many calls reached the agent. */
const served = (agent: LabAgent | undefined): number =>
  (agent?.log() ?? '').split('"event":"cni"').length - 1

async function podOn(lab: Lab): Promise<LabPod> {
  const [node] = lab.nodes
  if (node === undefined) throw new Error('There is no node')
  return lab.addPod(node)
}

async function shapes(t: Test, lab: Lab, env: Readonly<Record<string, string>>): Promise<void> {
  const before = await snapshot(lab)
  for (const cniVersion of VERSIONS) {
    const pod = await podOn(lab)
    const finished = await lab.cni('ADD', pod, { cniVersion }, env)
    const result = resultOf(finished) as unknown as Json
    t.equal(finished.stderr, '', `OUT-04 ${cniVersion}: nothing to complain about`)
    t.equal(result['cniVersion'], cniVersion)
    checkShape(t, result, cniVersion, pod)
    const inside = await ipJson(pod.netns, 'addr', 'show', 'dev', 'eth0', 'scope', 'global')
    const held = inside
      .flatMap((link) => (link['addr_info'] ?? []) as Json[])
      .filter(({ local }) => local !== undefined)
      .map(({ local, prefixlen }) => `${local}/${prefixlen}`)
    t.strictSame(addressesOf(result), held, `${cniVersion}: the addresses the pod has`)
    // A cached result of any version comes back with DEL.
    const del = await lab.cni('DEL', pod, { cniVersion, prevResult: result }, env)
    t.strictSame([del.status, del.stdout], [0, ''], `OUT-01 ${cniVersion}: DEL prints nothing`)
    await lab.removePod(pod)
  }
  t.strictSame(compareDumps(before, await snapshot(lab)), [], 'nothing is left')
}

const addressesOf = ({ ips, ip4, ip6 }: Json): readonly unknown[] =>
  ips === undefined
    ? [(ip4 as Json)['ip'], (ip6 as Json)['ip']]
    : (ips as Json[]).map(({ address }) => address)

function checkShape(t: Test, result: Json, version: string, pod: LabPod): void {
  if (version < '0.3.0') {
    t.strictSame(Object.keys(result).sort(), ['cniVersion', 'dns', 'ip4', 'ip6'])
    t.match(result['ip4'], { gateway: '169.254.1.1', routes: [{ dst: '0.0.0.0/0' }] })
    t.match(result['ip6'], { gateway: 'fe80::1', routes: [{ dst: '::/0' }] })
    return
  }
  t.strictSame(Object.keys(result).sort(), ['cniVersion', 'dns', 'interfaces', 'ips', 'routes'])
  const interfaces = result['interfaces'] as Json[]
  const extras = version === '1.1.0' ? ['mtu'] : []
  t.strictSame(Object.keys(interfaces[0] ?? {}).sort(), ['mac', ...extras, 'name'])
  t.strictSame(Object.keys(interfaces[1] ?? {}).sort(), ['mac', ...extras, 'name', 'sandbox'])
  t.match(interfaces[1], { name: 'eth0', sandbox: pod.netnsPath })
  if (version === '1.1.0') t.match(interfaces, [{ mtu: 1450 }, { mtu: 1450 }])
  const ips = result['ips'] as Json[]
  t.strictSame(
    ips.map(({ version, interface: index }) => [version, index]),
    version < '1.0.0'
      ? [
          ['4', 1],
          ['6', 1],
        ]
      : [
          [undefined, 1],
          [undefined, 1],
        ],
    `${version}: an address names its family below 1.0.0 only, and always its interface`,
  )
  t.strictSame(result['routes'], [
    { dst: '0.0.0.0/0', gw: '169.254.1.1' },
    { dst: '::/0', gw: 'fe80::1' },
  ])
}

async function failingAdds(
  t: Test,
  lab: Lab,
  env: Readonly<Record<string, string>>,
): Promise<void> {
  await t.test('ADD-03 a second ADD is refused and changes nothing', async (t) => {
    const pod = await podOn(lab)
    const result = await added(lab, pod, {}, env)
    const other = { ...(await podOn(lab)), containerId: pod.containerId }
    const before = await snapshot(lab)
    for (const again of [pod, other]) {
      const error = errorOf(await lab.cni('ADD', again, {}, env))
      t.equal(error.code, 100)
      t.match(error.msg, pod.containerId, 'the error names the container')
    }
    t.strictSame(compareDumps(before, await snapshot(lab)), [], 'nothing has changed')
    const [address = ''] = ipsOf(result)
    t.ok((await ping(pod.node.netns, address)).ok, 'the first allocation works')
    t.equal((await lab.cni('CHECK', pod, { prevResult: result }, env)).status, 0)
    await remove(t, lab, pod, env)
    await lab.removePod(other)
  })

  await t.test('ADD-02 an interface of that name in the container is left alone', async (t) => {
    const pod = await podOn(lab)
    await ip(pod.netns, 'link', 'add', 'eth0', 'type', 'bridge')
    const before = [...(await snapshot(lab)), ...(await podState(pod))]
    const error = errorOf(await lab.cni('ADD', pod, {}, env))
    t.match(error, { code: 100, msg: /eth0.*already/ })
    const after = [...(await snapshot(lab)), ...(await podState(pod))]
    t.strictSame(compareDumps(before, after), [], 'no link, no address in use')
    await ip(pod.netns, 'link', 'del', 'eth0')
    resultOf(await lab.cni('ADD', pod, {}, env))
    t.pass('the same ADD works without it')
    await remove(t, lab, pod, env)
  })

  await t.test('ADD-09 an ADD that the kernel refuses midway takes all of it back', async (t) => {
    const pod = await podOn(lab)
    const probe = await added(lab, pod, {}, env)
    const hostLink = probe.interfaces[0]?.name ?? ''
    await lab.cni('DEL', pod, {}, env)
    // The name of the host's end is taken, so the pair cannot be made.
    const { netns } = pod.node
    await ip(netns, 'link', 'add', 'foreign1', 'type', 'veth', 'peer', 'name', 'foreign0')
    await ip(netns, 'link', 'set', 'foreign1', 'alias', 'foreign')
    await ip(netns, 'link', 'set', 'foreign1', 'name', hostLink)
    const used = await inUse(lab)
    const error = errorOf(await lab.cni('ADD', pod, {}, env))
    t.ok([100, 101].includes(error.code), `code ${error.code}`)
    t.match(`${error.msg} ${error.details}`, /EEXIST/, 'the kernel said why')
    t.equal(await inUse(lab), used, 'the address is free again')
    t.strictSame((await ipJson(pod.netns, 'link')).length, 1, 'nothing in the container')
    await remove(t, lab, pod, env)
    const foreign = await ipJson(netns, 'link', 'show', 'dev', hostLink)
    t.match(foreign, [{ ifalias: 'foreign' }], 'the foreign link stays')
    await ip(netns, 'link', 'del', 'foreign0')
  })
}

const podState = async (pod: LabPod): Promise<readonly string[]> =>
  (await ipJson(pod.netns, 'addr')).map((line) => JSON.stringify(line))

async function remove(
  t: Test,
  lab: Lab,
  pod: LabPod,
  env: Readonly<Record<string, string>>,
): Promise<void> {
  const { status, stdout } = await lab.cni('DEL', pod, {}, env)
  t.strictSame([status, stdout], [0, ''], 'DEL')
  await lab.removePod(pod)
}

/** How a pod may be when DEL comes. */
const DELS: readonly {
  readonly title: string
  readonly prepare?: (lab: Lab, pod: LabPod) => Promise<unknown>
  /** DEL with this for CNI_NETNS; as it was when absent. */
  readonly netnsPath?: string
  readonly never?: boolean
}[] = [
  { title: 'DEL-04 ten times' },
  { title: 'DEL-02 without CNI_NETNS', netnsPath: '' },
  { title: 'DEL-02 with a path that is not there', netnsPath: '/run/netns/not-there' },
  {
    title: 'DEL-02 after the namespace vanished',
    prepare: (_lab, pod) => run(['ip', 'netns', 'del', pod.netns]),
  },
  {
    title: 'DEL-01 after the pod renamed its interface',
    prepare: async (_lab, { netns }) => {
      await ip(netns, 'link', 'set', 'eth0', 'down')
      await ip(netns, 'link', 'set', 'eth0', 'name', 'other0')
    },
  },
  {
    title: 'DEL-01 after the interface was removed',
    prepare: (_lab, { netns }) => ip(netns, 'link', 'del', 'eth0'),
  },
  { title: 'DEL-04 of a container that was never added', never: true },
]

async function dels(t: Test, lab: Lab, env: Readonly<Record<string, string>>): Promise<void> {
  const before = await snapshot(lab)
  for (const { title, prepare, netnsPath, never } of DELS) {
    await t.test(title, async (t) => {
      const pod = await podOn(lab)
      if (never !== true) await added(lab, pod, {}, env)
      await prepare?.(lab, pod)
      const asked = netnsPath === undefined ? pod : { ...pod, netnsPath }
      for (let time = 0; time < (title.endsWith('ten times') ? 10 : 2); time++) {
        const { status, stdout } = await lab.cni('DEL', asked, {}, env)
        t.strictSame([status, stdout], [0, ''], `DEL ${time + 1}`)
      }
      t.strictSame(compareDumps(before, await snapshot(lab)), [], 'nothing is left')
      await run(['ip', 'netns', 'del', pod.netns])
    })
  }
}
