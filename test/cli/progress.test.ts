/** How far long work is: a line on a terminal, which goes; elsewhere not a word. */
import { existsSync } from 'node:fs'
import t from 'tap'
import { must, run } from '../../src/lab/exec.ts'
import { builtCli } from '../support/e2e.ts'
import { ownFolder } from '../support/folder.ts'

const SCRIPT = '/usr/bin/script'
const skip = existsSync(SCRIPT) ? false : `no ${SCRIPT} (Debian: bsdutils)`

t.test('a restore, with a terminal and without', { skip }, async (t) => {
  const folder = ownFolder(t)
  const trivium = builtCli()
  const store = ['--store', `lmdb:${folder}/store`]
  await must([...trivium, 'network', 'create', 'pods', '--pool', '10.42.0.0/24', ...store])
  await must([...trivium, 'ipam', 'backup', `${folder}/all`, ...store])
  const restore = [...trivium, 'ipam', 'restore', `${folder}/all`, '--dry-run', ...store]
  const piped = await run(restore)
  t.equal(piped.status, 0)
  const erase = '\r\u001b[K'
  t.notOk(`${piped.stdout}${piped.stderr}`.includes('\u001b'), 'nothing that a file cannot hold')
  const shown = await must([SCRIPT, '-qec', restore.join(' '), '/dev/null'])
  const [before, line, after] = shown.split(erase)
  t.equal(before, '')
  t.match(line, /^(.* % {2})?(reading|trying) /, 'what is going on')
  t.match(after, /^WHAT +ADDED/, 'gone before the answer')
})
