/**
 * One live node: the reconciler on real ports, and the CNI socket.
 *
 * @module
 */
import { mkdirSync } from 'node:fs'
import { warmPool } from 'netlink-ts/live'
import type { NodeRecord } from '../../ipam/records.ts'
import type { Store } from '../../ipam/store.ts'
import { type AgentInput, type AgentReport, agentMachine, DEFAULT_TIMES } from '../agent/agent.ts'
import { agentPerform } from '../agent/perform.ts'
import { watchRounds } from '../agent/rounds.ts'
import { REVERSE_PATH_FILTER } from '../agent/rules.ts'
import type { CniRequest } from '../cni/mod.ts'
import { type Driven, drive } from '../driver.ts'
import { TriviumError } from '../errors.ts'
import { type KernelEvent, renderOp } from '../kernel/mod.ts'
import { type AgentSocket, type Serve, serveAgentSocket } from './agent-socket.ts'
import { attachmentLocks } from './attachment-locks.ts'
import { followBgp, type NodeSpeaker } from './bgp/node-speaker.ts'
import { bootId } from './boot.ts'
import { callFields, callLevel } from './call-log.ts'
import { carryOut } from './carry-out.ts'
import { liveClock } from './clock.ts'
import { type ClusterMember, type ClusterOptions, startMember } from './cluster-member.ts'
import { type CniHost, serveCni } from './cni.ts'
import { heldEvents } from './held-events.ts'
import { type LiveKernel, openKernel } from './kernel.ts'
import type { Logger } from './log.ts'
import { markPath } from './mark-file.ts'
import { type LiveMetrics, liveMetrics } from './metrics.ts'
import type { MetricsAddress, MetricsServer } from './metrics-server.ts'
import { writeNodeFile } from './node-file.ts'
import { serial } from './serial.ts'
import { answerSnapshots } from './snapshot-exchange.ts'
import { keepCopy, rebuildLost } from './store-copy.ts'
import { storeHealth } from './store-health.ts'
import { openStore } from './store-url.ts'
import { readSysctl } from './sysctl.ts'
import { openUnderlay, type Underlay } from './underlay.ts'
import { type UnrecordedLinks, unrecordedLinks } from './unrecorded-links.ts'
import { keepUplinks, recoverUplinks } from './uplink/keep.ts'
import { Steps } from './verbs/steps.ts'

export interface NodeOptions {
  readonly node: string
  readonly storeUrl: string
  readonly stateDir: string
  readonly underlay: string
  readonly socketPath: string
  /** The rack this node stands in. */
  readonly rack?: string
  readonly log: Logger
  /** Lines of the log that nobody took, for the metrics. */
  readonly logDropped?: () => number
  /** The command line that runs this program: it answers whoever asks for a snapshot. */
  readonly trivium?: readonly string[]
  /** Where scrapers may ask. undefined: nowhere, and nothing is counted. */
  readonly metrics?: MetricsAddress
  /** The cluster that blocks come from. undefined: the store is all there is. */
  readonly cluster?: ClusterOptions
}

export interface RunningNode {
  /** Settles when a first round came through. */
  readonly ready: Promise<void>
  /** Rejects when it cannot go on: another machine has the node's name. */
  readonly failed: Promise<never>
  /** Finishes calls under way. Kernel state is left standing: pods keep their network. */
  stop(): Promise<void>
}

