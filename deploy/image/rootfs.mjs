/**
 * Fills a folder with the root file system of the image: dist/, the Node that
 * runs this script, and the shared objects that both load. Nothing is fetched.
 *
 *     node deploy/image/rootfs.mjs [FOLDER]     default: rootfs/ beside this file
 */
import { execFileSync } from 'node:child_process'
import { copyFileSync, cpSync, existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'

const dist = join(import.meta.dirname, '..', '..', 'dist')
const root = process.argv[2] ?? join(import.meta.dirname, 'rootfs')
const home = join(root, 'usr', 'lib', 'trivium')
const tree = join(home, '.trivium')

if (!existsSync(join(dist, 'launcher'))) {
  console.error('rootfs: Cannot build the image: dist/launcher is missing. Run: npm run build')
  process.exit(1)
}
rmSync(root, { recursive: true, force: true })
mkdirSync(home, { recursive: true })
cpSync(dist, tree, { recursive: true })
copyFileSync(process.execPath, join(tree, 'node'))
copyFileSync(join(dist, 'launcher'), join(home, 'trivium'))

/** Absolute paths in what the loader says, with the loader itself. */
const libraries = new Set()
const native = readdirSync(tree, { recursive: true })
  .filter((path) => path.endsWith('.node') && !path.includes('musl'))
  .map((path) => join(tree, path))
for (const file of [process.execPath, ...native]) {
  let said = ''
  try {
    said = String(execFileSync('ldd', [file], { stdio: ['ignore', 'pipe', 'ignore'] }))
  } catch {
    continue // built for another machine
  }
  for (const [path] of said.matchAll(/\/\S+(?= \(0x)/g)) libraries.add(path)
}
for (const path of libraries) {
  mkdirSync(join(root, dirname(path)), { recursive: true })
  copyFileSync(path, join(root, path))
}
// Where a container's mounts go; a root that is read-only cannot make them.
for (const path of [
  'dev',
  'etc/cni/net.d',
  'opt/cni/bin',
  'proc',
  'run/netns',
  'run/trivium',
  'sys',
  'tmp',
  'var/lib/trivium',
])
  mkdirSync(join(root, path), { recursive: true })
console.error(`rootfs: ${root} is ready (${libraries.size} shared objects)`)
