/**
 * Builds dist/: bundles, the launcher, the native modules and the built-in
 * scenarios. dist/ is also what `trivium install` copies to a host.
 *
 *     dist/cli*           the admin's command line and the agent
 *     dist/plugin*        the CNI entry for a host without a running agent
 *     dist/etcd*          the client of a cluster store
 *     dist/bfd.cjs        the thread that a BGP speaker's BFD runs in
 *     dist/sim-*.cjs      the simulator, loaded by `trivium sim`; sim-thread.cjs: a thread of sweeps
 *     dist/bgp-file.cjs   the reader of speakers' files, loaded by `trivium bgp run`
 *     dist/launcher       static C program, where a compiler is present
 *     dist/launcher-arm64 the same for arm64, where a cross compiler is present
 *     dist/node_modules/  koffi and lmdb with what they need at run time
 *     dist/scenarios/     scenarios that `trivium sim run` knows by name
 *     dist/incidents/     incidents that `trivium sim incidents` knows by name
 */
import { execFileSync, spawnSync } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs'
import { join } from 'node:path'
import { build } from 'esbuild'
import { buildBfd, buildCli, buildEtcd, buildPlugin } from './build-entries.mjs'

const root = join(import.meta.dirname, '..')
const target = join(root, 'dist')
/** Built here and swapped in when complete: a running agent or test never sees half of it. */
const dist = join(root, `.dist-${process.pid}`)

/** Debian: gcc-aarch64-linux-gnu and libc6-dev-arm64-cross. */
const ARM64_COMPILER = 'aarch64-linux-gnu-gcc'

/** Packages with native code stay outside the bundles. */
const NATIVE = ['koffi', 'lmdb']
/** Parts of packages that only their builds and readers need. */
const LEAVE_OUT =
  /\/(vendor|doc|docs|dependencies|bin|test|benchmark|tests|\.[^/]*)(\/|$)|\.(md|map|d\.ts|d\.cts|gyp|c|cc|cpp|h|hh|hpp|S|asm)$/

/**
 * The simulator and its plots are most of the code, and only `trivium sim`
 * loads them: dynamic imports of them become files of their own.
 */
const simulatorApart = {
  name: 'simulator apart',
  setup({ onResolve }) {
    onResolve({ filter: /\/simulator\/\w+\.ts$/ }, ({ kind, path }) => {
      if (kind !== 'dynamic-import') return undefined
      return { path: path.replace(/^.*\/(\w+)\.ts$/, './sim-$1.cjs'), external: true }
    })
  },
}

/** Half of its code is zod's, which no other command needs. */
const bgpFileApart = {
  name: 'speakers’ files apart',
  setup({ onResolve }) {
    onResolve({ filter: /\/bgp\/file\.ts$/ }, ({ kind }) =>
      kind === 'dynamic-import' ? { path: './bgp-file.cjs', external: true } : undefined,
    )
  },
}

/** What the command line loads of the simulator, found where it says so. */
function simulatorEntries() {
  const folder = join(root, 'src', 'cli')
  const files = readdirSync(folder, { recursive: true }).filter((file) => file.endsWith('.ts'))
  const names = files.flatMap((file) => [
    ...readFileSync(join(folder, file), 'utf8').matchAll(
      /import\('[./]+\/simulator\/(\w+)\.ts'\)/g,
    ),
  ])
  return Object.fromEntries(names.map(([, name]) => [`sim-${name}`, `simulator/${name}.ts`]))
}

const OPTIONS = {
  absWorkingDir: root,
  outExtension: { '.js': '.cjs' },
  bundle: true,
  platform: 'node',
  target: 'node20',
  format: 'cjs',
  conditions: ['trivium-source'],
  legalComments: 'none',
  logLevel: 'warning',
  define: { __VERSION__: JSON.stringify(version()) },
  // Only sources look for a file beside them by it.
  logOverride: { 'empty-import-meta': 'silent' },
}

