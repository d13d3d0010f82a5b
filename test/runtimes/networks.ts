/**
 * The network lists that a containerd reads, and what it has made of them.
 *
 * @module
 */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { LabNode } from '../../src/lab/lab.ts'
import { type Json, settle } from '../support/e2e.ts'
import { type Containerd, PLUGIN_DIR } from './containerd.ts'

/** Debian's plugins behind ours, as a cluster with host ports and rate limits has them. */
const CHAIN = [
  { type: 'portmap', capabilities: { portMappings: true } },
  { type: 'bandwidth', capabilities: { bandwidth: true } },
]

interface NetworkList {
  readonly cniVersion: string
  readonly name: string
  readonly plugins: readonly Json[]
}

/** Puts Debian's plugins where the runtime of a node looks for them; `loopback` is always called. */
export function linkPlugins({ binDir }: LabNode): void {
  for (const name of ['loopback', ...CHAIN.map(({ type }) => type)]) {
    symlinkSync(join(PLUGIN_DIR, name), join(binDir, name))
  }
}

/** The list that `trivium install` wrote. */
export const installedList = ({ confDir }: LabNode): NetworkList =>
  JSON.parse(readFileSync(join(confDir, '10-pods.conflist'), 'utf8')) as NetworkList

/** The installed list with Debian's plugins behind ours takes its place. */
export function chainInstalled(node: LabNode): void {
  const { plugins, ...list } = installedList(node)
  writeList(node, '10-pods.conflist', { ...list, plugins: [...plugins, ...CHAIN] })
}

/** Runtimes see a file when it is renamed within its folder, and read it at once. */
function writeList({ confDir }: LabNode, file: string, list: NetworkList): void {
  const path = join(confDir, file)
  writeFileSync(`${path}.new`, JSON.stringify(list))
  renameSync(`${path}.new`, path)
}

/** What a list has that the installed one has not. */
export interface ListChange {
  readonly list?: Partial<Omit<NetworkList, 'plugins'>>
  /** In our plugin's part. */
  readonly plugin?: Json
  /** Plugins behind all others. */
  readonly behind?: readonly Json[]
}

/**
 * A changed list in front of the installed one. Resolves when containerd goes by it.
 *
 * @returns What takes it away again.
 */
export async function listInFront(
  containerd: Containerd,
  { list = {}, plugin = {}, behind = [] }: ListChange,
): Promise<() => Promise<void>> {
  const { node } = containerd
  const installed = installedList(node)
  const [ours, ...others] = installed.plugins
  const plugins = [{ ...ours, ...plugin }, ...others, ...behind]
  const changed = { ...installed, ...list, plugins }
  writeList(node, '05-front.conflist', changed)
  await whenLoaded(containerd, changed)
  return async () => {
    rmSync(join(node.confDir, '05-front.conflist'))
    await whenLoaded(containerd, installedList(node))
  }
}

/** A plugin for the end of a chain whose ADD does not come back; the file says that it was reached. */
export function addGate({ binDir, confDir }: LabNode): {
  readonly plugin: Json
  reached(): boolean
} {
  const file = join(confDir, 'gate-reached')
  const script = `#!/bin/sh\n[ "$CNI_COMMAND" != ADD ] || { touch ${file}; exec cat ${file}.never; }\n`
  execFileSync('mkfifo', [`${file}.never`])
  writeFileSync(join(binDir, 'gate'), script, { mode: 0o755 })
  return { plugin: { type: 'gate' }, reached: () => existsSync(file) }
}

/** Whether the runtime takes pods, and why not. */
export async function networkReady({ cri }: Containerd): Promise<{ ready: boolean; why: string }> {
  const { status } = await cri.call('status', {})
  const condition = status?.conditions.find(({ type }) => type === 'NetworkReady')
  return { ready: condition?.status === true, why: condition?.message ?? '' }
}

async function whenLoaded({ cri }: Containerd, wanted: NetworkList): Promise<void> {
  const left = await settle(async () => {
    const { info } = await cri.call('status', { verbose: true })
    const config = JSON.parse(info['cniconfig'] ?? '{}') as {
      readonly Networks?: readonly { readonly Config: { readonly Source: string } }[]
    }
    const sources = config.Networks?.map(({ Config }) => JSON.parse(Config.Source) as Json) ?? []
    const isLoaded = sources.some((source) => JSON.stringify(source) === JSON.stringify(wanted))
    return isLoaded ? [] : [`containerd has ${JSON.stringify(sources)}`]
  })
  if (left.length > 0) throw new Error(`Cannot change the network: ${left.join()}`)
}
