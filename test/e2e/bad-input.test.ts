/**
 * What a person may get wrong on the command line: the exit status, an error
 * that names the subject, what was found and what was wanted, and nothing
 * made or changed.
 */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { cli } from '../support/e2e.ts'

interface Row {
  readonly args: readonly string[]
  readonly status: 1 | 2
  /** Words the message must have, in this order. */
  readonly says: readonly string[]
}

const create = (...args: readonly string[]): readonly string[] => ['network', 'create', ...args]

/** `DIR` stands for a fresh folder; `--store` of the test's own is added where none is given. */
const ROWS: readonly Row[] = [
  {
    args: create('x', '--mode', 'carrier-pigeon', '--pool', '10.9.0.0/16'),
    status: 1,
    says: ['network x', 'mode', '"carrier-pigeon"', 'vxlan, route, vlan or ipam'],
  },
  { args: create('x', '--pool', '10.9.0.0'), status: 1, says: ['pool', '10.9.0.0'] },
  { args: create('x', '--pool', '10.9.0.0/33'), status: 1, says: ['10.9.0.0/33'] },
  { args: create('x', '--pool', '10.256.0.0/16'), status: 1, says: ['10.256.0.0/16'] },
  { args: create('x', '--pool', '10.9.0.1/16'), status: 1, says: ['10.9.0.1/16', '10.9.0.0/16'] },
  { args: create('x', '--pool', 'fd99::1/64'), status: 1, says: ['fd99::1/64', 'fd99::/64'] },
  {
    args: create('x', '--pool', '10.9.0.0/16', '--pool', '10.9.128.0/17'),
    status: 1,
    says: ['network x', '10.9.0.0/16 and 10.9.128.0/17 overlap'],
  },
  {
    args: create('x', '--pool', '10.42.7.0/24'),
    status: 1,
    says: ['network x', '10.42.7.0/24 overlaps', '10.42.0.0/16', 'network pods'],
  },
  {
    args: create('x', '--pool', '10.9.0.0/31'),
    status: 1,
    says: ['network x', '10.9.0.0/31 has 2 addresses', 'at least 4'],
  },
  {
    args: create('x', '--pool', '10.9.0.0/16,block=12'),
    status: 1,
    says: ['network x', 'block length', '12', '16 to 32'],
  },
  {
    args: create('x', '--pool', '10.9.0.0/16,block=big'),
    status: 2,
    says: ['block', '"big"', 'whole number'],
  },
  {
    args: create('x', '--pool', '10.9.0.0/16,color=red'),
    status: 2,
    says: ['10.9.0.0/16,color=red', '"color"', 'block=LENGTH'],
  },
  {
    args: create('x', '--pool', '10.9.0.0/16,gateway=10.8.0.1'),
    status: 1,
    says: ['network x', 'gateway', '10.8.0.1', 'inside the pool'],
  },
  {
    args: create('x', '--pool', '10.9.0.0/16', '--vni', '0'),
    status: 1,
    says: ['network x', 'vni is 0', '1 to 16777215'],
  },
  {
    args: create('x', '--pool', '10.9.0.0/16', '--vni', '16777216'),
    status: 1,
    says: ['network x', 'vni is 16777216', '1 to 16777215'],
  },
  {
    args: create('x', '--pool', '10.9.0.0/16', '--vni', 'seven'),
    status: 2,
    says: ['--vni', '"seven"', 'whole number'],
  },
  {
    args: create('x', '--pool', '10.9.0.0/16', '--vni', '1'),
    status: 1,
    says: ['network x', 'VNI 1', 'network pods'],
  },
  {
    args: create('x', '--pool', '10.9.0.0/16', '--mtu', '67'),
    status: 1,
    says: ['network x', 'mtuBytes is 67', '68 to 65535'],
  },
  {
    args: create('x', '--pool', 'fd99::/64', '--mtu', '1279'),
    status: 1,
    says: ['network x', 'mtuBytes is 1279', '1280 to 65535'],
  },
  { args: create('x', '--pool', '10.9.0.0/16', '--mtu', '-1'), status: 2, says: ['--mtu'] },
  {
    args: create('x', '--pool', '10.9.0.0/16', '--vxlan-port', '65536'),
    status: 1,
    says: ['network x', 'vxlanPort is 65536', '1 to 65535'],
  },
  {
    args: create('x', '--mode', 'vlan', '--pool', '10.9.0.0/16'),
    status: 1,
    says: ['network x', 'vlanId is missing', '1 to 4094'],
  },
  {
    args: create('x', '--mode', 'vlan', '--vlan', '4095', '--pool', '10.9.0.0/16'),
    status: 1,
    says: ['network x', 'vlanId is 4095', '1 to 4094'],
  },
  {
    args: create('a/b', '--pool', '10.9.0.0/16'),
    status: 1,
    says: ['network name', '"a/b"', 'letters, digits'],
  },
  { args: create('x'), status: 2, says: ['--pool'] },
  {
    args: create('pods', '--pool', '10.9.0.0/16'),
    status: 1,
    says: ['network pods', 'pools', '10.42.0.0/16', '10.9.0.0/16'],
  },
  {
    args: create('pods', '--mode', 'route', '--pool', '10.42.0.0/16'),
    status: 1,
    says: ['network pods', 'mode vxlan', 'wanted route'],
  },
  {
    args: ['network', 'set', 'ghosts', '--mode', 'route'],
    status: 1,
    says: ['network ghosts', 'pods'],
  },
  {
    args: ['network', 'set', 'pods', '--mode', 'tunnel'],
    status: 1,
    says: ['network pods', 'mode', '"tunnel"', 'vxlan, route, vlan or ipam'],
  },
  {
    args: ['network', 'set', 'pods', '--mode', 'vlan'],
    status: 1,
    says: ['network pods', 'vlanId'],
  },
  {
    args: ['network', 'set', 'pods', '--mtu', '70000'],
    status: 1,
    says: ['network pods', 'mtuBytes is 70000', '68 to 65535'],
  },
  { args: ['network', 'show', 'ghosts'], status: 1, says: ['network ghosts', 'pods'] },
  { args: ['network', 'delete', 'ghosts'], status: 1, says: ['network ghosts', 'pods'] },
  { args: ['network', 'paint'], status: 2, says: ['paint'] },
  { args: ['node', 'show', 'ghost'], status: 1, says: ['node ghost', 'none'] },
  { args: ['node', 'delete', 'ghost'], status: 1, says: ['node ghost'] },
  { args: ['ipam', 'show', '--ip', '10.42.0.256'], status: 1, says: ['--ip', '10.42.0.256'] },
  { args: ['ipam', 'show', '-o', 'xml'], status: 2, says: ['xml', 'json'] },
  {
    args: ['network', 'show', '--store', 'lmdb:relative/path'],
    status: 2,
    says: ['lmdb:relative/path', 'lmdb:/absolute/path'],
  },
  {
    args: ['network', 'show', '--store', 'cloud:somewhere'],
    status: 2,
    says: ['cloud:somewhere', 'lmdb:'],
  },
  { args: ['network', 'show', '--store', 'lmdb:DIR/none'], status: 1, says: ['DIR/none'] },
  { args: ['ipam', 'show', '--store', 'lmdb:DIR/none'], status: 1, says: ['DIR/none'] },
  {
    args: ['network', 'set', 'pods', '--mode', 'route', '--store', 'lmdb:DIR/none'],
    status: 1,
    says: ['DIR/none'],
  },
  {
    args: ['network', 'delete', 'pods', '--store', 'lmdb:DIR/none'],
    status: 1,
    says: ['DIR/none'],
  },
  {
    args: [
      'agent',
      '--node',
      'a/b',
      '--underlay',
      'lo',
      '--socket',
      'DIR/run/s',
      '--state-dir',
      'DIR/state',
    ],
    status: 2,
    says: ['node name', '"a/b"', 'letters, digits'],
  },
  {
    args: [
      'agent',
      '--node',
      'n1',
      '--underlay',
      'nic9',
      '--socket',
      'DIR/run/s',
      '--state-dir',
      'DIR/state',
    ],
    status: 1,
    says: ['nic9', 'no such link', 'lo'],
  },
  {
    args: ['agent', '--node', 'n1', '--underlay', 'lo', '--rack', 'a/b', '--socket', 'DIR/run/s'],
    status: 2,
    says: ['rack', '"a/b"', 'letters, digits'],
  },
  { args: ['agent', '--node', 'n1', '--socket', 'DIR/run/s'], status: 2, says: ['--underlay'] },
  { args: ['agent', '--underlay', 'lo', '--socket', 'DIR/run/s'], status: 2, says: ['--node'] },
  {
    args: [
      'install',
      '--name',
      'x',
      '--mode',
      'pigeon',
      '--bin-dir',
      'DIR/bin',
      '--conf-dir',
      'DIR/conf',
    ],
    status: 1,
    says: ['network x', 'mode', '"pigeon"'],
  },
  {
    args: [
      'install',
      '--name',
      'x',
      '--pool',
      '10.42.0.0/24',
      '--bin-dir',
      'DIR/bin',
      '--conf-dir',
      'DIR/conf',
    ],
    status: 1,
    says: ['network x', '10.42.0.0/24 overlaps', 'network pods'],
  },
  {
    args: ['install', '--name', '../x', '--bin-dir', 'DIR/bin', '--conf-dir', 'DIR/conf'],
    status: 1,
    says: ['network name', '"../x"'],
  },
  {
    args: [
      'install',
      '--name',
      'pods',
      '--mode',
      'route',
      '--bin-dir',
      'DIR/bin',
      '--conf-dir',
      'DIR/conf',
    ],
    status: 1,
    says: ['network pods', 'mode vxlan', 'route'],
  },
  {
    args: ['install', '--store', 'lmdb:here', '--bin-dir', 'DIR/bin', '--conf-dir', 'DIR/conf'],
    status: 2,
    says: ['lmdb:here', 'lmdb:/absolute/path'],
  },
  { args: ['frobnicate'], status: 2, says: ['frobnicate'] },
]