async function bundleSimulator() {
  await build({
    ...OPTIONS,
    entryPoints: {
      ...simulatorEntries(),
      'sim-thread': 'cni-bin/sim-thread.ts',
      'bgp-file': 'src/cli/bgp/file.ts',
    },
    outdir: dist,
    external: NATIVE,
    plugins: [simulatorApart],
    minifySyntax: true,
  })
}

function version() {
  return JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).version
}

/** Copies a package and, first, everything it depends on that is installed. */
function copyPackage(name, seen) {
  const from = join(root, 'node_modules', name)
  if (seen.has(name) || !existsSync(from)) return // absent: built for another platform
  seen.add(name)
  const { dependencies = {}, optionalDependencies = {} } = JSON.parse(
    readFileSync(join(from, 'package.json'), 'utf8'),
  )
  for (const each of Object.keys({ ...dependencies, ...optionalDependencies }))
    copyPackage(each, seen)
  cpSync(from, join(dist, 'node_modules', name), {
    recursive: true,
    dereference: true,
    filter: (path) => !LEAVE_OUT.test(path.slice(from.length)),
  })
}

function compileLauncher() {
  const compiler = process.env['CC'] ?? 'gcc'
  if (!canCompile(compiler)) {
    console.error(
      `build: no ${compiler} that links statically: the Node entry takes the launcher's place`,
    )
    return
  }
  compileWith(compiler, 'launcher')
  if (process.arch !== 'arm64' && canCompile(ARM64_COMPILER))
    compileWith(ARM64_COMPILER, 'launcher-arm64')
}

function compileWith(compiler, name) {
  const folder = join(root, 'cni-bin', 'launcher')
  const sources = readdirSync(folder).filter((file) => file.endsWith('.c'))
  const paths = sources.map((file) => join(folder, file))
  const flags = ['-std=c11', '-D_GNU_SOURCE', '-Os', '-static', '-s', '-Wall', '-Wextra', '-Werror']
  execFileSync(compiler, [...flags, '-o', join(dist, name), ...paths], {
    stdio: ['ignore', 'inherit', 'inherit'],
  })
}

/** A compiler without its headers or a static C library is none. */
function canCompile(compiler) {
  const input = '#include <stdio.h>\nint main(void) { return puts(""); }\n'
  const output = join(dist, 'probe')
  const { status } = spawnSync(compiler, ['-static', '-x', 'c', '-o', output, '-'], {
    input,
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  rmSync(output, { force: true })
  return status === 0
}

/** `npx trivium` in the checkout, without a copy of it in npm's cache. */
function linkCommand() {
  const link = join(root, 'node_modules', '.bin', 'trivium')
  rmSync(link, { force: true })
  symlinkSync('../../dist/cli.cjs', link)
}

rmSync(dist, { recursive: true, force: true })
mkdirSync(dist, { recursive: true })
process.on('exit', () => rmSync(dist, { recursive: true, force: true }))
await bundleSimulator()
const seen = new Set()
for (const name of NATIVE) copyPackage(name, seen)
await buildEtcd(root, dist, OPTIONS)
await buildPlugin(root, dist, OPTIONS)
await buildBfd(root, dist, OPTIONS)
await buildCli(root, dist, { ...OPTIONS, plugins: [simulatorApart, bgpFileApart] })
compileLauncher()
for (const folder of ['scenarios', 'incidents']) {
  cpSync(join(root, 'simulator', folder), join(dist, folder), {
    recursive: true,
    filter: (path) => !path.endsWith('.ts'),
  })
}
chmodSync(join(dist, 'cli.cjs'), 0o755)
linkCommand()
rmSync(`${dist}-old`, { recursive: true, force: true })
if (existsSync(target)) renameSync(target, `${dist}-old`)
renameSync(dist, target)
rmSync(`${dist}-old`, { recursive: true, force: true })
console.error(`build: dist/ is ready (${[...seen].length} packages)`)
