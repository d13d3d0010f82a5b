/**
 * Puts the plugin on a host and takes it off again.
 *
 * Everything goes below the CNI binary folder: the two executables, and a
 * folder `.trivium` with the bundles, the native modules and the Node they run
 * on. The executables find that folder beside themselves, so nothing depends
 * on PATH or on the checkout.
 *
 * @module
 */
import { randomBytes } from 'node:crypto'
import {
  chmodSync,
  constants,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { CAPABILITIES } from '../cni/mod.ts'
import { TriviumError } from '../errors.ts'

/** The executables that a runtime calls. */
export const EXECUTABLES = ['trivium', 'trivium-ipam'] as const

export interface InstallPlan {
  /** Folder with cli.cjs, plugin.cjs and the rest, as the build makes it. */
  readonly distDir: string
  readonly binDir: string
  readonly confDir: string
  readonly network: string
  readonly storeUrl: string
  readonly socketPath: string
}

const libDirOf = (binDir: string): string => join(binDir, '.trivium')
const conflistOf = (confDir: string, network: string): string =>
  join(confDir, `10-${network}.conflist`)

/** Installs or upgrades; returns the files that a runtime will see. */
export function installFiles(plan: InstallPlan): readonly string[] {
  if (!existsSync(join(plan.distDir, 'plugin.cjs'))) {
    throw new TriviumError(
      'NOT_FOUND',
      `Cannot install from ${plan.distDir}: no plugin.cjs there`,
      'Run: npm run build',
    )
  }
  mkdirSync(plan.binDir, { recursive: true })
  mkdirSync(plan.confDir, { recursive: true })
  installLibrary(plan)
  const executables = EXECUTABLES.map((name) => installExecutable(name, plan))
  return [...executables, writeConflist(plan)]
}

/** Removes what `installFiles` made; the store, and other plugins' files, stay. */
export function uninstallFiles(
  binDir: string,
  confDir: string,
  network: string,
): readonly string[] {
  const paths = [
    conflistOf(confDir, network),
    ...EXECUTABLES.map((name) => join(binDir, name)),
    libDirOf(binDir),
  ]
  const found = paths.filter((path) => existsSync(path))
  for (const path of found) rmSync(path, { recursive: true, force: true })
  return found
}

/** Made complete under another name, then swapped in. */
function installLibrary({ distDir, binDir }: InstallPlan): void {
  const target = libDirOf(binDir)
  const token = randomBytes(4).toString('hex')
  const [fresh, old] = [`${target}.new-${token}`, `${target}.old-${token}`]
  try {
    cpSync(distDir, fresh, { recursive: true, filter: (path) => path !== join(distDir, 'node') })
    copyFileSync(process.execPath, join(fresh, 'node'), constants.COPYFILE_FICLONE)
    chmodSync(join(fresh, 'node'), 0o755)
    if (existsSync(target)) renameSync(target, old)
    renameSync(fresh, target)
  } finally {
    rmSync(fresh, { recursive: true, force: true })
    rmSync(old, { recursive: true, force: true })
  }
}

/** The launcher, or a script in its place where the build had no compiler. */
function installExecutable(name: string, { distDir, binDir }: InstallPlan): string {
  const launcher = join(distDir, 'launcher')
  const path = join(binDir, name)
  const aside = `${path}.new-${randomBytes(4).toString('hex')}`
  try {
    if (existsSync(launcher)) copyFileSync(launcher, aside)
    else writeFileSync(aside, entryScript(libDirOf(binDir)))
    chmodSync(aside, 0o755)
    renameSync(aside, path) // over a running binary: no "text file busy"
  } finally {
    rmSync(aside, { force: true })
  }
  return path
}

function entryScript(libDir: string): string {
  return `#!${libDir}/node
require(process.argv.length > 2 ? ${JSON.stringify(join(libDir, 'cli.cjs'))} : ${JSON.stringify(join(libDir, 'plugin.cjs'))})
`
}

/**
 * Written under another suffix in the same folder and renamed: runtimes read a
 * file the moment they see it, and only notice renames within the folder.
 */
function writeConflist({ confDir, network, storeUrl, socketPath }: InstallPlan): string {
  const path = conflistOf(confDir, network)
  const aside = `${path}.new-${randomBytes(4).toString('hex')}`
  try {
    writeFileSync(aside, renderConflist(network, storeUrl, socketPath), { mode: 0o644 })
    renameSync(aside, path)
  } finally {
    rmSync(aside, { force: true })
  }
  return path
}

/**
 * Version 1.0.0 with newer ones beside it: runtimes built on libcni 1.1 and
 * older refuse a list that asks for 1.1.0, newer ones read `cniVersions`.
 */
function renderConflist(name: string, store: string, socket: string): string {
  // What a runtime hands on only to a plugin that declares it.
  const capabilities = Object.fromEntries(CAPABILITIES.map((name) => [name, true]))
  const plugins = [{ type: 'trivium', store, socket, capabilities }]
  const list = { cniVersion: '1.0.0', cniVersions: ['0.4.0', '1.0.0', '1.1.0'], name, plugins }
  return `${JSON.stringify(list, undefined, 2)}\n`
}

/** The folder of the running bundle; dist/ of the checkout when run from source. */
export function distDirOf(script: string): string {
  const here = dirname(script)
  return existsSync(join(here, 'plugin.cjs')) ? here : join(here, '..', 'dist')
}
