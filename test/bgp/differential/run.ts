/**
 * `run.ts FROM COUNT [AT_ONCE] [--without EQUALISER]`: so many networks against BIRD, as
 * root. A difference is shown in its smallest part, with what BIRD is told; those of BIRD
 * without an equaliser are shown as they are.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { parseArgs } from 'node:util'
import { againstBird } from './against-bird.ts'
import { birdConfig, EQUALISERS, type Equaliser } from './bird-config.ts'
import { campaign, settle, tallyText } from './campaign.ts'
import { generate } from './generate.ts'
import { differenceText } from './outcome.ts'
import { shrink } from './shrink.ts'
import type { Topology } from './topology.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { without: { type: 'string' } },
})
const [from = 1, count = 1, atOnce = 12] = positionals.map(Number)
const without = values.without as Equaliser | undefined
if (without !== undefined && !(without in EQUALISERS)) {
  throw new Error(`--without ${without}, wanted one of ${Object.keys(EQUALISERS).join(', ')}`)
}
const scratch = mkdtempSync(`${tmpdir()}/trivium-differential-`)
const say = (line: string): void => void process.stdout.write(`${line}\n`)

async function isDifferent(topology: Topology): Promise<boolean> {
  const settled = settle(topology)
  if (settled.kind !== 'one') return false
  return (await againstBird(topology, settled, scratch)).found.length > 0
}

try {
  const start = performance.now()
  const tally = await campaign({ from, count, atOnce, ...(without && { without }) }, scratch)
  say(tallyText(tally))
  const { user, system } = process.cpuUsage()
  const seconds = (ms: number): string => (ms / 1000).toFixed(1)
  say(`${seconds(performance.now() - start)} s, ${seconds((user + system) / 1000)} s of CPU here`)
  for (const { seed, problem, found } of tally.different) {
    say(`\nSEED ${seed}: ${problem}, ${found.length} differences`)
    if (without !== undefined) say(found.slice(0, 2).map(differenceText).join('\n'))
    if (found.length === 0 || without !== undefined) continue
    const small = await shrink(generate(seed), isDifferent, atOnce)
    const settled = settle(small)
    if (settled.kind !== 'one') continue
    const now = await againstBird(small, settled, scratch)
    for (const { id } of small.routers) say(`# router ${id}\n${birdConfig(small, id)}`)
    say(JSON.stringify(small.events))
    say(now.found.map(differenceText).join('\n'))
  }
} finally {
  rmSync(scratch, { recursive: true, force: true })
}
