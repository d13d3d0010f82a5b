/** A dump that fails leaves no file behind, and one that is there stays as it is. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { program } from '../../src/cli/program.ts'

const folder = mkdtempSync(join(tmpdir(), 'dump-'))
t.teardown(() => rmSync(folder, { recursive: true }))
const [file, socket] = [join(folder, 'rib.mrt'), join(folder, 'bgp.sock')]
const dump = (): Promise<unknown> =>
  program().parseAsync(['node', 'trivium', 'bgp', 'dump', file, '--socket', socket])

t.test('no speaker answers', async (t) => {
  await t.rejects(dump(), { code: 'UNAVAILABLE' })
  t.strictSame(readdirSync(folder), [])
})

t.test('the file is somebody’s', async (t) => {
  writeFileSync(file, 'kept')
  await t.rejects(dump(), { code: 'EEXIST' })
  t.equal(readFileSync(file, 'utf8'), 'kept')
})
