/**
 * VERSION, and results in every version.
 *
 * @module
 */
import {
  differs,
  type Finding,
  fail,
  isAtLeast,
  pass,
  type Rule,
  SPEC_VERSIONS,
  type SpecVersion,
} from '../model.ts'
import { convertResult, readResult, shapeFaults } from '../result.ts'
import { answerOf, spokenVersions, tellAnswer } from '../runtime.ts'
import type { World } from '../world.ts'
import { podFaults } from './truth.ts'

/** What libcni sends to VERSION. */
const DUMMIES = { CNI_CONTAINERID: undefined, CNI_NETNS: 'dummy', CNI_IFNAME: 'dummy' }

async function asked(world: World, stdin: string): Promise<Finding | readonly SpecVersion[]> {
  const call = await world.call('VERSION', undefined, { stdin, env: DUMMIES })
  const answer = answerOf(call)
  if (answer.kind !== 'ok' || answer.object === undefined) return fail(tellAnswer(call))
  if (typeof answer.object['cniVersion'] !== 'string') return fail('no "cniVersion"')
  const spoken = spokenVersions(answer.object)
  return spoken.length > 0 ? spoken : fail('no known version in "supportedVersions"')
}

const isFinding = (value: unknown): value is Finding => !Array.isArray(value)

export const VERSION_RULES: readonly Rule[] = [
  {
    id: 'VER-01',
    subject: 'VERSION',
    title: 'it says which versions it speaks',
    level: 'MUST',
    source: 'SPEC 2 VERSION',
    async check(world) {
      const found = await asked(world, JSON.stringify({ cniVersion: world.facts.version }))
      return isFinding(found) ? found : pass(found.join(' '))
    },
  },
  {
    id: 'VER-01.echo',
    subject: 'VERSION',
    title: "the answer's cniVersion is the one that was sent",
    level: 'SHOULD',
    source: 'SPEC 2 VERSION',
    async check(world) {
      const call = await world.call('VERSION', undefined, { stdin: '{"cniVersion":"0.4.0"}' })
      const answer = answerOf(call)
      if (answer.kind !== 'ok') return fail(tellAnswer(call))
      const found = answer.object?.['cniVersion']
      return found === '0.4.0' ? pass('it is') : fail(`sent 0.4.0, found ${String(found)}`)
    },
  },
  {
    id: 'VER-02',
    subject: 'VERSION',
    title: 'it needs neither standard input nor real values',
    level: 'MUST',
    source: 'libcni skel and invoke',
    async check(world) {
      const found = await asked(world, '')
      return isFinding(found) ? found : pass('served with empty standard input')
    },
  },
  ...SPEC_VERSIONS.map(
    (version): Rule => ({
      id: `RES-${version}`,
      subject: 'result',
      title: `ADD, CHECK and DEL in ${version}: the result has its shape and is true`,
      level: 'MUST',
      source: `SPEC of ${version}`,
      applies: ({ versions, plugins, version: highest }) =>
        versions.includes(version)
          ? plugins.length > 1 && !isAtLeast(version, '0.3.0')
            ? 'lists came with 0.3.0'
            : undefined
          : `it speaks up to ${highest}, not ${version}`,
      check: (world) => inVersion(world, version),
    }),
  ),
  {
    id: 'RES-up',
    subject: 'result',
    title: 'a result of 0.3.1, converted, serves CHECK and DEL of a newer configuration',
    level: 'SHOULD',
    source: 'libcni converts what it has cached',
    since: '0.4.0',
    applies: ({ versions }) => (versions.includes('0.3.1') ? undefined : 'it does not speak 0.3.1'),
    async check(world) {
      const { version } = world.facts
      const attachment = await world.add(undefined, { version: '0.3.1' })
      const options = { version, prevResult: convertResult(attachment.result, version) }
      const checked = await world.check(attachment, options)
      if (!checked.ok) return fail(checked.why)
      const { ok, why } = await world.del(attachment, options)
      return ok ? pass(`CHECK and DEL in ${version}`) : fail(why)
    },
  },
]

async function inVersion(world: World, version: SpecVersion): Promise<Finding> {
  const pod = await world.pod()
  const before = await world.dump()
  const attachment = await world.add(pod, { version })
  const faults = shapeFaults(attachment.result, version)
  if (faults.length > 0) return fail(faults[0] ?? '', faults)
  const read = readResult(attachment.result)
  const untrue = podFaults(world, read, await world.dump(pod), version)
  if (untrue.length > 0) return fail(untrue[0] ?? '', untrue)
  if (isAtLeast(version, '0.4.0')) {
    const checked = await world.check(attachment)
    if (!checked.ok) return fail(checked.why)
  }
  const { ok, why } = await world.del(attachment, { prevResult: attachment.result })
  if (!ok) return fail(why)
  const left = await world.since(before)
  if (left.length > 0) return differs('left after DEL', left)
  return pass(read.ips.map(({ address }) => address).join(' ') || 'no addresses')
}
