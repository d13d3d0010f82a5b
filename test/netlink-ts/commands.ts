/**
 * The truth from outside: a command of iproute2 in one namespace, our requests in
 * another with the same past, and what every other command then says about both.
 *
 * @module
 */
import { execFileSync, spawn } from 'node:child_process'
import { closeSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import type { Test } from 'tap'
import { NetlinkSocket, openNetns } from '../../src/netlink-ts/live/mod.ts'
import { link, type Request } from '../../src/netlink-ts/mod.ts'

/** The index of a link of the set-up, by its name. */
export type IndexOf = (name: string) => number

/** One line of the table. */
export interface Row {
  /** What both namespaces have beforehand: shell commands, one a line. */
  readonly setup?: string
  /** Their commands, one a line: the title as well. */
  readonly theirs: string
  readonly ours: (indexOf: IndexOf) => readonly Request[]
}

/** What is compared, by program: commands that one process answers, a line of JSON each. */
const BATCHES: Readonly<Record<string, readonly string[]>> = {
  'ip -j -d': ['link', 'addr', 'nexthop', 'neigh', 'neigh show proxy'],
  'ip -j -d -N -4': ['route show table all', 'rule'],
  'ip -j -d -N -6': ['route show table all', 'rule'],
}
const SINGLES = [
  'bridge -j -d fdb',
  'bridge -j -compressvlans vlan',
  'bridge vni',
  'tc -j -d qdisc',
] as const

/** A shell script that prints `=== PROGRAM|COMMAND|COMMAND` and what the commands print. */
export const DUMPS = [
  ...Object.entries(BATCHES).map(([program, commands]) => {
    const lines = commands.map((command) => `${command}\\n`).join('')
    const marker = `echo '=== ${program}|${commands.join('|')}'`
    return `${marker}; printf '${lines}' | ${program} -force -batch - 2>&1`
  }),
  ...SINGLES.map((command) => `echo '=== ${command}'; ${command} 2>&1`),
].join('\n')

/** Nothing that comes by itself and at its own time: no addresses of links, no detection of duplicates. */
const PRELUDE = `
cd /proc/sys/net/ipv6/conf
echo 1 > default/addr_gen_mode; echo 0 > default/accept_dad; echo 0 > default/dad_transmits
wait_up() { for i in $(seq 200); do ip -br link show $1 | grep -q ' UP ' && return; sleep 0.01; done; }
set -e
`

/** What iproute2 says of a kernel that lacks the feature. */
const LACKING =
  /Operation not supported|Unknown device type|Protocol not supported|Specified qdisc kind is unknown/

/** Runs every row and compares; a row that this kernel cannot do is skipped with the reason. */
export async function compareRows(
  t: Test,
  rows: readonly Row[],
  dumps: string = DUMPS,
): Promise<void> {
  const names = rows.flatMap((_, i) => [`nlcmd-${process.pid}-${i}a`, `nlcmd-${process.pid}-${i}b`])
  const batch = (verb: string) =>
    execFileSync('ip', ['-force', '-batch', '-'], {
      input: names.map((name) => `netns ${verb} ${name}\n`).join(''),
    })
  batch('add') // one process for all: a namespace then costs a millisecond or two
  t.teardown(() => batch('delete'))
  for (const [i, row] of rows.entries()) {
    const title = row.theirs.trim().replace(/\s*\n\s*/g, '; ')
    const [theirs = '', ours = ''] = names.slice(2 * i)
    await t.test(title, (t) => compareRow(t, row, theirs, ours, dumps))
  }
}

async function compareRow(
  t: Test,
  row: Row,
  theirs: string,
  ours: string,
  dumps: string,
): Promise<void> {
  const setup = `${PRELUDE}${row.setup ?? ''}\n`
  const mark = 'echo "@@@"\n'
  const [reference, before] = await Promise.all([
    shell(theirs, `${setup}${row.theirs}\n${mark}set +e\n${dumps}`),
    shell(ours, `${setup}${mark}set +e\n${dumps}`),
  ])
  const failed = [reference, before].find(({ stdout }) => !stdout.includes('@@@'))
  if (failed !== undefined) {
    const why = failed.stderr.trim().replace(/\s+/g, ' ')
    if (!LACKING.test(why)) return void t.fail(`their command works: ${why}`)
    return void t.pass(`SKIPPED: ${why}`, { skip: `this kernel: ${why}` })
  }
  t.strictSame(execute(ours, row), [], 'every request of ours is accepted')
  const after = await shell(ours, dumps)
  const found = normalise(after.stdout)
  t.strictSame(found, normalise(reference.stdout), 'the same, whoever asks')
  t.notSame(found, normalise(before.stdout), 'and it is not what was there before')
}

/** The refusals of our requests. */
function execute(netns: string, row: Row): readonly string[] {
  const fd = openNetns(`/run/netns/${netns}`)
  const socket = NetlinkSocket.open({ netnsFd: fd })
  try {
    const indexes = new Map(
      socket.dump(link.list()).map(({ name, index }) => [name, index] as const),
    )
    const indexOf = (name: string): number => {
      const index = indexes.get(name)
      if (index === undefined) throw new Error(`the set-up makes no link ${name}`)
      return index
    }
    return socket.execute(row.ours(indexOf)).flatMap((error) => error?.message ?? [])
  } finally {
    socket.close()
    closeSync(fd)
  }
}

async function shell(
  netns: string,
  script: string,
): Promise<{ readonly stdout: string; readonly stderr: string }> {
  const child = spawn('nsenter', [`--net=/run/netns/${netns}`, 'sh'])
  child.stdin.end(script)
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)])
  return { stdout, stderr }
}

