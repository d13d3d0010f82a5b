/**
 * Runs a command under another kernel: Debian 12's own, 6.1, in QEMU. It has what
 * this machine's kernel may lack: 802.1Q, VLAN-filtering bridges, ipvlan, netem.
 *
 *     npm run guest -- CMD [ARG…]
 *     npm run guest -- --seconds 60 ip link add link lo name v type vlan id 2
 *     npm run -s guest -- uname -r
 *
 * The command sees this machine's files and may write to the current folder; what
 * it writes elsewhere is gone with the guest, which has no network but its own.
 * It runs as root with this environment and TRIVIUM_GUEST=1. Options, before CMD:
 *
 *     --seconds N      end it after N seconds (exit status 124)
 *     --memory N       mebibytes of memory (2048)
 *     --processors N   processors (1)
 *
 * Exit status: the command's; 124 time was up, 125 no guest.
 * TRIVIUM_GUEST_CACHE is the folder that keeps the kernel (/var/cache/trivium-guest).
 */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { guestEnv } from './environment.ts'
import { runInGuest, TIME_IS_UP, unableToGuest } from './machine.ts'

const NO_GUEST = 125
const OPTIONS = {
  '--seconds': 'secondsMax',
  '--memory': 'memoryMebibytes',
  '--processors': 'processors',
} as const

function refuse(why: string): never {
  console.error(`guest: ${why}`)
  process.exit(NO_GUEST)
}

function help(): never {
  const [comment = ''] =
    /^\/\*\*[\s\S]*?\*\//.exec(readFileSync(import.meta.filename, 'utf8')) ?? []
  console.log(comment.replaceAll(/^( \* ?|\/\*\*| \*\/)/gm, '').trim())
  process.exit(0)
}

const command = process.argv.slice(2)
const numbers: Partial<Record<(typeof OPTIONS)[keyof typeof OPTIONS], number>> = {}
while (command[0]?.startsWith('-')) {
  const option = command.shift() ?? ''
  if (option === '--') break
  if (option === '--help' || option === '-h') help()
  if (!(option in OPTIONS)) refuse(`no option ${option}: --help tells which there are`)
  const value = command.shift() ?? ''
  if (!/^[1-9]\d*$/.test(value)) refuse(`${option} wants a number, found '${value}'`)
  numbers[OPTIONS[option as keyof typeof OPTIONS]] = Number(value)
}
if (command.length === 0) refuse('no command: --help shows how')
if (process.env['TRIVIUM_GUEST'] === '1') {
  const [program = '', ...args] = command
  process.exit(spawnSync(program, args, { stdio: 'inherit' }).status ?? NO_GUEST)
}
const unable = unableToGuest()
if (unable !== undefined)
  refuse(`${unable}; npm run guest installs what is needed, as root on Debian`)
for (const [signal, status] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
] as const) {
  process.once(signal, () => process.exit(status))
}
const folder = process.env['INIT_CWD'] ?? process.cwd()
try {
  process.exitCode = await runInGuest({
    command,
    folder,
    env: guestEnv(),
    ...numbers,
    onOutput: (bytes) => process.stdout.write(bytes),
    onErrors: (bytes) => process.stderr.write(bytes),
  })
  if (process.exitCode === TIME_IS_UP && numbers.secondsMax !== undefined) {
    console.error(`guest: ended after ${numbers.secondsMax} s`)
  }
} catch (thrown) {
  refuse(thrown instanceof Error ? thrown.message : String(thrown))
}
