/**
 * What plugins print.
 *
 * @module
 */
import { compareDumps } from '../../lab/dump.ts'
import { differs, type Finding, fail, isAtLeast, pass, type Rule } from '../model.ts'
import { answerOf, type Call, tellAnswer } from '../runtime.ts'
import type { World } from '../world.ts'

const subject = 'output'

/** Three failures of different kinds. */
async function failures(world: World): Promise<readonly Call[]> {
  const pod = await world.pod()
  return Promise.all([
    world.call('FROB', pod),
    world.call('ADD', pod, { stdin: '{' }),
    world.call('ADD', pod, { config: (config) => ({ ...config, cniVersion: '9.9.9' }) }),
  ])
}

export const OUTPUT_RULES: readonly Rule[] = [
  {
    id: 'OUT-01',
    subject,
    title: 'DEL, CHECK, STATUS and GC print nothing when all is well',
    level: 'SHOULD',
    source: 'SPEC 5 Success',
    async check(world) {
      const attachment = await world.add()
      const calls = [...(await silentCalls(world, attachment))]
      const loud = calls.find(({ stdout, exitStatus }) => exitStatus === 0 && stdout.trim() !== '')
      const verbs = [...new Set(calls.map(({ verb }) => verb))].join(', ')
      if (loud === undefined) return pass(`nothing from ${verbs}`)
      return fail(`${loud.plugin} ${loud.verb} printed ${JSON.stringify(loud.stdout.slice(0, 80))}`)
    },
  },
  {
    id: 'OUT-02',
    subject,
    title: 'a failure is a status other than 0 and one error object on standard output',
    level: 'MUST',
    source: 'SPEC 2 Error; libcni invoke',
    async check(world) {
      for (const call of await failures(world)) {
        const answer = answerOf(call)
        if (answer.kind !== 'error') return fail(tellAnswer(call))
        const { code, object } = answer
        if (typeof code !== 'number') return fail(`"code" is ${JSON.stringify(code)}`)
        if (typeof object['msg'] !== 'string' || object['msg'] === '') return fail('no "msg"')
      }
      return pass('three failures, three error objects')
    },
  },
  {
    id: 'OUT-03',
    subject,
    title: 'an error object carries its cniVersion',
    level: 'SHOULD',
    source: 'SPEC 5 Error',
    async check(world) {
      const answers = (await failures(world)).map(answerOf)
      const lacking = answers.filter(
        (answer) => answer.kind === 'error' && typeof answer.object['cniVersion'] !== 'string',
      )
      if (lacking.length === 0) return pass('it does')
      return fail('no "cniVersion" in the error object')
    },
  },
  {
    id: 'OUT-04',
    subject,
    title: 'standard output of ADD is one JSON object and nothing else',
    level: 'MUST',
    source: 'SPEC 5 Success',
    async check(world) {
      const { calls, attachment, why } = await world.tryAdd(await world.pod())
      for (const call of calls) {
        const answer = answerOf(call)
        if (answer.kind === 'ok' && !answer.isStrict)
          return fail(`${call.plugin} printed ${JSON.stringify(call.stdout.slice(0, 120))}`)
      }
      return attachment === undefined ? fail(why) : pass('one object')
    },
  },
  {
    id: 'OUT-05',
    subject,
    title: "the result's cniVersion is the configuration's, in every version",
    level: 'MUST',
    source: 'SPEC 5 Success',
    check: echoes,
  },
  {
    id: 'OUT-07',
    subject,
    title: 'a refused call changes nothing',
    level: 'MUST',
    source: 'SPEC 2 Error',
    async check(world) {
      const pod = await world.pod()
      const [node, inside] = [await world.dump(), await world.dump(pod)]
      await Promise.all([
        world.call('FROB', pod),
        world.call('ADD', pod, { stdin: '{' }),
        world.call('ADD', pod, { env: { CNI_IFNAME: undefined } }),
        world.call('ADD', pod, { env: { CNI_IFNAME: 'a/b' } }),
        world.call('ADD', pod, { config: (config) => ({ ...config, cniVersion: '9.9.9' }) }),
        world.call('ADD', pod, { config: ({ name: _left, ...rest }) => rest }),
      ])
      const left = [
        ...(await world.since(node)),
        ...compareDumps(inside.lines, (await world.dump(pod)).lines),
      ]
      return left.length === 0 ? pass('six refused, nothing left') : differs('left', left)
    },
  },
]

async function silentCalls(
  world: World,
  attachment: Awaited<ReturnType<World['add']>>,
): Promise<readonly Call[]> {
  const { version } = world.facts
  const { containerId: containerID, ifname } = attachment.pod
  const chains = [
    ...(isAtLeast(version, '0.4.0') ? [await world.check(attachment)] : []),
    ...(isAtLeast(version, '1.1.0')
      ? [
          await world.chain('STATUS', undefined),
          await world.chain('GC', undefined, { validAttachments: [{ containerID, ifname }] }),
        ]
      : []),
    await world.del(attachment),
  ]
  return chains.flatMap(({ calls }) => calls)
}

async function echoes(world: World): Promise<Finding> {
  const { versions, plugins } = world.facts
  // Lists came with 0.3.0.
  const tried = versions.filter((each) => plugins.length === 1 || isAtLeast(each, '0.3.0'))
  const pods = await world.pods(tried.length)
  const wrong = await Promise.all(
    tried.map(async (version, index) => {
      const pod = pods[index]
      if (pod === undefined) return []
      const { result, ok, why } = await world.tryAdd(pod, { version })
      if (!ok) return [`${version}: ${why}`]
      const found = result?.['cniVersion']
      return found === version ? [] : [`${version}: "cniVersion" is ${JSON.stringify(found)}`]
    }),
  )
  const faults = wrong.flat()
  return faults.length === 0
    ? pass(`${tried.length} versions`)
    : fail(`configuration of ${faults[0]}`, faults)
}
