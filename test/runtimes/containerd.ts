/**
 * A containerd of a lab node: in the node's network namespace, in a mount
 * namespace of its own, with everything it writes on a tmpfs there. What it
 * mounts and stores ends with its last process.
 *
 * ```
 *   anchor   holds the mount namespace; ends when the test does, however that was
 *     containerd          started, killed and started again by the test
 *     containerd-shim …   outlive containerd; found by the two namespaces
 *       containers        outlive both; found by their control group
 * ```
 *
 * @module
 */
import { type ChildProcess, spawn } from 'node:child_process'
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  readlinkSync,
  writeFileSync,
} from 'node:fs'
import { basename, join } from 'node:path'
import { createInterface } from 'node:readline'
import { type Finished, must, run } from '../../src/lab/exec.ts'
import type { Lab, LabNode } from '../../src/lab/lab.ts'
import { settle } from '../support/e2e.ts'
import { cgroupOf, endCgroup, sweepDeadCgroups } from './cgroup.ts'
import { Cri } from './cri.ts'
import { BUSYBOX, busyboxImage, isStatic } from './image.ts'

/** Where Debian puts the plugins that a chain is made of. */
export const PLUGIN_DIR = '/usr/lib/cni'
/** The image of pods and containers. */
export const IMAGE = 'trivium.test/busybox:1'

const PROGRAMS: Readonly<Record<string, string>> = {
  containerd: '/usr/bin/containerd',
  runc: '/usr/sbin/runc',
  'busybox-static': BUSYBOX,
  'containernetworking-plugins': join(PLUGIN_DIR, 'loopback'),
}

/** Why no containerd can run here; false when one can. */
export function containerdSkip(): string | false {
  const missing = Object.entries(PROGRAMS).filter(([, file]) => !existsSync(file))
  if (missing.length > 0) return `not installed: ${missing.map(([name]) => name).join(' ')}`
  return isStatic(BUSYBOX) ? false : `${BUSYBOX} is not static: install busybox-static`
}

export interface Containerd {
  readonly node: LabNode
  readonly cri: Cri
  /** Parent of the control groups of all its pods. */
  readonly cgroup: string
  /** Runs a command in its mount namespace and the node's network namespace. */
  inside(command: readonly string[]): Promise<Finished>
  /** SIGKILL, and waits for the end; shims and containers go on. */
  kill(): Promise<void>
  /** Starts it again after `kill`. */
  start(): Promise<void>
  log(): string
}

/** A test, or whoever else ends what it started. */
export interface Owner {
  teardown(end: () => Promise<void>): void
}

/** Starts a containerd and gives it the image; it ends with its owner, and all that it started. */
export async function startContainerd(owner: Owner, lab: Lab, node: LabNode): Promise<Containerd> {
  await sweepDeadCgroups() // the lab has swept what else killed tests left
  const home = join(lab.dir, node.name, 'containerd')
  mkdirSync(home, { mode: 0o700 })
  const paths = { socket: join(home, 'cri.sock'), config: join(home, 'config.toml') }
  writeFileSync(paths.config, configText(paths.socket, node))
  const cgroup = cgroupOf(lab.id, node.name)
  const anchor = await startAnchor(node)
  let daemon: ChildProcess | undefined
  let isOver = false
  owner.teardown(async () => {
    isOver = true
    await end(daemon)
    await endLike(anchor, node)
    await endCgroup(cgroup)
    await end(anchor)
  })
  const enter = (command: readonly string[]) => [
    ...['nsenter', `--mount=/proc/${anchor.pid}/ns/mnt`, `--net=/proc/${anchor.pid}/ns/net`, '--'],
    ...command,
  ]
  const log = join(home, 'log')
  const containerd: Containerd = {
    node,
    cri: new Cri(paths.socket),
    cgroup,
    inside: (command) => run(enter(command)),
    kill: () => end(daemon),
    log: () => readFileSync(log, 'utf8'),
    async start() {
      if (isOver) throw new Error('Cannot start containerd: its test is over')
      const fd = openSync(log, 'a')
      const [program = '', ...args] = enter(['containerd', '--config', paths.config])
      daemon = spawn(program, args, { stdio: ['ignore', fd, fd] })
      closeSync(fd)
      await whenServing(containerd, daemon)
    },
  }
  await containerd.start()
  await importImage(containerd, home, paths.socket)
  return containerd
}

/** Its files are below /run and /var/lib, which are new in its mount namespace. */
const configText = (socket: string, { binDir, confDir }: LabNode): string => `
version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper"]
[grpc]
  address = "${socket}"
[plugins."io.containerd.internal.v1.opt"]
  path = "/var/lib/containerd/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${IMAGE}"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "${binDir}"
    conf_dir = "${confDir}"
`

/** A process that does nothing in new mount namespaces, until our end of its pipe is closed. */
async function startAnchor({ netns }: LabNode): Promise<ChildProcess> {
  const mounts = ['/run', '/var/lib'].map((path) => `mount -t tmpfs -o mode=755 tmpfs ${path}`)
  const script = [...mounts, 'echo ready', 'exec cat'].join(' && ')
  const child = spawn(
    'nsenter',
    [`--net=/run/netns/${netns}`, '--', 'unshare', '--mount', '--', 'sh', '-c', script],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  )
  for await (const line of createInterface({ input: child.stdout })) {
    if (line === 'ready') return child
  }
  throw new Error('Cannot start containerd: no mount namespace for it')
}

async function whenServing({ cri, log }: Containerd, daemon: ChildProcess): Promise<void> {
  const left = await settle(async () => {
    if (daemon.exitCode !== null) throw new Error(`Cannot start containerd: ${log()}`)
    const answered = await cri.call('version', {}).then(
      () => true,
      () => false,
    )
    return answered ? [] : ['no answer']
  })
  if (left.length > 0) throw new Error(`Cannot start containerd: ${left.join()}: ${log()}`)
}

/** The runtime's own list of images follows that of containerd in its own time. */
async function importImage({ cri }: Containerd, home: string, socket: string): Promise<void> {
  const file = join(home, 'image.tar')
  writeFileSync(file, busyboxImage(IMAGE))
  await must(['ctr', '--address', socket, '--namespace', 'k8s.io', 'images', 'import', file])
  const left = await settle(async () => {
    const { image } = await cri.call('imageStatus', { image: { image: IMAGE } })
    return image === undefined ? [`${basename(file)} is not known`] : []
  })
  if (left.length > 0) throw new Error(`Cannot import the image: ${left.join()}`)
}

async function end(child: ChildProcess | undefined): Promise<void> {
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
  const exit = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGKILL')
  await exit
}

/** What runs in both namespaces of the anchor: shims, and plugins without their caller. */
async function endLike({ pid: anchor }: ChildProcess, { netns }: LabNode): Promise<void> {
  const mounts = mountNamespace(String(anchor))
  const { stdout } = await run(['ip', 'netns', 'pids', netns])
  for (const pid of stdout.split('\n').filter((line) => /^\d+$/.test(line))) {
    if (Number(pid) === anchor || mountNamespace(pid) !== mounts) continue
    try {
      process.kill(Number(pid), 'SIGKILL')
    } catch {
      // it ended by itself
    }
  }
}

function mountNamespace(pid: string): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/mnt`)
  } catch {
    return undefined
  }
}
