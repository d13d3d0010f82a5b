/**
 * What a runtime may get wrong: one error each by both roads, with the words
 * that the reference library uses, and nothing made or lost.
 */
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { pluginConfig } from '../../src/lab/cni.ts'
import { compareDumps } from '../../src/lab/dump.ts'
import { type Finished, inNetns, run } from '../../src/lab/exec.ts'
import type { LabNode, LabPod } from '../../src/lab/lab.ts'
import {
  cluster,
  errorOf,
  type Json,
  ROADS,
  resultOf,
  skip,
  snapshot,
  warm,
} from '../support/e2e.ts'

const LIST = '["0.1.0","0.2.0","0.3.0","0.3.1","0.4.0","1.0.0","1.1.0"]'
const K8S =
  'K8S_POD_NAMESPACE=shop;K8S_POD_NAME=cart;K8S_POD_INFRA_CONTAINER_ID=abc;K8S_POD_UID=1-2'

/** Changes to a good ADD; undefined takes a variable away. */
interface Row {
  readonly title: string
  readonly env?: Readonly<Record<string, string | undefined>>
  /** Changes to the configuration, or the whole text of it. */
  readonly config?: Json | string
  readonly code: number
  readonly msg: string | RegExp
  readonly details?: string | RegExp
}

const ENVIRONMENT: readonly Row[] = [
  {
    title: 'an unknown verb',
    env: { CNI_COMMAND: 'PAINT' },
    code: 4,
    msg: 'unknown CNI_COMMAND: PAINT',
  },
  {
    title: 'a verb in lower case',
    env: { CNI_COMMAND: 'add' },
    code: 4,
    msg: 'unknown CNI_COMMAND: add',
  },
  {
    title: 'no namespace',
    env: { CNI_NETNS: undefined },
    code: 4,
    msg: 'required env variables [CNI_NETNS] missing',
  },
  {
    title: 'an empty namespace',
    env: { CNI_NETNS: '' },
    code: 4,
    msg: 'required env variables [CNI_NETNS] missing',
  },
  {
    title: 'two missing',
    env: { CNI_NETNS: undefined, CNI_IFNAME: undefined },
    code: 4,
    msg: 'required env variables [CNI_NETNS,CNI_IFNAME] missing',
  },
  {
    title: 'all missing',
    env: {
      CNI_CONTAINERID: undefined,
      CNI_NETNS: undefined,
      CNI_IFNAME: undefined,
      CNI_PATH: undefined,
    },
    code: 4,
    msg: 'required env variables [CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME,CNI_PATH] missing',
  },
  {
    title: 'a malformed one before a missing one',
    env: { CNI_CONTAINERID: '../etc', CNI_NETNS: undefined },
    code: 4,
    msg: 'invalid characters in containerID',
  },
  {
    title: 'a container id that starts with a dash',
    env: { CNI_CONTAINERID: '-a' },
    code: 4,
    msg: 'invalid characters in containerID',
  },
  {
    title: 'a long interface name',
    env: { CNI_IFNAME: 'a234567890123456' },
    code: 4,
    msg: 'interface name is too long',
  },
  {
    title: 'an interface name of 16 bytes',
    env: { CNI_IFNAME: 'ü234567890123ü' },
    code: 4,
    msg: 'interface name is too long',
  },
  {
    title: 'an interface name of dots',
    env: { CNI_IFNAME: '..' },
    code: 4,
    msg: 'interface name is . or ..',
  },
  {
    title: 'an interface name with a slash',
    env: { CNI_IFNAME: 'a/b' },
    code: 4,
    msg: 'interface name contains / or : or whitespace characters',
  },
  {
    title: 'an interface name with a blank',
    env: { CNI_IFNAME: 'a b' },
    code: 4,
    msg: 'interface name contains / or : or whitespace characters',
  },
  {
    title: 'an argument without a value',
    env: { CNI_ARGS: 'IgnoreUnknown=1;FOO' },
    code: 4,
    msg: /invalid pair "FOO"/,
  },
  {
    title: 'an argument with two values',
    env: { CNI_ARGS: 'A=1=2' },
    code: 4,
    msg: /invalid pair "A=1=2"/,
  },
  {
    title: 'a trailing semicolon',
    env: { CNI_ARGS: 'IgnoreUnknown=1;' },
    code: 4,
    msg: /invalid pair ""/,
  },
  {
    title: 'an unknown argument',
    env: { CNI_ARGS: 'COLOR=red' },
    code: 4,
    msg: /unknown args \["COLOR"\]/,
  },
  {
    title: 'a namespace that is not there',
    env: { CNI_NETNS: '/run/netns/not-there' },
    code: 8,
    msg: /\/run\/netns\/not-there/,
  },
  {
    title: 'a file for a namespace',
    env: { CNI_NETNS: '/etc/hostname' },
    code: 8,
    msg: /\/etc\/hostname/,
  },
  { title: 'a directory for a namespace', env: { CNI_NETNS: '/tmp' }, code: 8, msg: /\/tmp/ },
  {
    title: 'another kind of namespace',
    env: { CNI_NETNS: '/proc/self/ns/mnt' },
    code: 8,
    msg: /\/proc\/self\/ns\/mnt/,
  },
]

