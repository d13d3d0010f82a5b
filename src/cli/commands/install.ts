/**
 * `trivium install` and `trivium uninstall`.
 *
 * @module
 */
import { realpathSync } from 'node:fs'
import { resolve } from 'node:path'
import { Command, Option } from 'commander'
import { keys } from '../../../ipam/keys.ts'
import { createNetwork, parseNetworkSpec } from '../../../ipam/mod.ts'
import type { AttachmentRecord, NetworkRecord } from '../../../ipam/records.ts'
import type { Store } from '../../../ipam/store.ts'
import { asTriviumError, TriviumError } from '../../errors.ts'
import { bootId } from '../../live/boot.ts'
import {
  distDirOf,
  findInstalled,
  type InstalledNetwork,
  installFiles,
  uninstallFiles,
} from '../../live/install.ts'
import { openStore } from '../../live/store-url.ts'
import { transact } from '../../live/transact.ts'
import { counted } from '../../words.ts'
import { collect, DEFAULTS, print, storeOption, withStore } from '../common.ts'
import { type NetworkFlags, networkFlags, specOf } from '../network-flags.ts'

interface InstallOptions extends NetworkFlags {
  readonly binDir: string
  readonly confDir: string
  readonly name: string
  readonly mode?: string
  readonly pool?: readonly string[]
  readonly store: string
  readonly cluster?: string
  readonly stateDir: string
  readonly socket: string
}

export function installCommand(): Command {
  const command = new Command('install')
    .description('put the CNI plugin, the Node it needs and a network configuration in place')
    .option('--bin-dir <dir>', 'where the runtime looks for plugins', DEFAULTS.binDir)
    .option('--conf-dir <dir>', 'where the runtime looks for networks', DEFAULTS.confDir)
    .option('--name <network>', 'name of the network', DEFAULTS.networkName)
    .addOption(
      new Option(
        '--mode <mode>',
        `how packets travel: vxlan, route or vlan; ipam: addresses only (new network: ${DEFAULTS.mode})`,
      ),
    )
    .option(
      '--pool <cidr>',
      `addresses for pods, repeatable (new network: ${DEFAULTS.pool})`,
      collect,
    )
    .addOption(storeOption())
    .addOption(
      new Option(
        '--cluster <url>',
        "the nodes' cluster, as trivium agent has it: the network is its",
      ).env('TRIVIUM_CLUSTER'),
    )
    .option('--state-dir <dir>', "the node's own files", DEFAULTS.stateDir)
    .option('--socket <path>', "the agent's socket", DEFAULTS.socketPath)
  for (const flag of networkFlags()) command.addOption(flag)
  return command
    .addHelpText(
      'after',
      '\nMode, pools and options are written to the store where the network is new; where it exists, a\ncontradiction is refused. Change it with: trivium network set\n\nExamples:\n  trivium install --mode vxlan --pool 10.42.0.0/16 --pool fd42::/48\n  trivium install --bin-dir /opt/cni/bin --conf-dir /etc/cni/net.d --name pods\n',
    )
    .action(install)
}

async function install(options: InstallOptions): Promise<void> {
  await withStore(options.cluster ?? options.store, (store) => writeNetwork(store, options), {})
  const files = installFiles({
    distDir: distDirOf(realpathSync(process.argv[1] ?? '')),
    binDir: resolve(options.binDir),
    confDir: resolve(options.confDir),
    network: options.name,
    storeUrl: options.store,
    socketPath: resolve(options.socket),
  })
  for (const file of files) print(`installed ${file}\n`)
}

/** Creates the network, or holds what was asked against what is there. */
async function writeNetwork(
  store: Parameters<typeof transact>[0],
  options: InstallOptions,
): Promise<void> {
  await transact(store, (tx) => {
    const found = tx.get(keys.network(options.name))
    if (found === undefined) {
      const spec = specOf(
        options.name,
        options.mode ?? DEFAULTS.mode,
        options.pool ?? [DEFAULTS.pool],
        options,
      )
      createNetwork(tx, parseNetworkSpec(spec, Date.now()))
      return
    }
    refuseContradiction(options, found)
  })
}

