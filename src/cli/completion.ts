/**
 * Shell completion, made from the command tree: what it offers is what there is.
 *
 * The scripts are whole: completing a word starts no process.
 *
 * @module
 */
import type { Command, Option } from 'commander'

export const SHELLS = ['bash', 'zsh', 'fish'] as const
export type Shell = (typeof SHELLS)[number]

/** One place in the tree. */
interface Place {
  /** Words from the root, `trivium` left out. */
  readonly path: readonly string[]
  readonly commands: readonly Command[]
  readonly options: readonly Option[]
}

function* placesOf(command: Command, path: readonly string[] = []): Generator<Place> {
  const commands = command.commands.filter((each) => each.name() !== 'help')
  yield { path, commands, options: command.options.filter(({ hidden }) => !hidden) }
  for (const each of commands) yield* placesOf(each, [...path, each.name()])
}

/** A script for the shell to read. */
export function completionScript(root: Command, shell: Shell): string {
  const places = [...placesOf(root)]
  if (shell === 'fish') return fish(places)
  return shell === 'zsh' ? `${ZSH_HEAD}${bash(places)}${ZSH_END}` : bash(places)
}

const ZSH_HEAD = '#compdef trivium\nautoload -U +X bashcompinit && bashcompinit\n'
/** As a file of fpath it is read at the first completion, which would have no answer otherwise. */
const ZSH_END = `if [ "\${funcstack[1]-}" = _trivium ]; then _bash_complete -F _trivium_words; fi
`

const flagsOf = ({ short, long }: Option): readonly string[] =>
  [short, long].filter((flag) => flag !== undefined)

/**
 * The words before the one that is typed lead to a place, options and their
 * values passed by. Values come from an option's choices; files where there are none.
 */
function bash(places: readonly Place[]): string {
  const words = places.map(({ path, commands, options }) => {
    const offered = [
      ...commands.map((command) => command.name()),
      ...options.flatMap(flagsOf),
      '--help',
    ]
    return `    ${quoted(path.join(' '))}) words=${quoted(offered.join(' '))} ;;`
  })
  const values = places.flatMap(({ path, options }) =>
    options.flatMap((option) => {
      const flags = flagsOf(option).map((flag) => quoted(`${path.join(' ')}|${flag}`))
      if (!(option.required || option.optional)) return []
      const choices = (option.argChoices ?? []).join(' ')
      return [`    ${flags.join('|')}) takes=1; choices=${quoted(choices)} ;;`]
    }),
  )
  return `_trivium_place() {
  local words=
  case "$1" in
${words.join('\n')}
    *) return 1 ;;
  esac
  printf '%s' "$words"
}

_trivium_value() {
  takes= choices=
  case "$1" in
${values.join('\n')}
  esac
}

_trivium_files() {
  # Only here: a command would become a folder of the same name.
  compopt -o filenames 2>/dev/null
  COMPREPLY=($(compgen -f -- "$1"))
}

_trivium_words() {
  local current="\${COMP_WORDS[COMP_CWORD]}" place= word next takes= choices= index
  COMPREPLY=()
  for ((index = 1; index < COMP_CWORD; index++)); do
    word="\${COMP_WORDS[index]}"
    case "$word" in
      -*)
        _trivium_value "$place|$word"
        if [ -n "$takes" ]; then
          index=$((index + 1))
          if ((index == COMP_CWORD)); then
            if [ -n "$choices" ]; then COMPREPLY=($(compgen -W "$choices" -- "$current"))
            else _trivium_files "$current"; fi
            return
          fi
        fi ;;
      *)
        next="\${place:+$place }$word"
        if _trivium_place "$next" >/dev/null; then place="$next"; fi ;;
    esac
  done
  COMPREPLY=($(compgen -W "$(_trivium_place "$place")" -- "$current"))
  if ((\${#COMPREPLY[@]} == 0)); then _trivium_files "$current"; fi
}
complete -F _trivium_words trivium
`
}

const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`

function fish(places: readonly Place[]): string {
  const lines = ['complete -c trivium -e']
  for (const { path, commands, options } of places) {
    const below = commands.map((command) => command.name())
    const inside = path.map((word) => `__fish_seen_subcommand_from ${word}`)
    const outside = below.length === 0 ? [] : [`not __fish_seen_subcommand_from ${below.join(' ')}`]
    const when = [...inside, ...outside].join('; and ')
    const condition = when === '' ? '' : ` -n ${quoted(when)}`
    for (const command of commands) {
      lines.push(
        `complete -c trivium -f${condition} -a ${command.name()} -d ${quoted(command.description())}`,
      )
    }
    for (const option of options) {
      const short = option.short === undefined ? '' : ` -s ${option.short.slice(1)}`
      const long = option.long === undefined ? '' : ` -l ${option.long.slice(2)}`
      const choices = option.argChoices
      const takes = option.required || option.optional ? ' -r' : ''
      const values = choices === undefined ? '' : ` -f -a ${quoted(choices.join(' '))}`
      lines.push(
        `complete -c trivium${condition}${short}${long}${takes}${values} -d ${quoted(option.description)}`,
      )
    }
  }
  return `${lines.join('\n')}\n`
}
