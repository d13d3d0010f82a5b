/**
 * DEL: all of it, always, and nothing of anybody else.
 *
 * @module
 */
import { compareDumps } from '../../lab/dump.ts'
import { differs, type Finding, fail, notApplicable, pass, type Rule } from '../model.ts'
import { tellAnswer } from '../runtime.ts'
import type { CallOptions, Chain, Pod, World } from '../world.ts'
import { makesInterface, occupy } from './add.ts'
import { delegateCalls, hasDelegate, withDelegate } from './delegate.ts'
import { exhaust, TOO_MANY } from './exhaust.ts'

const subject = 'DEL'

/** DELs that must succeed, and after them the node as it was. */
async function clears(
  world: World,
  before: Awaited<ReturnType<World['dump']>>,
  dels: readonly Chain[],
  evidence: string,
): Promise<Finding> {
  const failed = dels.find(({ ok }) => !ok)
  if (failed !== undefined) return fail(failed.why)
  const left = await world.since(before)
  return left.length === 0 ? pass(evidence) : differs('left', left)
}

/** ADD, and a DEL with something missing. */
const lenient = (
  rule: Pick<Rule, 'id' | 'title' | 'source'>,
  options: CallOptions,
  prepare?: (world: World, pod: Pod) => Promise<unknown>,
): Rule => ({
  ...rule,
  subject,
  level: 'MUST',
  async check(world) {
    const before = await world.dump()
    const attachment = await world.add()
    await prepare?.(world, attachment.pod)
    return clears(world, before, [await world.del(attachment, options)], 'nothing left')
  },
})

export const DEL_RULES: readonly Rule[] = [
  {
    id: 'DEL-01',
    subject,
    title: 'takes away all that ADD made, on the node, in the pod and on disk',
    level: 'MUST',
    source: 'SPEC 2 DEL',
    async check(world) {
      const pod = await world.pod()
      const [node, inside] = [await world.dump(), await world.dump(pod)]
      const attachment = await world.add(pod)
      const { ok, why } = await world.del(attachment)
      if (!ok) return fail(why)
      const left = [...(await world.since(node)), ...(await world.since(inside, pod))]
      return left.length === 0 ? pass('both dumps as before') : differs('left', left)
    },
  },
  lenient(
    { id: 'DEL-02', title: 'works without CNI_NETNS, and leaves nothing', source: 'SPEC 2 DEL' },
    { env: { CNI_NETNS: '' } },
    (world, pod) => world.removePod(pod),
  ),
  lenient(
    { id: 'DEL-02.gone', title: 'works when the namespace is gone', source: 'SPEC 2 DEL' },
    {},
    (world, pod) => world.removePod(pod),
  ),
  lenient(
    { id: 'DEL-03', title: 'works without prevResult', source: 'SPEC 2 DEL' },
    { prevResult: undefined },
  ),
  {
    id: 'DEL-04',
    subject,
    title: 'works twice, and for a container that was never added',
    level: 'MUST',
    source: 'SPEC 2 DEL',
    async check(world) {
      const before = await world.dump()
      const never = await world.chain('DEL', await world.pod())
      const attachment = await world.add()
      const dels = [never, await world.del(attachment), await world.del(attachment)]
      return clears(world, before, dels, 'three DELs, nothing left')
    },
  },
  {
    id: 'DEL-05',
    subject,
    title: 'works after an ADD that failed',
    level: 'MUST',
    source: 'SPEC 2 DEL',
    applies: makesInterface,
    async check(world) {
      const before = await world.dump()
      const pod = await world.pod()
      await occupy(world, pod)
      await world.chain('ADD', pod)
      return clears(world, before, [await world.chain('DEL', pod)], 'nothing left')
    },
  },
  {
    id: 'DEL-06',
    subject,
    title: "an error of the delegate's DEL is passed on",
    level: 'MUST',
    source: 'SPEC 4',
    applies: hasDelegate,
    async check(world) {
      const { pod, result } = await world.add()
      const options = { ...(await withDelegate(world, { failing: 'DEL' })), prevResult: result }
      const call = await world.call('DEL', pod, options)
      return call.exitStatus === 0
        ? fail('exit status 0 although the delegate failed')
        : pass(tellAnswer(call).slice(0, 160))
    },
  },
  {
    id: 'DEL-07',
    subject,
    title: 'the delegate is asked although the namespace is gone',
    level: 'MUST',
    source: 'SPEC 4',
    applies: hasDelegate,
    async check(world) {
      const { pod } = await world.add()
      await world.removePod(pod)
      const options = await withDelegate(world, {})
      const call = await world.call('DEL', pod, {
        ...options,
        env: { ...options.env, CNI_NETNS: '' },
      })
      if (call.exitStatus !== 0) return fail(tellAnswer(call))
      const calls = await delegateCalls(world)
      return calls.includes(`DEL ${pod.containerId}`) ? pass('it was') : fail('it was not asked')
    },
  },
  {
    id: 'DEL-08',
    subject,
    title: 'works when the underlay link is gone',
    level: 'SHOULD',
    source: 'a network card that was taken out',
    async check(world) {
      const { pod, result } = await world.add()
      world.spoil()
      await world.ip(undefined, 'link', 'del', 'eth0')
      const { ok, why } = await world.chain('DEL', pod, { prevResult: result })
      if (!ok) return fail(why)
      const inside = await world.dump(pod)
      const isLeft = inside.links.some(({ name }) => name === pod.ifname)
      return isLeft ? fail(`${pod.ifname} is still in the pod`) : pass('served')
    },
  },
  {
    id: 'DEL-12',
    subject,
    title: 'gives addresses back: a pool used up serves again after DELs',
    level: 'MUST',
    source: 'SPEC 2 DEL, 4',
    async check(world) {
      const { attachments, refusal } = await exhaust(world)
      if (refusal === undefined) return notApplicable(TOO_MANY)
      const dels = await Promise.all(attachments.map((attachment) => world.del(attachment)))
      const failed = dels.find(({ ok }) => !ok)
      if (failed !== undefined) return fail(failed.why)
      const again = await world.tryAdd(await world.pod())
      const count = attachments.length
      return again.ok ? pass(`${count} addresses back`) : fail(`after ${count} DELs: ${again.why}`)
    },
  },
  {
    id: 'DEL-11',
    subject,
    title: 'leaves every other container alone',
    level: 'MUST',
    source: 'SPEC 2 DEL',
    async check(world) {
      const staying = await world.add()
      const [node, inside] = [await world.dump(), await world.dump(staying.pod)]
      const attachment = await world.add()
      const { ok, why } = await world.del(attachment)
      if (!ok) return fail(why)
      const changes = [
        ...(await world.since(node)),
        ...compareDumps(inside.lines, (await world.dump(staying.pod)).lines),
      ]
      return changes.length === 0 ? pass('both dumps as before') : differs('changed', changes)
    },
  },
]
