/**
 * STATUS and GC, the verbs of 1.1.0, by what they do.
 *
 * @module
 */
import { compareDumps } from '../../lab/dump.ts'
import { differs, type Finding, fail, notApplicable, pass, type Rule, silentOk } from '../model.ts'
import { answerOf, tellAnswer } from '../runtime.ts'
import type { Attachment, Pod, World } from '../world.ts'
import { delegateCalls, hasDelegate, withDelegate } from './delegate.ts'
import { exhaust, TOO_MANY } from './exhaust.ts'

const since = '1.1.0'
const NOT_AVAILABLE = [50, 51]

/** Refused with code 1 in the version before. */
const gate = (id: string, subject: 'STATUS' | 'GC'): Rule => ({
  id,
  subject,
  title: 'refused with code 1 below 1.1.0',
  level: 'MUST',
  source: `SPEC 2 ${subject}`,
  since,
  applies: ({ versions }) => (versions.includes('1.0.0') ? undefined : 'it does not speak 1.0.0'),
  async check(world) {
    const call = await world.call(subject, undefined, { version: '1.0.0', validAttachments: [] })
    const answer = answerOf(call)
    const isRight = answer.kind === 'error' && answer.code === 1
    return isRight ? pass(answer.msg) : fail(`${tellAnswer(call)}, wanted code 1`)
  },
})

const keyOf = ({ containerId, ifname }: Pod) => ({ containerID: containerId, ifname })

const collect = (world: World, valid: readonly Attachment[]) =>
  world.chain('GC', undefined, { validAttachments: valid.map(({ pod }) => keyOf(pod)) })

/** An attachment whose DEL never comes: its namespace is gone. */
async function leak(world: World): Promise<Attachment> {
  const attachment = await world.add()
  await world.removePod(attachment.pod)
  return attachment
}

export const STATUS_RULES: readonly Rule[] = [
  gate('ST-01', 'STATUS'),
  {
    id: 'ST-02',
    subject: 'STATUS',
    title: 'exit status 0 while ADD can be served, with nothing but a command and a path',
    level: 'MUST',
    source: 'SPEC 2 STATUS',
    since,
    applies: ({ daemonStopped }) =>
      daemonStopped ? 'a daemon that it relies on is stopped' : undefined,
    async check(world) {
      const { ok, why } = await world.chain('STATUS', undefined)
      return ok ? pass('exit status 0') : fail(why)
    },
  },
  {
    id: 'ST-02.daemon',
    subject: 'STATUS',
    title: 'code 50 or 51 while a daemon that it relies on is stopped',
    level: 'SHOULD',
    source: 'SPEC 2 STATUS',
    since,
    applies: ({ daemonStopped }) => (daemonStopped ? undefined : 'nobody stopped a daemon'),
    async check(world) {
      const call = await world.call('STATUS', undefined)
      const answer = answerOf(call)
      if (answer.kind === 'ok') return silentOk('exit status 0 although the daemon is stopped')
      const isRight = answer.kind === 'error' && NOT_AVAILABLE.includes(Number(answer.code))
      return isRight ? pass(answer.msg) : fail(`${tellAnswer(call)}, wanted code 50 or 51`)
    },
  },
  {
    id: 'ST-03',
    subject: 'STATUS',
    title: 'an error when no address is left',
    level: 'MUST',
    source: 'SPEC 2 STATUS',
    since,
    check: (world) => whenExhausted(world, () => undefined),
  },
  {
    id: 'ST-03.code',
    subject: 'STATUS',
    title: 'that error has code 50 or 51',
    level: 'SHOULD',
    source: 'SPEC 2 STATUS',
    since,
    check: (world) =>
      whenExhausted(world, (code) =>
        NOT_AVAILABLE.includes(code) ? undefined : `code ${code}, wanted 50 or 51`,
      ),
  },
  {
    id: 'ST-04',
    subject: 'STATUS',
    title: 'asks the delegate, and passes its error on',
    level: 'MUST',
    source: 'SPEC 4',
    since,
    applies: hasDelegate,
    async check(world) {
      const call = await world.call(
        'STATUS',
        undefined,
        await withDelegate(world, { failing: 'STATUS' }),
      )
      const answer = answerOf(call)
      if (answer.kind === 'ok') return silentOk('exit status 0 although the delegate failed')
      return answer.kind === 'error' ? pass(answer.msg) : fail(tellAnswer(call))
    },
  },
  {
    id: 'ST-05',
    subject: 'STATUS',
    title: 'changes nothing',
    level: 'MUST',
    source: 'SPEC 2 STATUS',
    since,
    async check(world) {
      await world.add()
      const before = await world.dump()
      await world.chain('STATUS', undefined)
      const changes = await world.since(before)
      return changes.length === 0 ? pass('the dump as before') : differs('changed', changes)
    },
  },
]

