/**
 * Calls a plugin as a container runtime does: the executable in the node's
 * namespace, variables in the environment, configuration on standard input.
 *
 * @module
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Finished, inNetns, run } from './exec.ts'

export interface CniCallOptions {
  readonly verb: string
  readonly nodeNetns: string
  readonly binDir: string
  /** A plugin's configuration, as libcni composes it from a list. */
  readonly config: Readonly<Record<string, unknown>>
  readonly containerId?: string
  readonly netnsPath?: string
  readonly ifname?: string
  readonly args?: string
  /** More variables, e.g. TRIVIUM_NO_AGENT. */
  readonly env?: Readonly<Record<string, string>>
}

/** Runs one verb. */
export function callPlugin(options: CniCallOptions): Promise<Finished> {
  const { verb, nodeNetns, binDir, config, containerId, netnsPath, ifname, args } = options
  const env = {
    PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
    CNI_COMMAND: verb,
    CNI_PATH: binDir,
    ...(containerId === undefined ? {} : { CNI_CONTAINERID: containerId }),
    ...(netnsPath === undefined ? {} : { CNI_NETNS: netnsPath }),
    ...(ifname === undefined ? {} : { CNI_IFNAME: ifname }),
    ...(args === undefined ? {} : { CNI_ARGS: args }),
    ...options.env,
  }
  const command = inNetns(nodeNetns, [join(binDir, String(config['type']))])
  return run(command, { env, input: JSON.stringify(config) })
}

/** The first plugin's configuration of a conflist, with name and version injected as libcni does. */
export function pluginConfig(conflistPath: string): Readonly<Record<string, unknown>> {
  const list = JSON.parse(readFileSync(conflistPath, 'utf8')) as {
    cniVersion: string
    name: string
    plugins: readonly Readonly<Record<string, unknown>>[]
  }
  return { cniVersion: list.cniVersion, name: list.name, ...list.plugins[0] }
}