/** Starts a node's agent in the namespace of this process. */
export async function startNode(options: NodeOptions): Promise<RunningNode> {
  const { log, socketPath } = options
  await Promise.all([warmPool(), recoverUplinks(socketPath, log)])
  const underlay = openUnderlay(options.node, options.underlay)
  const first = await recordNow(options, underlay, Date.now()).catch((thrown: unknown) => {
    underlay.close()
    throw thrown
  })
  mkdirSync(options.stateDir, { recursive: true, mode: 0o700 })
  const metrics = options.metrics === undefined ? undefined : liveMetrics(options.logDropped)
  const opened = openStore(options.storeUrl, { patience: 'pool' })
  const store = metrics?.measured(opened) ?? opened
  const kernel = openKernel()

  let setReady = (): void => {}
  const ready = new Promise<void>((resolve) => {
    setReady = resolve
  })
  const health = nodeHealth(options)
  // The socket first: whoever is refused it is a second agent, and must not touch the kernel.
  let tell = (_events: readonly KernelEvent[]): void => {}
  const held = heldEvents((events) => tell(events))
  const unrecorded = unrecordedLinks()
  const { unavailable } = health
  const ways = { hold: held.hold, isAlone: () => held.count() < 2, unavailable, unrecorded }
  const closeAll = (thrown: unknown): never => {
    store.close()
    kernel.close()
    underlay.close()
    throw thrown
  }
  // Calls wait: what a store has lost comes back before anybody is given an address.
  let begin = (_serve: Promise<Serve>): void => {}
  const serve = new Promise<Serve>((resolve) => {
    begin = resolve
  })
  const socket = await listen(options, async (call) => (await serve)(call)).catch(closeAll)
  const whole = wholeStore(options, { store, kernel, first }).then(
    (member): Parts => ({ store, kernel, underlay, metrics, unrecorded, member }),
  )
  begin(whole.then((parts) => serveCalls(options, parts, ways)))
  const parts = await whole.catch(async (thrown: unknown) => {
    await socket.close()
    return closeAll(thrown)
  })
  const { member } = parts
  const stopCopying = keepCopy(options, opened)
  const driven = startReconciler(options, first, parts, () => {
    health.ready()
    setReady()
  })
  tell = (events) => driven.feed({ kind: 'kernel.events', events })
  const stopWatching = store.watch(() => driven.feed({ kind: 'store.changed' }))
  const stopAnswering = answering(options, member?.shared ?? store)
  const stopListening = kernel.watch({
    events(events) {
      const now = held.pass(events)
      if (now.length > 0) tell(now)
      if (touchesLink(events, options.underlay, driven.underlayLink()))
        driven.feed({ kind: 'underlay.changed' })
    },
    changed: () => driven.feed({ kind: 'kernel.changed' }),
  })
  const speaker = followBgp({ ...options, store })
  const page = metrics && (await servePage(options, store, metrics, member?.standing, speaker.now))
  log.info({ event: 'listening', socket: socketPath, metrics: page?.address })

  return {
    ready,
    failed: member?.failed ?? new Promise<never>(() => {}),
    async stop() {
      await socket.close()
      await page?.close()
      await speaker.stop()
      stopWatching()
      stopAnswering()
      stopListening()
      driven.stop()
      stopCopying()
      member?.stop()
      store.close()
      kernel.close()
      underlay.close()
    },
  }
}

/**
 * What the node has lost comes back: from the cluster, if it is in one, then from the
 * kernel. Where the cluster has to be heard first, that goes on while calls are refused.
 */
async function wholeStore(
  options: NodeOptions,
  { store, kernel, first }: Pick<Parts, 'store' | 'kernel'> & { readonly first: NodeRecord },
): Promise<ClusterMember | undefined> {
  const { node, log, cluster } = options
  const living = (): Promise<void> => rebuildLost(options, store, kernel)
  const carry = carryOut(options)
  const markFile = markPath(options.socketPath)
  const places = { node, store, first, log, living, carry, markFile }
  const member = cluster && (await startMember({ ...cluster, ...places }))
  if (member?.mustJoin !== true) await living()
  return member
}

/** Whoever asks for a snapshot gets one. Returns what ends it. */
function answering(options: NodeOptions, store: Store): () => void {
  const { node, storeUrl, trivium = [], cluster, log } = options
  const told = (reason: string): void => log.warn({ event: 'snapshot', reason })
  return answerSnapshots(store, { node, storeUrl: cluster?.url ?? storeUrl, trivium, told })
}

/** The socket and the file beside it, from which calls without an agent learn: both, or neither. */
async function listen(options: NodeOptions, serve: Serve): Promise<AgentSocket> {
  const { socketPath, log } = options
  const socket = await serveAgentSocket(socketPath, serve, {
    onError: (error) => log.error({ event: 'socket', reason: String(error) }),
  })
  try {
    writeNodeFile(socketPath, nodeFile(options))
    return socket
  } catch (thrown) {
    await socket.close()
    throw thrown
  }
}

/** Without the page the node still serves pods; whoever scrapes it notices. */
async function servePage(
  { metrics, node, log }: NodeOptions,
  store: Store,
  counts: LiveMetrics,
  cluster: ClusterMember['standing'] | undefined,
  bgp: NodeSpeaker['now'],
): Promise<MetricsServer | undefined> {
  if (metrics === undefined) return undefined
  try {
    return await counts.serve(metrics, store, node, cluster, bgp)
  } catch (thrown) {
    log.error({ event: 'metrics', reason: (thrown as Error).message })
    return undefined
  }
}

/** Whether ADD can be served: after a first round, on a store that is there. */
function nodeHealth({ node, storeUrl }: NodeOptions): {
  readonly ready: () => void
  readonly unavailable: CniHost['unavailable']
} {
  let isReady = false
  const storeProblem = storeHealth(storeUrl)
  const early = `Cannot serve ADD yet: the agent of node ${node} has not come through its first round`
  return {
    ready() {
      isReady = true
    },
    unavailable: () => (isReady ? storeProblem() : early),
  }
}

/** Its addresses, MTU or state may have changed. */
function touchesLink(events: readonly KernelEvent[], ...names: readonly string[]): boolean {
  return events.some(({ object }) => {
    if (object.kind === 'link') return names.includes(object.name)
    return object.kind === 'addr' && names.includes(object.link)
  })
}

const nodeFile = ({ node, storeUrl, underlay, stateDir, cluster }: NodeOptions) => ({
  node,
  store: storeUrl,
  underlay,
  stateDir,
  ...(cluster !== undefined && { cluster: cluster.url }),
})