const CONFIGURATION: readonly Row[] = [
  { title: 'nothing at all', config: '', code: 6, msg: /^error unmarshall network config: / },
  {
    title: 'half a configuration',
    config: '{"name": "pods", "cniVersion"',
    code: 6,
    msg: /^error unmarshall network config: /,
  },
  { title: 'a list', config: '[]', code: 6, msg: /wanted a JSON object/ },
  { title: 'no name', config: { name: undefined }, code: 7, msg: 'missing network name' },
  { title: 'an empty name', config: { name: '' }, code: 7, msg: 'missing network name' },
  {
    title: 'a name with a slash',
    config: { name: 'a/b' },
    code: 7,
    msg: 'invalid characters found in network name',
  },
  {
    title: 'a version in words',
    config: { cniVersion: 'newest' },
    code: 6,
    msg: /cniVersion "newest"/,
  },
  { title: 'a version that is a number', config: { cniVersion: 1 }, code: 6, msg: /cniVersion 1/ },
  {
    title: 'a version to come',
    config: { cniVersion: '9.9.9' },
    code: 1,
    msg: 'incompatible CNI versions',
    details: `config is "9.9.9", plugin supports ${LIST}`,
  },
  {
    title: 'a mode',
    config: { mode: 'vxlan' },
    code: 2,
    msg: 'unsupported field "mode": "vxlan"',
    details: /trivium network set pods/,
  },
  {
    title: 'pools',
    config: { pools: ['10.1.0.0/16'] },
    code: 2,
    msg: 'unsupported field "pools": ["10.1.0.0/16"]',
  },
  { title: 'a prevResult that is a text', config: { prevResult: 'x' }, code: 6, msg: /prevResult/ },
  { title: 'a store that is a number', config: { store: 7 }, code: 7, msg: /"store": 7/ },
  { title: 'a network nobody made', config: { name: 'ghosts' }, code: 7, msg: /network ghosts/ },
  {
    title: 'CHECK in 0.3.1',
    env: { CNI_COMMAND: 'CHECK' },
    config: { cniVersion: '0.3.1' },
    code: 1,
    msg: 'config version does not allow CHECK',
  },
  {
    title: 'CHECK without a version',
    env: { CNI_COMMAND: 'CHECK' },
    config: { cniVersion: undefined },
    code: 1,
    msg: 'config version does not allow CHECK',
  },
  {
    title: 'STATUS in 1.0.0',
    env: { CNI_COMMAND: 'STATUS' },
    config: { cniVersion: '1.0.0' },
    code: 1,
    msg: 'config version does not allow STATUS',
  },
  {
    title: 'GC in 1.0.0',
    env: { CNI_COMMAND: 'GC' },
    config: { cniVersion: '1.0.0' },
    code: 1,
    msg: 'config version does not allow GC',
  },
  {
    title: 'the name before the version',
    config: { name: '', cniVersion: '9.9.9' },
    code: 7,
    msg: 'missing network name',
  },
  {
    title: 'the verb before the version',
    env: { CNI_COMMAND: 'PAINT' },
    config: { cniVersion: '9.9.9' },
    code: 4,
    msg: 'unknown CNI_COMMAND: PAINT',
  },
  {
    title: 'the environment before the configuration',
    env: { CNI_NETNS: '' },
    config: 'no JSON',
    code: 4,
    msg: 'required env variables [CNI_NETNS] missing',
  },
]

