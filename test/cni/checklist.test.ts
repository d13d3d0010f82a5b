/**
 * Every obligation of a CNI plugin has a test that is named after it. The
 * numbers are this project's own, by verb; `trivium conformance` uses them too.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import t from 'tap'

/** Groups and how many obligations each has. */
const GROUPS = { ENV: 11, CFG: 10, OUT: 6, ADD: 11, DEL: 10, CHK: 9, ST: 5, GC: 9, VER: 3 } as const

/** Obligations that are not ours to keep, and why. */
const NOT_OURS: Readonly<Record<string, string>> = {
  'OUT-06': "how a runtime reads a plugin's death: nothing that a killed program can print",
  'ADD-08': 'we call no delegate; ours is the delegate, whose record goes with its DEL',
  'ADD-10': "the runtime's: no prevResult to the first of a list",
  'ADD-11': 'we call no delegate; as one we refuse and never answer with nothing',
  'DEL-06': 'we call no delegate',
  'DEL-07': 'we call no delegate',
  'DEL-10': "the runtime's: a cached result that cannot be read",
  'CHK-07': 'we call no delegate',
  'CHK-09': "the runtime's: disableCheck",
  'GC-05': 'we call no delegate',
  'GC-09': "the runtime's: disableGC, and GC of every plugin of a list",
  'VER-03': "the runtime's: how it takes an old plugin's refusal",
}

const TESTS = resolve(import.meta.dirname, '..')
const SELF = 'checklist.test.ts'

function textOf(folder: string): string {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  return names
    .filter((name) => name.endsWith('.test.ts') && !name.endsWith(SELF))
    .map((name) => readFileSync(join(folder, name), 'utf8'))
    .join('\n')
}

const tests = ['cni', 'e2e', 'ipam', 'live'].map((folder) => textOf(join(TESTS, folder))).join('\n')
const ids = Object.entries(GROUPS).flatMap(([group, count]) =>
  Array.from({ length: count }, (_, index) => `${group}-${String(index + 1).padStart(2, '0')}`),
)

const missing = ids.filter((id) => !NOT_OURS[id] && !new RegExp(`\\b${id}\\b`).test(tests))
t.strictSame(missing, [], 'obligations without a test of their name')
const named = [...tests.matchAll(/\b(?:ENV|CFG|OUT|ADD|DEL|CHK|ST|GC|VER)-\d\d\b/g)].map(
  ([id]) => id,
)
const strange = [...new Set(named)].filter((id) => !ids.includes(id))
t.strictSame(strange, [], 'names of no obligation')
