/**
 * What a caller may ask for a pod, seen in the pod's namespace: addresses,
 * pool, MAC, DNS, an earlier plugin's result handed on.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { compareDumps } from '../../src/lab/dump.ts'
import type { Lab, LabPod } from '../../src/lab/lab.ts'
import { ping } from '../../src/lab/reach.ts'
import {
  added,
  cluster,
  converged,
  errorOf,
  ipJson,
  ipsOf,
  type Json,
  ROADS,
  resultOf,
  skip,
  snapshot,
  warm,
} from '../support/e2e.ts'

type Env = Readonly<Record<string, string>>

const ANNOTATIONS = 'io.kubernetes.cri.pod-annotations'
const kube = (namespace: string): Env => ({
  CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAMESPACE=${namespace};K8S_POD_NAME=cart;K8S_POD_INFRA_CONTAINER_ID=a;K8S_POD_UID=1`,
})

t.test('capabilities', { skip }, async (t) => {
  // The first block of the node is 10.42.0.0/26; the shop's pods have a pool of their own.
  const pools = ['10.42.0.0/16', 'fd42::/112', '10.43.0.0/24,namespaces=shop+till']
  const { lab, nodes } = await cluster(t, { pools, nodes: 1 })
  await warm(lab)
  const [node] = nodes
  if (node === undefined) throw new Error('There is no node')
  const first = await lab.addPod(node)
  // So that both roads have a block of the shop's pool.
  await added(lab, first, {}, kube('shop'))
  await lab.cni('DEL', first)
  await converged(lab)

  await t.test('CFG-09 the installed configuration declares what runtimes shall hand on', (t) => {
    const text = readFileSync(join(node.confDir, '10-pods.conflist'), 'utf8')
    t.strictSame(JSON.parse(text)['plugins'][0]['capabilities'], {
      ips: true,
      mac: true,
      dns: true,
      [ANNOTATIONS]: true,
    })
    t.end()
  })
  for (const { road, env } of ROADS) {
    const before = await snapshot(lab)
    await t.test(`${road}: asked and given`, (t) => given(t, lab, env))
    await t.test(`${road}: asked and refused`, (t) => refused(t, lab, env))
    await t.test(`${road}: after another plugin`, (t) => handedOn(t, lab, env))
    const left = compareDumps(before, await snapshot(lab))
    t.strictSame(left, [], `${road}: nothing is left`)
  }
})

interface Row {
  readonly title: string
  readonly config?: Json
  readonly env?: Env
  readonly ips?: readonly string[]
  readonly mac?: string
  readonly dns?: Json
}

const annotated = (annotations: Json): Json => ({ runtimeConfig: { [ANNOTATIONS]: annotations } })

const GIVEN: readonly Row[] = [
  { title: 'CNI_ARGS IP', env: { CNI_ARGS: 'IP=10.42.0.40' }, ips: ['10.42.0.40'] },
  {
    title: 'CNI_ARGS IP and MAC, as podman sends them',
    env: { CNI_ARGS: 'IgnoreUnknown=1;IP=10.42.0.41;MAC=02:00:00:00:00:41' },
    ips: ['10.42.0.41'],
    mac: '02:00:00:00:00:41',
  },
  {
    title: 'args.cni before CNI_ARGS',
    env: { CNI_ARGS: 'IP=10.42.0.46' },
    config: { args: { cni: { ips: ['10.42.0.42'] } } },
    ips: ['10.42.0.42'],
  },
  {
    title: 'runtimeConfig of both families',
    config: { runtimeConfig: { ips: ['10.42.0.43/16', 'fd42::2b'], mac: '02:00:00:00:00:43' } },
    ips: ['10.42.0.43', 'fd42::2b'],
    mac: '02:00:00:00:00:43',
  },
  {
    title: "containerd's capitalised keys",
    config: {
      runtimeConfig: {
        Mac: '02:00:00:00:00:44',
        dns: { Servers: ['10.0.0.10'], Searches: ['shop.svc'], Options: ['ndots:5'] },
        portMappings: [{ HostPort: 80, ContainerPort: 80, Protocol: 'tcp' }],
        bandwidth: { IngressRate: 1000, IngressBurst: 1000 },
        cgroupPath: '/kubepods',
      },
    },
    mac: '02:00:00:00:00:44',
    dns: { nameservers: ['10.0.0.10'], search: ['shop.svc'], options: ['ndots:5'] },
  },
  {
    title: 'annotations: a fixed address',
    config: annotated({ 'trivium.io/ip': '10.42.0.45', 'example.org/x': 'y' }),
    env: kube('web'),
    ips: ['10.42.0.45'],
  },
  {
    title: 'annotations: a pool',
    config: annotated({ 'trivium.io/pool': '10.43.0.0/24' }),
    env: kube('till'),
    ips: ['10.43.0.'],
  },
  { title: 'a pool for the namespace, without asking', env: kube('shop'), ips: ['10.43.0.'] },
  { title: 'no pool for the namespace: the common one', env: kube('web'), ips: ['10.42.0.'] },
]

async function podOn(lab: Lab): Promise<LabPod> {
  const [node] = lab.nodes
  if (node === undefined) throw new Error('There is no node')
  return lab.addPod(node)
}

async function given(t: Test, lab: Lab, road: Env): Promise<void> {
  const one = async ({ title, config = {}, env = {}, ips = [], mac, dns }: Row): Promise<void> => {
    const pod = await podOn(lab)
    const result = await added(lab, pod, config, { ...road, ...env })
    const [link = {}] = await ipJson(pod.netns, 'addr', 'show', 'dev', 'eth0')
    const held = ((link['addr_info'] ?? []) as Json[])
      .filter(({ scope }) => scope === 'global')
      .map(({ local }) => String(local))
    t.strictSame(held, ipsOf(result), `${title}: the pod has what the result says`)
    for (const ip of ips)
      t.ok(
        held.some((each) => each.startsWith(ip)),
        `${title}: ${ip}`,
      )
    t.equal(result.interfaces[1]?.mac, link['address'], `${title}: MAC as the result says`)
    if (mac !== undefined) t.equal(link['address'], mac, `${title}: MAC`)
    t.strictSame((result as unknown as Json)['dns'], dns ?? {}, `${title}: DNS`)
    for (const ip of held) {
      t.ok(
        (await ping(pod.node.netns, ip)).ok,
        `${title}: ${ip} answers, so neighbours and guards fit`,
      )
    }
    const checked = await lab.cni(
      'CHECK',
      pod,
      { ...config, prevResult: result },
      { ...road, ...env },
    )
    t.equal(checked.status, 0, `${title}: CHECK ${checked.stdout}`)
    t.equal((await lab.cni('DEL', pod, config, { ...road, ...env })).status, 0)
    await lab.removePod(pod)
  }
  await Promise.all(GIVEN.map(one))
}

interface Refused {
  readonly title: string
  readonly config?: Json
  readonly env?: Env
  readonly code: number
  readonly msg: RegExp
}

const REFUSED: readonly Refused[] = [
  {
    title: 'an address that somebody has',
    env: { CNI_ARGS: 'IP=10.42.0.50' },
    code: 100,
    msg: /^Cannot allocate 10\.42\.0\.50 in network pods: held by pod web\/cart, container .* eth0 on node n1, wanted a free one$/,
  },
  {
    title: 'an address of no pool',
    env: { CNI_ARGS: 'IP=192.0.2.1' },
    code: 100,
    msg: /192\.0\.2\.1 in network pods: no pool of the network contains it$/,
  },
  {
    title: "the tunnel endpoint's address",
    config: { runtimeConfig: { ips: ['10.42.0.0'] } },
    code: 100,
    msg: /10\.42\.0\.0 in network pods: it is the /,
  },
  {
    title: 'two addresses of a family',
    config: { runtimeConfig: { ips: ['10.42.0.51'] }, args: { cni: { ips: ['10.42.0.52'] } } },
    code: 100,
    msg: /10\.42\.0\.52: 10\.42\.0\.51 was requested too, wanted at most one IPv4 address$/,
  },
  {
    title: 'a pool for another namespace',
    config: annotated({ 'trivium.io/pool': '10.43.0.0/24' }),
    env: kube('web'),
    code: 100,
    msg: /pool 10\.43\.0\.0\/24 is for pods of namespaces shop, till, this one is in web$/,
  },
  {
    title: 'an address of a pool for another namespace',
    config: annotated({ 'trivium.io/ip': '10.43.0.9' }),
    env: kube('web'),
    code: 100,
    msg: /pool 10\.43\.0\.0\/24 is for pods of namespaces shop, till, this one is in web$/,
  },
  {
    title: 'a pool that is none',
    config: annotated({ 'trivium.io/pool': '10.44.0.0/24' }),
    code: 100,
    msg: /network pods has no such pool, it has 10\.42\.0\.0\/16 and fd42::\/112 and 10\.43\.0\.0\/24$/,
  },
  {
    title: 'a mistyped annotation',
    config: annotated({ 'trivium.io/pol': '10.43.0.0/24' }),
    code: 7,
    msg: /trivium\.io\/pol: it means nothing here/,
  },
  {
    title: 'a group address for a MAC',
    env: { CNI_ARGS: 'MAC=01:00:5e:00:00:01' },
    code: 7,
    msg: /MAC in CNI_ARGS "01:00:5e:00:00:01": wanted a unicast MAC/,
  },
]

async function refused(t: Test, lab: Lab, road: Env): Promise<void> {
  const holder = await podOn(lab)
  const { CNI_ARGS } = kube('web')
  await added(lab, holder, {}, { ...road, CNI_ARGS: `${CNI_ARGS};IP=10.42.0.50` })
  const before = await snapshot(lab)
  const one = async ({ title, config = {}, env = {}, code, msg }: Refused): Promise<void> => {
    const pod = await podOn(lab)
    const error = errorOf(await lab.cni('ADD', pod, config, { ...road, ...env }))
    t.equal(error.code, code, `${title}: code`)
    t.match(error.msg, msg, title)
    t.equal((await ipJson(pod.netns, 'link')).length, 1, `${title}: nothing in the container`)
    await lab.removePod(pod)
  }
  await Promise.all(REFUSED.map(one))
  t.strictSame(compareDumps(before, await snapshot(lab)), [], 'nothing was made')
  t.equal((await lab.cni('DEL', holder, {}, road)).status, 0)
  await lab.removePod(holder)
}

async function handedOn(t: Test, lab: Lab, road: Env): Promise<void> {
  const prevResult = {
    cniVersion: '1.0.0',
    interfaces: [{ name: 'net0', mac: '02:00:00:00:00:99', sandbox: '/run/netns/x' }],
    ips: [{ interface: 0, address: '192.0.2.7/24', gateway: '192.0.2.1' }],
    routes: [{ dst: '198.51.100.0/24', gw: '192.0.2.1' }],
    dns: { nameservers: ['192.0.2.53'] },
  }
  const pod = await podOn(lab)
  const finished = await lab.cni('ADD', pod, { prevResult }, road)
  const result = resultOf(finished) as unknown as Record<string, readonly Json[]>
  t.strictSame(result['interfaces']?.[0], prevResult.interfaces[0], 'ADD-04 their interface')
  t.strictSame(result['ips']?.[0], prevResult.ips[0], 'ADD-04 their address')
  t.strictSame(result['routes']?.[0], prevResult.routes[0], 'ADD-04 their route')
  t.strictSame(result['dns'], prevResult.dns, 'ADD-04 their DNS')
  t.match(result['interfaces']?.[2], { name: 'eth0', sandbox: pod.netnsPath }, 'then ours')
  t.equal(result['ips']?.[1]?.['interface'], 2, 'ADD-06 our address points at our interface')
  const check = await lab.cni('CHECK', pod, { prevResult: result }, road)
  t.strictSame([check.status, check.stdout], [0, ''], 'CHK-03 CHECK takes it')
  t.equal((await lab.cni('DEL', pod, { prevResult: result }, road)).status, 0)
  const strange = await lab.cni('ADD', pod, { prevResult: { cniVersion: '9.9.9' } }, road)
  t.match(errorOf(strange), { code: 1, msg: 'unsupported CNI result version "9.9.9"' })
  await lab.removePod(pod)
}
