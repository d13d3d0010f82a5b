/** Real shells, at a terminal, with the script as the help tells to install it: what TAB offers. */
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { completionScript } from '../../src/cli/completion.ts'
import { program } from '../../src/cli/program.ts'
import { ownFolder } from '../support/folder.ts'

const root = program()
const folder = ownFolder(t)
// Files that are called as commands are must not get in the way.
mkdirSync(join(folder, 'ipam'))
mkdirSync(join(folder, 'fpath'))
writeFileSync(join(folder, 'old.backup'), '')
writeFileSync(join(folder, 'bash'), completionScript(root, 'bash'))
writeFileSync(join(folder, 'fpath', '_trivium'), completionScript(root, 'zsh'))
writeFileSync(join(folder, 'fish'), completionScript(root, 'fish'))

const RE = ['release', 'repair', 'reserve', 'resize', 'restore']
const STEP_MS_MAX = 20_000

const missing = (program: string, file: string): string | false =>
  existsSync(file) ? false : `no ${file} (Debian: ${program})`

/** Types each line at a terminal's shell when the text before has come; what was shown after the last. */
function typed(
  shell: string,
  steps: readonly (readonly [wait: string, line: string])[],
  end: string,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const env = { ...process.env, HISTFILE: '', TERM: 'dumb', PS1: '$ ' }
    const child = spawn('script', ['-qec', shell, '/dev/null'], { cwd: folder, env })
    const left = [...steps]
    let shown = ''
    let answer: string | undefined
    const timer = setTimeout(() => {
      child.kill('SIGKILL')
      reject(new Error(`${shell} shows ${JSON.stringify(shown)}, wanted ${left[0]?.[0] ?? end}`))
    }, STEP_MS_MAX)
    child.stdout.on('data', (bytes) => {
      shown += String(bytes)
      const [next] = left
      if (next === undefined) {
        if (!shown.includes(end)) return
        answer ??= shown
        // A line that is typed half is taken back first; an interrupt would flush what follows it, too.
        child.stdin.end('\u0015exit\r')
      } else if (shown.includes(next[0])) {
        shown = ''
        left.shift()
        child.stdin.write(next[1])
      }
    })
    child.on('error', reject)
    child.on('exit', () => {
      clearTimeout(timer)
      if (answer !== undefined) resolve(answer)
      else reject(new Error(`${shell} ended: ${JSON.stringify(shown)}`))
    })
    child.stdin.on('error', () => {})
  })
}

const wordsIn = (text: string): readonly string[] =>
  [...new Set(text.split(/[^a-z]+/).filter((word) => RE.includes(word)))].sort()

/** The function takes the command's place and says what the line became. */
const SAY = 'trivium() { echo "<$*>E""ND"; }'

t.test('bash', { skip: missing('bsdutils', '/usr/bin/script') }, async (t) => {
  const start = ['', `source ./bash; ${SAY}; PS1='re''ady '\r`] as const
  const offered = await typed(
    'bash --norc --noprofile -i',
    [start, ['ready ', 'trivium ipam re\t\t']],
    'restore',
  )
  t.strictSame(wordsIn(offered), RE)
  const line = 'trivium ipa\trest\told\t\r'
  const becomes = await typed('bash --norc --noprofile -i', [start, ['ready ', line]], '>END')
  t.match(becomes, '<ipam restore old.backup>END', 'a verb is no folder, a file has its whole name')
})

t.test('zsh', { skip: missing('zsh', '/usr/bin/zsh') }, async (t) => {
  const fpath = join(folder, 'fpath')
  const first = `fpath=(${fpath} $fpath); autoload -U compinit && compinit -u -D; PS1='re''ady '\r`
  const shown = await typed(
    'zsh -f -i',
    [
      ['', first],
      ['ready ', 'trivium ipam re\t\t'],
    ],
    'restore',
  )
  t.strictSame(wordsIn(shown), RE, 'at the first try')
})

t.test('fish', { skip: missing('fish', '/usr/bin/fish') }, async (t) => {
  const offered = (line: string): readonly string[] => {
    const ask = `source ./fish; complete -C '${line}'`
    const env = { ...process.env, HOME: folder }
    const asked = spawnSync('fish', ['--no-config', '-c', ask], { cwd: folder, env })
    t.equal(String(asked.stderr), '')
    return String(asked.stdout)
      .trimEnd()
      .split('\n')
      .map((each) => each.split('\t')[0] ?? '')
  }
  t.strictSame(offered('trivium ipam re').toSorted(), RE)
  t.strictSame(offered('trivium ipam show -o ').toSorted(), ['json', 'text', 'wide', 'yaml'])
  t.strictSame(offered('trivium ipam restore --d'), ['--dry-run'])
  t.match(offered('trivium ipam restore old'), ['old.backup'])
})
