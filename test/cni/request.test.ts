/**
 * What a runtime may send, and the words and codes of every refusal: those of
 * the reference library where it has some.
 */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import {
  askedVersion,
  CNI_VERSIONS,
  type CniErrorObject,
  type CniInput,
  cniError,
  type Plugin,
  parseRequest,
} from '../../src/cni/mod.ts'
import { TriviumError } from '../../src/errors.ts'
import { holds } from '../support/property.ts'

const ENV = {
  CNI_COMMAND: 'ADD',
  CNI_CONTAINERID: 'c0ffee',
  CNI_NETNS: '/run/netns/c0ffee',
  CNI_IFNAME: 'eth0',
  CNI_PATH: '/opt/cni/bin',
}
const CONF = { cniVersion: '1.1.0', name: 'pods', type: 'trivium' }

interface Change {
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly conf?: Readonly<Record<string, unknown>>
  /** Standard input as it is. */
  readonly text?: string
  readonly plugin?: Plugin
}

function input({ env = {}, conf = {}, text, plugin = 'trivium' }: Change): CniInput {
  return { plugin, env: { ...ENV, ...env }, config: text ?? JSON.stringify({ ...CONF, ...conf }) }
}

function refusal(change: Change): CniErrorObject | undefined {
  try {
    parseRequest(input(change))
    return undefined
  } catch (thrown) {
    return cniError(thrown, '1.1.0')
  }
}

type Row = readonly [what: string, change: Change, code: number, msg: string, details?: string]

function refuses(name: string, rows: readonly Row[]): void {
  t.test(name, async (t) => {
    for (const [what, change, code, msg, details] of rows) {
      const error = refusal(change)
      t.equal(error?.code, code, `${what}: code ${code}`)
      t.equal(error?.msg, msg, `${what}: ${msg}`)
      if (details !== undefined) t.equal(error?.details, details, `${what}: details`)
    }
  })
}

const required = (names: string): string => `required env variables [${names}] missing`
const none = { CNI_CONTAINERID: '', CNI_NETNS: undefined, CNI_IFNAME: '', CNI_PATH: '' }

refuses('ENV-02 ENV-03 ENV-04 ENV-05 variables: one error names all that are missing, in order', [
  ['none at all', { env: { ...none, CNI_COMMAND: undefined } }, 4, required('CNI_COMMAND')],
  ['ADD', { env: none }, 4, required('CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME,CNI_PATH')],
  [
    'CHECK',
    { env: { ...none, CNI_COMMAND: 'CHECK' } },
    4,
    required('CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME,CNI_PATH'),
  ],
  [
    'DEL',
    { env: { ...none, CNI_COMMAND: 'DEL' } },
    4,
    required('CNI_CONTAINERID,CNI_IFNAME,CNI_PATH'),
  ],
  ['GC', { env: { ...none, CNI_COMMAND: 'GC' } }, 4, required('CNI_PATH')],
  ['STATUS', { env: { ...none, CNI_COMMAND: 'STATUS' } }, 4, required('CNI_PATH')],
  ['two', { env: { CNI_NETNS: '', CNI_IFNAME: undefined } }, 4, required('CNI_NETNS,CNI_IFNAME')],
])

const BAD_ID = 'invalid characters in containerID'
const LONG = 'interface name is too long'
const DOTS = 'interface name is . or ..'
const SIGNS = 'interface name contains / or : or whitespace characters'
const ifname = (name: string): Change => ({ env: { CNI_IFNAME: name } })

refuses('ENV-01 ENV-06 ENV-07 variables: malformed', [
  ['command in lower case', { env: { CNI_COMMAND: 'add' } }, 4, 'unknown CNI_COMMAND: add'],
  ['no such command', { env: { CNI_COMMAND: 'UPDATE' } }, 4, 'unknown CNI_COMMAND: UPDATE'],
  ['id with a slash', { env: { CNI_CONTAINERID: 'a/b' } }, 4, BAD_ID, 'a/b'],
  ['id that starts with a dot', { env: { CNI_CONTAINERID: '.a' } }, 4, BAD_ID],
  ['id with a line break', { env: { CNI_CONTAINERID: 'a\n' } }, 4, BAD_ID],
  ['16 characters', ifname('eth0123456789012'), 4, LONG, 'CNI_IFNAME is "eth0123456789012"'],
  ['15 characters of 16 bytes', ifname('eth01234567890é'), 4, LONG],
  ['a dot', ifname('.'), 4, DOTS],
  ['two dots', ifname('..'), 4, DOTS],
  ['a slash', ifname('a/b'), 4, SIGNS],
  ['a colon', ifname('eth0:1'), 4, SIGNS],
  ['a space', ifname('eth 0'), 4, SIGNS],
  ['malformed before missing', { env: { CNI_CONTAINERID: '-', CNI_NETNS: '' } }, 4, BAD_ID],
  ['missing before malformed', { env: { CNI_CONTAINERID: '', CNI_IFNAME: 'a/b' } }, 4, SIGNS],
])

