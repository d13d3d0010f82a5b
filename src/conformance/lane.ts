/**
 * A lane: a throw-away node for a plugin to run on. One process holds a
 * network, a mount and a PID namespace; when it ends, also because we were
 * killed, the kernel ends every process in it and takes every namespace, link
 * and file along.
 *
 * The plugin sees an empty /run and /var/lib, so that it meets neither the
 * machine's daemons nor its state. The node has an underlay link `eth0` with
 * 192.0.2.1/24 and 2001:db8::1/64 to a switch in a namespace of its own.
 *
 * @module
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { TriviumError } from '../errors.ts'
import { DUMP_SCRIPT, parseDump, type Snapshot } from './dump.ts'
import { type BoundedOptions, type Ended, runBounded } from './process.ts'

/** Whatever the caller's environment is; as the runtimes' own services have it. */
export const PATH = '/usr/sbin:/usr/bin:/sbin:/bin'

/** Runs as the first process of the lane; its arguments are a scratch folder and the plugins' folders. */
const HOLDER = `
set -e
read -r pid rest </proc/self/stat # still the outer /proc: the number that others know
scratch=$1; shift
mount -t proc proc /proc
mount -t sysfs sysfs /sys 2>/dev/null || true
n=0
for dir in "$@"; do n=$((n+1)); mkdir -p "$scratch/$n"; mount --bind "$dir" "$scratch/$n"; done
mount -t tmpfs -o mode=755 tmpfs /run
mount -t tmpfs -o mode=755 tmpfs /var/lib
n=0
for dir in "$@"; do n=$((n+1)); [ -e "$dir" ] || { mkdir -p "$dir"; mount --bind "$scratch/$n" "$dir"; }; done
mkdir -p /run/netns /run/lock /run/conformance/bin /var/lib/cni
: >/run/conformance/file; mkfifo /run/conformance/fifo
ip link set lo up
ip netns add switch
ip link add eth0 type veth peer name p1 netns switch
ip addr add 192.0.2.1/24 dev eth0
ip addr add 2001:db8::1/64 dev eth0 nodad 2>/dev/null || true
ip -n switch addr add 192.0.2.254/24 dev p1
ip -n switch link set p1 up
ip link set eth0 up
echo "ready $pid"
exec cat >/dev/null # until whoever holds the other end is gone
`

export interface LaneOptions {
  readonly binDirs: readonly string[]
  /** A shell command that gets the node ready; what it leaves in the background ends with the lane. */
  readonly setup?: string
}

const START_MS_MAX = 20_000
const SETUP_MS_MAX = 60_000
const HELPER_MS_MAX = 20_000

export class Lane {
  readonly #holder: ChildProcess
  readonly #pid: number
  readonly #scratch: string
  #pods = 0

  private constructor(holder: ChildProcess, pid: number, scratch: string) {
    this.#holder = holder
    this.#pid = pid
    this.#scratch = scratch
  }

  /** @throws {TriviumError} UNAVAILABLE when the kernel or the setup refuses. */
  static async open({ binDirs, setup }: LaneOptions): Promise<Lane> {
    const scratch = mkdtempSync(join(tmpdir(), `trv-${process.pid}-c0f0-`))
    const flags = ['--mount', '--net', '--pid', '--fork', '--kill-child']
    const holder = spawn(
      'unshare',
      [...flags, '--propagation', 'private', 'sh', '-c', HOLDER, 'lane', scratch, ...binDirs],
      { stdio: ['pipe', 'pipe', 'pipe'], env: { PATH } },
    )
    try {
      const lane = new Lane(holder, await readyPid(holder), scratch)
      if (setup !== undefined) await lane.#prepare(setup)
      return lane
    } catch (thrown) {
      holder.kill('SIGKILL')
      rmSync(scratch, { recursive: true, force: true })
      throw thrown
    }
  }

