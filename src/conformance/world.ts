/**
 * What a rule is given: a lane, and calls of the plugins as a runtime makes
 * them. Whatever the rule leaves attached is deleted when it is over.
 *
 * @module
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { compareDumps } from '../lab/dump.ts'
import type { Json } from '../lab/json.ts'
import type { Snapshot } from './dump.ts'
import { type Lane, PATH } from './lane.ts'
import { type Facts, isAtLeast, type SpecVersion, Unmet } from './model.ts'
import { runBounded } from './process.ts'
import {
  answerOf,
  type Call,
  type CniVerb,
  type NetworkList,
  pluginInput,
  tellAnswer,
} from './runtime.ts'

export interface Settings {
  readonly list: NetworkList
  readonly binDirs: readonly string[]
  readonly timeoutMs: number
  /** How long daemons may take to follow. */
  readonly settleMs: number
  readonly daemonStopped: boolean
}

export interface Pod {
  readonly netns: string
  readonly netnsPath: string
  readonly containerId: string
  readonly ifname: string
}

/** How a call differs from what a runtime would do. */
export interface CallOptions {
  readonly version?: SpecVersion
  /** Another network of the same plugins. */
  readonly name?: string
  /** Variables to set, or to leave out. */
  readonly env?: Readonly<Record<string, string | undefined>>
  /** Changes the composed configuration. */
  readonly config?: (config: Json) => Json
  /** Standard input in place of a configuration. */
  readonly stdin?: string
  readonly stdinFd?: number
  readonly prevResult?: Json | undefined
  readonly runtimeConfig?: Json
  readonly validAttachments?: readonly Json[]
  readonly killAfterMs?: number
}

/** A verb carried through the list. */
export interface Chain {
  readonly ok: boolean
  readonly calls: readonly Call[]
  /** The last plugin's result. */
  readonly result: Json | undefined
  /** The call that failed, in a line; empty when none did. */
  readonly why: string
}

export interface Attachment {
  readonly pod: Pod
  readonly result: Json
  readonly options: CallOptions
}

/** Where the plugins of a rule's own making are. */
export const OWN_BIN = '/run/conformance/bin'

export class World {
  readonly facts: Facts
  readonly lane: Lane
  readonly settings: Settings
  #isSpoilt = false
  readonly #pods: Pod[] = []
  readonly #attachments = new Map<Attachment, CallOptions>()
  static #count = 0

  constructor(lane: Lane, settings: Settings, facts: Facts) {
    this.lane = lane
    this.settings = settings
    this.facts = facts
  }

  /** The lane is not what it was and must not be used again. */
  spoil(): void {
    this.#isSpoilt = true
  }

  get isSpoilt(): boolean {
    return this.#isSpoilt
  }

  async pod(): Promise<Pod> {
    const netns = await this.lane.addPodNetns()
    World.#count += 1
    const pod = {
      netns,
      netnsPath: `/run/netns/${netns}`,
      containerId: `conformance-${process.pid}-${World.#count}`,
      ifname: 'eth0',
    }
    this.#pods.push(pod)
    return pod
  }

  pods(count: number): Promise<readonly Pod[]> {
    return Promise.all(Array.from({ length: count }, () => this.pod()))
  }

  /** One call of one plugin. @param index Place in the list. */
  call(verb: string, pod: Pod | undefined, options: CallOptions = {}, index = 0): Promise<Call> {
    const { list, binDirs, timeoutMs } = this.settings
    const plugin = list.plugins[index] ?? {}
    const type = String(plugin['type'])
    const { version = this.facts.version, name = list.name } = options
    const composed = pluginInput(plugin, { ...options, version, name })
    const config = options.config?.(composed) ?? composed
    const env: Record<string, string> = {}
    const variables = {
      PATH,
      CNI_COMMAND: verb,
      CNI_PATH: binDirs.join(':'),
      ...(pod === undefined ? {} : variablesOf(pod)),
      ...options.env,
    }
    for (const [key, value] of Object.entries(variables)) {
      if (value !== undefined) env[key] = value
    }
    const dir = binDirs.find((each) => existsSync(join(each, type))) ?? ''
    const { stdinFd, killAfterMs } = options
    return runBounded(this.lane.inside([join(dir, type)]), {
      env,
      timeoutMs,
      input: options.stdin ?? JSON.stringify(config),
      ...(stdinFd === undefined ? {} : { stdinFd }),
      ...(killAfterMs === undefined ? {} : { killAfterMs }),
    }).then((ended) => ({ ...ended, verb, plugin: type }))
  }

