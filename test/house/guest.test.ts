/**
 * Test files that need 802.1Q, under a kernel that has it, where this one has
 * not: a guest (`test/guest`). One start for all; every assertion counts here.
 * `TRIVIUM_NO_GUEST=1` leaves it out; `TRIVIUM_GUEST_FILES` names other files, with commas.
 */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { bundleTests } from '../guest/bundle.ts'
import { GUEST_FILES } from '../guest/files.ts'
import { unableToGuest } from '../guest/machine.ts'
import { builtCli } from '../support/e2e.ts'
import { hasVlan } from '../support/kernel-parts.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const isLong = process.env['TRIVIUM_LONG'] === '1'
/** Ends a guest that hangs; a slice takes a fraction of it. */
const SECONDS_MAX = isLong ? 6000 : 800

const asked = process.env['TRIVIUM_GUEST_FILES']?.split(',')
const inSlice = GUEST_FILES.filter(({ long }) => long !== true)
const whole = (asked ?? GUEST_FILES.map(({ file }) => file)).map((file) => ({ file }))
const chosen = isLong || asked !== undefined ? whole : inSlice

/** Why it cannot run here, or need not; undefined when it can. */
function refusal(): string | undefined {
  if (process.env['TRIVIUM_NO_GUEST'] === '1') return 'TRIVIUM_NO_GUEST=1'
  const unable = unableToGuest()
  if (unable !== undefined) return unable
  return hasVlan() ? 'this kernel has 802.1Q: they run here' : undefined
}

const refused = refusal()
const names = chosen.map(({ file }) => file).join(', ')
const skip = refused === undefined ? false : `${refused}; not run in a guest: ${names}`

/** The guest's own limit comes first. */
const timeout = (SECONDS_MAX + 300) * 1000

t.test('files that need another kernel', { skip, timeout }, async (t) => {
  builtCli()
  const folder = join(ROOT, '.tap', `guest-${process.pid}`)
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const program = await bundleTests(folder, chosen)
  const guest = ['--conditions=trivium-source', '--import', 'tsx', 'test/guest/run.ts']
  const slack = ['env', `TAP_TIMEOUT=${SECONDS_MAX}`, 'TRIVIUM_TEST_SLACK=6', 'TMPDIR=/dev/shm']
  const args = [...guest, '--seconds', String(SECONDS_MAX), ...slack, 'node', program]
  await t.spawn(process.execPath, args, { cwd: ROOT, timeout }, 'in the guest')
})
