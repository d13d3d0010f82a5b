/**
 * The speaker of a node's agent: begins when the store has BGP settings, follows what
 * changes in it, and ends without a word to its peers when the agent does, so that
 * routes stand on both sides until the next one is there.
 *
 * @module
 */
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Store } from '../../../ipam/store.ts'
import { LINGER_MS, lingering } from '../../backend/bgp/linger.ts'
import { type SpeakerPlan, speakerPlan } from '../../backend/bgp/speaker-plan.ts'
import type { BfdState } from '../../bgp/bfd/mod.ts'
import type { SpeakerConfig } from '../../bgp/config.ts'
import type { PeerView } from '../../bgp/speaker.ts'
import { readView } from '../../cluster/read-view.ts'
import type { ClusterView } from '../../cluster/view.ts'
import { asTriviumError } from '../../errors.ts'
import type { BgpNow, BgpPeerNow } from '../../metrics/bgp.ts'
import { type Ip, parseIp } from '../../net/mod.ts'
import type { Logger } from '../log.ts'
import { type KernelRoutes, openKernelRoutes } from './kernel-routes.ts'
import { type RunningSpeaker, startSpeaker } from './speaker.ts'

export interface NodeSpeakerOptions {
  readonly node: string
  readonly store: Store
  /** The agent's: the speaker's own socket and mark lie beside it. */
  readonly socketPath: string
  readonly log: Logger
}

export interface NodeSpeaker {
  /** For the metrics; undefined: it does not speak. */
  now(): BgpNow | undefined
  /** Graceful: peers keep our routes, the kernel theirs. */
  stop(): Promise<void>
}

/** Where people ask the speaker of an agent. */
export const bgpSocketPath = (agentSocket: string): string => join(dirname(agentSocket), 'bgp.sock')
/** As long as it is there, the kernel may have routes of ours. On the tmpfs of the socket: gone with the boot. */
const markPath = (agentSocket: string): string => join(dirname(agentSocket), 'bgp.mark')

/** A burst of changes is one look. */
const BURST_MS = 20
/** After the speaker could not begin: the port is another's, say. */
const AGAIN_MS = 10_000
/** How long an agent that comes back waits for peers that do not, before it decides without them. */
const DEFERRAL_SECONDS = 30
/** RFC 2385 keys, include/uapi/linux/tcp.h: TCP_MD5SIG_MAXKEYLEN. */
const PASSWORD_BYTES_MAX = 80
const LISTEN = [{ address: parseIp('0.0.0.0') }, { address: parseIp('::') }]

interface Spoken {
  readonly routes: KernelRoutes
  readonly speaker: RunningSpeaker
}

export function followBgp(options: NodeSpeakerOptions): NodeSpeaker {
  const follower = new Follower(options)
  return { now: () => follower.now(), stop: () => follower.stop() }
}

class Follower {
  readonly #options: NodeSpeakerOptions
  readonly #stopWatching: () => void
  #spoken: Spoken | undefined
  #view: ClusterView | undefined
  #told = ''
  #downs = 0
  #timer: NodeJS.Timeout | undefined
  #linger: NodeJS.Timeout | undefined
  /** What is being done; one thing after another. */
  #work: Promise<void> = Promise.resolve()
  #isOver = false

  constructor(options: NodeSpeakerOptions) {
    this.#options = options
    this.#stopWatching = options.store.watch(() => this.#soon(BURST_MS))
    this.#soon(0)
  }

