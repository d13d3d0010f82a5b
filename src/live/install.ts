/**
 * Puts the plugin on a host and takes it off again.
 *
 * Everything goes below the CNI binary folder: the two executables, and a tree
 * with the bundles, the native modules and the Node they run on. The
 * executables find it beside themselves as `.trivium`, so nothing depends on
 * PATH or on the checkout.
 *
 * `.trivium` is a link to `.trivium-TOKEN`: an upgrade swaps the link at once,
 * and the tree before stays until the next one, because calls that have just
 * started still load from it.
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
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { CAPABILITIES } from '../cni/mod.ts'
import { TriviumError } from '../errors.ts'
import { readNodeFile } from './node-file.ts'

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
/** Trees, and what a killed installation left. */
const TREE = /^\.trivium(-|\.new-|\.old-)[0-9a-f]{8}$/
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
  const made = readMade(plan.binDir)
  const directories = [plan.binDir, plan.confDir].flatMap(makeDirectory)
  const conflist = conflistOf(plan.confDir, plan.network)
  installLibrary(plan, {
    directories: [...new Set([...made.directories, ...directories])],
    conflists: [...new Set([...made.conflists, conflist])],
  })
  const executables = EXECUTABLES.map((name) => installExecutable(name, plan))
  return [...executables, writeConflist(plan)]
}

/** Removes what `installFiles` made; the store, and other plugins' files, stay. */
export function uninstallFiles(
  binDir: string,
  confDir: string,
  network: string,
): readonly string[] {
  const made = readMade(binDir)
  const conflists = new Set([conflistOf(confDir, network), ...made.conflists])
  const names = isThere(binDir) ? readdirSync(binDir) : []
  const paths = [
    // Configurations first: no runtime calls what is about to go.
    ...conflists,
    ...EXECUTABLES.map((name) => join(binDir, name)),
    libDirOf(binDir),
    ...names.filter((name) => TREE.test(name)).map((name) => join(binDir, name)),
  ]
  const found = paths.filter(isThere)
  for (const path of found) rmSync(path, { recursive: true, force: true })
  const deepestFirst = [...made.directories].sort((left, right) => right.length - left.length)
  return [...found, ...deepestFirst.filter(removeIfEmpty)]
}

/** What an installation made beyond its own tree; kept in the tree. */
interface Made {
  readonly directories: readonly string[]
  readonly conflists: readonly string[]
}

const MADE = 'installed.json'

/** Nothing where nothing is installed, or by a version that kept no record. */
function readMade(binDir: string): Made {
  try {
    const text = readFileSync(join(libDirOf(binDir), MADE), 'utf8')
    const { directories, conflists } = JSON.parse(text) as Record<keyof Made, unknown>
    const paths = (value: unknown): readonly string[] =>
      Array.isArray(value) ? value.filter((each) => typeof each === 'string') : []
    return { directories: paths(directories), conflists: paths(conflists) }
  } catch {
    return { directories: [], conflists: [] }
  }
}

/** Also a link to nowhere is there. */
const isThere = (path: string): boolean => lstatSync(path, { throwIfNoEntry: false }) !== undefined

/** Makes a directory with its parents; returns those that were not there. */
function makeDirectory(path: string): readonly string[] {
  const first = mkdirSync(path, { recursive: true })
  if (first === undefined) return []
  const made = [path]
  for (let each = path; each !== first; made.push(each)) each = dirname(each)
  return made
}

function removeIfEmpty(path: string): boolean {
  try {
    rmdirSync(path)
    return true
  } catch {
    return false
  }
}

/** Made complete under its name, then linked to. */
function installLibrary({ distDir, binDir }: InstallPlan, made: Made): void {
  const link = libDirOf(binDir)
  const token = randomBytes(4).toString('hex')
  const [fresh, aside] = [`${link}-${token}`, `${link}.new-${token}`]
  const before = isThere(link) && lstatSync(link).isSymbolicLink() ? readlinkSync(link) : undefined
  try {
    cpSync(distDir, fresh, { recursive: true, filter: (path) => path !== join(distDir, 'node') })
    copyFileSync(process.execPath, join(fresh, 'node'), constants.COPYFILE_FICLONE)
    chmodSync(join(fresh, 'node'), 0o755)
    writeFileSync(join(fresh, MADE), `${JSON.stringify(made)}\n`)
    symlinkSync(basename(fresh), aside)
    // Before there were links it was a directory, which a link cannot be renamed over.
    if (before === undefined && isThere(link)) renameSync(link, `${link}.old-${token}`)
    renameSync(aside, link)
  } catch (thrown) {
    rmSync(aside, { force: true })
    rmSync(fresh, { recursive: true, force: true })
    throw thrown
  }
  const kept = [basename(fresh), before]
  for (const name of readdirSync(binDir)) {
    if (!TREE.test(name) || kept.includes(name)) continue
    rmSync(join(binDir, name), { recursive: true, force: true })
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

/** What a network configuration says of the node it is on. */
export interface InstalledNetwork {
  readonly storeUrl: string
  /** undefined: no agent has run here yet. */
  readonly node: string | undefined
}

/** Reads it back; undefined where there is none, or none that we wrote. */
export function findInstalled(confDir: string, network: string): InstalledNetwork | undefined {
  try {
    const text = readFileSync(conflistOf(confDir, network), 'utf8')
    const { plugins } = JSON.parse(text) as { plugins: readonly Record<string, unknown>[] }
    const { store, socket } = plugins.find(({ type }) => type === 'trivium') ?? {}
    if (typeof store !== 'string' || typeof socket !== 'string') return undefined
    return { storeUrl: store, node: readNodeFile(socket)?.node }
  } catch {
    return undefined
  }
}

/** The folder of the running bundle; dist/ of the checkout when run from source. */
export function distDirOf(script: string): string {
  const here = dirname(script)
  return existsSync(join(here, 'plugin.cjs')) ? here : join(here, '..', 'dist')
}