t.test('what a runtime may get wrong', { skip }, async (t) => {
  const { lab, nodes } = await cluster(t)
  await warm(lab)
  const [node] = nodes
  if (node === undefined) throw new Error('There is no node')
  const pod = await lab.addPod(node)
  const before = [...(await snapshot(lab)), ...(await interfaces(pod))]
  for (const { road, env } of ROADS) {
    const call = (row: Pick<Row, 'env' | 'config'>): Promise<Finished> =>
      invoke(pod, { ...row, env: { ...env, ...row.env } })
    for (const [table, rows] of [
      ['ENV-01 ENV-02 ENV-05 ENV-06 ENV-07 ENV-08 environment', ENVIRONMENT],
      ['CFG-02 CFG-03 CFG-04 CFG-05 CFG-06 CFG-07 configuration', CONFIGURATION],
    ] as const) {
      await t.test(`${road}: ${table}`, async (t) => {
        await Promise.all(rows.map(async (row) => checkRow(t, row, await call(row))))
        const after = [...(await snapshot(lab)), ...(await interfaces(pod))]
        t.strictSame(compareDumps(before, after), [], 'nothing was made, nothing was lost')
      })
    }
    await t.test(`ENV-11 ${road}: namespaces`, (t) => namespaces(t, node, call))
    await t.test(`CFG-01 ${road}: an input that cannot be read`, async (t) => {
      const plugin = join(node.binDir, 'trivium')
      const command = inNetns(node.netns, ['sh', '-c', 'exec "$0" < /', plugin])
      const variables = { CNI_CONTAINERID: 'a', CNI_IFNAME: 'eth0', CNI_NETNS: pod.netnsPath }
      const whole = { ...env, ...variables, CNI_COMMAND: 'ADD', CNI_PATH: node.binDir }
      const error = errorOf(
        await run(command, { env: { PATH: '/usr/sbin:/usr/bin:/bin', ...whole } }),
      )
      t.equal(error.code, 5)
      t.match(`${error.msg} ${error.details}`, /stdin/)
    })
    await t.test(`VER-01 VER-02 ${road}: VERSION`, (t) => versions(t, call))
    await t.test(`CFG-09 CFG-10 ${road}: what must be accepted`, (t) => accepted(t, call))
    await t.test(`ENV-09 ${road}: called by a person`, async (t) => {
      const { status, stdout, stderr } = await call({ env: { CNI_COMMAND: undefined } })
      t.strictSame([status, stdout], [0, ''])
      t.match(
        stderr,
        'CNI protocol versions supported: 0.1.0, 0.2.0, 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0',
      )
    })
    const after = [...(await snapshot(lab)), ...(await interfaces(pod))]
    t.strictSame(compareDumps(before, after), [], `${road}: nothing is left`)
  }
})

const interfaces = async ({ netns }: LabPod): Promise<readonly string[]> =>
  (await run(['ip', '-n', netns, '-br', 'link'])).stdout.split('\n')

function checkRow(t: Test, { title, code, msg, details }: Row, finished: Finished): void {
  const error = errorOf(finished)
  t.equal(finished.status, 1, `OUT-02 ${title}: exit status`)
  t.strictSame(
    Object.keys(error).sort(),
    ['cniVersion', 'code', 'details', 'msg'],
    `OUT-03 ${title}`,
  )
  t.equal(error.code, code, `${title}: code`)
  if (typeof msg === 'string') t.equal(error.msg, msg, `${title}: message`)
  else t.match(error.msg, msg, `${title}: message`)
  if (details !== undefined) t.match(error.details, details, `${title}: details`)
}

