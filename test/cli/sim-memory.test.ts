/** A run that needs more memory than its process may use: asked first, and run in a larger one when told so. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'

const CLI = join(import.meta.dirname, '../../cni-bin/cli.ts')
const SOURCE = ['--conditions=trivium-source', '--import', 'tsx']
const folder = mkdtempSync(join(tmpdir(), 'trivium-memory-'))
t.teardown(() => rmSync(folder, { recursive: true, force: true }))

const scenario = (nodes: number, pods: number): string => {
  const path = join(folder, `${nodes}.yaml`)
  const pools = 'pools: [{ cidr: 10.0.0.0/8, blockLength: 25 }]'
  const lines = [
    `nodes: ${nodes}`,
    `podsPerNode: ${pods}`,
    `racks: ${Math.ceil(nodes / 50)}`,
    pools,
  ]
  writeFileSync(
    path,
    [...lines, 'modes: [vxlan]', 'switch: { profile: arista-7280r3 }', ''].join('\n'),
  )
  return path
}

/** @param heapMb What Node may use. */
function run(heapMb: number, ...args: readonly string[]) {
  const env = { ...process.env, NODE_OPTIONS: `--max-old-space-size=${heapMb}` }
  return spawnSync(process.execPath, [...SOURCE, CLI, 'sim', 'run', '--seeds', '1', ...args], {
    encoding: 'utf8',
    env,
  })
}

t.test('too large: nothing runs, and the numbers are said', async (t) => {
  const { status, stdout, stderr } = run(2048, scenario(2000, 100), '--engine', 'exact')
  t.equal(status, 2)
  t.equal(stdout, '')
  t.match(stderr, /Cannot run scenario .*2000\.yaml: it will need about \d+\.\d GB, this process/)
  t.match(stderr, /--yes/)
})

t.test('with --yes it runs in a larger process, and its output and status are ours', async (t) => {
  // A newer Node's young generation alone may be a hundred megabytes.
  const path = scenario(20, 250)
  t.equal(run(80, path).status, 2, 'too large for 80 MB')
  const { status, stdout } = run(80, path, '--yes', '-o', 'json')
  t.equal(status, 0)
  t.equal(JSON.parse(stdout).passed, true)
})

t.test('the scaled engine needs less, and says that it ran', async (t) => {
  const { status, stdout } = run(2048, scenario(2000, 20), '--engine', 'scaled')
  t.equal(status, 0)
  t.match(stdout, /engine scaled.*\n.*vxlan: [\d ]+ entries, [\d ]+ stored/)
})

t.test('what fits asks nobody', async (t) => {
  t.equal(run(2048, scenario(2, 2)).status, 0)
})
