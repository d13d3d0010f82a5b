/**
 * BFD for a speaker on this host: sessions in a thread of their own, and what they find
 * as the speaker's inputs.
 *
 * @module
 */
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { BfdPeer, BfdState } from '../../bgp/bfd/mod.ts'
import type { SpeakerConfig } from '../../bgp/config.ts'
import type { SpeakerInput } from '../../bgp/speaker.ts'
import { assertNever } from '../../errors.ts'
import type { Ip } from '../../net/mod.ts'
import type { BfdNews, BfdOrder } from './bfd-thread.ts'

export interface BfdOptions {
  /** A session came up, or its way broke; not when the other side only stopped looking (RFC 5882 section 3.2). */
  readonly onState: (input: Extract<SpeakerInput, { kind: 'bfd' }>) => void
  /** A socket that cannot be opened, said once and tried again; or the end of the thread. */
  readonly onProblem: (subject: string, problem: string) => void
}

export interface Bfd {
  /** All peers that are to be watched. The thread is there as long as there are any. */
  configure(peers: readonly BfdPeer[]): void
  readonly states: ReadonlyMap<Ip, BfdState>
  /** Neighbours are told that nobody looks any more, which is no failure. */
  stop(): Promise<void>
}

const AGAIN_MS = 1000
const STOP_MS_MAX = 1000

/** Peers of a configuration whose sessions BFD watches. */
export const bfdPeersOf = ({ peers }: SpeakerConfig): readonly BfdPeer[] =>
  peers.flatMap(({ address, localAddress, bfd, isShutdown }) =>
    bfd === undefined || isShutdown === true
      ? []
      : [{ address, ...(localAddress && { localAddress }), ...bfd }],
  )

export function startBfd(options: BfdOptions): Bfd {
  return new Live(options)
}

class Live implements Bfd {
  readonly states = new Map<Ip, BfdState>()
  readonly #options: BfdOptions
  #peers: readonly BfdPeer[] = []
  #worker: Worker | undefined
  #again: NodeJS.Timeout | undefined
  #isStopped = false
  #stopped: () => void = () => {}

  constructor(options: BfdOptions) {
    this.#options = options
  }

  configure(peers: readonly BfdPeer[]): void {
    this.#peers = peers
    const named = new Set(peers.map(({ address }) => address))
    for (const peer of this.states.keys()) if (!named.has(peer)) this.states.delete(peer)
    for (const peer of named) if (!this.states.has(peer)) this.states.set(peer, 'down')
    if (this.#worker !== undefined) this.#order({ kind: 'configure', peers })
    else if (peers.length > 0) this.#start()
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    clearTimeout(this.#again)
    const worker = this.#worker
    if (worker === undefined) return
    const said = new Promise<void>((resolve) => {
      this.#stopped = resolve
      setTimeout(resolve, STOP_MS_MAX).unref()
    })
    this.#order({ kind: 'stop' })
    await said
    await worker.terminate()
  }

  #order(order: BfdOrder): void {
    this.#worker?.postMessage(order)
  }

  #start(): void {
    const worker = new Worker(threadFile())
    this.#worker = worker
    worker.on('message', (news: BfdNews) => this.#told(news))
    worker.on('error', (error) => this.#options.onProblem('the thread', error.message))
    worker.on('exit', () => this.#ended())
    this.#order({ kind: 'configure', peers: this.#peers })
  }

  #told(news: BfdNews): void {
    switch (news.kind) {
      case 'state': {
        const { peer, from, to, isByAdministrator } = news
        if (!this.states.has(peer)) return
        this.states.set(peer, to)
        const isFailure = from === 'up' && to === 'down' && !isByAdministrator
        if (to === 'up' || isFailure) {
          this.#options.onState({ kind: 'bfd', peer, isUp: to === 'up' })
        }
        break
      }
      case 'problem':
        this.#options.onProblem(news.subject, news.problem)
        break
      case 'stopped':
        this.#stopped()
        break
      default:
        assertNever(news)
    }
  }

  /** Sessions are new then; the neighbours' go down and come up with them. */
  #ended(): void {
    this.#worker = undefined
    if (this.#isStopped) return
    for (const peer of this.states.keys()) this.states.set(peer, 'down')
    this.#again = setTimeout(() => this.configure(this.#peers), AGAIN_MS)
  }
}

/** Beside the bundle, or among the sources. */
const threadFile = (): string | URL =>
  typeof __dirname === 'string'
    ? join(__dirname, 'bfd.cjs')
    : new URL('../../../cni-bin/bfd-source.mjs', import.meta.url)
