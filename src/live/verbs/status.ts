/**
 * STATUS: whether an ADD could be served now. Reads, and writes nothing: some
 * runtimes ask every few seconds.
 *
 * Source: CNI specification 1.1.0, "STATUS": 50 when ADD cannot be served, 51
 * when running containers may be cut off, too. A plugin that relies on a daemon
 * should say 50 while that is away: so do we without the agent, although ADD
 * goes on in the node's own blocks, because nobody follows peers or claims more.
 *
 * @module
 */
import { type Refusal, refusalNow } from '../../../ipam/mod.ts'
import type { NodeRecord } from '../../../ipam/records.ts'
import { noLink } from '../../backend/ipam/plan.ts'
import { roadProblem } from '../../backend/plan.ts'
import { type CniRequest, checkGateways } from '../../cni/mod.ts'
import { asTriviumError, TriviumError } from '../../errors.ts'
import { type Allocated, allocationOf, contextOf, refuseApart } from './allocate.ts'
import type { CniHost } from './host.ts'

export async function status(request: CniRequest, host: CniHost): Promise<undefined> {
  const reason = host.unavailable()
  if (reason !== undefined)
    throw new TriviumError(
      'UNAVAILABLE',
      reason,
      'Start the agent, or see what keeps it: its log, trivium doctor',
    )
  const { network, self, refused } = look(request, host)
  // A delegated plugin's links and roads are others'.
  const isRoadOurs = request.plugin === 'trivium'
  const cut = isRoadOurs ? (underlayProblem(self, host) ?? roadProblem(network, self)) : undefined
  if (cut !== undefined) {
    throw new TriviumError('CUT_OFF', cut, 'Pods that run now may not reach other nodes')
  }
  if (refused === undefined) return undefined
  throw new TriviumError(
    'UNAVAILABLE',
    refused.message,
    'Show who has the addresses: trivium ipam show --show-blocks',
  )
}

/** What an ADD of any pod would find. A store that cannot be read serves nobody. */
function look(
  request: CniRequest,
  host: CniHost,
): Omit<Allocated, 'attachment'> & { readonly refused: Refusal | undefined } {
  const probe = { ...request, containerId: 'status-probe', ifname: 'eth0' }
  try {
    return host.store.read((reader) => {
      refuseApart(reader, host)
      const context = contextOf(reader, request, host)
      const { network } = context
      if (request.plugin === 'trivium-ipam') checkGateways(request.config.delegation, network)
      else if (network.mode === 'ipam') throw noLink(network.name)
      const asked = { ...allocationOf(probe, host), everyNamespace: true }
      return { ...context, refused: refusalNow(reader, asked) }
    })
  } catch (thrown) {
    const { message, details } = asTriviumError(thrown)
    throw new TriviumError('UNAVAILABLE', message, details, thrown)
  }
}

/** Asks the kernel, because the record of the node keeps what was last seen of it. */
function underlayProblem(
  { name, underlayLink }: NodeRecord,
  { kernel }: CniHost,
): string | undefined {
  const link = kernel.link(underlayLink)
  const found =
    link === undefined
      ? 'it is not there'
      : !link.up
        ? 'it is down'
        : link.operState === 'lowerLayerDown' || link.operState === 'down'
          ? 'it has no carrier'
          : undefined
  if (found === undefined) return undefined
  return `Cannot reach other nodes from ${name}: underlay ${underlayLink}: ${found}, wanted it up`
}
