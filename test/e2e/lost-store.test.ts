/** A store that is lost under running pods: nobody's address is given again, and everything is found back. */
import '../support/on-disk.ts'
import { execFileSync } from 'node:child_process'
import { copyFileSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import { compareDumps } from '../../src/lab/dump.ts'
import type { LabAgent, LabNode, LabPod } from '../../src/lab/lab.ts'
import { pingAll } from '../../src/lab/reach.ts'
import {
  added,
  cli,
  cluster,
  converged,
  dumps,
  endpointOf,
  errorOf,
  inUse,
  ipsOf,
  type Result,
  skip,
  warm,
} from '../support/e2e.ts'

t.setTimeout(300_000)

/** On the first node; one more is on the second. */
const PODS = 5

t.test('a store that is lost under running pods', { skip, timeout: 300_000 }, async (t) => {
  const { lab, nodes, agents: first } = await cluster(t)
  const [node, other] = nodes as readonly [LabNode, LabNode]
  const store = lab.storeUrl.replace(/^lmdb:/, '')
  const data = join(store, 'data.mdb')
  await warm(lab)
  const pods: LabPod[] = []
  const results: Result[] = []
  for (let n = 0; n <= PODS; n++) {
    const pod = await lab.addPod(n === PODS ? other : node)
    pods.push(pod)
    results.push(await added(lab, pod))
  }
  await converged(lab)
  const good = await dumps(lab)
  const used = await inUse(lab)
  let agents: readonly LabAgent[] = first

  const stop = async (): Promise<void> => {
    for (const agent of agents) await agent.stop()
    agents = []
  }
  const start = async (t: Test): Promise<void> => {
    agents = await Promise.all(nodes.map((each) => lab.startAgent(each)))
    t.match(agents[0]?.log(), new RegExp(`"event":"rebuilt","pods":${PODS}`))
    t.match(agents[1]?.log(), /"event":"rebuilt","pods":1/)
    await converged(lab)
    t.strictSame(compareDumps(good, await dumps(lab)), [], 'no kernel has changed')
    t.equal(await inUse(lab), used, 'each address is in use')
  }
  /** Some new pods, none with an address that another has. */
  const addsNobodyTwice = async (t: Test): Promise<void> => {
    const seen = new Set(results.flatMap(ipsOf))
    const fresh: LabPod[] = []
    for (let n = 0; n < 3; n++) {
      const pod = await lab.addPod(node)
      fresh.push(pod)
      for (const ip of ipsOf(await added(lab, pod))) {
        t.notOk(seen.has(ip), `${ip} is given once`)
        seen.add(ip)
      }
    }
    for (const pod of fresh) {
      t.equal((await lab.cni('DEL', pod)).status, 0)
      await lab.removePod(pod)
    }
  }

  await t.test('removed with its folder', async (t) => {
    await stop()
    rmSync(store, { recursive: true })
    const { code, msg, details } = errorOf(await lab.cni('ADD', await lab.addPod(node)))
    t.equal(code, 11, 'to be asked again: the agent will make it')
    t.match(msg, /Cannot open store \S+: there is none.* and the agent of node n\d is not running/)
    t.match(details, /^Start the agent: it makes the store/)
    const asked = await lab.cni('STATUS', await lab.addPod(node), { cniVersion: '1.1.0' })
    t.equal(errorOf(asked).code, 50)
    t.notOk(existsSync(data))
    await start(t)
    for (const [index, result] of results.entries()) {
      for (const ip of ipsOf(result)) {
        const { stdout } = await cli('ipam', 'show', '--ip', ip, '--store', lab.storeUrl)
        t.match(stdout, `container ${pods[index]?.containerId} eth0 on node n`)
      }
    }
    const check = await cli('ipam', 'check', '--store', lab.storeUrl)
    t.equal(check.status, 0, check.stdout + check.stderr)
    await addsNobodyTwice(t)
    const endpoints = pods.map((pod, index) => endpointOf(pod, results[index] as Result))
    t.ok(
      (await pingAll(endpoints)).every(({ ok }) => ok),
      'every pod reaches every other',
    )
  })
  await t.test('zeros in its file, then an empty one in its place', async (t) => {
    await stop()
    const zeros = Buffer.alloc(readFileSync(data).length)
    writeFileSync(data, zeros)
    const before = await dumps(lab)
    const told = /data\.mdb has zeros in page 0, wanted a description of the rest there/
    await t.rejects(lab.startAgent(node), told)
    const { code, msg, details } = errorOf(await lab.cni('DEL', pods[0] as LabPod))
    t.equal(code, 102)
    t.match(msg, told)
    t.strictSame(compareDumps(before, await dumps(lab)), [], 'nothing is removed')
    t.ok(readFileSync(data).equals(zeros), 'nor written')
    const [, command = ''] = /\((mv [^)]*)\)/.exec(details) ?? []
    execFileSync('sh', ['-c', command])
    t.ok(readFileSync(`${data}.damaged`).equals(zeros), 'moved aside as it says')
    writeFileSync(data, '')
    await start(t)
  })
  await t.test('an older copy in its place', async (t) => {
    await stop()
    const aside = join(lab.dir, 'aside.mdb')
    copyFileSync(data, aside)
    let agent = await lab.startAgent(node)
    t.notMatch(agent.log(), /rebuilt/, 'nothing was lost yet')
    const pod = await lab.addPod(node)
    const result = await added(lab, pod)
    await agent.stop()
    copyFileSync(aside, data)
    agent = await lab.startAgent(node)
    t.match(agent.log(), new RegExp(`"event":"rebuilt","pods":${PODS + 1}`))
    const { stdout } = await cli(
      'ipam',
      'show',
      '--ip',
      `${ipsOf(result)[0]}`,
      '--store',
      lab.storeUrl,
    )
    t.match(stdout, `container ${pod.containerId} eth0 on node n1`)
    await addsNobodyTwice(t)
    t.equal((await lab.cni('DEL', pod)).status, 0)
    await agent.stop()
  })
  await t.test('gone with the copy of its networks', async (t) => {
    rmSync(store, { recursive: true })
    for (const { socketPath } of nodes) rmSync(join(dirname(socketPath), 'cluster.json'))
    const before = await dumps(lab)
    await t.rejects(
      lab.startAgent(node),
      new RegExp(`${PODS} pods of network pods run here, and it knows no such network`),
    )
    t.strictSame(compareDumps(before, await dumps(lab)), [], 'nothing is removed')
    const pools = ['--pool', '10.42.0.0/16', '--pool', 'fd42::/112']
    await lab.trivium('network', 'create', 'pods', ...pools, '--store', lab.storeUrl)
    await start(t)
    await addsNobodyTwice(t)
  })
  for (const pod of pods) t.equal((await lab.cni('DEL', pod)).status, 0)
  t.equal(await inUse(lab), 0, 'DEL gives everything back')
  await stop()
})
