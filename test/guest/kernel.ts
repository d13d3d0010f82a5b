/**
 * Debian's kernel for virtual machines, unpacked and never installed: no boot
 * loader and no initrd of this machine hear of it.
 *
 * @module
 */
import { execFileSync, spawnSync } from 'node:child_process'
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** An empty package that depends on the newest version's. */
const NEWEST = 'linux-image-cloud-amd64'
const PACKAGE = /^linux-image-(\d\S*)$/

export interface GuestKernel {
  /** As `uname -r` says there. */
  readonly release: string
  /** Path of the compressed image. */
  readonly image: string
  /** Path of what the guest sees as `/lib/modules/RELEASE`. */
  readonly modules: string
}

/** The kernel that is kept, else downloaded now. @throws Error why there is none */
export function guestKernel(): GuestKernel {
  const cache = cacheFolder()
  const name = keptIn(cache) ?? fetched(cache)
  return kernelIn(join(cache, name), name)
}

/** Whether one is kept, or may be downloaded. */
export const hasKernel = (): boolean =>
  process.env['TRIVIUM_NO_APT'] !== '1' || keptIn(cacheFolder()) !== undefined

const keptIn = (cache: string): string | undefined =>
  readdirSync(cache)
    .filter((name) => PACKAGE.test(name))
    .sort()
    .at(-1)

/** Where the next run finds it again. */
function cacheFolder(): string {
  const asked = process.env['TRIVIUM_GUEST_CACHE']
  const folder = asked ?? '/var/cache/trivium-guest'
  try {
    mkdirSync(folder, { recursive: true })
    accessSync(folder, constants.W_OK)
    return folder
  } catch (thrown) {
    if (asked !== undefined) throw thrown
    const instead = join(tmpdir(), 'trivium-guest')
    mkdirSync(instead, { recursive: true })
    return instead
  }
}

function kernelIn(root: string, name: string): GuestKernel {
  const release = PACKAGE.exec(name)?.[1] ?? ''
  return {
    release,
    image: join(root, 'boot', `vmlinuz-${release}`),
    modules: join(root, 'lib', 'modules', release),
  }
}

/** Unpacks the newest package beside its place, moves it there when complete, and gives its name. */
function fetched(cache: string): string {
  const name = newestName()
  const place = mkdtempSync(join(cache, 'new-'))
  try {
    console.error(`guest: downloading ${name} (once, into ${cache})`)
    const options = { cwd: place, stdio: ['ignore', 'ignore', 2] as ('ignore' | 2)[] }
    // As root all the way: apt's own user may not write here.
    const asRoot = ['-o', 'APT::Sandbox::User=root']
    execFileSync('apt-get', ['-qq', ...asRoot, 'download', name], options)
    const [file = ''] = readdirSync(place)
    execFileSync('dpkg-deb', ['-x', file, 'root'], options)
    const root = join(place, 'root')
    execFileSync('depmod', ['-b', root, kernelIn(root, name).release], options)
    // Another run may have been faster.
    if (!existsSync(join(cache, name))) renameSync(root, join(cache, name))
    return name
  } finally {
    rmSync(place, { recursive: true, force: true })
  }
}

function newestName(): string {
  const find = (): string | undefined => {
    const { stdout } = spawnSync('apt-cache', ['depends', NEWEST], { encoding: 'utf8' })
    const lines = (stdout ?? '').split('\n')
    return lines
      .map((line) => /Depends: (\S+)$/.exec(line)?.[1] ?? '')
      .find((name) => PACKAGE.test(name))
  }
  const known = find()
  if (known !== undefined) return known
  spawnSync('apt-get', ['-qq', 'update'], { stdio: ['ignore', 'ignore', 2] })
  const found = find()
  if (found === undefined) throw new Error(`apt knows no package ${NEWEST}`)
  return found
}
