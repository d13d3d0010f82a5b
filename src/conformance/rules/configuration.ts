/**
 * Standard input: what must be refused, and what must be endured.
 *
 * @module
 */
import { closeSync, openSync } from 'node:fs'
import type { Json } from '../../lab/json.ts'
import { type Facts, type Finding, fail, pass, type Rule } from '../model.ts'
import { isRecord, readResult, shapeFaults } from '../result.ts'
import { answerOf, tellAnswer } from '../runtime.ts'
import type { CallOptions, World } from '../world.ts'
import { type Case, refusals } from './refusals.ts'

const subject = 'input'

const changed = (what: string, change: (config: Json) => Json): Case => ({
  what,
  options: { config: change },
})

const withKey = (key: string, value: unknown): Case =>
  changed(`${key}: ${JSON.stringify(value)}`, (config) => ({ ...config, [key]: value }))

const withoutKey = (key: string): Case =>
  changed(`no "${key}"`, ({ [key]: _left, ...rest }) => rest)

/** ADD that must succeed although the configuration holds something special. */
const endures = (rule: Omit<Rule, 'check' | 'subject'>, options: CallOptions): Rule => ({
  ...rule,
  subject,
  async check(world) {
    const { ok, why } = await world.tryAdd(await world.pod(), options)
    return ok ? pass('ADD is served') : fail(why)
  },
})

export const CONFIGURATION_RULES: readonly Rule[] = [
  {
    id: 'CFG-01',
    subject,
    title: 'standard input that cannot be read: code 5',
    level: 'SHOULD',
    source: 'SPEC 2 Error (code 5)',
    async check(world) {
      const stdinFd = openSync('/dev/null', 'w')
      try {
        const call = await world.call('ADD', await world.pod(), { stdinFd })
        const answer = answerOf(call)
        const isRight = answer.kind === 'error' && answer.code === 5
        return isRight ? pass('code 5') : fail(`${tellAnswer(call)}, wanted code 5`)
      } finally {
        closeSync(stdinFd)
      }
    },
  },
  refusals({
    id: 'CFG-02',
    subject,
    title: 'what is not JSON is refused with code 6',
    level: 'MUST',
    source: 'SPEC 2 Error (code 6)',
    codes: [6],
    cases: () =>
      ['', '{', 'null!', '\u0000', '{"name": "x",}'].map((stdin) => ({
        what: `standard input ${JSON.stringify(stdin)}`,
        options: { stdin },
      })),
  }),
  refusals({
    id: 'CFG-03',
    subject,
    title: 'a missing or empty name is refused with code 7',
    level: 'MUST',
    source: 'SPEC 1 Configuration format; code 7',
    codes: [7],
    cases: () => [withoutKey('name'), withKey('name', '')],
  }),
  refusals({
    id: 'CFG-04',
    subject,
    title: 'a name with other characters than letters, digits, "_", ".", "-" is refused',
    level: 'MUST',
    source: 'SPEC 1 Configuration format; code 7',
    codes: [7],
    cases: () => ['a b', 'a/b', '../a', '-a', 'ä'].map((name) => withKey('name', name)),
  }),
  {
    id: 'CFG-05',
    subject,
    title: 'no cniVersion means 0.1.0',
    level: 'SHOULD',
    source: 'libcni pkg/version',
    applies: ({ versions }) => (versions.includes('0.1.0') ? undefined : 'it does not speak 0.1.0'),
    check: ancient,
  },
  refusals({
    id: 'CFG-06',
    subject,
    title: 'a version it does not speak is refused with code 1, naming it',
    level: 'MUST',
    source: 'SPEC 2 Error (code 1)',
    codes: [1],
    cases: () => ['9.9.9', '0.9.0'].map((version) => withKey('cniVersion', version)),
    names: ({ what }) => [/"(.+)"/.exec(what)?.[1] ?? ''],
  }),
  endures(
    {
      id: 'CFG-07',
      title: 'args, runtimeConfig, capabilities and keys of cni.dev are endured',
      level: 'MUST',
      source: 'SPEC 1, 3 and conventions',
    },
    {
      config: (config) => ({
        args: { cni: { labels: [{ key: 'app', value: 'web' }] }, other: {} },
        runtimeConfig: { unheardOf: [1] },
        'cni.dev/unheard-of': true,
        ...config,
        capabilities: {
          unheardOf: true,
          ...(isRecord(config['capabilities']) ? config['capabilities'] : {}),
        },
      }),
    },
  ),
  refusals({
    id: 'CFG-08',
    subject,
    title: 'values that make no sense are refused with code 7',
    level: 'SHOULD',
    source: 'SPEC 2 Error (code 7)',
    applies: invalidates,
    codes: [7],
    cases: () => [
      changed('ipam.subnet: "not-a-subnet"', (config) => ({
        ...config,
        ipam: { ...(config['ipam'] as Json), subnet: 'not-a-subnet', ranges: undefined },
      })),
    ],
  }),
  endures(
    {
      id: 'CFG-10',
      title: 'the other spelling of the valid attachments is endured',
      level: 'habit',
      source: 'libcni injects cni.dev/attachments, too',
    },
    { config: (config) => ({ ...config, 'cni.dev/attachments': [] }) },
  ),
  refusals({
    id: 'CFG-11',
    subject,
    title: 'a cniVersion that is no version is refused',
    level: 'SHOULD',
    source: 'SPEC 2 Error (codes 1, 6)',
    codes: [1, 6],
    cases: () => ['latest', '1.0.0.0', '1..0', 1].map((version) => withKey('cniVersion', version)),
  }),
  endures(
    {
      id: 'CFG-12',
      title: 'a configuration of a megabyte is served',
      level: 'SHOULD',
      source: 'the specification knows no limit',
    },
    { config: (config) => ({ ...config, args: { filler: 'x'.repeat(1024 * 1024) } }) },
  ),
]

function invalidates({ delegate, plugins }: Facts): string | undefined {
  return [delegate, plugins[0]].some((type) => type === 'host-local')
    ? undefined
    : 'it takes no subnet that could be wrong'
}

async function ancient(world: World): Promise<Finding> {
  const call = await world.call('ADD', await world.pod(), {
    config: ({ cniVersion: _left, ...rest }) => rest,
  })
  const answer = answerOf(call)
  if (answer.kind !== 'ok' || answer.object === undefined) return fail(tellAnswer(call))
  const faults = shapeFaults(answer.object, '0.1.0')
  if (faults.length > 0) return fail(`no result of 0.1.0: ${faults[0]}`, faults)
  return pass(`a result of 0.1.0 with ${readResult(answer.object).ips.length} addresses`)
}
