/** Dumps as other plugins' own tools print them, through the command, and what is none. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { stringify } from 'yaml'
import { openLmdbStore } from '../../ipam/lmdb-store.ts'
import { createNetwork, keys, parseNetworkSpec } from '../../ipam/mod.ts'
import { runCli } from '../../src/cli/program.ts'
import { transact } from '../../src/live/transact.ts'
import { ownFolder } from '../support/folder.ts'

const folder = ownFolder(t)
const url = `lmdb:${folder}/store`
const socket = join(folder, 'agent.sock')
const file = (name: string, text: string): string => {
  writeFileSync(join(folder, name), text)
  return join(folder, name)
}

const store = openLmdbStore(join(folder, 'store'))
t.teardown(() => store.close())
await transact(store, (tx) => {
  const pools = [{ cidr: '10.244.0.0/16', blockLength: 26 }]
  createNetwork(tx, parseNetworkSpec({ name: 'lan', mode: 'ipam', pools }, 1))
})

async function trivium(...args: readonly string[]) {
  const place = ['--store', url, '--network', 'lan', '--node', 'n1', '--socket', socket]
  const [outs, errs]: [string[], string[]] = [[], []]
  const [out, err] = [process.stdout.write, process.stderr.write]
  Object.assign(process.stdout, { write: (text: string) => outs.push(text) > 0 })
  Object.assign(process.stderr, { write: (text: string) => errs.push(text) > 0 })
  try {
    const status = await runCli(['node', 'trivium', 'ipam', 'import', ...args, ...place])
    return { status, printed: outs.join(''), told: errs.join('') }
  } finally {
    Object.assign(process.stdout, { write: out })
    Object.assign(process.stderr, { write: err })
    process.exitCode = 0
  }
}

const ID = 'a'.repeat(64)
const CALICO = {
  apiVersion: 'v1',
  kind: 'List',
  metadata: { resourceVersion: '' },
  items: [
    {
      apiVersion: 'crd.projectcalico.org/v1',
      kind: 'IPAMBlock',
      metadata: { name: '10-244-7-64-26', annotations: {}, generation: 3, uid: 'u' },
      spec: {
        affinity: 'host:n1',
        allocations: [0, 1, ...Array.from({ length: 62 }, () => null)],
        attributes: [
          {
            handle_id: 'vxlan-tunnel-addr-n1',
            secondary: { node: 'n1', type: 'vxlanTunnelAddress' },
          },
          {
            handle_id: `k8s-pod-network.${ID}`,
            secondary: {
              namespace: 'default',
              node: 'n1',
              pod: 'web-0',
              timestamp: '2026-03-01 12:00:00 +0000 UTC',
            },
          },
        ],
        cidr: '10.244.7.64/26',
        deleted: false,
        sequenceNumber: 1_772_366_400_000,
        sequenceNumberForAllocation: { '0': 1_772_366_400_000, '1': 1_772_366_400_001 },
        strictAffinity: false,
        unallocated: Array.from({ length: 62 }, (_, index) => index + 2),
      },
    },
  ],
}
const WHEREABOUTS = {
  apiVersion: 'v1',
  kind: 'List',
  items: [
    {
      apiVersion: 'whereabouts.cni.cncf.io/v1alpha1',
      kind: 'IPPool',
      metadata: { name: '10.244.9.0-24', namespace: 'kube-system', generation: 14 },
      spec: {
        range: '10.244.9.0/24',
        allocations: {
          '5': { id: ID, ifname: 'net1', podref: 'default/db-0' },
          // Seen in the field: a number below zero that was printed without its sign.
          '18446463705355360228': { id: ID, podref: 'ns/p' },
        },
      },
    },
  ],
}

t.test('calico, as JSON and as YAML', async (t) => {
  for (const text of [JSON.stringify(CALICO), stringify(CALICO)]) {
    const path = file('calico', text)
    const { status, printed } = await trivium('--from', 'calico', path, '--dry-run', '-o', 'json')
    t.equal(status, 1, 'the tunnel address is told')
    const rows = JSON.parse(printed) as { state: string; subject: string; addresses: string }[]
    t.match(
      rows.filter(({ state }) => state === 'attach'),
      [{ subject: `eth0 of container ${ID}`, addresses: '10.244.7.65' }],
    )
    t.match(printed, /vxlanTunnelAddress.*of node.*n1/)
  }
})

t.test('whereabouts', async (t) => {
  const path = file('whereabouts', JSON.stringify(WHEREABOUTS))
  const { status, printed } = await trivium('--from', 'whereabouts', path, '--dry-run')
  t.equal(status, 1)
  t.match(printed, new RegExp(`^attach +net1 of container ${ID} +10\\.244\\.9\\.5$`, 'm'))
  t.match(printed, /conflict.*18446463705355360228/)
})

t.test('flannel: its file, its nodes and the folder below', async (t) => {
  const env = file(
    'subnet.env',
    'FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.3.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n',
  )
  mkdirSync(join(folder, 'cbr0'))
  file('cbr0/10.244.3.2', `${ID}\r\neth0`)
  file('cbr0/last_reserved_ip.0', '10.244.3.2')
  file('cbr0/lock', '')
  const args = ['--from', 'flannel', env, join(folder, 'cbr0'), '--dry-run']
  const { status, printed } = await trivium(...args)
  t.equal(status, 0, printed)
  t.match(printed, new RegExp(`^attach +eth0 of container ${ID} +10\\.244\\.3\\.2$`, 'm'))
})

t.test('what is no dump: an error that names the file, and nothing is written', async (t) => {
  const bomb = `a: &a [x, x, x, x, x, x, x, x, x]\n${'bcdefghi'
    .split('')
    .map((name, at) => {
      const before = 'abcdefgh'[at]
      return `${name}: &${name} [${Array.from({ length: 9 }, () => `*${before}`).join(', ')}]`
    })
    .join('\n')}\n`
  const cases: readonly (readonly [name: string, text: string, told: RegExp])[] = [
    ['cut', JSON.stringify(CALICO).slice(0, 300), /Cannot read \S+cut as calico/],
    ['bomb', bomb, /Cannot read \S+bomb as calico: .*alias/],
    ['empty', '', /there is no IPAMBlock/],
    ['other', JSON.stringify(WHEREABOUTS), /there is no IPAMBlock/],
    ['binary', '\0\u0001\u0002', /no IPAMBlock|Cannot read/],
  ]
  for (const [name, text, wanted] of cases) {
    const { status, printed, told } = await trivium('--from', 'calico', file(name, text), '--yes')
    t.equal(status, 1, name)
    t.match(printed + told, wanted, name)
  }
  const none = await trivium('--from', 'calico', join(folder, 'none'), '--dry-run')
  t.match(none.told, /Cannot read \S+none as calico: ENOENT/)
  t.strictSame(
    store.read((reader) => [...reader.range(keys.allClaims)]),
    [],
  )
})
