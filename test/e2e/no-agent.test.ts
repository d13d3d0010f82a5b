/**
 * The agent is away: ADD works inside the blocks that the node owns, DEL works
 * always, and whoever lacks something learns what.
 */
import { readFileSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import { compareDumps } from '../../src/lab/dump.ts'
import type { Lab, LabNode, LabPod } from '../../src/lab/lab.ts'
import { ping } from '../../src/lab/reach.ts'
import {
  added,
  type Cluster,
  cluster,
  errorOf,
  inUse,
  ipsOf,
  skip,
  snapshot,
  usage,
} from '../support/e2e.ts'

/** 16 blocks of 4 addresses, so that a node is soon full. */
const TINY = '10.43.0.0/26,block=30'

t.test('without the agent', { skip }, async (t) => {
  const world = await cluster(t, { pools: [TINY] })
  const { lab, agents } = world
  const [node] = lab.nodes
  if (node === undefined) throw new Error('There is no node')
  await t.test('files beside the socket are for root alone', (t) => modes(t, node))
  await Promise.all(agents.map((agent) => agent.stop()))
  const idle = await snapshot(lab)
  const pods: LabPod[] = []

  await t.test('ADD works until the own blocks are full', (t) => fill(t, lab, node, pods))
  await t.test('with the agent back, ADD works again', async () => {
    const agent = await lab.startAgent(node)
    const pod = await lab.addPod(node)
    await added(lab, pod)
    pods.push(pod)
    await agent.stop()
  })
  await t.test('DEL', async (t) => {
    for (const pod of pods) {
      const { status, stdout } = await lab.cni('DEL', pod)
      t.strictSame([status, stdout], [0, ''])
      await lab.removePod(pod)
    }
    t.equal(await inUse(lab), 0)
    const left = compareDumps(idle, await snapshot(lab)).filter((line) => !isBlock(line))
    t.strictSame(left, [], 'nothing but the new block is left')
  })
  await t.test('which node is this?', (t) => identities(t, world, node))
  await t.test('a store that is not there', (t) => stores(t, lab, node))
})

/** Blocks stay with their node, and so do their routes. */
const isBlock = (line: string): boolean =>
  line.includes('"grouping":"Block"') || /route .*(blackhole|gateway)/.test(line)

function modes(t: Test, { socketPath }: LabNode): void {
  const mode = (path: string): string => (statSync(path).mode & 0o777).toString(8)
  t.equal(mode(socketPath), '600', 'the socket')
  t.equal(mode(dirname(socketPath)), '700', 'its folder')
  const nodeFile = join(dirname(socketPath), 'node.json')
  t.equal(mode(nodeFile), '600', 'node.json')
  t.match(JSON.parse(readFileSync(nodeFile, 'utf8')), { node: 'n1', underlay: 'eth0' })
  t.end()
}

async function fill(t: Test, lab: Lab, node: LabNode, pods: LabPod[]): Promise<void> {
  const blocks = (await usage(lab)).filter(({ node: owner }) => owner === node.name)
  const most = blocks.length * 4
  for (;;) {
    const pod = await lab.addPod(node)
    const before = await snapshot(lab)
    const finished = await lab.cni('ADD', pod)
    if (finished.status === 0) {
      pods.push(pod)
      if (pods.length > most) throw new Error(`${pods.length} ADDs in ${most} addresses`)
      continue
    }
    const error = errorOf(finished)
    t.equal(error.code, 11, 'try again later')
    t.match(error.msg, /network pods.*node n1 uses \d+ of \d+ addresses.*block/)
    t.strictSame(compareDumps(before, await snapshot(lab)), [], 'nothing has leaked')
    await lab.removePod(pod)
    break
  }
  t.ok(pods.length >= 2, `${pods.length} pods before`)
  t.equal(await inUse(lab), pods.length)
}

async function identities(t: Test, { lab }: Cluster, node: LabNode): Promise<void> {
  const nodeFile = join(dirname(node.socketPath), 'node.json')
  const aside = `${nodeFile}.aside`
  const pod = await lab.addPod(node)
  const before = await snapshot(lab)
  renameSync(nodeFile, aside)
  const error = errorOf(await lab.cni('ADD', pod))
  t.equal(error.code, 7, 'without node.json')
  t.match(`${error.msg} ${error.details}`, /node\.json.*TRIVIUM_NODE/)
  const stranger = errorOf(await lab.cni('ADD', pod, {}, { TRIVIUM_NODE: 'nobody' }))
  t.match(stranger.msg, /nobody/, 'a node that no agent registered')
  t.strictSame(compareDumps(before, await snapshot(lab)), [], 'nothing was made')

  const result = await added(lab, pod, {}, { TRIVIUM_NODE: 'n1' })
  t.ok((await ping(node.netns, ipsOf(result)[0] ?? '')).ok, 'TRIVIUM_NODE says it instead')
  t.equal((await lab.cni('DEL', pod, {}, { TRIVIUM_NODE: 'n1' })).status, 0)
  renameSync(aside, nodeFile)

  const good = readFileSync(nodeFile)
  writeFileSync(nodeFile, '{"node":')
  const broken = errorOf(await lab.cni('ADD', pod))
  t.equal(broken.code, 7, 'a node.json that is cut short')
  t.match(broken.msg, nodeFile)
  writeFileSync(nodeFile, good)
  t.strictSame(compareDumps(before, await snapshot(lab)), [], 'nothing was made')
  await lab.removePod(pod)
}

async function stores(t: Test, lab: Lab, node: LabNode): Promise<void> {
  const pod = await lab.addPod(node)
  const before = await snapshot(lab)
  const missing = `lmdb:${join(lab.dir, 'no', 'store')}`
  // One that is not there may come with its agent; a URL that is none stays so.
  for (const [store, named, code] of [
    [missing, join(lab.dir, 'no', 'store'), 11],
    ['lmdb:relative', 'lmdb:relative', 7],
    ['cloud:somewhere', 'cloud:somewhere', 7],
  ] as const) {
    const error = errorOf(await lab.cni('ADD', pod, { store }))
    t.equal(error.code, code, store)
    t.match(`${error.msg} ${error.details}`, named, `${store}: named in the error`)
  }
  t.throws(() => statSync(join(lab.dir, 'no')), { code: 'ENOENT' }, 'no store was made')
  t.strictSame(compareDumps(before, await snapshot(lab)), [], 'nothing was made')
  await lab.removePod(pod)

  const agent = await lab.startAgent(node)
  const error = errorOf(await lab.cni('ADD', pod, { store: missing }))
  t.equal(error.code, 7, 'the agent does not serve another store')
  t.match(error.msg, missing)
  await agent.stop()
}
