/**
 * Builds the CNI entry so that it starts quickly: a process of it lives for one
 * call, and half of its time went into finding, reading and compiling files.
 *
 *     plugin.cjs                  runs plugin-main.cjs with what V8 has compiled before
 *     plugin-main.cjs             everything of ours, and the JavaScript of koffi and lmdb
 *     plugin-main-V8-ARCH.cache   V8's code; another Node does without, and compiles
 *
 * Native modules are opened at their places under node_modules/. Where they are
 * elsewhere, or another libc runs, the packages find them themselves.
 */
import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
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

/** @param options esbuild's, as for the other bundles. */
export async function buildPlugin(root, dist, options) {
  await build({
    ...options,
    entryPoints: { 'plugin-main': 'cni-bin/plugin.ts' },
    outdir: dist,
    external: [],
    plugins: [nativesInside(root)],
    minifySyntax: true,
    minifyWhitespace: true,
    banner: { js: '(function (exports, require, module, __filename, __dirname) {' },
    footer: { js: '})' },
  })
  copyFileSync(join(root, 'cni-bin', 'plugin-loader.cjs'), join(dist, 'plugin.cjs'))
  compileAhead(dist)
}

/** Runs one DEL of nothing, which leads through store, locks and netlink, and keeps what V8 made of it. */
function compileAhead(dist) {
  const folder = mkdtempSync(join(tmpdir(), 'trivium-build-'))
  const config = { cniVersion: '1.1.0', name: 'none', type: 'trivium', store: `lmdb:${folder}` }
  try {
    const { status, stderr } = spawnSync(process.execPath, [join(dist, 'plugin.cjs')], {
      input: JSON.stringify({ ...config, socket: join(folder, 'agent.sock') }),
      encoding: 'utf8',
      env: {
        ...process.env,
        TRIVIUM_CODE_CACHE: 'write',
        TRIVIUM_PLUGIN: 'trivium',
        TRIVIUM_NODE: 'none',
        CNI_COMMAND: 'DEL',
        CNI_CONTAINERID: 'none',
        CNI_IFNAME: 'none',
        CNI_NETNS: '',
        CNI_PATH: '/',
      },
    })
    if (status !== 0) console.error(`build: DEL ended with status ${status}: ${stderr}`)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
