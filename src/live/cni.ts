/**
 * The CNI verbs carried out: the same code in the agent and in a process of
 * its own.
 *
 * Order is what makes a crash harmless. ADD records the attachment on disk
 * before it touches the kernel; DEL removes the links before it forgets the
 * attachment. So at any moment every link has a record, and a DEL after any
 * crash finds what to remove.
 *
 * @module
 */

import { keys } from '../../ipam/keys.ts'
import { allocate, ensureBlocks, type Refusal, release } from '../../ipam/mod.ts'
import type {
  AttachmentKey,
  AttachmentRecord,
  NetworkRecord,
  NodeRecord,
} from '../../ipam/records.ts'
import type { Reader, Store, Tx } from '../../ipam/store.ts'
import { podElements } from '../backend/firewall.ts'
import {
  addResult,
  askedVersion,
  CNI_VERSIONS,
  type CniInput,
  type CniRequest,
  checkPod,
  checkPrevResult,
  cniError,
  ipamResult,
  parseRequest,
  planAdd,
  planPod,
  renderResult,
} from '../cni/mod.ts'
import { assertNever, asTriviumError, type ErrorCode, TriviumError } from '../errors.ts'
import {
  identity,
  isNft,
  type KernelOp,
  ownsLink,
  podLinkName,
  renderOp,
  satisfies,
  subjectOf,
} from '../kernel/mod.ts'
import { ipFamily } from '../net/mod.ts'
import type { CniAnswer } from './agent-socket.ts'
import type { LiveKernel } from './kernel.ts'
import { type NetnsIdentity, openPodNetns, type PodNetns } from './netns.ts'
import { transact } from './transact.ts'

/** Where the verbs act. */
export interface CniHost {
  readonly nodeName: string
  readonly bootId: string
  readonly store: Store
  /** The node's own namespace. */
  readonly kernel: LiveKernel
  /** Whether a new block may be claimed: the agent's privilege. */
  readonly mayClaim: boolean
  /** Why ADD cannot be served; undefined when it can. */
  unavailable(): string | undefined
}

/** One call, with what the launcher saw. */
export interface CniCallInput extends CniInput {
  readonly netns?: NetnsIdentity
  readonly callerPid?: number
}

/**
 * Answers one call. Never throws: every failure is an error object on stdout
 * and exit status 1.
 *
 * @param hostFor Finds the host; called only for verbs that need one.
 */
export async function serveCni(
  input: CniCallInput,
  hostFor: (request: CniRequest) => CniHost,
): Promise<CniAnswer> {
  try {
    const request = parseRequest(input)
    if (request.verb === 'VERSION') {
      const { cniVersion } = request
      return answer({ cniVersion, supportedVersions: CNI_VERSIONS })
    }
    return answer(await perform(request, input, hostFor(request)))
  } catch (thrown) {
    const error = cniError(thrown, askedVersion(input.config))
    const line = `trivium: ${input.env['CNI_COMMAND'] ?? ''} failed: ${error.msg}\n`
    return { exitStatus: 1, stdout: `${JSON.stringify(error)}\n`, stderr: line }
  }
}

function answer(result: unknown): CniAnswer {
  const stdout = result === undefined ? '' : `${JSON.stringify(result)}\n`
  return { exitStatus: 0, stdout, stderr: '' }
}

function perform(request: CniRequest, input: CniCallInput, host: CniHost): Promise<unknown> {
  switch (request.verb) {
    case 'ADD':
      return request.plugin === 'trivium' ? add(request, input, host) : addIpam(request, host)
    case 'DEL':
      return del(keyOf(request), request.plugin === 'trivium', host)
    case 'CHECK':
      return check(request, input, host)
    case 'STATUS':
      return status(request, host)
    case 'GC':
      return collect(request, host)
    default:
      return assertNever(request.verb)
  }
}

const keyOf = ({ config, containerId, ifname }: CniRequest): AttachmentKey => ({
  network: config.name,
  containerId,
  ifname,
})

async function add(request: CniRequest, input: CniCallInput, host: CniHost): Promise<unknown> {
  const netns = openPodNetns(netnsQuestion(request, input))
  try {
    const key = keyOf(request)
    const hostLink = podLinkName(key.network, key.containerId, key.ifname)
    const { attachment, network, self } = await allocateFor(request, host, hostLink)
    try {
      const plan = planPod(attachment, network, self)
      plumb(planAdd(plan, request.ifname), request.ifname, host, netns)
      return renderResult(addResult(plan, attachment, request.netns), request.cniVersion)
    } catch (thrown) {
      await del(key, true, host)
      throw thrown
    }
  } finally {
    netns.close()
  }
}

