/**
 * The plugins that the suite is run on: ours in each of its shapes, and
 * Debian's containernetworking-plugins.
 */
import { join } from 'node:path'
import { type NetworkList, parseNetworkList } from '../../src/conformance/mod.ts'
import { must } from '../../src/lab/exec.ts'
import { TRIVIUM } from '../support/e2e.ts'

export interface Subject {
  readonly name: string
  readonly list: NetworkList
  readonly binDirs: readonly string[]
  readonly setup?: string
  readonly daemonStopped?: true
}

export const REFERENCE = '/usr/lib/cni'

/** Below the lane's own /run, so that every lane has one. */
const STORE = 'lmdb:/run/trivium/store'
const SOCKET = '/run/trivium/agent.sock'
const OURS = { store: STORE, socket: SOCKET }
const SUBNET = '10.88.0.0/28'
const HOST_LOCAL = {
  type: 'host-local',
  ranges: [[{ subnet: SUBNET }]],
  routes: [{ dst: '0.0.0.0/0' }],
}

const list = (cniVersion: string, ...plugins: readonly object[]): NetworkList =>
  parseNetworkList(JSON.stringify({ cniVersion, name: 'pods', plugins }), 'subjects.ts')

/** Small pools, so that rules can use them up. */
const POOLS = [`${SUBNET},block=28,gateway=10.88.0.1`, 'fd88::/124,block=124,gateway=fd88::1']

/** Ours, installed, and a store with its networks that every lane gets a copy of. */
export interface Installed {
  readonly binDir: string
  readonly store: string
  /** The same networks for the plugins of others: addresses alone. */
  readonly ipamStore: string
  /** The same networks with pods on macvlans, untagged, as not every kernel has 802.1Q. */
  readonly macvlanStore: string
}

export async function installOurs(dir: string): Promise<Installed> {
  const [binDir, store, ipamStore] = [join(dir, 'bin'), join(dir, 'store'), join(dir, 'ipam')]
  const macvlanStore = join(dir, 'macvlan')
  const flags = {
    'bin-dir': binDir,
    'conf-dir': join(dir, 'conf'),
    'state-dir': join(dir, 'state'),
    store: `lmdb:${store}`,
    socket: join(dir, 'agent.sock'),
  }
  const words = Object.entries(flags).flatMap(([key, value]) => [`--${key}`, value])
  const pools = POOLS.flatMap((pool) => ['--pool', pool])
  await must([...TRIVIUM, 'install', ...words, ...pools])
  const create = (at: string, name: string, ...words: readonly string[]) =>
    must([...TRIVIUM, 'network', 'create', name, ...words, '--store', `lmdb:${at}`])
  const other = ['--pool', '10.89.0.0/28,block=28,gateway=10.89.0.1']
  await create(store, 'pods-other', ...other)
  await create(ipamStore, 'pods', '--mode', 'ipam', ...pools)
  await create(ipamStore, 'pods-other', '--mode', 'ipam', ...other)
  const macvlan = ['--mode', 'vlan', '--vlan', '0', '--attachment', 'macvlan']
  await create(macvlanStore, 'pods', ...macvlan, ...pools)
  await create(macvlanStore, 'pods-other', ...other)
  return { binDir, store, ipamStore, macvlanStore }
}

/** Starts the agent. @param more Shell, when it is ready. */
export function nodeSetup({ binDir, store }: Installed, more = ''): string {
  return `
set -e
mkdir -p /run/trivium
cp -r ${store} /run/trivium/store
${join(binDir, 'trivium')} agent --node n1 --underlay eth0 --store ${STORE} --state-dir /run/trivium --socket ${SOCKET} >/run/trivium/log 2>&1 &
agent=$!
until grep -q '"event":"ready"' /run/trivium/log; do kill -0 $agent; sleep 0.05; done
${more}`
}

export const STOPPED = 'kill -TERM $agent; wait $agent || true'

/** Ours, by what each is called in the README. */
export function ourSubjects(installed: Installed): readonly Subject[] {
  const { binDir } = installed
  const setup = nodeSetup(installed)
  const ipamSetup = nodeSetup({ ...installed, store: installed.ipamStore })
  const ipam = { type: 'trivium-ipam', ...OURS }
  return [
    {
      name: 'trivium',
      list: list('1.1.0', { type: 'trivium', ...OURS }),
      binDirs: [binDir],
      setup,
    },
    {
      name: 'trivium, agent stopped',
      list: list('1.1.0', { type: 'trivium', ...OURS }),
      binDirs: [binDir],
      setup: nodeSetup(installed, STOPPED),
      daemonStopped: true,
    },
    {
      name: 'trivium on macvlans',
      list: list('1.1.0', { type: 'trivium', ...OURS }),
      binDirs: [binDir],
      setup: nodeSetup({ ...installed, store: installed.macvlanStore }),
    },
    {
      name: 'trivium-ipam alone',
      list: list('1.1.0', { type: 'trivium-ipam', ipam }),
      binDirs: [binDir],
      setup: ipamSetup,
    },
    {
      name: 'trivium + portmap',
      list: list('1.0.0', { type: 'trivium', ...OURS }, PORTMAP),
      binDirs: [binDir, REFERENCE],
      setup,
    },
    {
      name: 'bridge + trivium-ipam',
      list: list('1.0.0', { type: 'bridge', bridge: 'cni0', isGateway: true, ipam }),
      binDirs: [REFERENCE, binDir],
      setup: ipamSetup,
    },
  ]
}

const PORTMAP = { type: 'portmap', capabilities: { portMappings: true } }

/** Debian's. */
export const REFERENCE_SUBJECTS: readonly Subject[] = [
  ['bridge + host-local', { type: 'bridge', bridge: 'cni0', isGateway: true, ipam: HOST_LOCAL }],
  [
    'bridge, masquerade',
    { type: 'bridge', bridge: 'cni0', isGateway: true, ipMasq: true, ipam: HOST_LOCAL },
  ],
  ['ptp + host-local', { type: 'ptp', ipam: HOST_LOCAL }],
  ['macvlan + host-local', { type: 'macvlan', master: 'eth0', ipam: HOST_LOCAL }],
  ['host-local alone', { type: 'host-local', ipam: HOST_LOCAL }],
].map(([name, plugin]) => ({
  name: name as string,
  list: list('1.0.0', plugin as object),
  binDirs: [REFERENCE],
}))