t.test('what a person may get wrong', async (t) => {
  const root = mkdtempSync(join(tmpdir(), `trv-${process.pid}-input-`))
  t.teardown(() => rmSync(root, { recursive: true, force: true }))
  const store = `lmdb:${join(root, 'store')}`
  const pods = ['pods', '--mode', 'vxlan', '--pool', '10.42.0.0/16', '--store', store]
  t.equal((await cli(...create(...pods))).status, 0)
  const again = await cli(...create(...pods))
  t.strictSame([again.status, again.stdout], [0, 'network pods: unchanged\n'], 'twice is once')
  const state = async (): Promise<readonly string[]> =>
    Promise.all(
      [
        ['network', 'show'],
        ['ipam', 'show', '--show-blocks'],
        ['node', 'show'],
      ].map(async (args) => (await cli(...args, '-o', 'json', '--store', store)).stdout),
    )
  const before = await state()
  t.match(before[0], /"pods"/)

  const waiting = ROWS.entries()
  const worker = async (): Promise<void> => {
    for (const [index, { args, status, says }] of waiting) {
      const dir = join(root, `row${index}`)
      const title = args.join(' ')
      const own = args.includes('--store') || args[0] === 'frobnicate' ? [] : ['--store', store]
      const filled = [...args, ...own].map((arg) => arg.replace('DIR', dir))
      const finished = await cli(...filled)
      t.equal(finished.status, status, `${title}: exit status`)
      t.equal(finished.stdout, '', `${title}: nothing on standard output`)
      t.match(finished.stderr, inOrder(says.map((word) => word.replace('DIR', dir))), title)
      t.notMatch(finished.stderr, /\n\s+at /, `${title}: no stack`)
    }
  }
  await Promise.all([worker(), worker(), worker()])
  t.strictSame(readdirSync(root), ['store'], 'no row made a file or a folder')
  t.strictSame(await state(), before, 'the store is as it was')
})

const inOrder = (words: readonly string[]): RegExp =>
  new RegExp(words.map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('[^]*'))