/** One good ADD with changes. */
function invoke(
  pod: LabPod,
  { env = {}, config = {} }: Pick<Row, 'env' | 'config'>,
): Promise<Finished> {
  const { node } = pod
  const good: Row['env'] = {
    PATH: '/usr/sbin:/usr/bin',
    CNI_COMMAND: 'ADD',
    CNI_CONTAINERID: pod.containerId,
    CNI_NETNS: pod.netnsPath,
    CNI_IFNAME: 'eth0',
    CNI_PATH: node.binDir,
  }
  const variables = Object.entries({ ...good, ...env }).filter(([, value]) => value !== undefined)
  const whole = { ...pluginConfig(join(node.confDir, '10-pods.conflist')) }
  const input = typeof config === 'string' ? config : JSON.stringify({ ...whole, ...config })
  const command = inNetns(node.netns, [join(node.binDir, 'trivium')])
  return run(command, { input, env: Object.fromEntries(variables) as Record<string, string> })
}

type Call = (row: Pick<Row, 'env' | 'config'>) => Promise<Finished>

async function namespaces(t: Test, node: LabNode, call: Call): Promise<void> {
  const own = errorOf(await call({ env: { CNI_NETNS: `/run/netns/${node.netns}` } }))
  t.match(own, {
    code: 8,
    msg: "plugin's netns and netns from CNI_NETNS should not be the same",
  })
  const fifo = join('/tmp', `trv-${process.pid}-${node.netns}.fifo`)
  t.teardown(() => run(['rm', '-f', fifo]))
  await run(['mkfifo', fifo])
  const started = performance.now()
  const piped = errorOf(await call({ env: { CNI_NETNS: fifo } }))
  t.equal(piped.code, 8, 'a FIFO is no namespace')
  t.ok(performance.now() - started < 10_000, 'and nobody waits for its other end')
}

async function versions(t: Test, call: Call): Promise<void> {
  const env = { CNI_COMMAND: 'VERSION' }
  const bare = { ...env, CNI_CONTAINERID: undefined, CNI_IFNAME: undefined, CNI_NETNS: undefined }
  for (const [config, version, variables] of [
    ['', '1.1.0', env],
    ['', '1.1.0', bare],
    ['{"cniVersion":"0.4.0"}', '0.4.0', env],
    [{ cniVersion: '1.0.0' }, '1.0.0', env],
    ['no JSON', '1.1.0', env],
  ] as const) {
    const answer = resultOf(await call({ env: variables, config })) as unknown as Json
    t.strictSame(
      answer,
      { cniVersion: version, supportedVersions: JSON.parse(LIST) },
      `${JSON.stringify(config).slice(0, 30)}`,
    )
  }
}

/** Each is added and deleted again. */
async function accepted(t: Test, call: Call): Promise<void> {
  const rows: readonly (Pick<Row, 'env' | 'config'> & { readonly title: string })[] = [
    { title: "a kubelet's arguments", env: { CNI_ARGS: `IgnoreUnknown=1;${K8S};X=y` } },
    { title: 'known arguments only', env: { CNI_ARGS: K8S } },
    {
      title: 'keys of the runtime',
      config: {
        capabilities: { portMappings: true },
        runtimeConfig: { portMappings: [{ HostPort: 80 }] },
        args: { cni: { labels: [] } },
        'cni.dev/attachments': [],
        'cni.dev/anything': { a: 1 },
      },
    },
    { title: 'no version', config: { cniVersion: undefined } },
  ]
  for (const { title, env = {}, config = {} } of rows) {
    const finished = await call({ env, config })
    t.ok(resultOf(finished), title)
    const del = await call({ env: { ...env, CNI_COMMAND: 'DEL' }, config })
    t.strictSame([del.status, del.stdout], [0, ''], `${title}: DEL`)
  }
}
