/**
 * Many calls at once: no address twice, none lost, and nothing left.
 */
import t, { type Test } from 'tap'
import { compareDumps } from '../../src/lab/dump.ts'
import type { Lab, LabPod } from '../../src/lab/lab.ts'
import { pingAll } from '../../src/lab/reach.ts'
import {
  type Cluster,
  cluster,
  converged,
  endpointOf,
  errorOf,
  inUse,
  ipsOf,
  type Result,
  resultOf,
  skip,
  sleep,
  snapshot,
  usage,
} from '../support/e2e.ts'

const CALLS = 40
/** Two blocks of 62 and more addresses hold them; small ones make claims race. */
const POOLS = ['10.44.0.0/22,block=28', 'fd44::/116,block=124']

type Env = Readonly<Record<string, string>>

t.test('many calls at once', { skip }, async (t) => {
  const world = await cluster(t, { pools: POOLS })
  const { lab } = world
  // The first round claims blocks; from the second one on, the nodes stay the same.
  await round(t, world, 'by the agents', () => ({}))
  const before = await snapshot(lab)
  await round(t, world, 'by the agents again', () => ({}))
  t.strictSame(compareDumps(before, await snapshot(lab)), [], 'as before')

  await round(
    t,
    world,
    'half by the agents, half by the Node entry',
    (index): Env => (index % 4 < 2 ? {} : { TRIVIUM_NO_AGENT: '1' }),
  )
  // A round of the agent may meet a DEL of another process, and put guards back that it took; the next one sees.
  for (let look = 0; look < 8; look++) {
    if (compareDumps(before, await snapshot(lab)).length === 0) break
    await sleep(2000)
  }
  t.strictSame(compareDumps(before, await snapshot(lab)), [], 'as before, after a repair')

  await t.test('ADD and DEL of one container overlap', (t) => overlap(t, lab))
  t.strictSame(compareDumps(before, await snapshot(lab)), [], 'as before')
})

async function podsOn(lab: Lab, count: number): Promise<readonly LabPod[]> {
  const pods: LabPod[] = []
  for (let index = 0; index < count; index++) {
    const node = lab.nodes[index % lab.nodes.length]
    if (node !== undefined) pods.push(await lab.addPod(node))
  }
  return pods
}

/** ADDs all at once, then DELs all at once, each container three times over. */
function round(
  t: Test,
  { lab }: Cluster,
  title: string,
  envOf: (index: number) => Env,
): Promise<unknown> {
  return t.test(title, async (t) => {
    const pods = await podsOn(lab, CALLS)
    const results = await Promise.all(
      pods.map(async (pod, index): Promise<Result> => {
        const finished = await lab.cni('ADD', pod, {}, envOf(index))
        // Without the agent, a full node is told to come back.
        if (finished.status === 0 || errorOf(finished).code !== 11) return resultOf(finished)
        return resultOf(await lab.cni('ADD', pod))
      }),
    )
    const addresses = results.flatMap(ipsOf)
    t.equal(new Set(addresses).size, 2 * CALLS, 'no address twice')
    t.equal(await inUse(lab), 2 * CALLS, 'the store counts the same')
    t.strictSame(await strangers(lab, pods, results), [], "each is of its own node's blocks")
    await converged(lab)
    const some = [0, 1, 2, 3].map((index) =>
      endpointOf(pods[index] as LabPod, results[index] as Result),
    )
    const reached = await pingAll(some)
    t.strictSame(
      reached.filter(({ ok }) => !ok),
      [],
      'pods of both nodes reach each other',
    )
    const dels = await Promise.all(
      pods.flatMap((pod, index) => [
        lab.cni('DEL', pod, {}, envOf(index)),
        lab.cni('DEL', { ...pod, netnsPath: '' }, {}, envOf(index + 1)),
      ]),
    )
    t.strictSame(
      dels.filter(({ status, stdout }) => status !== 0 || stdout !== ''),
      [],
      `${dels.length} DELs, two of each container at once`,
    )
    t.equal(await inUse(lab), 0, 'no address is left')
    for (const pod of pods) await lab.removePod(pod)
  })
}

/** Addresses outside the blocks of the node they are on. */
async function strangers(
  lab: Lab,
  pods: readonly LabPod[],
  results: readonly Result[],
): Promise<readonly string[]> {
  const blocks = (await usage(lab)).filter(({ grouping }) => grouping === 'Block')
  const owners = new Map(blocks.map(({ cidr, node }) => [cidr.split('/')[0], node]))
  return pods.flatMap((pod, index) =>
    ipsOf(results[index] as Result).filter(
      (address) => owners.get(firstOf(address)) !== pod.node.name,
    ),
  )
}

/** The network address of the block of 16 that holds the address. */
function firstOf(address: string): string {
  if (!address.includes(':')) {
    const [a, b, c, d] = address.split('.')
    return `${a}.${b}.${c}.${Number(d) & 0xf0}`
  }
  const low = Number.parseInt(address.split('::')[1] ?? '', 16) & 0xfff0
  return low === 0 ? 'fd44::' : `fd44::${low.toString(16)}`
}

async function overlap(t: Test, lab: Lab): Promise<void> {
  const pods = await podsOn(lab, 8)
  for (let time = 0; time < 3; time++) {
    const finished = await Promise.all(
      pods.flatMap((pod, index) => {
        const env: Env = index % 2 === 0 ? {} : { TRIVIUM_NO_AGENT: '1' }
        return [lab.cni('ADD', pod), lab.cni('DEL', pod, {}, env), lab.cni('DEL', pod)]
      }),
    )
    for (const [index, { status, stdout }] of finished.entries()) {
      if (index % 3 === 0) continue
      t.strictSame([status, stdout], [0, ''], 'DEL succeeds, whatever ADD is at')
    }
    await Promise.all(pods.map((pod) => lab.cni('DEL', pod)))
    t.equal(await inUse(lab), 0, 'no address is left')
  }
  for (const pod of pods) await lab.removePod(pod)
}