refuses('CFG-03 CFG-04 CFG-05 CFG-06 CFG-08 configuration', [
  ['no name', { conf: { name: undefined } }, 7, 'missing network name'],
  ['an empty name', { conf: { name: '' } }, 7, 'missing network name'],
  [
    'a name with a slash',
    { conf: { name: 'a/b' } },
    7,
    'invalid characters found in network name',
    '"a/b"',
  ],
  [
    'a name that is a number',
    { conf: { name: 7 } },
    7,
    'invalid characters found in network name',
    '7',
  ],
  ['an array', { text: '[]' }, 6, 'error unmarshall network config: wanted a JSON object'],
  ['null', { text: 'null' }, 6, 'error unmarshall network config: wanted a JSON object'],
  [
    'version of words',
    { conf: { cniVersion: 'one' } },
    6,
    'Cannot read cniVersion "one": wanted a dotted version like 1.0.0',
  ],
  [
    'version of four parts',
    { conf: { cniVersion: '1.0.0.0' } },
    6,
    'Cannot read cniVersion "1.0.0.0": wanted a dotted version like 1.0.0',
  ],
  [
    'a number for a version',
    { conf: { cniVersion: 1 } },
    6,
    'Cannot read cniVersion 1: wanted a dotted version like 1.0.0',
  ],
  [
    'a version to come',
    { conf: { cniVersion: '1.2.0' } },
    1,
    'incompatible CNI versions',
    'config is "1.2.0", plugin supports ["0.1.0","0.2.0","0.3.0","0.3.1","0.4.0","1.0.0","1.1.0"]',
  ],
  ['half a version', { conf: { cniVersion: '1.0' } }, 1, 'incompatible CNI versions'],
  [
    'a store that is no text',
    { conf: { store: 7 } },
    7,
    'Cannot read "store": 7, wanted a non-empty text',
  ],
  [
    'an empty socket',
    { conf: { socket: '' } },
    7,
    'Cannot read "socket": "", wanted a non-empty text',
  ],
  [
    'prevResult of text',
    { conf: { prevResult: 'x' } },
    6,
    'could not parse prevResult: it is "x", wanted an object',
  ],
  [
    'ipam of text',
    { conf: { ipam: 'x' }, plugin: 'trivium-ipam' },
    7,
    'Cannot read "ipam": it is "x", wanted an object',
  ],
])

const invalid = (found: string): string =>
  `Cannot read "cni.dev/valid-attachments": found ${found}, wanted a list of {"containerID", "ifname"}`
const valid = (value: unknown): Change => ({
  env: { CNI_COMMAND: 'GC' },
  conf: { 'cni.dev/valid-attachments': value },
})
refuses('GC-02 the list of what is valid', [
  ['no list', valid({}), 7, invalid('{}')],
  ['a list of texts', valid(['c0ffee']), 7, invalid('"c0ffee"')],
  [
    'half an attachment',
    valid([{ containerID: 'c0ffee' }]),
    7,
    invalid('{"containerID":"c0ffee"}'),
  ],
  [
    'a number for an id',
    valid([{ containerID: 7, ifname: 'eth0' }]),
    7,
    invalid('{"containerID":7,"ifname":"eth0"}'),
  ],
])

t.test('CFG-02 input that is no JSON', async (t) => {
  for (const text of ['', '{', '{"name": pods}']) {
    const error = refusal({ text })
    t.equal(error?.code, 6, JSON.stringify(text))
    t.match(error?.msg, /^error unmarshall network config: /)
  }
})

t.test(
  'CFG-07 keys that have their place in the store are refused, with key and value',
  async (t) => {
    for (const key of [
      'mode',
      'pool',
      'pools',
      'subnet',
      'vni',
      'vlan',
      'vlanId',
      'mtu',
      'backend',
    ]) {
      const error = refusal({ conf: { [key]: [42] } })
      t.equal(error?.code, 2, key)
      t.equal(error?.msg, `unsupported field "${key}": [42]`)
      t.equal(
        error?.details,
        'Mode, pools and options live in the store; use: trivium network set pods',
      )
      t.equal(
        refusal({ conf: { ipam: { [key]: 1 } } }),
        undefined,
        `${key} of another's ipam is not ours`,
      )
      t.equal(
        refusal({ conf: { ipam: { [key]: 1 } }, plugin: 'trivium-ipam' })?.code,
        2,
        `ipam.${key}`,
      )
      t.equal(
        refusal({ conf: { [key]: 1 }, plugin: 'trivium-ipam' }),
        undefined,
        `${key} of the upper plugin`,
      )
    }
  },
)