  /** A verb through the whole list: DEL in reverse, each ADD's result into the next. */
  async chain(verb: CniVerb, pod: Pod | undefined, options: CallOptions = {}): Promise<Chain> {
    const indexes = [...this.settings.list.plugins.keys()]
    const calls: Call[] = []
    let result = verb === 'ADD' ? undefined : options.prevResult
    for (const index of verb === 'DEL' ? indexes.reverse() : indexes) {
      const call = await this.call(verb, pod, { ...options, prevResult: result }, index)
      calls.push(call)
      const answer = answerOf(call)
      const isMute = verb === 'ADD' && answer.kind === 'ok' && answer.object === undefined
      if (answer.kind !== 'ok' || isMute) {
        const why = isMute ? `${call.plugin} ADD: no result on standard output` : tellAnswer(call)
        return { ok: false, calls, result, why }
      }
      if (verb === 'ADD') result = answer.object
    }
    return { ok: true, calls, result, why: '' }
  }

  /** ADD that may fail; what it attaches is deleted in the end. */
  async tryAdd(pod: Pod, options: CallOptions = {}): Promise<Chain & { attachment?: Attachment }> {
    const chain = await this.chain('ADD', pod, options)
    const attachment = { pod, result: chain.result ?? {}, options }
    // A failed ADD, too, is followed by DEL.
    this.#attachments.set(attachment, options)
    return chain.ok ? { ...chain, attachment } : chain
  }

  /** @throws {Unmet} It failed. */
  async add(pod?: Pod, options: CallOptions = {}): Promise<Attachment> {
    const { attachment, why } = await this.tryAdd(pod ?? (await this.pod()), options)
    if (attachment === undefined) throw new Unmet(why)
    return attachment
  }

  /** Beside each other; all of them. @throws {Unmet} One failed. */
  addAll(pods: readonly Pod[], options: CallOptions = {}): Promise<readonly Attachment[]> {
    return Promise.all(pods.map((pod) => this.add(pod, options)))
  }

  /** DEL with the cached result, as a runtime sends it, unless told otherwise. */
  async del(attachment: Attachment, options: CallOptions = {}): Promise<Chain> {
    const { pod, result } = attachment
    const given = { ...attachment.options, ...this.#cached(result, options) }
    const chain = await this.chain('DEL', pod, { ...given, ...options })
    if (chain.ok) this.#attachments.delete(attachment)
    return chain
  }

  check(attachment: Attachment, options: CallOptions = {}): Promise<Chain> {
    const { pod, result } = attachment
    return this.chain('CHECK', pod, { ...attachment.options, prevResult: result, ...options })
  }

  #cached(result: Json, { version = this.facts.version }: CallOptions): CallOptions {
    return isAtLeast(version, '0.4.0') && Object.keys(result).length > 0
      ? { prevResult: result }
      : {}
  }

  /** Its DEL never comes. */
  forget(attachment: Attachment): void {
    this.#attachments.delete(attachment)
  }

  async removePod(pod: Pod): Promise<void> {
    this.#pods.splice(this.#pods.indexOf(pod), 1)
    await this.lane.removePodNetns(pod.netns)
  }

  /** The node's dump, or a pod's. */
  dump(pod?: Pod): Promise<Snapshot> {
    return this.lane.dump(pod?.netns)
  }

  /** Differences from an earlier dump, when those who follow had time to follow. */
  async since(before: Snapshot, pod?: Pod): Promise<readonly string[]> {
    const deadline = performance.now() + this.settings.settleMs
    for (;;) {
      const left = compareDumps(before.lines, (await this.dump(pod)).lines)
      if (left.length === 0 || performance.now() > deadline) return left
      await new Promise((done) => setTimeout(done, 100))
    }
  }

  /** `ip ARGS` inside a pod, or on the node. */
  ip(pod: Pod | undefined, ...args: readonly string[]): Promise<string> {
    return this.lane.must(['ip', ...args], pod?.netns)
  }

  /** Takes away all that is left. */
  async leave(): Promise<void> {
    if (this.#isSpoilt) return
    for (const attachment of this.#attachments.keys()) await this.del(attachment)
    await Promise.all(this.#pods.map(({ netns }) => this.lane.removePodNetns(netns)))
  }
}

const variablesOf = ({
  containerId,
  netnsPath,
  ifname,
}: Pod): Readonly<Record<string, string>> => ({
  CNI_CONTAINERID: containerId,
  CNI_NETNS: netnsPath,
  CNI_IFNAME: ifname,
})
