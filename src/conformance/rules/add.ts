/**
 * ADD: what it says is there, and nothing else; failures leave nothing.
 *
 * @module
 */
import { compareDumps } from '../../lab/dump.ts'
import {
  differs,
  type Facts,
  type Finding,
  fail,
  notApplicable,
  pass,
  type Rule,
} from '../model.ts'
import { readResult, shapeFaults } from '../result.ts'
import { tellAnswer } from '../runtime.ts'
import type { Pod, World } from '../world.ts'
import { delegateCalls, hasDelegate, withDelegate } from './delegate.ts'
import { exhaust, TOO_MANY } from './exhaust.ts'
import { nodeFaults, podFaults, unsaidInPod } from './truth.ts'

const subject = 'ADD'

export const makesInterface = ({ hasInterfaces, broken }: Facts): string | undefined =>
  hasInterfaces || broken !== undefined ? undefined : 'it makes no interface: an IPAM plugin'

const judged = (faults: readonly string[], evidence: string): Finding =>
  faults.length === 0 ? pass(evidence) : fail(faults[0] ?? '', faults)

const same = (lines: readonly string[], evidence: string): Finding =>
  lines.length === 0 ? pass(evidence) : differs('changed', lines)

/** Puts a link of the name that ADD will want into the pod. */
export const occupy = (world: World, pod: Pod): Promise<string> =>
  world.ip(pod, 'link', 'add', pod.ifname, 'type', 'veth', 'peer', 'name', 'other0')

