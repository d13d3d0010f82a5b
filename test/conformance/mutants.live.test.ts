/**
 * The suite is tested by plugins that misbehave on purpose: each must be
 * caught, by the rule that was written for it, and by no other that is not
 * named. A few rules that nothing is wrong with run along. The seed chooses a
 * third of the plugins; with TRIVIUM_LONG=1 all run, along with half of all rules.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { runSuite } from '../../src/conformance/mod.ts'
import { skip } from '../support/e2e.ts'
import { MUTANTS, type Mutant, makeMutant } from './mutants.ts'
import { installOurs, nodeSetup, STOPPED } from './subjects.ts'

const isLong = process.env['TRIVIUM_LONG'] === '1'
const CONTROL = ['ENV-07', 'OUT-02', 'ADD-01', 'CHK-06']
/** In the long run: all that are quick, of every verb. */
const MANY = [
  ...['ENV-*', 'CFG-02', 'CFG-03', 'CFG-06', 'CFG-07', 'OUT-*', 'VER-*'],
  ...['ADD-01', 'ADD-02', 'ADD-03', 'ADD-04', 'ADD-05', 'ADD-06', 'ADD-12', 'ADD-13'],
  ...['DEL-01', 'DEL-02', 'DEL-03', 'DEL-11', 'CHK-01', 'CHK-02', 'CHK-03', 'CHK-04.*', 'CHK-06'],
  ...['CHK-08', 'CHK-10', 'ST-01', 'ST-02', 'ST-05', 'GC-01', 'GC-02', 'GC-03', 'GC-10'],
]
/** Of the rules a mutant breaks, in a short run. */
const BROKEN_MAX = 3
const AT_ONCE = 2
const SHARE = 3
const seed = Number(process.env['FC_SEED'] ?? Date.now())

t.test('every mutant is caught by its rules', { skip }, async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'trv-conformance-'))
  t.teardown(() => rmSync(dir, { recursive: true, force: true }))
  const installed = await installOurs(dir)
  const { binDir } = installed
  const setup = nodeSetup(installed)
  const ipamSetup = nodeSetup({ ...installed, store: installed.ipamStore })
  const stopped = nodeSetup(installed, STOPPED)
  const setupOf = ({ as, isDaemonStopped }: Mutant): string =>
    as === 'trivium-ipam' ? ipamSetup : isDaemonStopped === true ? stopped : setup
  const run = async (mutant: Mutant): Promise<void> => {
    const made = makeMutant(mutant, dir, binDir)
    const wanted = isLong ? mutant.breaks : mutant.breaks.slice(0, BROKEN_MAX)
    const others = isLong && mutant.reachesOthers !== true ? MANY : CONTROL
    const only = [...new Set([...wanted, ...others])]
    const { outcomes } = await runSuite({
      list: made.list,
      binDirs: [made.dir, binDir],
      setup: setupOf(mutant),
      daemonStopped: mutant.isDaemonStopped === true,
      lanes: 1,
      // Only who hangs meets it; a loaded machine needs slack.
      timeoutMs: mutant.what.startsWith('hangs') ? 4000 : 30_000,
      settleMs: 1000,
      only,
    })
    const broken = outcomes.filter(({ verdict }) => !['pass', 'not applicable'].includes(verdict))
    const ids = broken.map(({ id }) => id)
    t.strictSame([...ids].sort(), [...wanted].sort(), mutant.what, { broken })
    const silent = broken.filter(({ verdict }) => verdict === 'silent ok').map(({ id }) => id)
    const mute = (mutant.silent ?? []).filter((id) => wanted.includes(id))
    t.strictSame([...silent].sort(), [...mute].sort(), `${mutant.what}: silent`)
  }
  const waiting = MUTANTS.filter((_, index) => isLong || (index + seed) % SHARE === 0)
  t.comment(`${waiting.length} of ${MUTANTS.length}, FC_SEED=${seed}`)
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) await run(next)
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
})