/** Only what the command line says is compared; what it leaves out stays as it is. */
function refuseContradiction(options: InstallOptions, found: NetworkRecord): void {
  const { name, mode } = options
  if (mode !== undefined && mode !== found.mode) {
    throw contradiction(name, 'mode', found.mode, mode)
  }
  const asked = specOf(name, found.mode, options.pool ?? [], options)
  const misfit = asked.pools.some(({ cidr, blockLength, gateway, namespaces, floating }) => {
    const pool = found.pools.find((each) => each.cidr === cidr)
    if (pool === undefined || (floating ?? false) !== (pool.floating ?? false)) return true
    const isBlock = blockLength === undefined || blockLength === pool.blockLength
    const names = namespaces && [...namespaces].sort().join()
    if (names !== undefined && names !== pool.namespaces?.join()) return true
    return !isBlock || (gateway !== undefined && gateway !== pool.gateway)
  })
  const isFewer = options.pool !== undefined && asked.pools.length !== found.pools.length
  if (misfit || isFewer) {
    const pools = found.pools.map(({ cidr, blockLength }) => `${cidr},block=${blockLength}`)
    throw contradiction(name, 'pools', pools.join(', '), (options.pool ?? []).join(', '))
  }
  for (const key of ['vni', 'vxlanPort', 'vlanId', 'mtuBytes'] as const) {
    const wanted = asked.options?.[key]
    if (wanted === undefined || wanted === found.options[key]) continue
    throw contradiction(name, FLAGS[key], String(found.options[key] ?? 'unset'), String(wanted))
  }
}

/** The flag behind an option of the record. */
const FLAGS = { vni: 'vni', vxlanPort: 'vxlan-port', vlanId: 'vlan', mtuBytes: 'mtu' } as const

function contradiction(name: string, what: string, found: string, wanted: string): TriviumError {
  return new TriviumError(
    'CONFLICT',
    `Cannot install network ${name}: the store has ${what} ${found}, the command line wants ${wanted}`,
    `Leave --${what === 'pools' ? 'pool' : what} out to keep it, or change it: trivium network set ${name}`,
  )
}

export function uninstallCommand(): Command {
  return new Command('uninstall')
    .description('remove what install put in place; addresses and networks stay in the store')
    .option('--bin-dir <dir>', 'where the plugin is', DEFAULTS.binDir)
    .option('--conf-dir <dir>', 'where the network configuration is', DEFAULTS.confDir)
    .option('--name <network>', 'name of the network', DEFAULTS.networkName)
    .option('--force', 'also while pods of this node are attached: their DEL will fail')
    .addHelpText(
      'after',
      '\nStop the agent first. Refused while pods of this node are attached.\n\nExamples:\n  trivium uninstall\n  trivium uninstall --name pods --force\n',
    )
    .action(uninstall)
}

interface UninstallOptions extends Pick<InstallOptions, 'binDir' | 'confDir' | 'name'> {
  readonly force?: boolean
}

function uninstall({ binDir, confDir, name, force = false }: UninstallOptions): void {
  if (!force) refuseWhileAttached(findInstalled(resolve(confDir), name))
  const files = uninstallFiles(resolve(binDir), resolve(confDir), name)
  for (const file of files) print(`removed ${file}\n`)
  if (files.length === 0) print('nothing to remove\n')
}

/** Pods of an earlier boot are gone, whatever the store still says of them. */
function refuseWhileAttached(installed: InstalledNetwork | undefined): void {
  if (installed === undefined) return
  const { storeUrl, node } = installed
  const attached = attachmentsIn(storeUrl, node).filter(({ bootId: boot }) => boot === bootId())
  const [first] = attached
  if (first === undefined) return
  const { pod, containerId, network } = first
  const example = pod === undefined ? containerId : `${pod.namespace}/${pod.name}`
  throw new TriviumError(
    'CONFLICT',
    `Cannot uninstall: ${counted(attached.length, 'pod')} of ${node === undefined ? 'the nodes in the store' : `node ${node}`} attached, e.g. ${example} to network ${network}`,
    'Move the pods away first, or use --force: their DEL will fail afterwards',
  )
}

/** A store that is not there holds nothing. */
function attachmentsIn(storeUrl: string, node: string | undefined): readonly AttachmentRecord[] {
  let store: Store
  try {
    store = openStore(storeUrl, { mustExist: true })
  } catch (thrown) {
    if (asTriviumError(thrown).code === 'NOT_FOUND') return []
    throw thrown
  }
  try {
    return store.read((reader) => {
      const nodes =
        node === undefined ? [...reader.range(keys.nodes)].map(([, each]) => each.name) : [node]
      return nodes.flatMap((each) =>
        [...reader.range(keys.attachments(each))].map(([, record]) => record),
      )
    })
  } finally {
    store.close()
  }
}
