/** Completion as a shell does it: the real bash, and what zsh and fish say to the scripts. */
import { spawnSync } from 'node:child_process'
import type { Command } from 'commander'
import t from 'tap'
import { completionScript } from '../../src/cli/completion.ts'
import { program } from '../../src/cli/program.ts'

const root = program()
const script = completionScript(root, 'bash')

/** Each line of words as typed, the last one unfinished; what is offered for each. */
function offered(lines: readonly (readonly string[])[]): readonly (readonly string[])[] {
  const asks = lines.map((words) => {
    const typed = ['trivium', ...words].map((word) => `'${word}'`).join(' ')
    return `COMP_WORDS=(${typed}); COMP_CWORD=${words.length}; _trivium_words; echo "\${COMPREPLY[@]}"`
  })
  const input = `${script}\n${asks.join('\n')}\n`
  const { stdout, stderr, status } = spawnSync('bash', ['--norc'], { input, encoding: 'utf8' })
  t.equal(status, 0)
  t.equal(stderr, '')
  return stdout
    .trimEnd()
    .split('\n')
    .map((line) => line.split(' '))
}

function* tree(command: Command, path: readonly string[] = []): Generator<[string[], Command]> {
  yield [[...path], command]
  for (const each of command.commands) yield* tree(each, [...path, each.name()])
}

const places = [...tree(root)]
const answers = offered(places.map(([path]) => [...path, '']))
for (const [index, [path, command]] of places.entries()) {
  const names = command.commands.map((each) => each.name())
  const flags = command.options.flatMap(({ long, hidden }) => (hidden ? [] : (long ?? [])))
  const found = new Set(answers[index])
  t.strictSame(
    [...names, ...flags].filter((word) => !found.has(word)),
    [],
    `everything of ${['trivium', ...path].join(' ')}`,
  )
}

const [verbs, flags, format, after, spread] = offered([
  ['ipam', 're'],
  ['ipam', 'restore', '--d'],
  ['ipam', 'show', '-o', ''],
  // Neither options nor their values lead astray.
  ['ipam', 'show', '--network', 'split', '--show-b'],
  ['ipam', 'import', 'file', '--from', 'w'],
])
t.strictSame(verbs?.toSorted(), ['release', 'repair', 'reserve', 'resize', 'restore'])
t.strictSame(flags, ['--dry-run'])
t.strictSame(format, ['text', 'wide', 'json', 'yaml'])
t.strictSame(after, ['--show-blocks'])
t.strictSame(spread, ['whereabouts'])

t.test('every verb of ipam has help with examples, and says how it prints', async (t) => {
  const ipam = root.commands.find((command) => command.name() === 'ipam')
  for (const [path, command] of tree(ipam!)) {
    if (path.length === 0 || command.commands.length > 0) continue
    let help = ''
    command.configureOutput({ writeOut: (text) => (help += text) }).outputHelp()
    t.match(help, /\nExamples:\n {2}trivium ipam /, `${path.join(' ')}: examples`)
    t.match(help, /--output <format>/, `${path.join(' ')}: -o`)
    t.match(help, /--store <url>/, `${path.join(' ')}: --store`)
  }
})

t.test(
  'what asks a BGP speaker, and runs one, has examples and says its exit status',
  async (t) => {
    const bgp = root.commands.find((command) => command.name() === 'bgp')
    const helps = new Map<string, string>()
    for (const [path, command] of tree(bgp!)) {
      let help = ''
      command.configureOutput({ writeOut: (text) => (help += text) }).outputHelp()
      helps.set(path.join(' '), help)
    }
    for (const name of ['peers', 'routes', 'show', 'reset', 'run', 'dump']) {
      const help = helps.get(name) ?? ''
      t.match(help, `\nExamples:\n  trivium bgp ${name}`, `${name}: examples`)
      t.match(help, /\nExit status:\n {2}0 {2}.*\n {2}1 {2}.*\n {2}2 {2}/, `${name}: exit status`)
      for (const [, flag = ''] of help.split('Examples:')[1]?.matchAll(/trivium .*?(--[a-z]+)/g) ??
        []) {
        t.match(help.split('Examples:')[0], flag, `${name}: ${flag} of an example is an option`)
      }
    }
  },
)
