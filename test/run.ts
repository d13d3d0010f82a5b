/**
 * Runs the tests and ends with the line `N passed, N failed, N skipped`.
 *
 *     npm test                      everything, in a seeded slice
 *     npm test -- test/ipam         the files below a folder, or single files
 *     npm test -- --unit            only what needs neither root nor other programs
 *     FC_SEED=7 npm test            another slice; the seed is printed first
 *     TRIVIUM_LONG=1 npm test       the full counts (npm run test:long)
 */
import { spawn } from 'node:child_process'
import { readdirSync, writeFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { scratch } from './support/scratch.ts'
import { together } from './together.ts'

/** One seed for every run in CI, so that a red one can be seen again. */
const DEFAULT_SEED = '20261121'

/** Need root, a compiler or other programs. */
const NOT_UNIT = /^test\/(e2e|launcher|runtimes)\/|\.live\.test\.ts$/

const args = process.argv.slice(2)
const unitOnly = args.includes('--unit')
const asked = args.filter((arg) => !arg.startsWith('--'))
const isLong = process.env['TRIVIUM_LONG'] === '1'
const seed = process.env['FC_SEED'] ?? (isLong ? String(Date.now() % 2 ** 31) : DEFAULT_SEED)

function testFiles(): readonly string[] {
  const all = readdirSync('test', { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.test.ts'))
    .map((file) => `test/${file}`)
    .sort()
  const chosen =
    asked.length === 0 ? all : all.filter((file) => asked.some((ask) => file.startsWith(ask)))
  return unitOnly ? chosen.filter((file) => !NOT_UNIT.test(file)) : chosen
}

interface Counts {
  pass: number
  fail: number
  skip: number
}

/** The tests themselves, where tap says the name of a file that imports them. */
function named(line: string): string {
  const [found = ''] = /\.tap\/together-\S+\.mjs/.exec(line) ?? []
  const files = joined.members.get(found)
  return files === undefined ? line : line.replace(found, files.join(' '))
}

/**
 * Prints a line a file, and everything of a failure; reads the totals at the end.
 *
 * @param unborn Takes the files whose process ended before its first test. Absent: that is a failure.
 */
function follow(lines: AsyncIterable<string>, unborn?: string[]): Promise<Counts> {
  return (async () => {
    const counts: Counts = { pass: 0, fail: 0, skip: 0 }
    let block: string[] = []
    let [hasFailed, isWhy] = [false, false]
    for await (const line of lines) {
      // What tap has to say of a failed file, like the signal that ended it, comes after its line.
      if (line === '  ---') isWhy = hasFailed
      if (isWhy) {
        console.log(line)
        isWhy = line !== '  ...'
        continue
      }
      const totals = /^# \{ total: \d+(.*)\}$/.exec(line)?.[1]
      if (totals !== undefined) {
        for (const [, key, value] of totals.matchAll(/(pass|fail|skip|todo): (\d+)/g)) {
          if (key === 'pass' || key === 'fail' || key === 'skip') counts[key] = Number(value)
        }
      }
      block.push(line)
      if (!/^(not )?ok \d+ - /.test(line)) continue
      const failed = line.startsWith('not ok')
      hasFailed = failed
      if (failed && unborn !== undefined && block.includes('    1..0 # no tests found')) {
        unborn.push(/^not ok \d+ - (\S+)/.exec(line)?.[1] ?? '')
        console.log(named(line).replace(/^not ok \d+ - /, 'ended before its first test: '))
        block = []
        continue
      }
      const shown = block.map(named)
      if (failed) console.log(shown.join('\n'))
      else console.log(named(line).replace(/^ok \d+ - /, 'ok   '))
      // What a long run counted is what it was made for.
      const told =
        isLong && !failed ? block.filter((each) => /^\s+# (?!Subtest|time=)/.test(each)) : []
      for (const comment of told) console.log(`     ${comment}`)
      for (const skip of block.filter((each) => /^\s+ok .*# SKIP/.test(each))) {
        console.log(`       skipped: ${skip.trim().replace(/^ok \d+ - /, '')}`)
      }
      block = []
    }
    return counts
  })()
}

const files = testFiles()
if (files.length === 0) {
  console.error(`test: no test file matches ${asked.join(' ')}`)
  process.exit(2)
}
console.log(
  `seed ${seed} (FC_SEED=${seed} repeats this run)${isLong ? ', full counts' : ''}, ${files.length} files`,
)
const joined = together(files)
const { env: places, remove: removeScratch } = scratch()
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    removeScratch()
    process.kill(process.pid, signal)
  })
}
const started = performance.now()
/** A run inside another: only where tap is given a list does it leave the folder of the outer one alone. */
const listFile = process.env['TRIVIUM_TEST_LIST']
const timeoutSeconds = isLong ? 7200 : 900
/** Most of the end-to-end tests wait more than they compute. */
const jobs = process.env['TRIVIUM_TEST_JOBS'] ?? '3'

/** Starts tap, and says what it found and how it ended. */
async function tapped(some: readonly string[], unborn?: string[]): Promise<[Counts, number]> {
  if (listFile !== undefined) writeFileSync(listFile, some.map((file) => `${file}\n`).join(''))
  const tap = spawn(
    process.execPath,
    [
      'node_modules/tap/dist/esm/run.mjs',
      '--reporter=tap',
      `--jobs=${jobs}`,
      `--timeout=${timeoutSeconds}`,
      ...(listFile === undefined ? [] : [`--save=${listFile}`]),
      ...some,
    ],
    { env: { ...process.env, ...places, FC_SEED: seed }, stdio: ['ignore', 'pipe', 'inherit'] },
  )
  const status = new Promise<number>((resolve) => tap.once('close', (code) => resolve(code ?? 1)))
  const counts = await follow(createInterface({ input: tap.stdout }), unborn)
  return [counts, await status]
}

const unborn: string[] = []
let [counts, code] = await tapped(joined.files, unborn)
if (unborn.length > 0) {
  // Seen once in a thousand starts, for a reason not known. Nothing was tested then, so nothing
  // is hidden by starting it again; a file that cannot start fails now.
  const [more, then] = await tapped(unborn)
  const fail = counts.fail - unborn.length
  if (fail === 0) code = then
  counts = { pass: counts.pass + more.pass, fail: fail + more.fail, skip: counts.skip + more.skip }
}
joined.remove()
removeScratch()
// A file that dies before its first assertion fails without being counted.
if (code !== 0 && counts.fail === 0) counts.fail = 1
console.log(`${((performance.now() - started) / 1000).toFixed(0)} s`)
console.log(`${counts.pass} passed, ${counts.fail} failed, ${counts.skip} skipped`)
process.exitCode = code === 0 ? 0 : 1
