/**
 * Runs the tests and ends with the line `N passed, N failed, N skipped`.
 *
 *     npm test                      everything, in a seeded slice
 *     npm test -- test/ipam         the files below a folder, or single files
 *     npm test -- --unit            only what needs neither root nor other programs
 *     FC_SEED=7 npm test            another slice; the seed is printed first
 *     TRIVIUM_LONG=1 npm test       the full counts (npm run test:long)
 */
import type { ChildProcess } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { type Outcome, runFile } from './one-file.ts'
import { longestFirst } from './order.ts'
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

/** A line for the file, and everything of a failure. */
function show(file: string, { isOk, lines, skipped, trouble, ms }: Outcome): void {
  const name = (joined.members.get(file) ?? [file]).join(' ')
  const time = `# time=${ms.toFixed(0)}ms`
  if (!isOk) {
    console.log(lines.join('\n'))
    console.log(`not ok ${name} ${trouble === undefined ? '' : `(${trouble}) `}${time}`)
    return
  }
  console.log(`ok   ${name} ${skipped === undefined ? time : `# SKIP ${skipped}`}`)
  // What a long run counted is what it was made for.
  const told = isLong ? lines.filter((line) => /^\s+# (?!Subtest|time=)/.test(line)) : []
  for (const comment of told) console.log(`     ${comment.trimStart()}`)
  for (const skip of lines.filter((line) => /^\s*ok .*# SKIP/.test(line))) {
    console.log(`       skipped: ${skip.trim().replace(/^ok \d+ - /, '')}`)
  }
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
const running = new Set<ChildProcess>()
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    for (const child of running) child.kill(signal)
    joined.remove()
    removeScratch()
    process.kill(process.pid, signal)
  })
}
const started = performance.now()
const options = {
  env: { ...process.env, ...places, FC_SEED: seed },
  secondsMax: isLong ? 7200 : 900,
  running,
}
/** Most of the end-to-end tests wait more than they compute. */
const jobs = Number(process.env['TRIVIUM_TEST_JOBS'] ?? 3)
const total = { pass: 0, fail: 0, skip: 0 }

async function runInTurn(waiting: string[]): Promise<void> {
  for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
    let outcome = await runFile(file, options)
    if (outcome.isUnborn) {
      // Seen once in a thousand starts, for a reason not known. Nothing was tested then, so nothing
      // is hidden by starting it again; a file that cannot start fails now.
      console.log(`ended before its first test: ${file}`)
      outcome = await runFile(file, options)
    }
    show(file, outcome)
    total.pass += outcome.counts.pass
    total.fail += outcome.counts.fail
    total.skip += outcome.counts.skip
  }
}

const waiting = longestFirst(joined.files, joined.members)
await Promise.all(Array.from({ length: Math.max(1, jobs) }, () => runInTurn(waiting)))
joined.remove()
removeScratch()
console.log(`${((performance.now() - started) / 1000).toFixed(0)} s`)
console.log(`${total.pass} passed, ${total.fail} failed, ${total.skip} skipped`)
process.exitCode = total.fail === 0 ? 0 : 1
