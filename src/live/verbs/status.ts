/**
 * STATUS: whether an ADD could be served now.
 *
 * @module
 */
import type { Refusal } from '../../../ipam/mod.ts'
import { noLink } from '../../backend/ipam/plan.ts'
import { type CniRequest, checkGateways } from '../../cni/mod.ts'
import { asTriviumError, TriviumError } from '../../errors.ts'
import { transact } from '../transact.ts'
import { allocateIn, contextOf } from './allocate.ts'
import type { CniHost } from './host.ts'

/** Thrown inside a transaction whose writes are not wanted. */
class DryRun extends Error {}

export async function status(request: CniRequest, host: CniHost): Promise<undefined> {
  const reason = host.unavailable()
  if (reason !== undefined) throw new TriviumError('UNAVAILABLE', reason)
  const probe = { ...request, containerId: 'status-probe', ifname: 'eth0' }
  let refused: Refusal | undefined
  try {
    await transact(host.store, (tx) => {
      const { network } = contextOf(tx, request, host)
      if (request.plugin === 'trivium-ipam') checkGateways(request.config.delegation, network)
      else if (network.mode === 'ipam') throw noLink(network.name)
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