t.test('CFG-07 CFG-09 CFG-10 what runtimes send beside it is never refused', async (t) => {
  const beside = {
    args: { cni: { labels: [] } },
    runtimeConfig: { portMappings: [] },
    capabilities: { portMappings: true },
    dns: {},
    disableCheck: true,
    'cni.dev/attachments': [],
    'cni.dev/anything': 7,
    prevResult: { cniVersion: '1.1.0', ips: [] },
  }
  t.equal(refusal({ conf: beside }), undefined)
  const request = parseRequest(input({ conf: beside }))
  t.match(request, { config: { prevResult: { cniVersion: '1.1.0' } } })
})

t.test('CHK-01 ST-01 GC-01 verbs and versions', async (t) => {
  const since = { ADD: '0.1.0', DEL: '0.1.0', CHECK: '0.4.0', GC: '1.1.0', STATUS: '1.1.0' }
  for (const [verb, first] of Object.entries(since)) {
    for (const cniVersion of CNI_VERSIONS) {
      const error = refusal({ env: { CNI_COMMAND: verb }, conf: { cniVersion } })
      if (cniVersion >= first) {
        t.equal(error, undefined, `${verb} in ${cniVersion}`)
        continue
      }
      t.equal(error?.code, 1, `no ${verb} in ${cniVersion}`)
      t.equal(error?.msg, `config version does not allow ${verb}`)
    }
  }
  t.match(parseRequest(input({ conf: { cniVersion: undefined } })), { cniVersion: '0.1.0' })
  t.match(parseRequest(input({ conf: { cniVersion: '' } })), { cniVersion: '0.1.0' })
  const old = { env: { CNI_COMMAND: 'CHECK' }, conf: { cniVersion: undefined } }
  t.equal(refusal(old)?.code, 1, 'no version is 0.1.0, which has no CHECK')
})

t.test('ENV-10 a whole request', async (t) => {
  const request = parseRequest(
    input({
      env: {
        CNI_ARGS: 'IgnoreUnknown=1;K8S_POD_NAMESPACE=web;K8S_POD_NAME=a',
        CNI_NETNS_OVERRIDE: '1',
      },
      conf: { store: 'memory:', socket: '/run/a.sock' },
    }),
  )
  t.strictSame(request, {
    plugin: 'trivium',
    verb: 'ADD',
    cniVersion: '1.1.0',
    containerId: 'c0ffee',
    netns: '/run/netns/c0ffee',
    ifname: 'eth0',
    args: { pod: { namespace: 'web', name: 'a', uid: '' } },
    ask: { ips: [], pools: [] },
    netnsOverride: true,
    config: { name: 'pods', store: 'memory:', socket: '/run/a.sock', delegation: {} },
  })
  for (const [text, expected] of [
    ['true', true],
    ['0', false],
    ['', false],
    ['yes', false],
  ] as const) {
    const { netnsOverride } = parseRequest(input({ env: { CNI_NETNS_OVERRIDE: text } })) as {
      netnsOverride: boolean
    }
    t.equal(netnsOverride, expected, `CNI_NETNS_OVERRIDE=${text}`)
  }
})

t.test('DEL-01 DEL passes over what is wrong with arguments and configuration', async (t) => {
  const rows: readonly (readonly [string, Change])[] = [
    ['a pair without "="', { env: { CNI_ARGS: 'IgnoreUnknown=1;x' } }],
    ['an unknown key', { env: { CNI_ARGS: 'x=1' } }],
    ['an address that is none', { env: { CNI_ARGS: 'IP=nonsense' } }],
    ['a key of the store', { conf: { mode: 'vxlan', mtu: 9000 } }],
    ['a store that is no text', { conf: { store: 7 } }],
    ['a result that is no object', { conf: { prevResult: 'x' } }],
    ['an "ipam" that is no object', { conf: { ipam: 7 }, plugin: 'trivium-ipam' }],
    ['attachments that are no list', { conf: { 'cni.dev/valid-attachments': 7 } }],
  ]
  for (const [what, change] of rows) {
    const del = { ...change, env: { ...change.env, CNI_COMMAND: 'DEL' } }
    t.match(parseRequest(input(del)), { verb: 'DEL', config: { name: 'pods' } }, what)
    t.ok(refusal(change), `${what}: ADD refuses`)
  }
})

