/**
 * Builds what people and runtimes start so that it starts quickly: most of their
 * processes live for one call, and half of its time went into finding, reading
 * and compiling files.
 *
 *     NAME.cjs                  runs NAME-main.cjs with what V8 has compiled before
 *     NAME-main.cjs             everything of ours, and the JavaScript of koffi and lmdb
 *     NAME-main-V8-ARCH.cache   V8's code; another Node does without, and compiles
 *     bfd.cjs                   the thread of a BGP speaker's BFD
 *     etcd.cjs                  the client of a cluster store, loaded where there is one
 *
 * Native modules are opened at their places under node_modules/. Where they are
 * elsewhere, or another libc runs, the packages find them themselves.
 */
import { spawnSync } from 'node:child_process'
import { copyFileSync, cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { build } from 'esbuild'

/** Packages whose own entries look for files, and what stands in for them. */
const REPLACED = {
  // Compressed and cached records are not used.
  msgpackr: 'exports.Encoder = undefined',
  'weak-lru-cache': 'exports.WeakLRUCache = class {}',
  'node-gyp-build-optional-packages': `
    const { existsSync } = require('node:fs')
    module.exports = (folder) => {
      const prefix = __dirname + '/node_modules/@lmdb/lmdb-' + process.platform + '-' + process.arch + '/node.'
      const names = existsSync('/etc/alpine-release') ? [] : ['abi' + process.versions.modules, 'napi']
      for (const name of names) {
        const path = prefix + name + '.glibc.node'
        if (!existsSync(path)) continue
        const found = { exports: {} }
        process.dlopen(found, path)
        return found.exports
      }
      return require('node-gyp-build-optional-packages')(__dirname + '/node_modules/lmdb')
    }`,
}

const koffiAddon = (name) => `
  const path = __dirname + '/node_modules/${name}/${name.replace(/^.*koffi-(\w+)-(\w+)$/, '$1_$2')}/koffi.node'
  if (require('node:fs').existsSync('/etc/alpine-release') || !require('node:fs').existsSync(path)) {
    module.exports = require('${name}')
  } else {
    const found = { exports: {} }
    process.dlopen(found, path)
    module.exports = found.exports
  }`

/** The JavaScript of native packages goes into the bundle, the search for their addons does not. */
const nativesInside = (root) => ({
  name: 'natives inside',
  setup({ onResolve, onLoad }) {
    const inside = (path) => () => ({ path: join(root, 'node_modules', path) })
    onResolve({ filter: /^lmdb$/ }, inside('lmdb/dist/index.cjs'))
    onResolve({ filter: /^koffi$/ }, inside('koffi/index.cjs'))
    const names = [...Object.keys(REPLACED), '@koromix/.*'].join('|')
    onResolve({ filter: new RegExp(`^(${names})$`) }, ({ path, namespace }) =>
      namespace === 'replaced' ? { path, external: true } : { path, namespace: 'replaced' },
    )
    onLoad({ filter: /.*/, namespace: 'replaced' }, ({ path }) => ({
      contents: REPLACED[path] ?? koffiAddon(path),
      resolveDir: root,
    }))
  },
})

const PROTOCOL = 'etcd-protocol'

/** It reads its protocol's definition from files of its own. */
const protocolBeside = {
  name: 'protocol beside',
  setup({ onLoad }) {
    onLoad({ filter: /etcd3\/lib\/connection-pool\.js$/ }, ({ path }) => {
      const text = readFileSync(path, 'utf8')
      const contents = text.replace('/../proto/', `/${PROTOCOL}/`)
      if (contents === text) throw new Error(`${path} reads its protocol from elsewhere`)
      return { contents }
    })
  },
}

/**
 * One file in place of seven hundred.
 *
 * @param options esbuild's, as for the other bundles.
 */
export async function buildEtcd(root, dist, options) {
  await build({
    ...options,
    entryPoints: { etcd: 'etcd3' },
    outdir: dist,
    plugins: [protocolBeside],
    minify: true,
    keepNames: true, // errors are told apart by the names of their classes
  })
  const proto = join(root, 'node_modules', 'etcd3', 'proto')
  cpSync(proto, join(dist, PROTOCOL), { recursive: true })
}

/** @param options esbuild's, as for the other bundles. */
export async function buildBfd(root, dist, options) {
  await build({
    ...options,
    entryPoints: { bfd: 'cni-bin/bfd.ts' },
    outdir: dist,
    plugins: [nativesInside(root)],
    minifySyntax: true,
  })
}

/** Only a cluster store loads it. */
const etcdApart = {
  name: 'etcd apart',
  setup({ onResolve }) {
    onResolve({ filter: /^etcd3$/ }, () => ({ path: './etcd.cjs', external: true }))
  },
}

/** @param options esbuild's, as for the other bundles. */
export async function buildPlugin(root, dist, options) {
  await buildEntry(root, dist, 'plugin', { ...options, minifyWhitespace: true })
  if (rehearse(root, dist)) return
  const folder = mkdtempSync(join(tmpdir(), 'trivium-build-'))
  const config = { cniVersion: '1.1.0', name: 'none', type: 'trivium', store: `lmdb:${folder}` }
  // Without namespaces: a DEL of nothing leads through store, locks and netlink.
  runOnce(join(dist, 'plugin.cjs'), [], {
    folder,
    input: JSON.stringify({ ...config, socket: join(folder, 'agent.sock') }),
    variables: {
      TRIVIUM_PLUGIN: 'trivium',
      TRIVIUM_NODE: 'none',
      CNI_COMMAND: 'DEL',
      CNI_CONTAINERID: 'none',
      CNI_IFNAME: 'none',
      CNI_NETNS: '',
      CNI_PATH: '/',
    },
  })
}

/** A real ADD and DEL, where this user may make network namespaces. */
function rehearse(root, dist) {
  const folder = mkdtempSync(join(tmpdir(), 'trivium-build-'))
  const asRoot = process.getuid?.() === 0 ? [] : ['--map-root-user']
  const sources = ['--conditions=trivium-source', '--import', 'tsx']
  const program = [join(root, 'cni-bin', 'rehearsal.ts'), join(dist, 'plugin.cjs'), folder]
  try {
    const unshared = ['--net', ...asRoot, '--', process.execPath, ...sources, ...program]
    return spawnSync('unshare', unshared, { cwd: root, stdio: 'ignore' }).status === 0
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** @param options esbuild's, as for the other bundles. */
export async function buildCli(root, dist, options) {
  await buildEntry(root, dist, 'cli', options)
  const folder = mkdtempSync(join(tmpdir(), 'trivium-build-'))
  const store = ['--store', `lmdb:${folder}`]
  // Each adds to what the one before has compiled.
  const create = ['network', 'create', 'none', '--pool', '192.0.2.0/24', ...store]
  runOnce(join(dist, 'cli.cjs'), create, { folder, keep: true })
  runOnce(join(dist, 'cli.cjs'), ['ipam', 'show', ...store], { folder })
}

async function buildEntry(root, dist, name, { plugins = [], ...options }) {
  await build({
    ...options,
    entryPoints: { [`${name}-main`]: `cni-bin/${name}.ts` },
    outdir: dist,
    plugins: [...plugins, etcdApart, nativesInside(root)],
    minifySyntax: true,
    // Code that runs outside of modules has none of its own to resolve import() with.
    supported: { 'dynamic-import': false },
    banner: { js: '(function (exports, require, module, __filename, __dirname) {' },
    footer: { js: '})' },
  })
  copyFileSync(join(root, 'cni-bin', 'loader.cjs'), join(dist, `${name}.cjs`))
}

/** Runs an entry, and keeps what V8 made of it. */
function runOnce(path, args, { folder, input = '', variables = {}, keep = false }) {
  try {
    const { status, stderr } = spawnSync(process.execPath, [path, ...args], {
      input,
      encoding: 'utf8',
      env: { ...process.env, TRIVIUM_CODE_CACHE: 'write', ...variables },
    })
    if (status !== 0)
      console.error(`build: ${basename(path)} ended with status ${status}: ${stderr}`)
  } finally {
    if (!keep) rmSync(folder, { recursive: true, force: true })
  }
}
