/**
 * The verbs of `trivium-ipam` as a main plugin hands them on: the whole
 * configuration on standard input, its own part under `ipam`.
 */
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { compareDumps } from '../../src/lab/dump.ts'
import { type Finished, inNetns, run } from '../../src/lab/exec.ts'
import type { LabNode, LabPod } from '../../src/lab/lab.ts'
import { type DelegateWorld, delegateWorld } from '../support/delegate.ts'
import {
  errorOf,
  inUse,
  ipsOf,
  type Json,
  ROADS,
  resultOf,
  skip,
  snapshot,
} from '../support/e2e.ts'

const FINE = { status: 0, stdout: '', stderr: '' }

interface Call {
  readonly pod?: LabPod
  /** Over the main plugin's keys. */
  readonly main?: Json
  /** Over the keys of `ipam`. */
  readonly own?: Json
  readonly ifname?: string
  readonly env?: Readonly<Record<string, string>>
}

type Delegate = (verb: string, call?: Call) => Promise<Finished>

/** trivium-ipam as macvlan in network `lan` on a node would call it. */
function delegateOn({ lab }: DelegateWorld, node: LabNode): Delegate {
  return (verb, { pod, main = {}, own = {}, ifname = 'eth0', env = {} } = {}) => {
    const place = { store: lab.storeUrl, socket: node.socketPath }
    const config = {
      ...{ cniVersion: '1.1.0', name: 'lan', type: 'macvlan', master: 'eth0' },
      ...main,
      ipam: { type: 'trivium-ipam', ...place, ...own },
    }
    const of = pod === undefined ? {} : { CNI_CONTAINERID: pod.containerId, CNI_IFNAME: ifname }
    const command = inNetns(node.netns, [join(node.binDir, 'trivium-ipam')])
    return run(command, {
      input: JSON.stringify(config),
      env: {
        PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
        CNI_COMMAND: verb,
        CNI_PATH: node.binDir,
        ...of,
        ...(pod === undefined ? {} : { CNI_NETNS: pod.netnsPath }),
        ...env,
      },
    })
  }
}

