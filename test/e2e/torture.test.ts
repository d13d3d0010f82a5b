/**
 * Launchers, agents and Node entries killed with SIGKILL at random moments of
 * ADD, DEL and GC, many containers side by side, two networks on two nodes with
 * one store. The runtime does what runtimes do then, and GC runs once: nothing
 * may be left, nothing may be missing, no address may be given twice.
 *
 *     FC_SEED=7               the same rounds again
 *     TRIVIUM_TORTURE=12                       one round of them
 *     TRIVIUM_TORTURE=12a.phase@0,12a.3@2      that round with one of its kills: who
 *                                 dies in its phase, and the place of the step aimed at
 *
 * A round with a fault tells its kills in these words. What a kill hits is the
 * kernel's timing too, so a replay may need a few runs.
 */
import '../support/on-disk.ts'
import t, { type Test } from 'tap'
import { skip } from '../support/e2e.ts'
import { play } from './torture/rounds.ts'
import { createScene, type Scene } from './torture/scene.ts'
import { STEPS, STEPS_OF_AGENT, STEPS_OF_NODE } from './torture/steps.ts'
import { createWorld } from './torture/world.ts'

const isLong = process.env['TRIVIUM_LONG'] === '1'
const KILLS = Number(process.env['TRIVIUM_TORTURE_KILLS'] ?? (isLong ? 2000 : 60))
/** Hits of each step that a long run must have. */
const HITS_MIN = isLong ? 20 : 0
const SEED = process.env['FC_SEED'] ?? String(Date.now())
const TIMEOUT_MS = isLong ? 7_200_000 : 800_000
/** Beyond these many one cause is known well enough. */
const FAULTS_MAX = 40

const ROWS = [
  ['Node entry ADD', STEPS_OF_NODE.ADD],
  ['Node entry DEL', STEPS.DEL],
  ['Node entry GC', STEPS.GC],
  ['agent ADD', STEPS_OF_AGENT.ADD],
  ['agent DEL', STEPS.DEL],
  ['agent GC', STEPS.GC],
  ['launcher ADD', STEPS.launcher],
  ['launcher DEL', STEPS.launcher],
  ['launcher GC', STEPS.launcher],
] as const

t.test('killed at random moments', { skip, timeout: TIMEOUT_MS }, async (t) => {
  const asked = replayOf(process.env['TRIVIUM_TORTURE'] ?? '')
  const scene = await createScene(await createWorld(t))
  t.comment(`FC_SEED=${SEED}`)
  if (asked !== undefined) await play(scene, SEED, asked.round, asked.only)
  else {
    for (let number = 0; goesOn(scene); number++) {
      const known = scene.faults.length
      const shots = await play(scene, SEED, String(number))
      for (const fault of scene.faults.slice(known)) t.comment(fault)
      if (scene.faults.length > known) t.comment(`again: ${againOf(shots)}`)
      t.comment(`${scene.kills} kills in ${number + 1} rounds`)
    }
  }
  t.strictSame(scene.faults, [], `FC_SEED=${SEED}: ${scene.kills} kills`)
  report(t, scene)
  if (asked === undefined) t.ok(scene.kills >= KILLS, `${scene.kills} kills`)
})

interface Replay {
  readonly round: string
  readonly only: ReadonlyMap<string, number | undefined> | undefined
}

function replayOf(text: string): Replay | undefined {
  if (text === '') return undefined
  const kills = text.split(',').map((part) => /^((\d+)(?:[ad]\.[^@]+)?)(?:@(\d+))?$/.exec(part))
  const [first] = kills
  const round = first?.[2]
  if (round === undefined || kills.some((kill) => kill?.[2] !== round)) {
    throw new Error(`TRIVIUM_TORTURE=${text} is neither ROUND nor KILL@PLACE,... of one round`)
  }
  if (text === round) return { round, only: undefined }
  const pairs = kills.map(
    (kill) => [kill?.[1] ?? '', kill?.[3] === undefined ? undefined : Number(kill[3])] as const,
  )
  return { round, only: new Map(pairs) }
}

const againOf = (shots: readonly string[]): string =>
  `FC_SEED=${SEED} TRIVIUM_TORTURE=${shots.join(',')} npm test -- test/e2e/torture`

/** Until there are enough, of each step too, or enough is known. */
const goesOn = (scene: Scene): boolean =>
  scene.faults.length < FAULTS_MAX &&
  (scene.kills < KILLS || (scene.kills < 2 * KILLS && rareSteps(scene).length > 0))

const rareSteps = ({ aim }: Scene): readonly string[] =>
  ROWS.flatMap(([what, steps]) =>
    steps.filter((step) => aim.hits(what, step) < HITS_MIN).map((step) => `${what} at ${step}`),
  )

function report(t: Test, scene: Scene): void {
  for (const line of scene.aim.table(ROWS)) t.comment(line)
  for (const [message, times] of scene.later) t.comment(`${times} times: ${message}`)
  t.strictSame(rareSteps(scene), [], `every step was hit at least ${HITS_MIN} times`)
}