/** Makes the pair, then the pod's side, then what leads to it. The pair's removal undoes all of it. */
function plumb(
  { node, pod }: ReturnType<typeof planAdd>,
  ifname: string,
  host: CniHost,
  netns: PodNetns,
): void {
  if (netns.kernel.link(ifname) !== undefined) {
    throw new TriviumError(
      'CONFLICT',
      `Cannot add interface ${ifname}: the container already has one of that name`,
      'Run DEL first, or ask for another CNI_IFNAME',
    )
  }
  const [pair, ...rest] = node
  if (pair === undefined) return
  must([pair], host.kernel.applyNow([pair], netns.fd))
  if (
    pod.some((op) => op.kind === 'add' && op.object.kind === 'addr' && ipFamily(op.object.ip) === 6)
  ) {
    netns.enableIpv6(ifname)
  }
  must(pod, netns.kernel.applyNow(pod))
  must(rest, beyondPresent(rest, host.kernel))
}

/**
 * Applies, and forgives what is there already: the agent reads the store too,
 * and may have put the same object on the new link before us. Where no agent
 * has made the nftables table yet, it will come with the pod in it.
 */
function beyondPresent(
  ops: readonly KernelOp[],
  kernel: LiveKernel,
): ReturnType<LiveKernel['applyNow']> {
  const failures = kernel
    .applyNow(ops)
    .map((failure, index) =>
      failure?.code === 'ENOENT' && ops[index] !== undefined && isNft(subjectOf(ops[index]))
        ? undefined
        : failure,
    )
  if (!failures.some((failure) => failure?.code === 'EEXIST')) return failures
  const state = kernel.state()
  return failures.map((failure, index) => {
    const op = ops[index]
    if (failure?.code !== 'EEXIST' || op === undefined) return failure
    const wanted = subjectOf(op)
    const found = state.get(identity(wanted))
    return found !== undefined && satisfies(found, wanted) ? undefined : failure
  })
}

function must(
  ops: Parameters<LiveKernel['applyNow']>[0],
  failures: ReturnType<LiveKernel['applyNow']>,
): void {
  const at = failures.findIndex((failure) => failure !== undefined)
  const [op, failure] = [ops[at], failures[at]]
  if (op === undefined || failure === undefined) return
  throw new TriviumError('KERNEL', failure.message, `while doing: ${renderOp(op)}`)
}

async function addIpam(request: CniRequest, host: CniHost): Promise<unknown> {
  const { attachment, network } = await allocateFor(request, host)
  return renderResult(ipamResult(attachment, network), request.cniVersion)
}

interface Allocated {
  readonly attachment: AttachmentRecord
  readonly network: NetworkRecord
  readonly self: NodeRecord
}

async function allocateFor(
  request: CniRequest,
  host: CniHost,
  hostLink?: string,
): Promise<Allocated> {
  const made = await transact(host.store, (tx): Allocated | Refusal => {
    const context = contextOf(tx, request, host)
    const allocated = allocateIn(tx, request, host, hostLink)
    if (allocated.kind === 'refused') return allocated
    // The spare block is claimed with the address, so a new block's route is everywhere in time.
    if (host.mayClaim) ensureBlocks(tx, context.network, host.nodeName, Date.now())
    return { attachment: allocated.attachment, ...context }
  })
  if ('reason' in made) throw refusalError(made)
  return made
}

function allocateIn(
  tx: Tx,
  request: CniRequest,
  host: CniHost,
  hostLink?: string,
): ReturnType<typeof allocate> {
  const { pod, ips } = request.args
  return allocate(tx, {
    key: keyOf(request),
    node: host.nodeName,
    netns: request.netns,
    ...(hostLink === undefined ? {} : { hostLink }),
    ...(pod === undefined ? {} : { pod }),
    ...(ips.length === 0 ? {} : { requested: ips }),
    mayClaim: host.mayClaim,
    nowMs: Date.now(),
    bootId: host.bootId,
  })
}

function contextOf(
  reader: Reader,
  request: CniRequest,
  host: CniHost,
): Omit<Allocated, 'attachment'> {
  const { name } = request.config
  const network = reader.get(keys.network(name))
  if (network === undefined) {
    throw new TriviumError(
      'NOT_FOUND',
      `Cannot find network ${name} in the store`,
      'Create it: trivium network create',
    )
  }
  const self = reader.get(keys.node(host.nodeName))
  if (self === undefined) {
    const known = [...reader.range(keys.nodes)].map(([, node]) => node.name)
    throw new TriviumError(
      'UNKNOWN_NODE',
      `Cannot find node ${host.nodeName} in the store: it knows ${known.slice(0, 10).join(', ') || 'none'}`,
      'A node is registered by its agent: trivium agent --node NAME',
    )
  }
  return { network, self }
}

const REFUSAL_CODES: Readonly<Record<Refusal['reason'], ErrorCode>> = {
  exhausted: 'EXHAUSTED',
  'needs-block': 'TRY_LATER',
  duplicate: 'CONFLICT',
  'not-available': 'CONFLICT',
  'unknown-network': 'NOT_FOUND',
}

