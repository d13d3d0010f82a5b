/**
 * What is measured on a road: iperf3 for streams, `dataplane-c/echo.c` for small
 * messages.
 *
 * The time of processors is that of sender, receiver and the kernel's softirq
 * threads: forwarding runs in the name of whoever sends. The whole machine's, as
 * in /proc/stat, counts other programs, too.
 *
 * Sender and receiver of a stream have a processor each. Small messages share one:
 * between two of a virtual machine a message waits for the hypervisor, five times
 * as long as for the road (33 µs beside 6 on a bare veth pair).
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { inNetns, must, run } from '../src/lab/exec.ts'
import type { MeasureName, Turn } from './dataplane/figures.ts'
import {
  type CpuTime,
  cpuPerGigabit,
  readCpuTime,
  readIperf,
  readRate,
  readRoundTrip,
  readRunSeconds,
} from './dataplane/read.ts'
import type { Ends } from './dataplane-lab.ts'

const SOURCE = join(import.meta.dirname, 'dataplane-c', 'echo.c')
const ECHO_PORT = '7007'
const DATAGRAM_BYTES = 1400 // fits each road: an IPv6 tunnel takes 70 of 1 500
const STREAM_S = 1
const MESSAGES_S = 0.5
const PATIENCE_MS = 30_000
/** Where there is one processor, all share it. */
const [ONE, OTHER] = ['0', cpus().length > 1 ? '1' : '0'] as const

export interface Servers {
  /** Processor time so far of the receiver of a road's streams, in seconds. */
  receiverSeconds(ends: Ends): number
  close(): void
}

/** @param binary Path to put it to. @throws {Error} There is no compiler. */
export const buildEcho = (binary: string): Promise<string> =>
  must(['cc', '-O2', '-Wall', '-o', binary, SOURCE])

/** Starts what answers at the server's end of each road. */
export async function startServers(ends: readonly Ends[], echo: string): Promise<Servers> {
  const children: ChildProcess[] = []
  const receivers = new Map<string, number>()
  const close = (): void => {
    for (const child of children) child.kill('SIGKILL')
  }
  try {
    const start = (netns: string, command: readonly string[]): number => {
      const [program = '', ...args] = inNetns(netns, command)
      const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'inherit'] })
      children.push(child)
      return child.pid ?? 0
    }
    for (const { road, server } of ends) {
      receivers.set(road.id, start(server, first(OTHER, ['iperf3', '-s'])))
      start(server, first(ONE, [echo, 'serve', ECHO_PORT]))
    }
    for (const { server } of ends) await listening(server)
    const receiverSeconds = ({ road }: Ends): number => runSeconds(receivers.get(road.id) ?? 0)
    return { receiverSeconds, close }
  } catch (thrown) {
    close()
    throw thrown
  }
}

/**
 * A session of its own comes before others: where the scheduler groups by sessions, nice
 * counts inside one only. Source: sched(7), "The autogroup feature".
 */
const BEFORE_OTHERS =
  '[ ! -w /proc/self/autogroup ] || echo -20 > /proc/self/autogroup; exec nice -n -20 "$@"'

/** On one processor, and before what others run there. Each program becomes the next one: the id stays. */
const first = (cpu: string, command: readonly string[]): readonly string[] => [
  ...['setsid', 'taskset', '-c', cpu],
  ...['sh', '-c', BEFORE_OTHERS, 'sh'],
  ...command,
]

const runSeconds = (pid: number): number =>
  readRunSeconds(readFileSync(`/proc/${pid}/schedstat`, 'utf8'))

/** The kernel's threads that do what interrupts leave over. */
const softirqPids = (): readonly number[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => commOf(pid).startsWith('ksoftirqd/'))
    .map(Number)

function commOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8')
  } catch {
    return '' // it ended meanwhile
  }
}

async function listening(netns: string): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS
  for (;;) {
    const sockets = await must(inNetns(netns, ['ss', '-Htln']))
    if (sockets.includes(':5201') && sockets.includes(`:${ECHO_PORT}`)) return
    if (performance.now() > deadline) throw new Error(`Cannot find servers in ${netns}: ${sockets}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

export const cpuTime = (): CpuTime => readCpuTime(readFileSync('/proc/stat', 'utf8'))

/** A turn of a road, a part of its measures each. */
export type Probe = (ends: Ends) => Promise<Partial<Turn>>

/** In the order in which a round goes through them. */
export function probesOf(echo: string, { receiverSeconds }: Servers): readonly Probe[] {
  const threads = softirqPids()
  const secondsOf = (ends: Ends): number =>
    threads.reduce((sum, pid) => sum + runSeconds(pid), receiverSeconds(ends))
  return [
    async (ends) => {
      const before = secondsOf(ends)
      const stream = readIperf(await iperf(ends))
      const cpu = cpuPerGigabit(stream, secondsOf(ends) - before)
      return { tcp: stream.gigabitsPerSecond, cpu }
    },
    async (ends) => {
      const flags = ['-u', '-b', '0', '-l', String(DATAGRAM_BYTES)]
      return { udp: readIperf(await iperf(ends, flags)).gigabitsPerSecond }
    },
    messages(echo, 'round-trip', 'roundTrip', readRoundTrip),
    messages(echo, 'transactions', 'transactions', readRate),
    messages(echo, 'connections', 'connections', readRate),
  ]
}

async function iperf({ client, address }: Ends, flags: readonly string[] = []): Promise<string> {
  const what = ['iperf3', '-c', address, '-t', String(STREAM_S), '-J', ...flags]
  const { stdout } = await run(inNetns(client, first(ONE, what)), { timeoutMs: PATIENCE_MS })
  return stdout
}

function messages(
  echo: string,
  verb: string,
  name: MeasureName,
  read: (line: string) => number,
): Probe {
  return async ({ client, address }) => {
    const what = [echo, verb, address, ECHO_PORT, String(MESSAGES_S)]
    const line = await must(inNetns(client, first(ONE, what)), { timeoutMs: PATIENCE_MS })
    return { [name]: read(line) }
  }
}
