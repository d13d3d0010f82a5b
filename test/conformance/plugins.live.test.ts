/**
 * The suite on real plugins: ours keep every rule that applies, and what
 * Debian's are known to do is what it finds.
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { type Facts, isBroken, type Outcome, runSuite } from '../../src/conformance/mod.ts'
import { skip } from '../support/e2e.ts'
import {
  installOurs,
  ourSubjects,
  REFERENCE,
  REFERENCE_SUBJECTS,
  type Subject,
} from './subjects.ts'

const isLong = process.env['TRIVIUM_LONG'] === '1'
const withoutReference = existsSync(join(REFERENCE, 'bridge'))
  ? skip
  : 'needs the reference plugins (containernetworking-plugins)'

/** What Debian 12's plugins (1.1.1) break, in every shape, and each. */
const ALWAYS = ['OUT-03', 'VER-01.echo']
const REFERENCE_BREAKS: Readonly<Record<string, readonly string[]>> = {
  'bridge + host-local': ['CFG-08', 'ADD-08', 'ADD-14'],
  'bridge, masquerade': ['CFG-08', 'ADD-08', 'ADD-14', 'DEL-02', 'DEL-02.gone', 'HAB-12', 'HAB-16'],
  'ptp + host-local': ['CFG-08', 'ADD-08', 'CHK-04.host'],
  'macvlan + host-local': ['CFG-08', 'ADD-08', 'ADD-14', 'DEL-08'],
  'host-local alone': ['CFG-08'],
}
const REFERENCE_VERSION = '1.0.0'
/** A matter of luck: whether one DEL took the link between another's look and its removal; where a kill fell. */
const LUCK = ['HAB-03', 'HAB-13']

const OURS_BREAK: Readonly<Record<string, readonly string[]>> = {
  // Behind somebody else's main plugin, its faults are seen as well.
  'bridge + trivium-ipam': [...ALWAYS, 'ADD-08', 'ADD-14'],
}

/** In the short run, one of each family. */
const SHORT = ['trivium', 'bridge + host-local']

async function look(subject: Subject): Promise<{ facts: Facts; broken: readonly Outcome[] }> {
  const { facts, outcomes } = await runSuite(subject)
  return {
    facts,
    broken: outcomes.filter((each) => isBroken(each) || each.verdict === 'skipped'),
  }
}

const ids = (broken: readonly Outcome[], but: readonly string[] = []): readonly string[] =>
  broken.flatMap(({ id }) => (but.includes(id) ? [] : [id])).sort()

async function reference(t: Test, subject: Subject): Promise<void> {
  const { facts, broken } = await look(subject)
  const known = [...ALWAYS, ...(REFERENCE_BREAKS[subject.name] ?? [])]
  if (facts.version === REFERENCE_VERSION) {
    t.strictSame(ids(broken, LUCK), [...known].sort(), subject.name, { broken })
    return
  }
  t.comment(`${subject.name} speaks ${facts.version}: broken are ${ids(broken).join(' ')}`)
}

t.test('ours keep every rule', { skip }, async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'trv-conformance-'))
  t.teardown(() => rmSync(dir, { recursive: true, force: true }))
  const subjects = ourSubjects(await installOurs(dir)).filter(
    ({ name, binDirs }) =>
      (isLong || SHORT.includes(name)) && (!binDirs.includes(REFERENCE) || !withoutReference),
  )
  for (const subject of subjects) {
    const { broken } = await look(subject)
    const known = OURS_BREAK[subject.name] ?? []
    t.strictSame(ids(broken), [...known].sort(), subject.name, { broken })
  }
})

t.test("Debian's break what they are known to break", { skip: withoutReference }, async (t) => {
  for (const subject of REFERENCE_SUBJECTS) {
    if (isLong || SHORT.includes(subject.name)) await reference(t, subject)
  }
})