export const GC_RULES: readonly Rule[] = [
  gate('GC-01', 'GC'),
  {
    id: 'GC-02',
    subject: 'GC',
    title: 'a missing list does not mean that nothing is valid',
    level: 'MUST',
    source: 'SPEC 2 GC: the list is required',
    since,
    async check(world) {
      const { pod } = await world.add()
      const [node, inside] = [await world.dump(), await world.dump(pod)]
      const { ok, why } = await world.chain('GC', undefined)
      const changes = [...(await world.since(node)), ...(await world.since(inside, pod))]
      if (changes.length > 0) return differs('without a list GC changed', changes)
      return pass(ok ? 'nothing was touched' : why.slice(0, 160))
    },
  },
  {
    id: 'GC-03',
    subject: 'GC',
    title: 'an empty list releases what was leaked',
    level: 'MUST',
    source: 'SPEC 2 GC',
    since,
    async check(world) {
      const before = await world.dump()
      await leak(world)
      const leaked = compareDumps(before.lines, (await world.dump()).lines)
      const { ok, why } = await collect(world, [])
      if (!ok) return fail(why)
      const left = await world.since(before)
      if (left.length === 0 && leaked.length > 0) return pass(`${leaked.length} objects released`)
      if (leaked.length === 0)
        return notApplicable('a leaked attachment leaves no trace but its address')
      const evidence = `exit status 0 and still there: ${left[0]}`
      return left.length === leaked.length ? silentOk(evidence, left) : fail(evidence, left)
    },
  },
  {
    id: 'GC-03.pool',
    subject: 'GC',
    title: 'an empty list gives leaked addresses back: a pool used up serves again',
    level: 'MUST',
    source: 'SPEC 2 GC, 4',
    since,
    check: afterExhaustion,
  },
  {
    id: 'GC-05',
    subject: 'GC',
    title: 'forwards to the delegate',
    level: 'MUST',
    source: 'SPEC 4',
    since,
    applies: hasDelegate,
    async check(world) {
      const options = await withDelegate(world, {})
      const call = await world.call('GC', undefined, { ...options, validAttachments: [] })
      if (call.exitStatus !== 0) return fail(tellAnswer(call))
      const calls = await delegateCalls(world)
      return calls.some((line) => line.startsWith('GC'))
        ? pass('it does')
        : silentOk('the delegate was not asked')
    },
  },
  {
    id: 'GC-06',
    subject: 'GC',
    title: 'touches no other network',
    level: 'MUST',
    source: 'SPEC 2 GC',
    since,
    async check(world) {
      const name = `${world.settings.list.name}-other`
      const { attachment, why } = await world.tryAdd(await world.pod(), { name })
      if (attachment === undefined) return notApplicable(`no second network ${name}: ${why}`)
      const [node, inside] = [await world.dump(), await world.dump(attachment.pod)]
      const { ok, why: failure } = await collect(world, [])
      if (!ok) return fail(failure)
      const changes = [...(await world.since(node)), ...(await world.since(inside, attachment.pod))]
      return changes.length === 0 ? pass(`${name} as before`) : differs('changed', changes)
    },
  },
  {
    id: 'GC-07',
    subject: 'GC',
    title: 'works twice',
    level: 'MUST',
    source: 'SPEC 2 GC',
    since,
    async check(world) {
      await leak(world)
      const twice = [await collect(world, []), await collect(world, [])]
      const failed = twice.find(({ ok }) => !ok)
      return failed === undefined ? pass('exit status 0 twice') : fail(failed.why)
    },
  },
  {
    id: 'GC-10',
    subject: 'GC',
    title: 'leaves the attachments on the list alone',
    level: 'MUST',
    source: 'SPEC 2 GC',
    since,
    async check(world) {
      const valid = await world.add()
      const [node, inside] = [await world.dump(), await world.dump(valid.pod)]
      const leaked = await leak(world)
      const { ok, why } = await collect(world, [valid])
      if (!ok) return fail(why)
      const lost = (await world.since(node)).filter((line) => line.startsWith('- '))
      const changes = [...lost, ...(await world.since(inside, valid.pod))]
      if (changes.length > 0) return differs('changed', changes)
      const checked = await world.check(valid)
      world.forget(leaked)
      return checked.ok ? pass('as before, and CHECK passes') : fail(checked.why)
    },
  },
]

async function whenExhausted(
  world: World,
  wrong: (code: number) => string | undefined,
): Promise<Finding> {
  const { refusal } = await exhaust(world)
  if (refusal === undefined) return notApplicable(TOO_MANY)
  const { ok, calls } = await world.chain('STATUS', undefined)
  const last = calls.at(-1)
  const answer = last === undefined ? undefined : answerOf(last)
  if (ok) return silentOk(`exit status 0 although ADD is refused (${refusal.slice(0, 100)})`)
  if (answer?.kind !== 'error') return fail(last === undefined ? '' : tellAnswer(last))
  const fault = wrong(Number(answer.code))
  return fault === undefined
    ? pass(`code ${String(answer.code)}: ${answer.msg}`.slice(0, 160))
    : fail(fault)
}

/** Where an address is no file, the pool tells whether it is free. */
async function afterExhaustion(world: World): Promise<Finding> {
  const { attachments, refusal } = await exhaust(world)
  if (refusal === undefined) return notApplicable(TOO_MANY)
  for (const { pod } of attachments) await world.removePod(pod)
  const { ok, why } = await collect(world, [])
  if (!ok) return fail(why)
  const again = await world.tryAdd(await world.pod())
  return again.ok
    ? pass(`${attachments.length} leaked addresses released`)
    : silentOk(`exit status 0, and ADD is still refused: ${again.why.slice(0, 100)}`)
}
