/**
 * Stands in a node's namespace and calls plugins as a runtime does, so that
 * entering the namespace is not part of what is timed.
 *
 * One JSON line in, one out. A single call is timed from before the spawn to
 * the exit; calls that arrive as a group run at once and are timed together.
 */
import { spawn, spawnSync } from 'node:child_process'
import { createInterface } from 'node:readline'

export interface Call {
  readonly command: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly input: string
}

export interface Answer {
  readonly ms: number
  readonly results: readonly { readonly status: number; readonly stdout: string }[]
}

function one({ command: [program = '', ...args], env, input }: Call): Answer {
  const started = performance.now()
  const { status, stdout } = spawnSync(program, args, {
    env,
    input,
    stdio: ['pipe', 'pipe', 'ignore'],
  })
  const ms = performance.now() - started
  return { ms, results: [{ status: status ?? 137, stdout: String(stdout) }] }
}

async function many(calls: readonly Call[]): Promise<Answer> {
  const started = performance.now()
  const results = await Promise.all(
    calls.map(
      ({ command: [program = '', ...args], env, input }) =>
        new Promise<Answer['results'][number]>((resolve, reject) => {
          const child = spawn(program, args, { env, stdio: ['pipe', 'pipe', 'ignore'] })
          let stdout = ''
          child.stdout.setEncoding('utf8').on('data', (text: string) => {
            stdout += text
          })
          child.stdin.on('error', () => {}) // it may exit without reading
          child.stdin.end(input)
          child.on('error', reject)
          child.on('close', (code) => resolve({ status: code ?? 137, stdout }))
        }),
    ),
  )
  return { ms: performance.now() - started, results }
}

for await (const line of createInterface({ input: process.stdin })) {
  const calls = JSON.parse(line) as readonly Call[]
  const [first] = calls
  const answer = calls.length === 1 && first !== undefined ? one(first) : await many(calls)
  process.stdout.write(`${JSON.stringify(answer)}\n`)
}