/** What comes and goes by itself, or is another in every namespace. */
const UNSTABLE: ReadonlySet<string> = new Set([
  'ifindex',
  'operstate',
  'hello_timer',
  'tcn_timer',
  'topology_change_timer',
  'gc_timer',
  'message_age_timer',
  'forward_delay_timer',
  'hold_timer',
  'designated_port',
  'refcnt',
])
const UNSTABLE_FLAGS = /^(LOWER_UP|NO-CARRIER|M-DOWN|linkdown|dead|tentative)$/
const COARSE = 1000 // seconds of a lifetime: the clock runs between two dumps

/** Each dump by its command, without what must differ. */
export function normalise(output: string): Readonly<Record<string, unknown>> {
  const dumps = output.replace(/^[\s\S]*@@@\n/, '').split(/^=== /m)
  const entries = dumps.filter((dump) => dump !== '').flatMap(partsOf)
  const named = namesOfMacs(entries.find(([command]) => command.endsWith(' link'))?.[1] ?? '[]')
  return Object.fromEntries(
    entries.map(([command, printed]) => {
      const plain = printed.replace(/(?:[0-9a-f]{2}:){5}[0-9a-f]{2}/g, (mac) => named(mac))
      return [command, /^\s*\[/.test(plain) ? ordered(command, JSON.parse(plain)) : plain]
    }),
  )
}

/** A dump taken apart: the commands that one process answered, and what it printed for each. */
function partsOf(dump: string): readonly (readonly [command: string, printed: string])[] {
  const end = dump.indexOf('\n')
  const [program = '', ...commands] = dump.slice(0, end).split('|')
  const printed = dump.slice(end + 1)
  const lines = printed.trim().split('\n')
  if (commands.length === 0) return [[program, printed]]
  if (lines.length !== commands.length) throw new Error(`${program}: ${printed.slice(0, 500)}`)
  return commands.map((command, i) => [`${program} ${command}`, lines[i]!] as const)
}

/** Rules are asked in order; of anything else the order is that of a hash table. */
function ordered(command: string, objects: readonly unknown[]): unknown {
  const list = objects.filter((object) => !comesLate(command, object)).map(stable)
  if (command.endsWith(' rule')) return list
  const keys = new Map(list.map((object) => [object, JSON.stringify(object)]))
  return list.sort((a, b) => (keys.get(a)! < keys.get(b)! ? -1 : 1))
}

/** The kernel adds its own IPv6 routes and multicast groups for an address or a carrier from a work queue. */
function comesLate(command: string, object: unknown): boolean {
  const { table, protocol, mac } = object as { table?: string; protocol?: string; mac?: string }
  if (command.includes(' -6 route')) return table === '255' && protocol === '2'
  return command.startsWith('bridge') && mac?.startsWith('33:33:') === true
}

/** A MAC address that nobody chose goes by its link's name. */
function namesOfMacs(links: string): (mac: string) => string {
  const names = new Map<string, string>()
  for (const { address, ifname } of JSON.parse(links)) {
    const random = typeof address === 'string' && !/^(00:00:00:00|02:00:00:00)/.test(address)
    if (random && !names.has(address)) names.set(address, `MAC of ${ifname}`)
  }
  return (mac) => names.get(mac) ?? mac
}

function stable(value: unknown): unknown {
  if (Array.isArray(value)) {
    return value
      .filter((item) => !(typeof item === 'string' && UNSTABLE_FLAGS.test(item)))
      .map(stable)
  }
  if (typeof value !== 'object' || value === null) return value
  const isPort = 'hairpin' in value
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key]) => !UNSTABLE.has(key) && !(isPort && key === 'state'))
      .map(([key, item]) => [key, /life_time$/.test(key) ? coarse(item) : stable(item)]),
  )
}

const coarse = (seconds: unknown): unknown =>
  typeof seconds === 'number' && seconds < 0xffff_ffff ? Math.round(seconds / COARSE) : seconds
