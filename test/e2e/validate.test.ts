/**
 * The simulated kernel against this one: the same events on both, every table
 * compared, by the command that anybody can run.
 */
import { spawn } from 'node:child_process'
import { release } from 'node:os'
import t from 'tap'
import { offloadsGpe } from '../../src/kernel-release.ts'
import { must } from '../../src/lab/exec.ts'
import { builtCli, cli, skip } from '../support/e2e.ts'

interface Report {
  readonly seed: number
  readonly modes: readonly {
    readonly mode: string
    readonly skipped?: string
    readonly rows: Readonly<Record<string, number>>
    readonly unread: readonly string[]
    readonly differences: readonly unknown[]
  }[]
}

/** Runs the command and returns its process id too: the namespaces carry it in their names. */
async function validate(...args: readonly string[]) {
  const [program = '', ...words] = [...builtCli(), 'sim', 'validate', ...args]
  const child = spawn(program, words, { stdio: ['ignore', 'pipe', 'inherit'] })
  let text = ''
  child.stdout.setEncoding('utf8')
  child.stdout.on('data', (chunk: string) => {
    text += chunk
  })
  const status = await new Promise<number | null>((done) => child.once('close', done))
  return { pid: child.pid, status, text }
}

const isLong = process.env['TRIVIUM_LONG'] === '1'
/** A guest is slow, and there for the one mode that other kernels cannot do. */
const isGuest = process.env['TRIVIUM_GUEST'] === '1'
/** What every kernel can do. In the slice those that have the objects of the others, too. */
const SLICE = isGuest ? [] : ['crosssubnet', 'underlay6', 'mixed', 'networks']
const lightweight = offloadsGpe(release()) ? ['lightweight'] : []
const MODES = isLong
  ? ['vxlan', ...lightweight, 'crosssubnet', 'underlay6', 'route', 'mixed', 'networks']
  : SLICE

/** Tables of which every mode has rows; but a VLAN's switches learn, and its ports' guards are left out. */
const EVERYWHERE = ['links', 'addresses', 'routes', 'sysctls']

t.test('every mode that this kernel can do: no difference', { skip }, async (t) => {
  const size = ['--nodes', '2', '--pods', '1', '--seed', '3']
  const chosen = isLong ? [] : [...MODES, 'vlan'].flatMap((mode) => ['--mode', mode])
  const { pid, status, text } = await validate(...size, ...chosen, '-o', 'json')
  const { seed, modes } = JSON.parse(text) as Report
  t.equal(seed, 3)
  for (const { mode, skipped, rows, unread, differences } of modes) {
    if (skipped !== undefined) {
      t.pass(mode, { skip: skipped })
      continue
    }
    t.strictSame(differences, [], `${mode}: no difference`)
    const nft = unread.includes('nft rules') ? [] : ['nft rules', 'nft elements']
    const others = mode === 'vlan' ? [] : ['neighbours', ...nft]
    const empty = [...EVERYWHERE, ...others].filter((table) => !rows[table])
    t.strictSame(empty, [], `${mode}: rows in every table that it fills`)
    if (unread.length > 0) t.comment(`${mode}: no program here shows ${unread.join(', ')}`)
  }
  const compared = modes.filter(({ skipped }) => skipped === undefined).map(({ mode }) => mode)
  const missing = MODES.filter((mode) => !compared.includes(mode))
  t.strictSame(missing, [], 'every kernel can do these')
  t.equal(status, 0)
  const left = (await must(['ip', 'netns', 'list'])).match(new RegExp(`^trv-${pid}-\\S+`, 'gm'))
  t.equal(left, null, 'no namespace is left')
})

t.test('what makes no sense is said before anything is made', { skip }, async (t) => {
  const unknown = await cli('sim', 'validate', '--mode', 'vxlam')
  t.equal(unknown.status, 2)
  t.match(unknown.stderr, /Cannot validate mode "vxlam": there is vxlan, lightweight, /)
  const single = await cli('sim', 'validate', '--nodes', '1')
  t.equal(single.status, 2)
  t.match(single.stderr, /wanted a whole number from 2 to 40/)
})