t.test('DEL-02 DEL needs no namespace, GC and STATUS no container', async (t) => {
  t.match(parseRequest(input({ env: { CNI_COMMAND: 'DEL', CNI_NETNS: '' } })), {
    verb: 'DEL',
    netns: '',
  })
  const env = { ...none, CNI_PATH: '/opt/cni/bin' }
  t.match(parseRequest(input({ env: { ...env, CNI_COMMAND: 'STATUS' } })), {
    verb: 'STATUS',
    containerId: '',
  })
  const gc = {
    env: { ...env, CNI_COMMAND: 'GC' },
    conf: { 'cni.dev/valid-attachments': [{ containerID: 'a', ifname: 'eth0' }] },
  }
  t.match(parseRequest(input(gc)), {
    config: { validAttachments: [{ containerId: 'a', ifname: 'eth0' }] },
  })
  const missing = parseRequest(input({ env: { ...env, CNI_COMMAND: 'GC' } }))
  t.notOk(
    'config' in missing && 'validAttachments' in missing.config,
    'a missing list is not an empty one',
  )
})

t.test('VER-01 VER-02 VERSION works with anything on standard input', async (t) => {
  const ask = (text: string): unknown =>
    parseRequest(input({ env: { ...none, CNI_COMMAND: 'VERSION' }, text }))
  const rows = [
    ['', '1.1.0'],
    ['{}', '1.1.0'],
    ['not JSON', '1.1.0'],
    ['null', '1.1.0'],
    ['{"cniVersion":"0.3.1"}', '0.3.1'],
    ['{"cniVersion":7}', '1.1.0'],
  ] as const
  for (const [text, cniVersion] of rows)
    t.strictSame(ask(text), { verb: 'VERSION', cniVersion }, text)
  t.equal(askedVersion('{"cniVersion":"<script>"}'), '1.1.0', 'nothing but a version comes back')
})

t.test('order of checks: variables, input, JSON, name, verb, version', async (t) => {
  const all: Change = { env: { CNI_CONTAINERID: '', CNI_COMMAND: 'GO' }, text: '{' }
  t.equal(
    refusal({ ...all, env: { ...all.env, CNI_COMMAND: 'ADD' } })?.msg,
    required('CNI_CONTAINERID'),
  )
  t.equal(refusal({ text: '{', env: { CNI_COMMAND: 'GO' } })?.code, 6)
  t.equal(
    refusal({ text: '{"cniVersion":"9.9.9"}', env: { CNI_COMMAND: 'GO' } })?.msg,
    'missing network name',
  )
  t.equal(
    refusal({ conf: { cniVersion: '9.9.9' }, env: { CNI_COMMAND: 'GO' } })?.msg,
    'unknown CNI_COMMAND: GO',
  )
  t.equal(
    refusal({ conf: { cniVersion: '9.9.9' }, env: { CNI_COMMAND: 'GC' } })?.msg,
    'incompatible CNI versions',
  )
  t.equal(
    refusal({ conf: { cniVersion: '1.0.0', vni: 1 }, env: { CNI_COMMAND: 'GC' } })?.msg,
    'config version does not allow GC',
  )
})

const anyEnv = fc.record(
  Object.fromEntries(
    [...Object.keys(ENV), 'CNI_ARGS'].map((name) => [
      name,
      fc.oneof(fc.string(), fc.constantFrom('ADD', 'DEL', 'eth0', 'IP=1', 'a=b;')),
    ]),
  ),
  { requiredKeys: [], noNullPrototype: true },
)
const anyText = fc.oneof(
  fc.string(),
  fc.json(),
  fc.object().map((value) => JSON.stringify({ ...CONF, ...value })),
)
holds(
  t,
  'whatever comes, the answer is a request or an error of the table',
  fc.tuple(anyEnv, anyText),
  ([env, config]) => {
    try {
      const request = parseRequest({
        plugin: 'trivium',
        env: { ...ENV, ...(env as object) },
        config,
      })
      assert.ok(['ADD', 'DEL', 'CHECK', 'GC', 'STATUS', 'VERSION'].includes(request.verb))
    } catch (thrown) {
      assert.ok(thrown instanceof TriviumError, String(thrown))
      const { code } = cniError(thrown, '1.1.0')
      assert.ok([1, 2, 4, 6, 7].includes(code), `${code}: ${thrown.message}`)
    }
  },
)
