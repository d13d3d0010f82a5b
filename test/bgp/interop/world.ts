/**
 * Namespaces on one switch, a router in each, and programs that run there.
 *
 * @module
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inNetns, must } from '../../../src/lab/exec.ts'
import { createUnderlay } from '../../../src/lab/underlay.ts'
import type { Implementation, Place, Router, RouterSpec } from './spec.ts'

export interface World {
  readonly places: readonly Place[]
  start(
    place: number,
    implementation: Implementation,
    spec: RouterSpec,
    isRestart?: boolean,
  ): Promise<Router>
  destroy(): Promise<void>
}

/** Makes `count` places; nothing of a half-built world is left when it fails. */
export async function makeWorld(count: number): Promise<World> {
  // The name of a lab: what a killed process leaves is swept by the next lab.
  const id = `trv-${process.pid}-${randomBytes(2).toString('hex')}`
  const dir = mkdtempSync(join(tmpdir(), `${id}-`))
  const made: string[] = []
  const places: Place[] = []
  const destroy = async (): Promise<void> => {
    for (const place of places) for (const each of PROGRAMS.get(place) ?? []) await each.kill()
    for (const name of made) await must(['ip', 'netns', 'del', name])
    rmSync(dir, { recursive: true, force: true })
  }
  const netns = async (name: string): Promise<string> => {
    await must(['ip', 'netns', 'add', name])
    made.push(name)
    await must(['ip', '-n', name, 'link', 'set', 'lo', 'up'])
    return name
  }
  try {
    const lan = await netns(`${id}-lan`)
    const underlay = await createUnderlay({
      netns: lan,
      mtuBytes: 1500,
      families: [4, 6],
      subnets: 1,
    })
    for (let number = 1; number <= count; number++) {
      const name = await netns(`${id}-r${number}`)
      const folder = join(dir, `r${number}`)
      mkdirSync(folder, { mode: 0o700 })
      const [ipv4 = '', ipv6 = ''] = await underlay.attach(name, number, 0)
      places.push({ netns: name, folder, ipv4, ipv6 })
    }
    return {
      places,
      async start(number, implementation, spec, isRestart) {
        return implementation.start(places[number]!, spec, isRestart)
      },
      destroy,
    }
  } catch (error) {
    await destroy()
    throw error
  }
}

/** A program in a place. */
export interface Program {
  readonly pid: number
  hasEnded(): boolean
  signal(signal: NodeJS.Signals): void
  /** SIGKILL, and waits for the end. */
  kill(): Promise<void>
  log(): string
}

/** What runs in a place ends with its world. */
const PROGRAMS = new WeakMap<Place, Program[]>()

export function startProgram(
  place: Place,
  command: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Program {
  const { netns, folder } = place
  const logFile = join(folder, 'log')
  const log = openSync(logFile, 'a')
  const [program = '', ...args] = inNetns(netns, command)
  const child: ChildProcess = spawn(program, args, {
    stdio: ['ignore', log, log],
    env: { ...process.env, ...env },
  })
  const ended = new Promise<void>((done) => child.once('exit', () => done()))
  const hasEnded = (): boolean => child.exitCode !== null || child.signalCode !== null
  const started: Program = {
    pid: child.pid ?? 0,
    hasEnded,
    signal: (signal) => void child.kill(signal),
    kill: async () => {
      if (!hasEnded()) {
        child.kill('SIGKILL')
        await ended
      }
    },
    log: () => readFileSync(logFile, 'utf8'),
  }
  PROGRAMS.set(place, [...(PROGRAMS.get(place) ?? []), started])
  return started
}

/** Asks again and again until nothing is thrown; the machine has other things to do, too. */
export async function insist<T>(
  program: Program,
  ask: () => Promise<T>,
  msMax = 30_000,
): Promise<T> {
  const deadline = performance.now() + msMax
  for (;;) {
    try {
      return await ask()
    } catch (error) {
      if (program.hasEnded()) throw new Error(`It ended: ${program.log().slice(-2000)}`)
      if (performance.now() > deadline) throw error
      await new Promise((done) => setTimeout(done, 50))
    }
  }
}

/** One question to a socket of the file system: writes, and reads until `isWhole`. */
export function askSocket(
  path: string,
  question: string,
  isWhole: (answer: Buffer) => boolean,
  msMax = 10_000,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(path)
    const chunks: Buffer[] = []
    const end = (error?: Error): void => {
      clearTimeout(timer)
      socket.destroy()
      const answer = Buffer.concat(chunks)
      if (error === undefined) resolve(answer.toString())
      else reject(error)
    }
    const timer = setTimeout(() => end(new Error(`${path} does not answer ${question}`)), msMax)
    socket.on('error', end)
    socket.on('close', () => end(new Error(`${path} closed before it had answered ${question}`)))
    socket.on('data', (chunk) => {
      chunks.push(chunk)
      if (isWhole(Buffer.concat(chunks))) end()
    })
    socket.write(question)
  })
}
