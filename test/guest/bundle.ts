/**
 * Test files as plain JavaScript: compiling TypeScript is too slow in a guest.
 *
 * @module
 */
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { build, type Plugin } from 'esbuild'
import type { GuestFile } from './files.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const INSIDE = join(import.meta.dirname, 'inside.ts')

/** Native code, and what only tests of the house load. */
const OUTSIDE = ['koffi', 'lmdb', 'esbuild', 'typescript']

/** Writes a program that runs the files into `folder` of the repository; its path. */
export async function bundleTests(folder: string, files: readonly GuestFile[]): Promise<string> {
  const lines = files.map(({ file, only }) => {
    const load = `() => import(${JSON.stringify(join(ROOT, file))})`
    return `await runFile(${JSON.stringify(file)}, ${only ?? 'undefined'}, ${load})\n`
  })
  const contents = `import { runFile } from ${JSON.stringify(INSIDE)}\n${lines.join('')}`
  await build({
    stdin: { contents, resolveDir: ROOT, sourcefile: 'main.mjs', loader: 'js' },
    outdir: folder,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    conditions: ['trivium-source'],
    external: OUTSIDE,
    plugins: [ownTap, places],
    // Packages in CommonJS call it.
    banner: { js: requireFrom(join(ROOT, 'package.json')) },
    outExtension: { '.js': '.mjs' },
    logLevel: 'warning',
  })
  return join(folder, 'stdin.mjs')
}

const requireFrom = (file: string): string =>
  `import { createRequire as from } from 'node:module'; const require = from(${JSON.stringify(file)});`

/** A file's `tap` is its subtest. */
const ownTap: Plugin = {
  name: 'own tap',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^tap$/ }, ({ importer }) =>
      importer === INSIDE ? { path: 'tap', external: true } : { path: 'tap', namespace: 'own' },
    )
    onLoad({ filter: /^tap$/, namespace: 'own' }, () => ({
      contents: `export { fileTest as default } from ${JSON.stringify(INSIDE)}`,
      resolveDir: ROOT,
    }))
  },
}

/** A module is still where its source is, for what it finds from there. */
const places: Plugin = {
  name: 'places',
  setup({ onLoad }) {
    onLoad({ filter: /\.m?ts$/ }, ({ path }) => {
      if (path.includes('/node_modules/')) return undefined
      const known = { dirname: dirname(path), filename: path, url: pathToFileURL(path).href }
      const contents = readFileSync(path, 'utf8').replaceAll(
        /\bimport\.meta\.(dirname|filename|url)\b/g,
        (_, name: keyof typeof known) => JSON.stringify(known[name]),
      )
      return { contents, loader: 'ts' }
    })
  },
}