  now(): BgpNow | undefined {
    if (this.#spoken === undefined) return undefined
    const { routes, speaker } = this.#spoken
    const [four, six] = [routes.counts('ipv4'), routes.counts('ipv6')]
    return {
      peers: speaker.speaker.peers().map((peer) => peerNow(peer, speaker.bfd.get(peer.address))),
      downs: this.#downs,
      routes: { ipv4: four.installed, ipv6: six.installed },
      failed: four.failed + six.failed,
      stale: four.stale + six.stale,
    }
  }

  async stop(): Promise<void> {
    this.#isOver = true
    this.#stopWatching()
    clearTimeout(this.#timer)
    clearTimeout(this.#linger)
    await this.#work
    await this.#end(true)
  }

  #soon(ms: number): void {
    if (this.#isOver || this.#timer !== undefined) return
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      this.#work = this.#work
        .then(() => this.#look())
        .catch((thrown: unknown) => this.#failed(thrown))
    }, ms)
  }

  #failed(thrown: unknown): void {
    const { message: reason } = asTriviumError(thrown)
    this.#options.log.error({ event: 'bgp', reason }, 'the speaker cannot work; it is tried again')
    this.#soon(AGAIN_MS)
  }

  async #look(): Promise<void> {
    if (this.#isOver) return
    const { store, node } = this.#options
    const view = store.read((reader) => readView(reader, node))
    if (view === undefined || (this.#view !== undefined && sameForBgp(this.#view, view))) return
    const plan = speakerPlan(view)
    if (plan === undefined) await this.#silence()
    else if (this.#spoken === undefined) await this.#begin(this.#complete(plan))
    else this.#configure(this.#spoken, this.#complete(plan), view)
    this.#view = view
  }

  /** With passwords; a peer whose password cannot be read is left out, and said. */
  #complete({ config, passwordFiles, problems }: SpeakerPlan): SpeakerConfig {
    const all = [...problems]
    const peers = config.peers.flatMap((peer) => {
      const path = passwordFiles.get(peer.address)
      if (path === undefined) return [peer]
      const password = passwordIn(path, peer.address, all)
      return password === undefined ? [] : [{ ...peer, password }]
    })
    const told = all.join('\n')
    if (told !== this.#told)
      for (const problem of all) this.#options.log.warn({ event: 'bgp', problem })
    this.#told = told
    return { ...config, peers }
  }

  async #begin(config: SpeakerConfig): Promise<void> {
    const { log, socketPath } = this.#options
    let speaker: RunningSpeaker | undefined
    const routes = await openKernelRoutes({
      nextHopChanged: (nextHop) => speaker?.feed({ kind: 'next-hop.changed', nextHop }),
      report: (report) => log.warn({ ...report, event: `bgp.routes.${report.event}` }),
    })
    try {
      writeFileSync(markPath(socketPath), '', { mode: 0o600 })
      speaker = await startSpeaker({
        config,
        listen: LISTEN,
        log,
        socketPath: bgpSocketPath(socketPath),
        costOf: routes.costOf,
        isRestarting: routes.counts('ipv4').installed + routes.counts('ipv6').installed > 0,
        deferralSeconds: DEFERRAL_SECONDS,
        onRoutes(effect) {
          if (effect.kind === 'routes') routes.set(effect.nextHops, effect.prefixes)
          else routes.complete(effect.family)
        },
        onReport: ({ event }) => {
          if (event === 'down') this.#downs++
        },
      })
    } catch (thrown) {
      await routes.close('keep')
      throw thrown
    }
    this.#spoken = { routes, speaker }
    log.info({ event: 'bgp', asn: config.asn, routerId: config.routerId }, 'the speaker has begun')
  }

  #configure({ speaker }: Spoken, wanted: SpeakerConfig, view: ClusterView): void {
    clearTimeout(this.#linger)
    const config = lingering(speaker.config, wanted, view)
    speaker.configure(config)
    if (config === wanted) return
    this.#linger = setTimeout(() => speaker.configure(wanted), LINGER_MS)
  }

  /** Nobody speaks any more: what was learned goes, also what an agent before this one learned. */
  async #silence(): Promise<void> {
    const path = markPath(this.#options.socketPath)
    if (this.#spoken !== undefined) await this.#end(false)
    else if (existsSync(path)) {
      const routes = await openKernelRoutes({ nextHopChanged() {}, report() {} })
      await routes.close('remove')
    }
    rmSync(path, { force: true })
  }

  async #end(isGraceful: boolean): Promise<void> {
    clearTimeout(this.#linger)
    const spoken = this.#spoken
    this.#spoken = undefined
    if (spoken === undefined) return
    await spoken.speaker.stop(isGraceful)
    await spoken.routes.close(isGraceful ? 'keep' : 'remove')
  }
}

function peerNow(peer: PeerView, bfd: BfdState | undefined): BgpPeerNow {
  const { address, asn, state, session, families } = peer
  const { establishments, counters } = session
  return {
    address,
    asn,
    isEstablished: state === 'established',
    establishments,
    messagesIn: counters.messagesIn,
    messagesOut: counters.messagesOut,
    paths: Object.fromEntries(families.map(({ family, paths }) => [family, paths])),
    ...(bfd === undefined ? {} : { isBfdUp: bfd === 'up' }),
  }
}

/**
 * Whether a speaker is told the same by both: most changes of a store are pods. By the very
 * records, which a store hands out again as long as they are the same; `self` is one of the nodes.
 */
function sameForBgp(before: ClusterView, after: ClusterView): boolean {
  return (
    before.bgp === after.bgp &&
    before.nodes === after.nodes &&
    before.networks.length === after.networks.length &&
    before.networks.every(
      ({ network, claims }, at) =>
        after.networks[at]?.network === network && after.networks[at]?.claims === claims,
    )
  )
}

/** The first line of the file, at most 80 octets of it; undefined, and a problem: there is none. */
function passwordIn(path: string, peer: Ip, problems: string[]): string | undefined {
  const refuse = (found: string): undefined => {
    problems.push(`BGP peer ${peer}: its password file ${path} ${found}, wanted 1 to 80 octets`)
    return undefined
  }
  try {
    if (!statSync(path).isFile()) return refuse('is no file')
    if (statSync(path).size > PASSWORD_BYTES_MAX + 1) return refuse('is too long')
    const [password = ''] = readFileSync(path, 'utf8').split('\n')
    const { length } = Buffer.from(password)
    return length >= 1 && length <= PASSWORD_BYTES_MAX ? password : refuse(`has ${length} octets`)
  } catch (thrown) {
    return refuse(`cannot be read (${(thrown as NodeJS.ErrnoException).code})`)
  }
}
