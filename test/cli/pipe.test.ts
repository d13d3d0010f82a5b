/** A reader that has seen enough, as `head` has, is no error. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import t from 'tap'

t.test('nobody reads the rest', async (t) => {
  const flags = ['--conditions=trivium-source', '--import', 'tsx']
  const command = ['cni-bin/cli.ts', 'sim', 'run', 'first', '--seeds', '1']
  const child = spawn(process.execPath, [...flags, ...command])
  let said = ''
  child.stderr.setEncoding('utf8')
  child.stderr.on('data', (text: string) => {
    said += text
  })
  const ended = once(child, 'exit')
  // The header comes before the run, the report after it.
  const [header] = await once(child.stdout, 'data')
  t.match(String(header), /^scenario /)
  child.stdout.destroy()
  t.strictSame(await ended, [0, null])
  t.equal(said, '', 'not a word')
})
