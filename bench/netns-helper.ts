/**
 * A program of a bench that stands in a namespace and answers questions, so
 * that starting it and entering the namespace are not part of what is timed.
 */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { inNetns } from '../src/lab/exec.ts'

/** A JSON line in, one out. */
export interface Helper<Q, A> {
  ask(question: Q): Promise<A>
  close(): void
}

/** @param script A file beside this one, which runs from source. */
export function openHelper<Q, A>(netns: string, script: string): Helper<Q, A> {
  const path = join(import.meta.dirname, script)
  const [program = '', ...args] = inNetns(netns, [process.execPath, ...process.execArgv, path])
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  return {
    async ask(question) {
      child.stdin.write(`${JSON.stringify(question)}\n`)
      const { value, done } = await lines.next()
      if (done === true) throw new Error(`Cannot go on: ${script} in namespace ${netns} ended`)
      return JSON.parse(value) as A
    },
    close: () => child.stdin.end(),
  }
}
