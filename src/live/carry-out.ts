/**
 * What somebody asks of this node, carried out by a process of its own: the agent's
 * main thread serves pods and must not read whole stores. The process notes its answer
 * in the transaction that does the work, so its end at any moment leaves no doubt.
 *
 * @module
 */
import { spawn } from 'node:child_process'
import type { DeedAnswer } from '../../ipam/cluster/requests.ts'
import { ANSWER_BYTES_MAX } from '../../ipam/cluster/requests.ts'
import type { OwnerPorts } from '../cluster/owner-perform.ts'
import type { Logger } from './log.ts'

export interface CarryPlace {
  readonly node: string
  readonly storeUrl: string
  readonly socketPath: string
  /** The command line that runs this program. */
  readonly trivium?: readonly string[]
  readonly log: Logger
}

/** Two looks at a full node, and locks that a verb keeps for a while. */
const CHILD_MS_MAX = 20_000

export function carryOut(place: CarryPlace): OwnerPorts['carry'] {
  const { node, storeUrl, socketPath, log } = place
  const [program, ...args] = place.trivium ?? []
  return ({ id, deed }, done) => {
    if (program === undefined) {
      setImmediate(() => done(undefined))
      return
    }
    const where = ['--node', node, '--store', storeUrl, '--socket', socketPath]
    const child = spawn(program, [...args, 'node', 'carry', ...where], {
      stdio: ['pipe', 'pipe', 'pipe'],
      timeout: CHILD_MS_MAX,
      killSignal: 'SIGKILL',
    })
    let [text, problem] = ['', '']
    child.stdout.setEncoding('utf8').on('data', (more: string) => {
      if (text.length <= ANSWER_BYTES_MAX) text += more
    })
    child.stderr.setEncoding('utf8').on('data', (more: string) => {
      if (problem.length < 1000) problem += more
    })
    let isOver = false
    const end = (answer: DeedAnswer | undefined): void => {
      if (isOver) return
      isOver = true
      if (answer === undefined) log.warn({ event: 'carry', id, reason: problem.trim() })
      done(answer)
    }
    child.on('error', ({ message }) => {
      problem ||= message
      end(undefined)
    })
    // It has ended, and nothing of it is under way any more.
    child.on('close', () => end(answerIn(text)))
    child.stdin.on('error', () => {}) // it ended before it read all
    child.stdin.end(JSON.stringify({ id, deed }))
  }
}

/** undefined: what it was is in the store. */
function answerIn(text: string): DeedAnswer | undefined {
  try {
    return JSON.parse(text) as DeedAnswer
  } catch {
    return undefined
  }
}
