/**
 * What pods send to each other while a test changes something under them: echoes a
 * hundred times a second, and TCP connections that stay.
 *
 * @module
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import type { Test } from 'tap'
import { inNetns } from '../../src/lab/exec.ts'
import type { RunningPod } from './dataplane.ts'

export interface Traffic {
  /** How many echoes of each pair did not come back, since it began. */
  stop(): Promise<readonly Lost[]>
}

export interface Lost {
  readonly pair: string
  readonly sent: number
  readonly lost: number
}

const ECHO = /(\d+) packets transmitted, (\d+) received/

/** Between all pairs, both families; ends with the test. */
export async function echoTraffic(t: Test, pods: readonly RunningPod[]): Promise<Traffic> {
  const pairs = pods.flatMap((from) =>
    pods.filter((to) => to !== from).flatMap((to) => to.ips.map((ip) => ({ from, to, ip }))),
  )
  const running = pairs.map(({ from, to, ip }) => {
    // With -w it would end at the first error that the network tells.
    const ping = ['ping', '-n', '-i', '0.01', '-c', '60000', ip]
    const child = start(t, inNetns(from.netns, ping))
    return { ...child, pair: `${from.name} → ${to.name} ${ip.includes(':') ? 'IPv6' : 'IPv4'}` }
  })
  await Promise.all(running.map(({ heard }) => heard('bytes from')))
  return {
    stop: () =>
      Promise.all(
        running.map(async ({ child, text, ended, pair }) => {
          child.kill('SIGINT')
          await ended
          const [, sent = 0, got = 0] = (ECHO.exec(text()) ?? []).map(Number)
          return { pair, sent, lost: sent - got }
        }),
      ),
  }
}

export interface Stream {
  /** Why the connection did not bring back all that was sent; empty: it did. */
  stop(): Promise<string>
}

const PROGRAM = join(import.meta.dirname, 'tcp-stream.mjs')

/** One connection; ends with the test. */
export async function tcpStream(
  t: Test,
  from: RunningPod,
  to: RunningPod,
  ip: string,
): Promise<Stream> {
  const server = start(t, inNetns(to.netns, [process.execPath, PROGRAM, 'server']))
  await server.heard('ready')
  const client = start(t, inNetns(from.netns, [process.execPath, PROGRAM, 'client', ip]))
  await client.heard('ready')
  return {
    async stop() {
      client.child.stdin?.end()
      await client.ended
      server.child.stdin?.end()
      await server.ended
      const [last = ''] = client.text().trim().split('\n').slice(-1)
      const { sent, back, problem } = JSON.parse(last) as Record<string, string | number>
      if (problem !== '') return `${problem}, ${back} of ${sent} bytes came back`
      return Number(sent) > 0 && sent === back ? '' : `${back} of ${sent} bytes came back`
    },
  }
}

interface Program {
  readonly child: ChildProcess
  readonly ended: Promise<void>
  text(): string
  /** Resolves when it has printed the words; rejects when it ended before. */
  heard(words: string): Promise<void>
}

function start(t: Test, [program = '', ...args]: readonly string[]): Program {
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] })
  t.teardown(() => child.kill('SIGKILL'))
  let text = ''
  const ended = new Promise<void>((resolve) => child.on('close', () => resolve()))
  child.stdout.setEncoding('utf8')
  child.stdout.on('data', (more: string) => {
    text += more
  })
  return {
    child,
    ended,
    text: () => text,
    heard: (words) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          if (text.includes(words)) resolve()
        }
        child.stdout.on('data', look)
        child.on('close', () => reject(new Error(`${args.join(' ')} ended: ${text}`)))
        look()
      }),
  }
}
