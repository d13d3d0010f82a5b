/**
 * ADD: the record first, then the kernel.
 *
 * @module
 */
import {
  addResult,
  answerOf,
  type CniRequest,
  type CniResult,
  checkGateways,
  ipamResult,
  planAdd,
  planPod,
} from '../../cni/mod.ts'
import { TriviumError, unreachable } from '../../errors.ts'
import {
  identity,
  isNft,
  type KernelOp,
  podLinkName,
  renderOp,
  satisfies,
  subjectOf,
} from '../../kernel/mod.ts'
import { ipFamily } from '../../net/mod.ts'
import type { LiveKernel } from '../kernel.ts'
import type { Failures } from '../kernel-apply.ts'
import { openPodNetns, type PodNetns } from '../netns.ts'
import { allocateFor, contextOf } from './allocate.ts'
import { del } from './del.ts'
import { type CniCallInput, type CniHost, keyOf, netnsQuestion } from './host.ts'
import type { Steps } from './steps.ts'

export async function add(
  request: CniRequest,
  input: CniCallInput,
  host: CniHost,
): Promise<unknown> {
  const { steps } = input
  const key = keyOf(request)
  const hostLink = podLinkName(key.network, key.containerId, key.ifname)
  const netns = openPodNetns(netnsQuestion(request, input))
  steps.mark('netns')
  const letGo = host.hold(hostLink)
  try {
    const { attachment, network, self } = await allocateFor(request, host, hostLink)
    steps.attachment = attachment
    steps.mark('store')
    try {
      const plan = planPod(attachment, network, self)
      await plumb(planAdd(plan, request.ifname), request.ifname, host, netns, steps)
      const result = withDns(request, addResult(plan, attachment, request.netns))
      return answerOf(result, request.config.prevResult, request.cniVersion)
    } catch (thrown) {
      await del(key, true, host)
      steps.mark('undo')
      throw thrown
    }
  } finally {
    letGo()
    netns.close()
  }
}

/** Makes the pair, then the pod's side, then what leads to it. The pair's removal undoes all of it. */
async function plumb(
  { node, pod }: ReturnType<typeof planAdd>,
  ifname: string,
  host: CniHost,
  netns: PodNetns,
  steps: Steps,
): Promise<void> {
  if (netns.kernel.hasLink(ifname)) {
    throw new TriviumError(
      'CONFLICT',
      `Cannot add interface ${ifname}: the container already has one of that name`,
      'Run DEL first, or ask for another CNI_IFNAME',
    )
  }
  const { pair, guards, rest } = inTrips(node, host.kernel)
  must(pair, await host.kernel.applySoon(pair, netns.fd))
  steps.mark('pair')
  if (
    pod.some((op) => op.kind === 'add' && op.object.kind === 'addr' && ipFamily(op.object.ip) === 6)
  ) {
    netns.enableIpv6(ifname)
  }
  must(pod, await netns.kernel.applySoon(pod))
  steps.mark('pod')
  must(guards, await beyondPresent(guards, host.kernel))
  must(rest, await beyondPresent(rest, host.kernel))
  steps.mark('node')
}

interface Trips {
  readonly pair: readonly KernelOp[]
  readonly guards: readonly KernelOp[]
  readonly rest: readonly KernelOp[]
}

/**
 * The node's side in few exchanges with the kernel. The pair comes without its
 * alias, which needs a message of its own and goes with the routes. Where no
 * agent has made the nftables table yet, it will come with the pod in it.
 */
function inTrips([first, ...others]: readonly KernelOp[], kernel: LiveKernel): Trips {
  const link = first === undefined ? undefined : subjectOf(first)
  if (link?.kind !== 'link') return unreachable('a pod hangs on a link')
  const { alias: _named, ...nameless } = link
  const guards = others.filter((op) => isNft(subjectOf(op)))
  return {
    pair: [{ kind: 'add', object: nameless }],
    guards: guards.length > 0 && kernel.hasTable() ? guards : [],
    rest: [
      { kind: 'change', from: nameless, to: link },
      ...others.filter((op) => !isNft(subjectOf(op))),
    ],
  }
}

/**
 * Applies, and forgives what is there already: the agent reads the store too,
 * and may have put the same object on the new link before us. A table that goes
 * at this very moment will come again with the pod in it.
 */
async function beyondPresent(ops: readonly KernelOp[], kernel: LiveKernel): Promise<Failures> {
  if (ops.length === 0) return []
  const failures = (await kernel.applySoon(ops)).map((failure, index) =>
    failure?.code === 'ENOENT' && ops[index] !== undefined && isNft(subjectOf(ops[index]))
      ? undefined
      : failure,
  )
  if (!failures.some((failure) => failure?.code === 'EEXIST')) return failures
  const state = await kernel.stateSoon()
  return failures.map((failure, index) => {
    const op = ops[index]
    if (failure?.code !== 'EEXIST' || op === undefined) return failure
    const wanted = subjectOf(op)
    const found = state.get(identity(wanted))
    return found !== undefined && satisfies(found, wanted) ? undefined : failure
  })
}

function must(ops: readonly KernelOp[], failures: Failures): void {
  const at = failures.findIndex((failure) => failure !== undefined)
  const [op, failure] = [ops[at], failures[at]]
  if (op === undefined || failure === undefined) return
  throw new TriviumError('KERNEL', failure.message, `while doing: ${renderOp(op)}`)
}

export async function addIpam(
  request: CniRequest,
  { steps }: CniCallInput,
  host: CniHost,
): Promise<unknown> {
  const { delegation } = request.config
  checkGateways(delegation, host.store.read((reader) => contextOf(reader, request, host)).network)
  const { attachment, network } = await allocateFor(request, host)
  steps.attachment = attachment
  steps.mark('store')
  // The plugin above puts this together with what it was given.
  const result = withDns(request, ipamResult(attachment, network, delegation))
  return answerOf(result, undefined, request.cniVersion)
}

const withDns = ({ ask }: CniRequest, result: CniResult): CniResult =>
  ask.dns === undefined ? result : { ...result, dns: ask.dns }
