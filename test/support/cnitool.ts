/**
 * cnitool, libcni's own command line, in a node of the lab: chains, capability
 * arguments and the cache of results as every runtime built on libcni has them.
 *
 * Each node has a /var/lib of its own, seen by nothing but its calls: libcni
 * keeps results in /var/lib/cni, and cnitool has no option for it.
 *
 * @module
 */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Finished, run } from '../../src/lab/exec.ts'
import type { Lab, LabNode, LabPod } from '../../src/lab/lab.ts'
import type { Conflist } from './conflists.ts'
import { ROOT, skip } from './e2e.ts'

/** Where Debian puts the reference plugins. */
export const REFERENCE = '/usr/lib/cni'

const tool = builtCnitool()

function builtCnitool(): string {
  const script = join(ROOT, 'test', 'runtimes', 'build-cnitool.mjs')
  return execFileSync(process.execPath, [script, '--path'], { encoding: 'utf8' }).trim()
}

/** Why these tests cannot run here; false when they can. */
export const skipCnitool: string | false =
  skip || (tool !== '' ? false : 'no cnitool: needs golang-go, golang-github-appc-cni-dev and apt')

export const skipChains: string | false =
  skipCnitool ||
  (existsSync(`${REFERENCE}/portmap`)
    ? false
    : 'needs the reference plugins (containernetworking-plugins)')

export interface CallOptions {
  /** What a runtime puts into `runtimeConfig` of the plugins that declare it. */
  readonly capabilities?: Readonly<Record<string, unknown>>
  /** CNI_ARGS. */
  readonly args?: string
  readonly ifname?: string
}

/** A result of any version. */
export interface Result {
  readonly cniVersion: string
  readonly interfaces?: readonly { name: string; mac?: string; sandbox?: string }[]
  readonly ips?: readonly { address: string; gateway?: string; interface?: number }[]
  readonly ip4?: { readonly ip: string; readonly gateway?: string }
  readonly ip6?: { readonly ip: string; readonly gateway?: string }
  readonly routes?: readonly { dst: string; gw?: string }[]
}

export interface Cnitool {
  /** Where libcni keeps results. */
  readonly resultDir: string
  /** Writes a list; a later one of the same name takes its place. */
  put(list: Conflist): void
  call(
    verb: 'add' | 'check' | 'del',
    network: string,
    pod: LabPod,
    options?: CallOptions,
  ): Promise<Finished>
  /** The results that libcni remembers, by file name. */
  cached(): ReadonlyMap<string, unknown>
}

/** As cnitool makes it: from the namespace's path. */
export const containerIdOf = ({ netnsPath }: LabPod): string =>
  `cnitool-${createHash('sha512').update(netnsPath).digest('hex').slice(0, 20)}`

/** cnitool for one node. */
export function cnitoolOn(node: LabNode, lab: Lab): Cnitool {
  const home = join(lab.dir, `cnitool-${node.name}`)
  const [confDir, varLib] = [join(home, 'net.d'), join(home, 'var-lib')]
  for (const dir of [confDir, varLib]) mkdirSync(dir, { recursive: true })
  const results = join(varLib, 'cni', 'results')
  const enter = `mount --bind ${varLib} /var/lib && exec nsenter --net=/run/netns/${node.netns} -- "$@"`
  return {
    resultDir: results,
    put: (list) => writeFileSync(join(confDir, `${list.name}.conflist`), JSON.stringify(list)),
    call(verb, network, pod, { capabilities, args, ifname } = {}) {
      const env = {
        PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
        NETCONFPATH: confDir,
        CNI_PATH: `${node.binDir}:${REFERENCE}`,
        ...(capabilities === undefined ? {} : { CAP_ARGS: JSON.stringify(capabilities) }),
        ...(args === undefined ? {} : { CNI_ARGS: args }),
        ...(ifname === undefined ? {} : { CNI_IFNAME: ifname }),
      }
      const call = [tool, verb, network, pod.netnsPath]
      return run(['unshare', '--mount', 'sh', '-c', enter, 'sh', ...call], { env })
    },
    cached() {
      const files = existsSync(results) ? readdirSync(results) : []
      const read = (file: string): unknown => JSON.parse(readFileSync(join(results, file), 'utf8'))
      return new Map(files.map((file) => [file, read(file)]))
    },
  }
}
