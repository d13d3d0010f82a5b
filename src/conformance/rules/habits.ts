/**
 * How real runtimes call: containerd, kubelet, podman, CRI-O, cnitool.
 *
 * @module
 */
import type { Json } from '../../lab/json.ts'
import { differs, type Finding, fail, isAtLeast, pass, type Rule } from '../model.ts'
import { readResult } from '../result.ts'
import { answerOf, type Call, tellAnswer } from '../runtime.ts'
import type { CallOptions, Chain, World } from '../world.ts'
import { makesInterface, occupy } from './add.ts'

const subject = 'habits'
const level = 'habit'

const KUBERNETES =
  'K8S_POD_UID=4c1b2f6e;IgnoreUnknown=1;K8S_POD_INFRA_CONTAINER_ID=9f3a;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web-0'

/** Keys as containerd spells them. */
const CAPITALISED: Json = {
  portMappings: [{ HostPort: 8080, ContainerPort: 80, Protocol: 'tcp', HostIP: '' }],
  bandwidth: {
    IngressRate: 1_000_000,
    IngressBurst: 1_000_000,
    EgressRate: 1_000_000,
    EgressBurst: 1_000_000,
  },
  dns: { Servers: ['192.0.2.53'], Searches: [], Options: [] },
}

const left = async (
  world: World,
  before: Awaited<ReturnType<World['dump']>>,
  chains: readonly Chain[],
  evidence: string,
): Promise<Finding> => {
  const failed = chains.find(({ ok }) => !ok)
  if (failed !== undefined) return fail(failed.why)
  const lines = await world.since(before)
  return lines.length === 0 ? pass(evidence) : differs('left', lines)
}

/** ADD and DEL in a special manner, and nothing left. */
const served = (
  rule: Pick<Rule, 'id' | 'title' | 'source'> & Partial<Rule>,
  options: CallOptions,
): Rule => ({
  subject,
  level,
  ...rule,
  async check(world) {
    const before = await world.dump()
    const { attachment, why } = await world.tryAdd(await world.pod(), options)
    if (attachment === undefined) return fail(why)
    return left(world, before, [await world.del(attachment)], 'ADD and DEL are served')
  },
})

