/**
 * `run.ts FROM COUNT [AT_ONCE]`: so many networks against BIRD, as root. A difference is
 * shown in its smallest part, with what BIRD is told.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { againstBird } from './against-bird.ts'
import { birdConfig } from './bird-config.ts'
import { campaign, settle, tallyText } from './campaign.ts'
import { generate } from './generate.ts'
import { differenceText } from './outcome.ts'
import { shrink } from './shrink.ts'
import type { Topology } from './topology.ts'

const [from = 1, count = 1, atOnce = 12] = process.argv.slice(2).map(Number)
const scratch = mkdtempSync(join(tmpdir(), 'trivium-differential-'))
const say = (line: string): void => void process.stdout.write(`${line}\n`)

async function isDifferent(topology: Topology): Promise<boolean> {
  const settled = settle(topology)
  if (settled.kind !== 'one') return false
  return (await againstBird(topology, settled, scratch)).found.length > 0
}

try {
  const start = performance.now()
  const tally = await campaign({ from, count, atOnce }, scratch)
  say(tallyText(tally))
  const { user, system } = process.cpuUsage()
  const seconds = (ms: number): string => (ms / 1000).toFixed(1)
  say(`${seconds(performance.now() - start)} s, ${seconds((user + system) / 1000)} s of CPU here`)
  for (const { seed, problem, found } of tally.different) {
    say(`\nSEED ${seed}: ${problem}, ${found.length} differences`)
    if (found.length === 0) continue
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
