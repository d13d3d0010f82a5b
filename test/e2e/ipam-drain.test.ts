/** Idle blocks go back, and a pool is left under living pods, as kernels, pings and routes tell. */
import t from 'tap'
import { type Finished, inNetns, run } from '../../src/lab/exec.ts'
import type { LabNode, LabPod } from '../../src/lab/lab.ts'
import { pingAll } from '../../src/lab/reach.ts'
import {
  added,
  cluster,
  converged,
  endpointOf,
  ipJson,
  ipsOf,
  type Result,
  settle,
  skip,
  TRIVIUM,
  usage,
} from '../support/e2e.ts'

const [OLD, NEW] = ['10.42.0.0/24', '10.43.0.0/24']

t.test('blocks and pools that nobody needs', { skip }, async (t) => {
  const { lab, nodes } = await cluster(t, { pools: [`${OLD},block=30`] })
  const [n1, n2] = nodes as [LabNode, LabNode]
  const ipam = (...args: readonly string[]): Promise<Finished> =>
    run([...TRIVIUM, 'ipam', ...args, '--store', lab.storeUrl])
  const blocksOf = async (node: LabNode): Promise<readonly string[]> =>
    (await usage(lab)).flatMap((row) => (row.node === node.name ? [row.cidr] : []))
  /** What a node's kernel knows of a pool: routes and addresses, whoever put them there. */
  const traces = async (node: LabNode, start: string): Promise<readonly string[]> => {
    const [routes, links] = await Promise.all([
      ipJson(node.netns, '-4', 'route', 'show', 'table', 'all'),
      ipJson(node.netns, '-4', 'addr', 'show'),
    ])
    return [JSON.stringify(routes), JSON.stringify(links)].flatMap((text) =>
      [...text.matchAll(/"(\d+\.\d+\.\d+\.\d+)/g)].flatMap(([, ip = '']) =>
        ip.startsWith(start) ? [`${node.name} ${ip}`] : [],
      ),
    )
  }
  const add = async (node: LabNode): Promise<{ pod: LabPod; result: Result }> => {
    const pod = await lab.addPod(node)
    return { pod, result: await added(lab, pod) }
  }
  t.equal((await ipam('configure', '--cooldown', '0', '--idle', '0')).status, 0)

  const crowd = await Promise.all([1, 2, 3, 4, 5].map(() => add(n1)))
  const [stays, ...leave] = crowd as [(typeof crowd)[0], ...typeof crowd]
  const other = await add(n2)

  await t.test('an idle block goes back, and so do its routes', async (t) => {
    await converged(lab)
    const before = await blocksOf(n1)
    t.equal(before.length, 3, 'two that are needed and one ahead')
    for (const { pod } of leave) await lab.cni('DEL', pod)
    await settle(async () => ((await blocksOf(n1)).length > 2 ? ['too many'] : []))
    const after = await blocksOf(n1)
    t.equal(after.length, 2, 'one ahead stays')
    const gone = before.filter((cidr) => !after.includes(cidr)).map((cidr) => cidr.slice(0, -3))
    const left = async (): Promise<readonly string[]> =>
      (await Promise.all(nodes.flatMap((node) => gone.map((start) => traces(node, start))))).flat()
    t.strictSame(await settle(left), [])
    const ends = [stays, other].map(({ pod, result }) => endpointOf(pod, result))
    t.ok((await pingAll(ends)).every(({ ok }) => ok))
  })

  await t.test('a pool drains while its pods go on', async (t) => {
    t.equal((await ipam('pool', 'create', `${NEW},block=30`)).status, 0)
    t.equal((await ipam('pool', 'drain', OLD)).status, 0)
    const fresh = [await add(n1), await add(n2)]
    for (const { result } of fresh) t.match(ipsOf(result)[0], /^10\.43\./)
    await converged(lab)
    const ends = [stays, other, ...fresh].map(({ pod, result }) => endpointOf(pod, result))
    t.ok(
      (await pingAll(ends)).every(({ ok }) => ok),
      'old and new pods, both ways',
    )
    const refused = await ipam('pool', 'delete', OLD, '--yes')
    t.match(refused, { status: 1, stderr: /2 addresses in use/ })

    for (const { pod } of [stays, other]) await lab.cni('DEL', pod)
    t.equal((await ipam('pool', 'drain', OLD, '--wait', '60')).status, 0)
    t.equal((await ipam('pool', 'delete', OLD, '--yes')).status, 0)
    await converged(lab)
    const left = async (): Promise<readonly string[]> =>
      (await Promise.all(nodes.map((node) => traces(node, '10.42.0.')))).flat()
    t.strictSame(await settle(left), [], 'no node knows of it any more')
    for (const node of nodes) {
      const ends = await ipJson(node.netns, 'addr', 'show', 'type', 'vxlan')
      t.match(JSON.stringify(ends), /"local":"10\.43\.0\./, 'its tunnel ends in the new pool')
    }
    const pods = fresh.map(({ pod, result }) => endpointOf(pod, result))
    t.ok((await pingAll(pods)).every(({ ok }) => ok))
    const place = ['--node', n1.name, '--socket', n1.socketPath, '--store', lab.storeUrl]
    const checked = await run(inNetns(n1.netns, [...TRIVIUM, 'ipam', 'check', ...place]))
    t.strictSame([checked.status, checked.stdout], [0, 'nothing is wrong (node n1)\n'])
  })
})
