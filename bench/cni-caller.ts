/**
 * Stands in a node's namespace and calls plugins as a runtime does, so that
 * entering the namespace is not part of what is timed.
 *
 * The program that starts and times them is C (`cni-caller/caller.c` says why).
 */
import { execFileSync, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { inNetns } from '../src/lab/exec.ts'
import type { Lab, LabNode } from '../src/lab/lab.ts'

export interface Call {
  /** An absolute path and its arguments. */
  readonly command: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly input: string
}

export interface Answer {
  /** From before the first start to the last end. */
  readonly ms: number
  readonly results: readonly { readonly status: number; readonly stdout: string }[]
}

/** Runs calls at once. */
export interface Caller {
  ask(calls: readonly Call[]): Promise<Answer>
  close(): void
}

const SOURCE = join(import.meta.dirname, 'cni-caller', 'caller.c')

export function openCaller(lab: Lab, { netns }: Pick<LabNode, 'netns'>): Caller {
  const built = join(lab.dir, 'cni-caller')
  if (!existsSync(built)) execFileSync('cc', ['-O2', '-o', built, SOURCE])
  const [program = '', ...args] = inNetns(netns, [built])
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] })
  const read = reader(child.stdout[Symbol.asyncIterator]())
  return {
    async ask(calls) {
      child.stdin.write(Buffer.concat([Buffer.from(`${calls.length}\n`), ...calls.map(encode)]))
      const ms = Number(await read.line()) / 1e6
      const results: Answer['results'][number][] = []
      for (const _ of calls) {
        const [status = 1, bytes = 0] = (await read.line()).split(' ').map(Number)
        results.push({ status, stdout: (await read.bytes(bytes)).toString() })
      }
      return { ms, results }
    },
    close: () => child.stdin.end(),
  }
}

function encode({ command, env, input }: Call): Buffer {
  const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`)
  const bytes = Buffer.from(input)
  const head = `${command.length} ${variables.length} ${bytes.length}\n`
  const strings = [...command, ...variables].map((text) => `${text}\0`).join('')
  return Buffer.concat([Buffer.from(head + strings), bytes])
}

interface Read {
  line(): Promise<string>
  bytes(count: number): Promise<Buffer>
}

function reader(chunks: AsyncIterator<Buffer>): Read {
  let held = Buffer.alloc(0)
  async function more(): Promise<void> {
    const { value, done } = await chunks.next()
    if (done === true) throw new Error('Cannot go on: the caller in the namespace ended')
    held = Buffer.concat([held, value])
  }
  return {
    async line() {
      while (!held.includes(10)) await more()
      const end = held.indexOf(10)
      const text = held.toString('utf8', 0, end)
      held = held.subarray(end + 1)
      return text
    },
    async bytes(count) {
      while (held.length < count) await more()
      const taken = held.subarray(0, count)
      held = held.subarray(count)
      return taken
    },
  }
}