  async #prepare(setup: string): Promise<void> {
    // Into files: what stays in the background must not hold our pipes open.
    const script = `( ${setup}\n ) >/run/conformance/setup.log 2>&1 </dev/null || { tail -c 2000 /run/conformance/setup.log; exit 1; }`
    const { exitStatus, stdout, fault } = await this.run(['sh', '-c', script], {
      timeoutMs: SETUP_MS_MAX,
    })
    if (exitStatus === 0) return
    const found = fault === 'timeout' ? `no end after ${SETUP_MS_MAX} ms` : `exit ${exitStatus}`
    throw new TriviumError(
      'UNAVAILABLE',
      `Cannot set up the node: ${found}, wanted exit status 0`,
      stdout.trim(),
    )
  }

  /** Runs a command on the node, or in one of its pods' namespaces. */
  run(
    command: readonly string[],
    options: Partial<BoundedOptions> = {},
    netns?: string,
  ): Promise<Ended> {
    const env = { PATH }
    return runBounded(this.inside(command, netns), { env, timeoutMs: HELPER_MS_MAX, ...options })
  }

  /** @throws {TriviumError} UNAVAILABLE when the command fails. */
  async must(command: readonly string[], netns?: string): Promise<string> {
    const { exitStatus, stdout, stderr } = await this.run(command, {}, netns)
    if (exitStatus === 0) return stdout
    throw new TriviumError(
      'UNAVAILABLE',
      `Cannot run ${command.join(' ')}: exit status ${exitStatus}: ${stderr.trim()}`,
    )
  }

  /** The command as it stands in the lane. */
  inside(command: readonly string[], netns?: string): readonly string[] {
    const ns = (kind: string): string => `/proc/${this.#pid}/ns/${kind}`
    const net = netns === undefined ? ns('net') : `/proc/${this.#pid}/root/run/netns/${netns}`
    const where = [`--mount=${ns('mnt')}`, `--pid=${ns('pid')}`, `--net=${net}`]
    return ['nsenter', ...where, '--', ...command]
  }

  /** A pod's namespace, empty but for a loopback link that is up. */
  async addPodNetns(): Promise<string> {
    this.#pods += 1
    const name = `pod${this.#pods}`
    await this.must(['sh', '-c', `ip netns add ${name} && ip -n ${name} link set lo up`])
    return name
  }

  async removePodNetns(name: string): Promise<void> {
    await this.run(['ip', 'netns', 'del', name])
  }

  /** All that a namespace holds; the node's with its files when no pod is named. */
  async dump(netns?: string): Promise<Snapshot> {
    const { stdout } = await this.run(['sh', '-c', DUMP_SCRIPT, 'dump', netns ?? ''], {}, netns)
    return parseDump(stdout)
  }

  async close(): Promise<void> {
    const ended = new Promise<void>((resolve) => this.#holder.once('exit', () => resolve()))
    if (this.#holder.exitCode === null && this.#holder.signalCode === null) {
      this.#holder.stdin?.end()
      this.#holder.kill('SIGKILL') // takes its child along: --kill-child
      await ended
    }
    await removeScratch(this.#scratch)
  }
}

/** The mount namespace goes a moment after its last process. */
async function removeScratch(scratch: string): Promise<void> {
  for (let tries = 0; tries < 20; tries++) {
    try {
      rmSync(scratch, { recursive: true, force: true })
      return
    } catch {
      await new Promise((done) => setTimeout(done, 50))
    }
  }
}

function readyPid(holder: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    let out = ''
    let err = ''
    const refuse = (found: string): void =>
      reject(
        new TriviumError(
          'UNAVAILABLE',
          `Cannot make a throw-away node: ${found}`,
          `${err.trim()}\nIt needs root, iproute2, and namespaces of networks, mounts and processes`,
        ),
      )
    const late = setTimeout(() => refuse(`not ready after ${START_MS_MAX} ms`), START_MS_MAX)
    holder.stderr?.on('data', (chunk: Buffer) => {
      err += chunk
    })
    holder.stdout?.on('data', (chunk: Buffer) => {
      out += chunk
      const pid = /^ready (\d+)$/m.exec(out)?.[1]
      if (pid === undefined) return
      clearTimeout(late)
      resolve(Number(pid))
    })
    holder.on('error', (error) => refuse(error.message))
    holder.on('exit', (code) => {
      clearTimeout(late)
      refuse(`exit status ${code}`)
    })
  })
}
