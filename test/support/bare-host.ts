/**
 * A host that has next to nothing: a C library, /proc and /dev, and the
 * directories it is given. No Node, no checkout, no shell.
 */
import { spawn } from 'node:child_process'
import { copyFileSync, mkdirSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { must, run } from '../../src/lab/exec.ts'

export interface BareHost {
  /** The folder that is its root, for a look from outside. */
  readonly root: string
  /** The same command on the bare host, in a network namespace of the machine. */
  command(netns: string, command: readonly string[]): readonly string[]
  destroy(): Promise<void>
}

/** Shared objects that native files need, as the loader finds them. */
async function librariesOf(files: readonly string[]): Promise<ReadonlySet<string>> {
  const found = new Set<string>()
  for (const file of files) {
    const { stdout } = await run(['ldd', file])
    for (const [path] of stdout.matchAll(/\/\S+(?= \(0x)/g)) found.add(path)
  }
  return found
}

/**
 * @param root An empty folder.
 * @param binDir An installed plugin: the C library that its files need is copied.
 * @param shared Folders that are at the same path inside.
 */
export async function bareHost(
  root: string,
  binDir: string,
  shared: readonly string[],
): Promise<BareHost> {
  const tree = join(binDir, '.trivium')
  const native = readdirSync(tree, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.node') && !path.includes('musl'))
    .map((path) => join(tree, path))
  for (const library of await librariesOf([join(tree, 'node'), ...native])) {
    mkdirSync(join(root, dirname(library)), { recursive: true })
    copyFileSync(library, join(root, library))
  }
  return mountedRoot(
    root,
    shared.map((path) => [path, path]),
  )
}

/**
 * A root of its own, with /proc, /dev and the pods' namespaces of the machine.
 *
 * @param binds Folders of the machine, and where they are inside.
 */
export async function mountedRoot(
  root: string,
  binds: readonly (readonly [from: string, to: string])[],
): Promise<BareHost> {
  const all = [...['/proc', '/dev', '/run/netns'].map((path) => [path, path] as const), ...binds]
  for (const [, to] of all) mkdirSync(join(root, to), { recursive: true })
  // The mounts live and die with this process's namespace; pods' namespaces of later arrive in it.
  const holder = spawn('unshare', ['--mount', '--propagation', 'slave', 'cat'], {
    stdio: ['pipe', 'ignore', 'inherit'],
  })
  const ended = new Promise<void>((resolve) => holder.once('exit', () => resolve()))
  const mounts = `/proc/${holder.pid}/ns/mnt`
  const destroy = async (): Promise<void> => {
    holder.stdin.end()
    await ended
  }
  try {
    await whenApart(mounts)
    for (const [from, to] of all) {
      await must(['nsenter', `--mount=${mounts}`, 'mount', '--rbind', from, join(root, to)])
    }
  } catch (thrown) {
    await destroy()
    throw thrown
  }
  return {
    root,
    destroy,
    command: (netns, command) => [
      ...['nsenter', `--net=/run/netns/${netns}`, `--mount=${mounts}`],
      // What a test runner says to its own Node names files that are not there.
      ...['env', '-u', 'NODE_OPTIONS', '-u', 'NODE_EXTRA_CA_CERTS'],
      ...['/usr/sbin/chroot', root, ...command],
    ],
  }
}

/** Until the holder has left our mount namespace. */
async function whenApart(mounts: string): Promise<void> {
  const own = await must(['readlink', '/proc/self/ns/mnt'])
  for (let tries = 0; tries < 500; tries++) {
    const { status, stdout } = await run(['readlink', mounts])
    if (status === 0 && stdout !== own) return
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  throw new Error('Cannot make a mount namespace')
}
