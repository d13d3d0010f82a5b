/**
 * A process inside a network namespace that opens sockets there for a test:
 * what arrives is what a program in the pod would have seen.
 *
 * @module
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Test } from 'tap'
import { inNetns } from '../../src/lab/exec.ts'

const PROGRAM = join(import.meta.dirname, 'probe-program.mjs')

/** A datagram as it arrived. */
export interface Heard {
  readonly text: string
  readonly from: string
}

export interface Datagram {
  readonly from?: string
  readonly fromPort?: number
  readonly to: string
  readonly port: number
  readonly payload: Uint8Array | string
}

/** How a call ended: the server's first words, or an errno's name. */
export type Call =
  | { readonly kind: 'answered'; readonly id: number; readonly line: string }
  | { readonly kind: 'failed'; readonly error: string }

/** What the receiver counted, from its first byte to its last. */
export interface Flow {
  readonly bytes: number
  readonly ms: number
}

export interface Probe {
  /** Every datagram so far, of all ports. */
  readonly heard: readonly Heard[]
  listenUdp(port: number): Promise<void>
  sendUdp(datagram: Datagram): Promise<void>
  /** A server that tells each caller its address. */
  serveUdp(port: number): Promise<void>
  callUdp(to: string, port: number, msMax?: number): Promise<Call>
  /** A server that counts what `pourTcp` sends. */
  measureTcp(port: number): Promise<void>
  /** Sends so many bytes; what arrived, and in which time. */
  pourTcp(to: string, port: number, bytes: number, msMax?: number): Promise<Flow>
  /** A server that says each caller's address and then repeats what it is told. */
  serveTcp(port: number): Promise<void>
  callTcp(to: string, port: number, msMax?: number): Promise<Call>
  /** Says a line on the connection of an earlier call. */
  talkTcp(call: number, text: string, msMax?: number): Promise<Call>
  /** Waits until a datagram with this text has arrived; false when it does not come. */
  hears(text: string, msMax?: number): Promise<boolean>
}

interface Answer {
  readonly error?: string
  readonly line?: string
}

/** How long what must come may take, on a machine with much else to do. */
const PATIENT_MS = 10_000
/** How long is waited for what should not come. */
const BRIEF_MS = 1_500

/** Starts a probe; it ends with the test. */
export function probe(t: Test, netns: string): Probe {
  const [program = '', ...args] = inNetns(netns, [process.execPath, PROGRAM])
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] })
  t.teardown(() => ended(child))
  const heard: Heard[] = []
  const waiting = new Map<number, (answer: Answer) => void>()
  createInterface({ input: child.stdout }).on('line', (line) => {
    const message = JSON.parse(line) as { id: number; heard?: Heard } & Answer
    if (message.heard !== undefined) heard.push(message.heard)
    else waiting.get(message.id)?.(message)
  })
  let ids = 0
  const order = (verb: string, details: object): Promise<Answer & { id: number }> =>
    new Promise((resolve) => {
      ids += 1
      const id = ids
      waiting.set(id, (answer) => resolve({ ...answer, id }))
      child.stdin.write(`${JSON.stringify({ verb, id, ...details })}\n`)
    })
  const mustOrder = async (verb: string, details: object): Promise<void> => {
    const { error } = await order(verb, details)
    if (error !== undefined) throw new Error(`Cannot ${verb} in ${netns}: ${error}`)
  }
  const call = async (verb: string, details: object): Promise<Call> => {
    const { id, error, line = '' } = await order(verb, details)
    return error === undefined ? { kind: 'answered', id, line } : { kind: 'failed', error }
  }
  return {
    heard,
    listenUdp: (port) => mustOrder('listenUdp', { port }),
    sendUdp: ({ payload, ...rest }) =>
      mustOrder('sendUdp', { ...rest, hex: Buffer.from(payload).toString('hex') }),
    serveUdp: (port) => mustOrder('serveUdp', { port }),
    callUdp: (to, port, msMax = BRIEF_MS) => call('callUdp', { to, port, msMax }),
    measureTcp: (port) => mustOrder('measureTcp', { port }),
    async pourTcp(to, port, bytes, msMax = 3 * PATIENT_MS) {
      const { error, line = '' } = await order('pourTcp', { to, port, bytes, msMax })
      if (error !== undefined) throw new Error(`Cannot send to ${to} from ${netns}: ${error}`)
      return JSON.parse(line) as Flow
    },
    serveTcp: (port) => mustOrder('serveTcp', { port }),
    callTcp: (to, port, msMax = BRIEF_MS) => call('callTcp', { to, port, msMax }),
    talkTcp: (id, text, msMax = BRIEF_MS) => call('talkTcp', { call: id, text, msMax }),
    async hears(text, msMax = PATIENT_MS) {
      const deadline = performance.now() + msMax
      const found = (): boolean => heard.some((each) => each.text === text)
      while (!found() && performance.now() < deadline)
        await new Promise((resolve) => setTimeout(resolve, 10))
      return found()
    },
  }
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exit = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGKILL')
  await exit
}
