/**
 * CHECK: looks, and repairs nothing.
 *
 * @module
 */
import { keys } from '../../../ipam/keys.ts'
import { type CniRequest, checkPod, checkPrevResult, planPod } from '../../cni/mod.ts'
import { TriviumError } from '../../errors.ts'
import { openPodNetns } from '../netns.ts'
import { checkSegment } from '../segment-guard.ts'
import { contextOf } from './allocate.ts'
import { type CniCallInput, type CniHost, keyOf, netnsQuestion } from './host.ts'
import { checkParent } from './macvlan.ts'

export async function check(
  request: CniRequest,
  input: CniCallInput,
  host: CniHost,
): Promise<undefined> {
  const key = keyOf(request)
  const { attachment, context } = host.store.read((reader) => ({
    attachment: reader.get(keys.attachment(host.nodeName, key)),
    context: contextOf(reader, request, host),
  }))
  input.steps.mark('store')
  if (attachment === undefined) {
    throw new TriviumError(
      'CHECK_FAILED',
      `Cannot vouch for container ${key.containerId}: the store holds no attachment of its ${key.ifname} to ${key.network}`,
      'There was no ADD of it on this node, or a DEL since: the runtime has to make the pod anew',
    )
  }
  input.steps.attachment = attachment
  checkPrevResult(request.config.prevResult, attachment)
  if (request.plugin === 'trivium-ipam') return undefined
  const plan = planPod(attachment, context.network, context.self)
  const netns = openPodNetns(netnsQuestion(request, input))
  input.steps.mark('netns')
  try {
    const state = await host.kernel.stateSoon()
    // The agent keeps the table once it has come through a round.
    const isTableKept =
      (host.mayClaim || host.blocks !== undefined) && host.unavailable() === undefined
    checkPod(plan, request.ifname, state, netns.kernel.state(), isTableKept)
    checkParent(plan.link, request, netns, host.kernel)
    if (plan.guard !== undefined) checkSegment(netns.fd, plan.guard)
    input.steps.mark('look')
  } finally {
    netns.close()
  }
  return undefined
}
