/**
 * The line that a CNI call leaves in the log: the same words in the agent's
 * log and on the Node entry's standard error.
 *
 * Names only what the runtime asked for and what came of it: no configuration,
 * which may hold a store's credentials.
 *
 * @module
 */
import type { Plugin } from '../cni/mod.ts'
import type { Steps } from './verbs/steps.ts'

/** Who served the call: a node's agent, or a process of its own. */
export type Road = 'agent' | 'node'

export interface FinishedCall {
  readonly plugin: Plugin
  readonly env: Readonly<Record<string, string | undefined>>
  readonly steps: Steps
  readonly exitStatus: number
  readonly road: Road
}

export type CallLevel = 'debug' | 'info' | 'warn' | 'error'

/** Longest text taken over from outside, in characters. */
const TEXT_MAX = 256
/** Longest message. */
const MESSAGE_MAX = 1000
/** "Try again": the runtime will. Source: CNI specification 1.1.0, section 5 "Error". */
const TRY_AGAIN = 11

/** Questions that runtimes repeat all day are no news unless they fail. */
const QUESTIONS: readonly (string | undefined)[] = ['STATUS', 'VERSION']

export function callLevel({ env, steps }: FinishedCall): CallLevel {
  if (steps.error !== undefined) return steps.error.code === TRY_AGAIN ? 'warn' : 'error'
  // Somebody should look whose address that is, or where etcd is.
  if (steps.taken.length > 0 || steps.leaseLeftMs !== undefined) return 'warn'
  return QUESTIONS.includes(env['CNI_COMMAND']) ? 'debug' : 'info'
}

/** One flat object; what was not known when the call ended is left out. */
export function callFields(call: FinishedCall): Readonly<Record<string, unknown>> {
  const { env, steps, plugin, exitStatus, road } = call
  const { request, attachment, error, leaseLeftMs } = steps
  const verb = env['CNI_COMMAND']
  const pod = request?.args.pod ?? attachment?.pod
  const fields = {
    event: 'cni',
    verb: clip(verb),
    plugin,
    network: request?.config.name,
    containerId: clip(env['CNI_CONTAINERID']),
    ifname: clip(env['CNI_IFNAME']),
    ...(pod === undefined ? {} : { pod }),
    // GC releases many; each is not the call's own.
    ...(attachment === undefined || verb === 'GC' ? {} : { ips: attachment.ips }),
    ...(steps.taken.length === 0 ? {} : { taken: steps.taken }),
    ...(leaseLeftMs === undefined ? {} : { leaseLeftSeconds: Math.round(leaseLeftMs / 1000) }),
    ms: round(steps.totalMs),
    steps: Object.fromEntries(Object.entries(steps.ms).map(([step, ms]) => [step, round(ms)])),
    exitStatus,
    ...(error === undefined ? {} : { code: error.code, msg: error.msg.slice(0, MESSAGE_MAX) }),
    ...(error?.details ? { details: error.details.slice(0, MESSAGE_MAX) } : {}),
    road,
    // W3C Trace Context: the caller's span, so that this line is found from a trace.
    traceparent: clip(env['TRACEPARENT']),
  }
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))
}

const clip = (text: string | undefined): string | undefined =>
  text === undefined || text === '' ? undefined : text.slice(0, TEXT_MAX)

/** Microseconds are the last digit that means something. */
const round = (ms: number): number => Math.round(ms * 1000) / 1000
