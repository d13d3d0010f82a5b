/**
 * Golden texts: plain files under test/golden, in the words of the field.
 *
 * `UPDATE_GOLDEN=1` rewrites them; a test that does so says it.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'

const FOLDER = join(dirname(fileURLToPath(import.meta.url)), '..', 'golden')

/** Asserts that `text` is what `test/golden/NAME.txt` holds. */
export function golden(t: Pick<Test, 'equal' | 'pass' | 'fail'>, name: string, text: string): void {
  const path = join(FOLDER, `${name}.txt`)
  if (process.env['UPDATE_GOLDEN'] === '1') {
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, text)
    t.pass(`wrote golden ${name}`)
    return
  }
  if (!existsSync(path)) {
    t.fail(`golden ${name} is missing: UPDATE_GOLDEN=1 writes it`)
    return
  }
  t.equal(text, readFileSync(path, 'utf8'), `golden ${name}`)
}