export const ADD_RULES: readonly Rule[] = [
  {
    id: 'ADD-01',
    subject,
    title: 'the interface, addresses and routes of the result are in the pod',
    level: 'MUST',
    source: 'SPEC 2 ADD, 5 Success',
    async check(world) {
      const pod = await world.pod()
      const { attachment, why } = await world.tryAdd(pod)
      if (attachment === undefined) return fail(why)
      const read = readResult(attachment.result)
      const addresses = read.ips.map(({ address }) => address).join(' ')
      if (!world.facts.hasInterfaces)
        return judged(addresses === '' ? ['no address'] : [], addresses)
      const names = read.interfaces.map(({ name }) => name)
      const faults = names.includes(pod.ifname) ? [] : [`no interface ${pod.ifname} in the result`]
      const untrue = podFaults(world, read, await world.dump(pod))
      return judged([...faults, ...untrue], `${names.join(' ')} ${addresses}`)
    },
  },
  {
    id: 'ADD-02',
    subject,
    title: 'an interface of that name in the container: ADD fails and leaves it alone',
    level: 'MUST',
    source: 'SPEC 2 ADD',
    applies: makesInterface,
    async check(world) {
      const pod = await world.pod()
      await occupy(world, pod)
      const before = await world.dump(pod)
      const { ok } = await world.tryAdd(pod)
      if (ok) return fail('exit status 0, wanted a refusal')
      const changes = compareDumps(before.lines, (await world.dump(pod)).lines)
      return same(changes, 'refused, the interface is as it was')
    },
  },
  {
    id: 'ADD-03',
    subject,
    title: 'a repeated ADD changes nothing of the first',
    level: 'MUST',
    source: 'SPEC 2 ADD; host-local',
    async check(world) {
      const { pod } = await world.add()
      const [node, inside] = [await world.dump(), await world.dump(pod)]
      const { ok } = await world.chain('ADD', pod)
      const changes = [...(await world.since(node)), ...(await world.since(inside, pod))]
      return same(changes, ok ? 'answered, nothing changed' : 'refused, nothing changed')
    },
  },
  {
    id: 'ADD-04',
    subject,
    title: 'a chained plugin passes on what it was given',
    level: 'MUST',
    source: 'SPEC 2 ADD',
    applies: ({ plugins }) => (plugins.length > 1 ? undefined : 'a list of one plugin'),
    check: passesOn,
  },
  {
    id: 'ADD-05',
    subject,
    title: "the result lists every interface made, the pod's with its sandbox",
    level: 'MUST',
    source: 'SPEC 5 Success',
    applies: makesInterface,
    async check(world) {
      const pod = await world.pod()
      const before = await world.dump()
      const { result } = await world.add(pod)
      const read = readResult(result)
      const sandboxes = read.interfaces.flatMap(({ name, sandbox }) =>
        sandbox === undefined || sandbox === pod.netnsPath
          ? []
          : [`sandbox of ${name} is ${sandbox}, CNI_NETNS is ${pod.netnsPath}`],
      )
      const faults = nodeFaults(read, before, await world.dump())
      return judged([...sandboxes, ...faults], read.interfaces.map(({ name }) => name).join(' '))
    },
  },
  {
    id: 'ADD-06',
    subject,
    title: 'every address names its interface by an index that exists',
    level: 'MUST',
    source: 'SPEC 5 Success',
    applies: makesInterface,
    since: '0.3.0',
    async check(world) {
      const { result } = await world.add()
      const { ips } = readResult(result)
      const faults = shapeFaults(result, world.facts.version)
      const unnamed = ips.filter((ip) => ip.interface === undefined)
      const missing = unnamed.map(({ address }) => `${address} names no interface`)
      return judged([...faults, ...missing], `${ips.length} addresses`)
    },
  },
  {
    id: 'ADD-07',
    subject,
    title: 'the result of an IPAM plugin names no interfaces',
    level: 'MUST',
    source: 'SPEC 4 Delegated plugins',
    applies: ({ hasInterfaces }) => (hasInterfaces ? 'it is no IPAM plugin' : undefined),
    async check(world) {
      const { interfaces, ips } = readResult((await world.add()).result)
      const named = ips.filter((ip) => ip.interface !== undefined)
      return judged(
        [...interfaces.map(({ name }) => name), ...named.map(({ address }) => address)],
        `${ips.length} addresses and no interfaces`,
      )
    },
  },
  {
    id: 'ADD-08',
    subject,
    title: "when the delegate's ADD fails, its DEL is called and the failure passed on",
    level: 'SHOULD',
    source: 'SPEC 4',
    applies: hasDelegate,
    async check(world) {
      const pod = await world.pod()
      const before = await world.dump()
      const options = await withDelegate(world, { failing: 'ADD' })
      const call = await world.call('ADD', pod, options)
      if (call.exitStatus === 0) return fail('exit status 0 although the delegate failed')
      const calls = await delegateCalls(world)
      if (!calls.includes(`DEL ${pod.containerId}`))
        return fail(`the delegate saw ${calls.join(', ') || 'nothing'}, wanted a DEL at last`)
      return same(await world.since(before), tellAnswer(call).slice(0, 160))
    },
  },
  {
    id: 'ADD-09',
    subject,
    title: 'an ADD that fails after its addresses were given gives them back',
    level: 'MUST',
    source: 'SPEC 4',
    applies: makesInterface,
    async check(world) {
      const pod = await world.pod()
      await occupy(world, pod)
      const before = await world.dump()
      const calls = world.facts.delegate === undefined ? undefined : await withDelegate(world, {})
      const call = await world.call('ADD', pod, calls)
      if (call.exitStatus === 0) return fail('exit status 0 although the interface exists')
      return same(await world.since(before), 'nothing is left on the node')
    },
  },
  {
    id: 'ADD-11',
    subject,
    title: 'a delegate that gives no address makes ADD fail',
    level: 'SHOULD',
    source: 'main plugins of containernetworking',
    applies: hasDelegate,
    async check(world) {
      const pod = await world.pod()
      const call = await world.call('ADD', pod, await withDelegate(world, { empty: true }))
      return call.exitStatus === 0
        ? fail('exit status 0, wanted a refusal')
        : pass(tellAnswer(call).slice(0, 160))
    },
  },
  {
    id: 'ADD-12',
    subject,
    title: 'different containers get different addresses',
    level: 'MUST',
    source: 'SPEC 4 IPAM',
    applies: ({ result }) =>
      result === undefined || readResult(result).ips.length > 0
        ? undefined
        : 'it gives no addresses',
    async check(world) {
      const made = await world.addAll(await world.pods(4))
      const given = made.flatMap(({ result }) =>
        readResult(result).ips.map(({ address }) => address),
      )
      const twice = given.filter((address, index) => given.indexOf(address) !== index)
      const gateways = made.flatMap(({ result }) =>
        readResult(result).ips.map(({ gateway }) => gateway),
      )
      const wrong = given.filter((address) => gateways.includes(address.split('/')[0]))
      return judged(
        [
          ...twice.map((ip) => `${ip} was given twice`),
          ...wrong.map((ip) => `${ip} is the gateway`),
        ],
        given.join(' '),
      )
    },
  },
  {
    id: 'ADD-13',
    subject,
    title: 'the pod holds no interface or address that the result does not name',
    level: 'MUST',
    source: 'SPEC 5 Success',
    applies: makesInterface,
    async check(world) {
      const pod = await world.pod()
      const before = await world.dump(pod)
      const { result } = await world.add(pod)
      const unsaid = unsaidInPod(readResult(result), before, await world.dump(pod))
      return judged(
        unsaid.map((what) => `${what} is not in the result`),
        'none',
      )
    },
  },
  {
    id: 'ADD-14',
    subject,
    title: 'an ADD that finds no free address fails and leaves nothing',
    level: 'SHOULD',
    source: 'SPEC 2 ADD',
    async check(world) {
      const { refusal } = await exhaust(world)
      if (refusal === undefined) return notApplicable(TOO_MANY)
      const pod = await world.pod()
      const [node, inside] = [await world.dump(), await world.dump(pod)]
      const { ok, why } = await world.chain('ADD', pod)
      if (ok) return fail('an address was free after one ADD was refused')
      const left = [...(await world.since(node)), ...(await world.since(inside, pod))]
      return same(left, why.slice(0, 160))
    },
  },
]

async function passesOn(world: World): Promise<Finding> {
  const { calls, attachment, why } = await world.tryAdd(await world.pod())
  if (attachment === undefined) return fail(why)
  const steps = calls.map(({ stdout, plugin }) => ({ stdout, plugin }))
  let earlier: ReturnType<typeof readResult> | undefined
  for (const { stdout, plugin } of steps) {
    const now = readResult(JSON.parse(stdout))
    const lost = [
      ...(earlier?.interfaces ?? [])
        .map(({ name }) => name)
        .filter((name) => !now.interfaces.some((each) => each.name === name)),
      ...(earlier?.ips ?? [])
        .map(({ address }) => address)
        .filter((address) => !now.ips.some((each) => each.address === address)),
    ]
    if (lost.length > 0) return fail(`${plugin} lost ${lost.join(', ')}`)
    earlier = now
  }
  return pass(`${steps.map(({ plugin }) => plugin).join(', ')}: nothing lost`)
}