interface Parts {
  readonly store: Store
  readonly kernel: LiveKernel
  readonly underlay: Underlay
  readonly metrics: LiveMetrics | undefined
  readonly unrecorded: UnrecordedLinks
  readonly member: ClusterMember | undefined
}

/** Objects of a plan between two turns: about half a millisecond of code that has never run before. */
const SLICE = 128

function startReconciler(
  options: NodeOptions,
  first: NodeRecord,
  { store, kernel, underlay, metrics, unrecorded, member }: Parts,
  ready: () => void,
): Driven<AgentInput> & { readonly underlayLink: () => string } {
  const { log } = options
  let node = first
  const keep = keepUplinks(options.socketPath, log)
  const perform = agentPerform({
    name: node.name,
    node(done) {
      keep()
      void underlayNow(options, underlay, node).then((now) => {
        node = now
        done(now)
      })
    },
    store,
    kernel: {
      observe(sysctls, done) {
        log.debug({ event: 'observe' })
        kernel.observe(sysctls, (observed) => done(unrecorded.pastIn(observed)))
      },
      apply: kernel.apply,
    },
    wallMs: Date.now,
    defer: setImmediate,
    report(report) {
      metrics?.report(report)
      logReport(log, report)
    },
    ready,
    ...(member !== undefined && { register: member.register }),
  })
  const watched = metrics && watchRounds(perform, () => performance.now(), metrics)
  const driven = drive(agentMachine(DEFAULT_TIMES, SLICE), liveClock, watched ?? perform)
  return { ...driven, underlayLink: () => node.underlayLink }
}

/** How this node registers itself. */
async function recordNow(
  { rack }: NodeOptions,
  underlay: Underlay,
  nowMs: number,
): Promise<NodeRecord> {
  const record = await underlay.read(nowMs)
  const isStrict = readSysctl(REVERSE_PATH_FILTER) === '1'
  return {
    ...record,
    ...(rack !== undefined && { rack }),
    ...(isStrict && { strictFilter: true as const }),
  }
}

/** The underlay as it is, or as it was while the link is away. */
async function underlayNow(
  options: NodeOptions,
  underlay: Underlay,
  last: NodeRecord,
): Promise<NodeRecord> {
  try {
    return await recordNow(options, underlay, last.registeredMs)
  } catch (thrown) {
    options.log.warn({ event: 'underlay', reason: (thrown as Error).message })
    return last
  }
}

/** A thousand peers are thousands of operations; the first ones say what it is about. */
const OPS_TOLD = 20

function logReport(log: Logger, report: AgentReport): void {
  switch (report.event) {
    case 'applied': {
      const { length: count } = report.ops
      log.info({ event: 'applied', count, ops: report.ops.slice(0, OPS_TOLD).map(renderOp) })
      for (const failure of report.failures) log.error({ event: 'apply-failed', ...failure })
      return
    }
    case 'conflict': {
      const { desired, actual } = report.conflict
      log.warn({ event: 'conflict', desired, actual, note: 'not ours: left as it is' })
      return
    }
    case 'problem':
      log.warn({ event: 'problem', problem: report.problem })
      return
    case 'failed':
      log.error({ event: 'failed', step: report.step, reason: report.reason })
  }
}

function serveCalls(
  options: NodeOptions,
  { store, kernel, metrics, member }: Parts,
  ways: Pick<CniHost, 'hold' | 'isAlone' | 'unavailable' | 'unrecorded'>,
): Serve {
  const inOrder = serial()
  const host: CniHost = {
    nodeName: options.node,
    bootId: bootId(),
    store,
    kernel,
    locks: attachmentLocks(options.socketPath),
    mayClaim: member === undefined,
    ...(member !== undefined && { blocks: member }),
    ...ways,
  }
  const hostFor = (request: CniRequest): CniHost => {
    const { store: asked, name } = request.config
    // What this node holds is in its own store, whatever became of the configuration since ADD.
    if (asked === undefined || asked === options.storeUrl || request.verb === 'DEL') return host
    throw new TriviumError(
      'BAD_CONFIG',
      `Cannot serve network ${name}: its configuration names the store ${asked}, this agent runs on ${options.storeUrl}`,
      'Name one store in both: trivium install --store URL, trivium agent --store URL',
    )
  }
  return async (call) => {
    const steps = new Steps()
    const { CNI_CONTAINERID: containerId = '', CNI_IFNAME: ifname = '' } = call.env
    const input = {
      plugin: call.plugin,
      env: call.env,
      config: call.config,
      callerPid: call.callerPid,
      steps,
      ...(call.netns === undefined ? {} : { netns: call.netns }),
    }
    const answer = await inOrder(`${containerId}/${ifname}`, () => {
      steps.mark('queue')
      return serveCni(input, hostFor)
    })
    // The answer is on its way before anybody writes about it.
    setImmediate(() => {
      const call = { ...input, exitStatus: answer.exitStatus, road: 'agent' } as const
      metrics?.call(call)
      options.log[callLevel(call)](callFields(call))
    })
    return answer
  }
}
