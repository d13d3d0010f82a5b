/**
 * A folder that no other process has. tap's own is named after the test, and a
 * run inside another (`test/house/newer-node.test.ts`) has tests of the same names.
 *
 * @module
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'

/** Within the project: a program that is built there finds its packages. */
const PLACE = join(import.meta.dirname, '..', '..', '.tap')

/** Removed when `t` ends. */
export function ownFolder(t: Test): string {
  mkdirSync(PLACE, { recursive: true })
  const folder = mkdtempSync(join(PLACE, 'folder-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}
