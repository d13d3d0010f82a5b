/**
 * What a launcher and the agent say to each other, overheard: a socket between
 * them that passes everything on and tells how far they have come.
 *
 * @module
 */
import { rmSync } from 'node:fs'
import { createConnection, createServer, type Socket } from 'node:net'
import { STEPS } from './steps.ts'

export type Stage = (typeof STEPS.launcher)[number]

export interface Overheard {
  stage(): Stage
  close(): void
}

export interface Pause {
  readonly stage: Stage
  /** How long nothing more is passed on from there. */
  readonly ms: number
  /** Just before the launcher is sent what begins the stage. */
  freeze(): void
  /** The stage has begun. */
  reached(): void
}

/** Bytes of the request before what varies, and of frames in which nothing does. src/wire/frame.ts. */
const HEADER_BYTES = 40
const LENGTHS_AT = 32
const ACCEPTED_BYTES = 8

type Pass = (target: Socket, bytes: Uint8Array, begins?: Stage) => void

/** Listens at `path` for one launcher, and speaks for it to the agent. */
export async function overhear(path: string, agentPath: string, pause: Pause): Promise<Overheard> {
  let stage: Stage = 'start'
  let ready: Promise<void> = Promise.resolve()
  const sockets = new Set<Socket>()
  const to = (next: Stage): void => {
    if (STEPS.launcher.indexOf(next) <= STEPS.launcher.indexOf(stage)) return
    stage = next
    if (next === pause.stage) pause.reached()
  }
  const wait = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, pause.ms))
  const pass: Pass = (target, bytes, begins) => {
    ready = ready.then(async () => {
      if (begins === pause.stage) pause.freeze()
      if (!target.destroyed) target.write(bytes)
      if (begins === undefined) return
      to(begins)
      if (begins === pause.stage) await wait()
    })
  }
  const said = (next: Stage): void => {
    const isFirst = stage !== next
    to(next)
    if (isFirst && next === pause.stage) ready = ready.then(wait)
  }
  const server = createServer((launcher) => {
    const agent = createConnection(agentPath)
    for (const socket of [launcher, agent]) {
      sockets.add(socket)
      socket.on('error', () => {})
    }
    hearLauncher(launcher, agent, pass, said)
    hearAgent(agent, launcher, pass)
    launcher.on('close', () => void ready.then(() => agent.destroy()))
    agent.on('close', () => void ready.then(() => launcher.destroySoon()))
  })
  await new Promise<void>((resolve) => server.listen(path, resolve))
  return {
    stage: () => stage,
    close() {
      server.close()
      for (const socket of sockets) socket.destroy()
      rmSync(path, { force: true })
    },
  }
}

/** What it has said counts at once: it is on its way whatever becomes of the launcher. */
function hearLauncher(
  launcher: Socket,
  agent: Socket,
  pass: Pass,
  said: (stage: Stage) => void,
): void {
  let asked = Buffer.alloc(0)
  let requestBytes = Number.POSITIVE_INFINITY
  launcher.on('data', (chunk: Buffer) => {
    asked = Buffer.concat([asked, chunk])
    if (asked.length >= HEADER_BYTES) {
      const [env, config] = [asked.readUInt32LE(LENGTHS_AT), asked.readUInt32LE(LENGTHS_AT + 4)]
      requestBytes = HEADER_BYTES + env + config
    }
    if (asked.length >= requestBytes) said('asked')
    pass(agent, chunk)
  })
}

function hearAgent(agent: Socket, launcher: Socket, pass: Pass): void {
  let isAccepted = false
  agent.on('data', (chunk: Buffer) => {
    const answer = isAccepted ? chunk : chunk.subarray(ACCEPTED_BYTES)
    if (!isAccepted) pass(launcher, chunk.subarray(0, ACCEPTED_BYTES), 'accepted')
    isAccepted = true
    if (answer.length === 0) return
    const middle = answer.length >> 1
    pass(launcher, answer.subarray(0, middle), 'half answer')
    pass(launcher, answer.subarray(middle), 'answer')
  })
}