const refusalError = ({ reason, message }: Refusal): TriviumError =>
  new TriviumError(REFUSAL_CODES[reason], message)

/** Works with nothing but the store: no namespace, no earlier result, no agent. */
async function del(key: AttachmentKey, isLinkOurs: boolean, host: CniHost): Promise<undefined> {
  if (isLinkOurs) {
    const name = podLinkName(key.network, key.containerId, key.ifname)
    const found = host.kernel.link(name)
    // Somebody else's link of that name is why ADD failed; it is not ours to remove.
    const isOurs = found !== undefined && ownsLink(found)
    const failure = isOurs ? await host.kernel.removeLink(name) : undefined
    if (failure !== undefined) throw new TriviumError('KERNEL', failure.message)
    closeGuards(key, name, host)
  }
  await transact(host.store, (tx) => release(tx, host.nodeName, key))
  return undefined
}

/** The address may be another pod's in a moment; what stays behind, the agent removes. */
function closeGuards(
  key: AttachmentKey,
  hostLink: string,
  { store, kernel, nodeName }: CniHost,
): void {
  const record = store.read((reader) => reader.get(keys.attachment(nodeName, key)))
  if (record === undefined) return
  kernel.applyNow(podElements(hostLink, record.ips).map((object) => ({ kind: 'remove', object })))
}

async function check(request: CniRequest, input: CniCallInput, host: CniHost): Promise<undefined> {
  const key = keyOf(request)
  const { attachment, context } = host.store.read((reader) => ({
    attachment: reader.get(keys.attachment(host.nodeName, key)),
    context: contextOf(reader, request, host),
  }))
  if (attachment === undefined) {
    throw new TriviumError(
      'CHECK_FAILED',
      `Cannot vouch for container ${key.containerId}: the store holds no attachment of its ${key.ifname} to ${key.network}`,
    )
  }
  checkPrevResult(request.config.prevResult, attachment)
  if (request.plugin === 'trivium-ipam') return undefined
  const plan = planPod(attachment, context.network, context.self)
  const netns = openPodNetns(netnsQuestion(request, input))
  try {
    checkPod(plan, request.ifname, host.kernel.state(), netns.kernel.state())
  } finally {
    netns.close()
  }
  return undefined
}

/** Thrown inside a transaction whose writes are not wanted. */
class DryRun extends Error {}

async function status(request: CniRequest, host: CniHost): Promise<undefined> {
  const reason = host.unavailable()
  if (reason !== undefined) throw new TriviumError('UNAVAILABLE', reason)
  const probe = { ...request, containerId: 'status-probe', ifname: 'eth0' }
  let refused: Refusal | undefined
  try {
    await transact(host.store, (tx) => {
      contextOf(tx, request, host)
      const tried = allocateIn(tx, probe, host)
      refused = tried.kind === 'refused' ? tried : undefined
      throw new DryRun()
    })
  } catch (thrown) {
    if (!(thrown instanceof DryRun)) {
      throw new TriviumError('UNAVAILABLE', asTriviumError(thrown).message, '', thrown)
    }
  }
  if (refused !== undefined) throw new TriviumError('UNAVAILABLE', refused.message)
  return undefined
}

/** Only this node's attachments of this network; a missing list is refused, an empty one is not. */
async function collect(request: CniRequest, host: CniHost): Promise<undefined> {
  const { name, validAttachments } = request.config
  if (validAttachments === undefined) {
    throw new TriviumError(
      'BAD_CONFIG',
      'Cannot collect garbage: "cni.dev/valid-attachments" is missing, wanted a list, empty if none is valid',
    )
  }
  const valid = new Set(
    validAttachments.map(({ containerId, ifname }) => `${containerId}/${ifname}`),
  )
  const records = host.store.read((reader) => [
    ...reader.range(keys.networkAttachments(host.nodeName, name)),
  ])
  const failures: string[] = []
  for (const [, record] of records) {
    if (valid.has(`${record.containerId}/${record.ifname}`)) continue
    try {
      await del(record, record.hostLink !== undefined, host)
    } catch (thrown) {
      failures.push(asTriviumError(thrown).message)
    }
  }
  if (failures.length === 0) return undefined
  throw new TriviumError(
    'KERNEL',
    `Cannot collect ${failures.length} attachments`,
    failures.join('; '),
  )
}

function netnsQuestion(
  request: CniRequest,
  input: CniCallInput,
): Parameters<typeof openPodNetns>[0] {
  return {
    path: request.netns,
    allowOwn: request.netnsOverride,
    ...(input.netns === undefined ? {} : { identity: input.netns }),
    ...(input.callerPid === undefined ? {} : { callerPid: input.callerPid }),
  }
}