t.test('trivium-ipam', { skip }, async (t) => {
  const world = await delegateWorld(t)
  const { lab, nodes, agents } = world
  const [n1, n2] = nodes.map((node) => delegateOn(world, node))
  if (n1 === undefined || n2 === undefined) throw new Error('there are two nodes')
  // A spare block comes with a node's first pod.
  for (const [index, call] of [n1, n2].entries()) {
    const pod = await lab.addPod(nodes[index] ?? nodes[0])
    resultOf(await call('ADD', { pod }))
    await call('DEL', { pod })
  }
  const prevOf = (result: Finished): Json => ({ prevResult: JSON.parse(result.stdout) })
  const untouched = async (t: Test, work: () => Promise<void>): Promise<void> => {
    const before = await snapshot(lab)
    await work()
    t.strictSame(compareDumps(before, await snapshot(lab)), [], 'nothing has changed')
  }

  for (const { road, env } of ROADS) {
    await t.test(`${road}: a life, and a configuration that changed`, async (t) => {
      const pod = await lab.addPod(nodes[0])
      const before = await snapshot(lab)
      const add = await n1('ADD', { pod, env })
      t.notOk('interfaces' in resultOf(add), 'no interfaces, which are not its own')
      t.strictSame(
        resultOf(add).ips.map(({ interface: index }) => index),
        [undefined, undefined],
      )
      t.strictSame(await n1('CHECK', { pod, main: prevOf(add), env }), FINE)
      t.match(errorOf(await n1('ADD', { pod, env })), { code: 100, msg: /^Cannot add eth0 of/ })
      const second = resultOf(await n1('ADD', { pod, ifname: 'net1', env }))
      t.notSame(ipsOf(second), ipsOf(resultOf(add)), 'another interface, other addresses')

      const changed = { main: { type: 'bridge', isGateway: 7 }, own: { routes: 'x', subnet: 'y' } }
      t.strictSame(await n1('DEL', { pod, ...changed, env: { ...env, CNI_NETNS: '' } }), FINE)
      t.strictSame(await n1('DEL', { pod, env }), FINE, 'a second time')
      t.match(errorOf(await n1('CHECK', { pod, main: prevOf(add), env })), { code: 103 })
      t.strictSame(await n1('DEL', { pod, ifname: 'net1', env }), FINE)
      t.strictSame(compareDumps(before, await snapshot(lab)), [], 'all is as before')
    })
  }

  await t.test('routes of the configuration reach the result', async (t) => {
    const pod = await lab.addPod(nodes[0])
    const routes = [{ dst: '10.0.0.0/8', gw: '10.77.0.9' }]
    t.strictSame(resultOf(await n1('ADD', { pod, own: { routes } })).routes, routes)
    t.strictSame(await n1('DEL', { pod }), FINE)
  })

  await t.test('STATUS', async (t) =>
    untouched(t, async () => {
      t.strictSame(await n1('STATUS'), FINE)
      t.strictSame(await n1('STATUS', { main: { type: 'bridge', isGateway: true } }), FINE)
      const bare = { name: 'bare', type: 'bridge', isGateway: true }
      t.match(errorOf(await n1('STATUS', { main: bare })), { code: 50, msg: /has no gateway/ })
      t.match(errorOf(await n1('STATUS', { main: { name: 'gone' } })), { code: 50, msg: /gone/ })
    }),
  )

  await t.test('GC: this network and this node only', async (t) => {
    const used = await inUse(lab)
    const here = [await lab.addPod(nodes[0]), await lab.addPod(nodes[0])] as const
    const there = await lab.addPod(nodes[1])
    for (const pod of here) resultOf(await n1('ADD', { pod }))
    resultOf(await n1('ADD', { pod: here[1], main: { name: 'far' }, ifname: 'net1' }))
    resultOf(await n2('ADD', { pod: there }))
    t.equal(await inUse(lab), used + 8)
    await untouched(t, async () => {
      t.match(errorOf(await n1('GC')), { code: 7, msg: /valid-attachments/ })
    })
    const valid = [{ containerID: here[0].containerId, ifname: 'eth0' }]
    t.strictSame(await n1('GC', { main: { 'cni.dev/valid-attachments': valid } }), FINE)
    t.equal(await inUse(lab), used + 6, 'one of three attachments went')
    t.strictSame(await n1('GC', { main: { 'cni.dev/valid-attachments': [] } }), FINE)
    t.equal(await inUse(lab), used + 4, "another network's and another node's stay")
    t.strictSame(await n1('DEL', { pod: here[1], main: { name: 'far' }, ifname: 'net1' }), FINE)
    t.strictSame(await n2('DEL', { pod: there }), FINE)
    t.equal(await inUse(lab), used)
  })

  await t.test('trivium itself makes no link in such a network', async (t) => {
    const pod = await lab.addPod(nodes[0])
    await untouched(t, async () => {
      const refused = errorOf(await lab.cni('ADD', pod))
      t.match(refused, {
        code: 7,
        msg: /^Cannot make a link in network lan/,
        details: /trivium-ipam/,
      })
      const status = errorOf(await lab.cni('STATUS', pod, { cniVersion: '1.1.0' }))
      t.match(status, { code: 50, msg: /^Cannot make a link in network lan/ })
      t.strictSame(await lab.cni('DEL', pod), FINE)
    })
  })

  await t.test('no agent: inside the blocks of the node', async (t) => {
    await agents[0]?.stop()
    const pod = await lab.addPod(nodes[0])
    const used = await inUse(lab)
    t.equal(ipsOf(resultOf(await n1('ADD', { pod }))).length, 2)
    t.equal(await inUse(lab), used + 2)
    t.strictSame(await n1('DEL', { pod }), FINE)
    t.equal(await inUse(lab), used)
  })
})
