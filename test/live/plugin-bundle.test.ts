/** The CNI entry as it is built: with V8's code from the build, and where that is of no use. */
import { spawnSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { Script } from 'node:vm'
import t from 'tap'
import { openLmdbStore } from '../../ipam/lmdb-store.ts'
import type { Key } from '../../ipam/store.ts'
import { transact } from '../../src/live/transact.ts'
import { builtCli, DIST } from '../support/e2e.ts'
import { ownFolder } from '../support/folder.ts'

const cacheOf = (name: string): string => `${name}-${process.versions.v8}-${process.arch}.cache`
const CACHE = cacheOf('plugin-main')
const FILES = ['plugin.cjs', 'plugin-main.cjs', CACHE] as const

builtCli()
const skip = !existsSync(join(DIST, CACHE)) && 'dist/ was built by another Node'
const folder = ownFolder(t)
const storePath = join(folder, 'store')
openLmdbStore(storePath).close()

/** A copy of the built entry, with what `spoil` did to it. */
function copy(name: string, spoil: (cache: string) => void): string {
  const place = join(folder, name)
  mkdirSync(place)
  for (const file of FILES) cpSync(join(DIST, file), join(place, file))
  symlinkSync(join(DIST, 'node_modules'), join(place, 'node_modules'))
  spoil(join(place, CACHE))
  return place
}

function call(place: string, verb: string, ...flags: readonly string[]) {
  const config = { cniVersion: '1.1.0', name: 'pods', type: 'trivium', store: `lmdb:${storePath}` }
  return spawnSync(process.execPath, [...flags, join(place, 'plugin.cjs')], {
    input: JSON.stringify({ ...config, socket: join(folder, 'run', 'agent.sock') }),
    encoding: 'utf8',
    env: {
      TRIVIUM_PLUGIN: 'trivium',
      TRIVIUM_NODE: 'n1',
      CNI_COMMAND: verb,
      CNI_CONTAINERID: 'c0ffee',
      CNI_IFNAME: 'eth0',
      CNI_PATH: '/',
    },
  })
}

const COPIES: Readonly<Record<string, (cache: string) => void>> = {
  'as built': () => {},
  'no code': (cache) => rmSync(cache),
  'half of the code': (cache) => truncateSync(cache, 10_000),
  'empty code': (cache) => truncateSync(cache, 0),
  'code of something else': (cache) => writeFileSync(cache, new Script('1').createCachedData()),
}

for (const [name, spoil] of Object.entries(COPIES)) {
  t.test(name, { skip }, async (t) => {
    const place = copy(name.replaceAll(' ', '-'), spoil)
    const version = call(place, 'VERSION')
    t.equal(version.status, 0, version.stderr)
    t.match(JSON.parse(version.stdout), { cniVersion: '1.1.0' })
    // Through the lock, the store and netlink.
    const { status, stdout, stderr } = call(place, 'DEL')
    t.strictSame([status, stdout], [0, ''], stderr)
  })
}

t.test('V8 with other flags does without', { skip }, async (t) => {
  const place = copy('flags', () => {})
  const { status, stdout, stderr } = call(place, 'DEL', '--no-opt', '--stack-size=900')
  t.strictSame([status, stdout], [0, ''], stderr)
})

t.test('a call that has ended keeps nothing of the store', { skip }, async (t) => {
  const place = copy('ended', () => {})
  // Opening a store clears what the dead left in it, so this one is open before.
  const store = openLmdbStore(storePath)
  t.teardown(() => store.close())
  t.equal(call(place, 'DEL').status, 0)
  const before = statSync(join(storePath, 'data.mdb')).size
  for (let write = 0; write < 300; write++) {
    await transact(store, (tx) => tx.put('sequence/n1' as Key<number>, write))
  }
  const grown = statSync(join(storePath, 'data.mdb')).size - before
  t.ok(grown < 1024 * 1024, `pages are written again: ${grown} bytes more`)
})

for (const name of ['plugin-main', 'cli-main']) {
  t.test(`this Node accepts the code of ${name}`, { skip }, async (t) => {
    const source = readFileSync(join(DIST, `${name}.cjs`), 'utf8')
    const cachedData = readFileSync(join(DIST, cacheOf(name)))
    const script = new Script(source, { filename: `trivium/${name}.cjs`, cachedData })
    t.equal(script.cachedDataRejected, false)
  })
}
