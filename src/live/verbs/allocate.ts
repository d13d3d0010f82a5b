/**
 * An attachment's addresses, taken from the store.
 *
 * @module
 */
import { apartBecause } from '../../../ipam/cluster/membership.ts'
import { keys } from '../../../ipam/keys.ts'
import { type AllocateRequest, allocate, ensureBlocks, type Refusal } from '../../../ipam/mod.ts'
import {
  type AttachmentRecord,
  isLinkOurs,
  type NetworkRecord,
  type NodeRecord,
} from '../../../ipam/records.ts'
import type { Reader, Tx } from '../../../ipam/store.ts'
import type { CniRequest } from '../../cni/mod.ts'
import { type ErrorCode, TriviumError } from '../../errors.ts'
import { uptimeMs } from '../boot.ts'
import { transact } from '../transact.ts'
import { type CniHost, keyOf } from './host.ts'

export interface Allocated {
  readonly attachment: AttachmentRecord
  readonly network: NetworkRecord
  readonly self: NodeRecord
}

/** @param decided Hears of it while it is being written, as in `Store.transact`. */
export async function allocateFor(
  request: CniRequest,
  host: CniHost,
  hostLink?: string,
  decided?: (allocated: Allocated) => void,
): Promise<Allocated> {
  const allocateIn = (tx: Tx): Allocated | Refusal => {
    refuseApart(tx, host)
    const context = contextOf(tx, request, host)
    const allocated = allocate(tx, allocationOf(request, host, linkIn(context, hostLink)))
    if (allocated.kind === 'refused') return allocated
    // The spare block is claimed with the address, so a new block's route is everywhere in time.
    if (host.mayClaim) ensureBlocks(tx, context.network, host.nodeName, Date.now())
    return { attachment: allocated.attachment, ...context }
  }
  const untilMs = performance.now() + BLOCK_MS_MAX
  for (;;) {
    const made = await transact(host.store, allocateIn, (answer) => {
      if (!('reason' in answer)) decided?.(answer)
    })
    if (!('reason' in made)) return made
    if (made.wanted === undefined || host.blocks === undefined) throw refusalError(made)
    const why = await host.blocks.wait(made.wanted, untilMs)
    if (why !== undefined) throw new TriviumError('TRY_LATER', `${made.message}; ${why}`, ETCD_HINT)
  }
}

/** How long an ADD waits for a block: a fraction of what the most hurried runtimes allow. */
const BLOCK_MS_MAX = 15_000

const ETCD_HINT =
  'Blocks come from etcd: look whether most of its members answer this node, and trivium ipam show'

/** @throws {TriviumError} when the node's cluster does not count on it now. */
export function refuseApart(reader: Reader, { nodeName, bootId, newestMark }: CniHost): void {
  const why = apartBecause(reader, nodeName, bootId, uptimeMs, newestMark)
  if (why !== undefined) throw why
}

/** The link of ours that an attachment will have. */
type OwnLink = Pick<AllocateRequest, 'hostLink' | 'macvlan'>

/** @param hostLink Its host end, where it has one; absent: another plugin makes it. */
function linkIn({ network }: Pick<Allocated, 'network'>, hostLink?: string): OwnLink {
  if (hostLink === undefined) return {}
  const { mode, options } = network
  return mode === 'vlan' && options.attachment === 'macvlan' ? { macvlan: true } : { hostLink }
}

/** What the request asks of the allocator; without a link of ours, somebody else makes one. */
export function allocationOf(
  request: CniRequest,
  host: CniHost,
  link: OwnLink = {},
): AllocateRequest {
  const { args, ask } = request
  const { ips, pools, mac } = ask
  return {
    key: keyOf(request),
    node: host.nodeName,
    netns: request.netns,
    ...link,
    ...(args.pod === undefined ? {} : { pod: args.pod }),
    ...(!isLinkOurs(link) || mac === undefined ? {} : { mac }),
    ...(ips.length === 0 ? {} : { requested: ips }),
    ...(pools.length === 0 ? {} : { pools }),
    mayClaim: host.mayClaim,
    nowMs: Date.now(),
    bootId: host.bootId,
  }
}

export function contextOf(
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
  'held-elsewhere': 'TRY_LATER',
  duplicate: 'CONFLICT',
  'not-available': 'CONFLICT',
  'unknown-network': 'NOT_FOUND',
}

const refusalError = ({ reason, message, hint }: Refusal): TriviumError =>
  new TriviumError(REFUSAL_CODES[reason], message, hint)