export const HABIT_RULES: readonly Rule[] = [
  {
    id: 'HAB-01',
    subject,
    level,
    title: 'six DELs a pod: with all there is, then without namespace and prevResult',
    source: 'kubelet with containerd',
    async check(world) {
      const before = await world.dump()
      const attachment = await world.add()
      const dels = [await world.del(attachment), await world.del(attachment)]
      await world.removePod(attachment.pod)
      for (let time = 0; time < 4; time++) {
        dels.push(await world.del(attachment, { env: { CNI_NETNS: '' }, prevResult: undefined }))
      }
      return left(world, before, dels, 'six DELs, nothing left')
    },
  },
  {
    id: 'HAB-03',
    subject,
    level,
    title: 'DELs of one container that overlap all succeed',
    source: 'kubelet',
    async check(world) {
      const before = await world.dump()
      const attachment = await world.add()
      const dels = await Promise.all([1, 2, 3].map(() => world.del(attachment)))
      return left(world, before, dels, 'three at once, nothing left')
    },
  },
  {
    id: 'HAB-04',
    subject,
    level,
    title: 'ADDs, then DELs, of eight containers at once',
    source: 'kubelet',
    async check(world) {
      const before = await world.dump()
      const made = await world.addAll(await world.pods(8))
      const given = made.flatMap(({ result }) =>
        readResult(result).ips.map(({ address }) => address),
      )
      const twice = given.find((address, index) => given.indexOf(address) !== index)
      if (twice !== undefined) return fail(`${twice} was given twice`)
      const dels = await Promise.all(made.map((attachment) => world.del(attachment)))
      return left(world, before, dels, `${given.length} addresses, nothing left`)
    },
  },
  {
    id: 'HAB-05',
    subject,
    level,
    title: 'a failed ADD, DEL at once without prevResult, ADD again with a new id',
    source: 'kubelet with containerd',
    applies: makesInterface,
    async check(world) {
      const before = await world.dump()
      const pod = await world.pod()
      await occupy(world, pod)
      await world.chain('ADD', pod)
      const first = await world.chain('DEL', pod)
      const again = await world.add()
      return left(world, before, [first, await world.del(again)], 'served, nothing left')
    },
  },
  served(
    {
      id: 'HAB-08',
      title: 'CNI_ARGS as Kubernetes runtimes send them',
      source: 'containerd, CRI-O',
    },
    { env: { CNI_ARGS: KUBERNETES } },
  ),
  {
    id: 'HAB-09',
    subject,
    level,
    title: 'runtimeConfig with capital letters',
    source: 'containerd',
    applies: ({ capabilities }) =>
      capabilities.some((key) => key in CAPITALISED)
        ? undefined
        : 'it declares none of portMappings, bandwidth, dns',
    async check(world) {
      // The first use of a capability may make what stays, as the first ADD may.
      world.spoil()
      const options = { runtimeConfig: CAPITALISED }
      await world.del(await world.add(undefined, options))
      const before = await world.dump()
      const attachment = await world.add(undefined, options)
      return left(world, before, [await world.del(attachment)], 'ADD and DEL are served')
    },
  },
  {
    id: 'HAB-11',
    subject,
    level,
    title: 'restart: DEL, then ADD with the same id and a new namespace',
    source: 'podman',
    async check(world) {
      const before = await world.dump()
      const first = await world.add()
      const del = await world.del(first)
      const { containerId } = first.pod
      const second = await world.add({ ...(await world.pod()), containerId })
      return left(world, before, [del, await world.del(second)], 'served, nothing left')
    },
  },
  {
    id: 'HAB-12',
    subject,
    level,
    title: 'after a reboot: DEL without namespace but with the old prevResult, then ADD',
    source: 'kubelet',
    async check(world) {
      const before = await world.dump()
      const first = await world.add()
      await world.removePod(first.pod)
      const del = await world.del(first, { env: { CNI_NETNS: '' } })
      const second = await world.add()
      return left(world, before, [del, await world.del(second)], 'served, nothing left')
    },
  },
  {
    id: 'HAB-13',
    subject,
    level,
    title: 'a plugin killed in the middle of ADD: DEL puts all right',
    source: 'a caller with a deadline',
    check: killed,
  },
  served(
    {
      id: 'HAB-14',
      title: 'standard input with sorted keys, escaped characters and keys nobody knows',
      source: 'containerd (JSON as Go writes it)',
    },
    {
      config: (config) => ({
        ...Object.fromEntries(Object.entries(config).sort(([a], [b]) => (a < b ? -1 : 1))),
        args: { text: '\u003ca\u003e \u0026 b' },
      }),
    },
  ),
  served(
    { id: 'HAB-15', title: 'variables of tracing', source: 'libcni' },
    {
      env: {
        TRACEPARENT: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
        TRACESTATE: 'a=1',
        BAGGAGE: 'b=2',
      },
    },
  ),
  {
    id: 'HAB-16',
    subject,
    level,
    title: 'two interfaces of one container: DEL of one leaves the other',
    source: 'Multus',
    applies: makesInterface,
    check: twoInterfaces,
  },
]

/** Parts of the time that the first ADD took. */
const MOMENTS = [0.1, 0.3, 0.5, 0.7, 0.9] as const

async function killed(world: World): Promise<Finding> {
  const before = await world.dump()
  const pods = await world.pods(MOMENTS.length)
  let died = 0
  for (const [index, moment] of MOMENTS.entries()) {
    const pod = pods[index]
    if (pod === undefined) continue
    const killAfterMs = moment * world.facts.addMs
    const call: Call = await world.call('ADD', pod, { killAfterMs })
    if (answerOf(call).kind === 'broken') died += 1
    const { ok, why } = await world.chain('DEL', pod)
    if (!ok) return fail(`after ${killAfterMs.toFixed(1)} ms: ${why}`)
  }
  const lines = await world.since(before)
  if (lines.length > 0) return differs('left', lines)
  return pass(`${died} of ${MOMENTS.length} died on the way, nothing left`)
}

async function twoInterfaces(world: World): Promise<Finding> {
  const first = await world.add()
  const before = await world.dump(first.pod)
  const second = await world.call('ADD', { ...first.pod, ifname: 'net1' })
  const answer = answerOf(second)
  if (answer.kind !== 'ok') {
    // A second default route, say, is a reason; both interfaces of one network is rare.
    await world.chain('DEL', { ...first.pod, ifname: 'net1' })
    const changes = await world.since(before, first.pod)
    return changes.length === 0
      ? pass(`refused: ${tellAnswer(second)}`.slice(0, 160))
      : differs('changed', changes)
  }
  const prevResult = isAtLeast(world.facts.version, '0.4.0') ? answer.object : undefined
  const { ok, why } = await world.chain('DEL', { ...first.pod, ifname: 'net1' }, { prevResult })
  if (!ok) return fail(why)
  const changes = await world.since(before, first.pod)
  return changes.length === 0 ? pass('eth0 as before') : differs('changed', changes)
}
