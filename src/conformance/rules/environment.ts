/**
 * Variables: what must be refused, and how.
 *
 * @module
 */
import { differs, type Facts, fail, isAtLeast, pass, type Rule } from '../model.ts'
import { answerOf, tellAnswer } from '../runtime.ts'
import type { World } from '../world.ts'
import { type Case, refusals } from './refusals.ts'

const SKEL = 'libcni pkg/skel'
const subject = 'input'
const BAD_ENVIRONMENT = [4]

export const opensNetns = ({ hasInterfaces, broken }: Facts): string | undefined =>
  hasInterfaces || broken !== undefined
    ? undefined
    : 'it makes no interface: an IPAM plugin need not open the namespace'

const without = (...names: readonly string[]) => ({
  env: Object.fromEntries(names.map((name) => [name, undefined])),
})

const REQUIRED = {
  ADD: ['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME'],
  CHECK: ['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME'],
  DEL: ['CNI_CONTAINERID', 'CNI_IFNAME'],
} as const

/** Each verb with each of its variables missing. */
function missing({ facts }: World, value: '' | undefined): readonly Case[] {
  return Object.entries(REQUIRED).flatMap(([verb, names]) =>
    verb === 'CHECK' && !isAtLeast(facts.version, '0.4.0')
      ? []
      : names.map((name) => ({
          what: `${verb} ${value === '' ? 'with empty' : 'without'} ${name}`,
          verb,
          options: { env: { [name]: value } },
        })),
  )
}

const nameIn = ({ what }: Case): readonly string[] => [what.split(' ').at(-1) ?? '']

const variable = (name: string, values: readonly string[]): readonly Case[] =>
  values.map((value) => ({
    what: `${name}=${JSON.stringify(value)}`,
    options: { env: { [name]: value } },
  }))

export const ENVIRONMENT_RULES: readonly Rule[] = [
  refusals({
    id: 'ENV-01',
    subject,
    title: 'an unknown CNI_COMMAND is refused; verbs are upper case',
    level: 'MUST',
    source: 'SPEC 2 Parameters, Error',
    codes: BAD_ENVIRONMENT,
    cases: () =>
      ['FROB', 'add', 'ADD '].map((verb) => ({ what: `CNI_COMMAND=${verb}`, verb, options: {} })),
  }),
  refusals({
    id: 'ENV-02',
    subject,
    title: 'one error names all missing variables',
    level: 'SHOULD',
    source: 'SPEC 2 Error (code 4)',
    codes: BAD_ENVIRONMENT,
    cases: () => [{ what: 'ADD with nothing', options: without(...REQUIRED.ADD) }],
    names: () => REQUIRED.ADD,
  }),
  refusals({
    id: 'ENV-03',
    subject,
    title: 'every required variable is required, and named when it is missing',
    level: 'MUST',
    source: 'SPEC 2 CNI operations',
    codes: BAD_ENVIRONMENT,
    cases: (_pod, world) => missing(world, undefined),
    names: nameIn,
  }),
  {
    id: 'ENV-04',
    subject,
    title: 'without CNI_PATH: served, or refused by name',
    level: 'habit',
    source: SKEL,
    async check(world) {
      const pod = await world.pod()
      const call = await world.call('DEL', pod, without('CNI_PATH'))
      const answer = answerOf(call)
      if (answer.kind === 'ok') return pass('served')
      const isNamed = answer.kind === 'error' && answer.msg.includes('CNI_PATH')
      return isNamed ? pass('refused by name') : fail(tellAnswer(call))
    },
  },
  refusals({
    id: 'ENV-05',
    subject,
    title: 'an empty variable counts as missing',
    level: 'SHOULD',
    source: SKEL,
    codes: BAD_ENVIRONMENT,
    cases: (_pod, world) => missing(world, ''),
    names: nameIn,
  }),
  refusals({
    id: 'ENV-06',
    subject,
    title: 'CNI_CONTAINERID: a letter or digit, then letters, digits, "_", ".", "-"',
    level: 'MUST',
    source: 'SPEC 2 Parameters',
    codes: BAD_ENVIRONMENT,
    cases: () =>
      variable('CNI_CONTAINERID', ['-a', '.a', 'a/b', '../a', 'a b', 'ä', 'a\nb', 'a;b']),
  }),
  refusals({
    id: 'ENV-07',
    subject,
    title: 'CNI_IFNAME: at most 15 bytes, not "." or "..", no "/", ":" or blank',
    level: 'MUST',
    source: 'SPEC 2 Parameters; Linux dev_valid_name',
    codes: BAD_ENVIRONMENT,
    cases: () =>
      variable('CNI_IFNAME', ['abcdefghijklmnop', '.', '..', 'a/b', 'a:b', 'a b', 'a\tb']),
  }),
  refusals({
    id: 'ENV-08',
    subject,
    title: 'CNI_ARGS: pairs of KEY=VALUE; unknown keys only with IgnoreUnknown',
    level: 'SHOULD',
    source: 'SPEC 2 Parameters; libcni types.LoadArgs',
    cases: () =>
      variable('CNI_ARGS', ['A', 'IgnoreUnknown=1;A', 'IgnoreUnknown=1;A=B=C', 'NO_SUCH_KEY=1']),
  }),
  {
    id: 'ENV-09',
    subject,
    title: 'no CNI_COMMAND at all: says on standard error what it is, exit status 0',
    level: 'habit',
    source: SKEL,
    async check(world) {
      const { exitStatus, stdout, stderr } = await world.call('', undefined, {
        env: { CNI_COMMAND: undefined },
      })
      const isFine = exitStatus === 0 && stdout === '' && /\d\.\d\.\d/.test(stderr)
      const found = `exit status ${exitStatus}, ${stderr.length} characters on standard error`
      return isFine ? pass(found) : fail(`${found}, wanted 0 and the versions it speaks`)
    },
  },
  refusals({
    id: 'ENV-11',
    subject,
    title: "the plugin's own namespace is refused as CNI_NETNS",
    level: 'SHOULD',
    source: `${SKEL} (code 8)`,
    applies: opensNetns,
    cases: () => variable('CNI_NETNS', ['/proc/self/ns/net']),
  }),
  {
    id: 'ENV-12',
    subject,
    title: 'a CNI_NETNS that is not there: ADD fails and keeps nothing',
    level: 'MUST',
    source: 'SPEC 2 ADD',
    applies: opensNetns,
    async check(world) {
      const pod = { ...(await world.pod()), netnsPath: '/run/netns/not-there' }
      const before = await world.dump()
      const { ok } = await world.chain('ADD', pod)
      if (ok) return fail('exit status 0, wanted a refusal')
      const left = await world.since(before)
      return left.length === 0 ? pass('refused, nothing left') : differs('left', left)
    },
  },
  refusals({
    id: 'ENV-13',
    subject,
    title: 'a CNI_NETNS that is a folder, a file or a FIFO is refused, without waiting',
    level: 'SHOULD',
    source: 'a path from outside',
    applies: opensNetns,
    cases: () => variable('CNI_NETNS', ['/run', '/run/conformance/file', '/run/conformance/fifo']),
  }),
]
