/**
 * STATUS: whether an ADD could be served now. Reads, and writes nothing: some
 * runtimes ask every few seconds.
 *
 * Source: CNI specification 1.1.0, "STATUS": 50 when ADD cannot be served, 51
 * when running containers may be cut off, too. A plugin that relies on a daemon
 * should say 50 while that is away: so do we without the agent, although ADD
 * goes on in the node's own blocks, because nobody follows peers or claims more.
 * A lease of a cluster that nears its end is no reason yet: ADD is served as before,
 * and a node that says 50 gets no more pods. The call's line in the log warns.
 *
 * @module
 */
import { isLeaseFading, leaseLeftMs } from '../../../ipam/cluster/membership.ts'
import { keys } from '../../../ipam/keys.ts'
import { type Refusal, refusalNow } from '../../../ipam/mod.ts'
import type { NodeRecord } from '../../../ipam/records.ts'
import type { Reader } from '../../../ipam/store.ts'
import { noLink } from '../../backend/ipam/plan.ts'
import { roadProblem } from '../../backend/plan.ts'
import { type CniRequest, checkGateways } from '../../cni/mod.ts'
import { asTriviumError, TriviumError } from '../../errors.ts'
import { uptimeMs } from '../boot.ts'
import { type Allocated, allocationOf, contextOf, refuseApart } from './allocate.ts'
import type { CniHost } from './host.ts'
import type { Steps } from './steps.ts'

export async function status(
  request: CniRequest,
  host: CniHost,
  steps: Pick<Steps, 'leaseLeftMs'>,
): Promise<undefined> {
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
  if (refused === undefined) {
    steps.leaseLeftMs = host.store.read((reader) => fadingLease(reader, host))
    return undefined
  }
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

/** What is left of a lease that nears its end, in milliseconds; undefined: there is time, or no cluster. */
function fadingLease(reader: Reader, { bootId }: CniHost): number | undefined {
  const membership = reader.get(keys.membership)
  if (membership?.lease === undefined) return undefined
  const leftMs = leaseLeftMs(membership, bootId, uptimeMs())
  const isFading = leftMs !== undefined && isLeaseFading(leftMs, membership.lease.lengthMs)
  return isFading ? leftMs : undefined
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
