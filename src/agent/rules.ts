/**
 * Small questions that the reconciler asks of views, plans and operations.
 *
 * @module
 */
import { roadsOf } from '../backend/moving.ts'
import { ownersOf } from '../backend/peers.ts'
import type { ClusterView } from '../cluster/view.ts'
import {
  identity,
  isPodLinkName,
  isPodSet,
  type KernelFailure,
  type KernelOp,
  type KernelState,
  subjectOf,
} from '../kernel/mod.ts'

/** Networks in which this node owns nothing yet: new ones, or exhausted ones. */
export function networksWithoutBlocks({ self, networks }: ClusterView): readonly string[] {
  return networks
    .filter(({ claims }) => !ownersOf(claims).has(self.name))
    .map(({ network }) => network.name)
}

/**
 * With a link's last IPv4 address Linux drops its IPv4 routes and permanent
 * neighbours, wanted or not: only another look shows which.
 */
export function takesOthersAlong(ops: readonly KernelOp[]): boolean {
  return ops.some((op) => op.kind === 'remove' && op.object.kind === 'addr')
}

/** Reverse-path filter of all links together; 1 is strict, 2 loose. Source: Linux ip-sysctl.rst. */
export const REVERSE_PATH_FILTER = 'net.ipv4.conf.all.rp_filter'

/**
 * A strict filter drops packets that come by another road than the answer
 * takes: with tunnels and routes side by side that happens while nodes change
 * over, and between nodes that see each other differently. Not ours to change.
 */
export function strictFilterProblem(view: ClusterView, actual: KernelState): string | undefined {
  const filter = actual.get(`sysctl ${REVERSE_PATH_FILTER}`)
  if (filter?.kind !== 'sysctl' || filter.value !== '1') return undefined
  const roads = new Set(
    view.networks.flatMap((network) =>
      roadsOf(network, view).flatMap(({ network: { mode, options } }, at) => {
        if (mode !== 'vxlan' && mode !== 'route') return []
        // Two tunnels of one network are two roads, too.
        const road = at === 0 ? mode : `${mode} (being left)`
        return options.crossSubnet === true ? [road, 'direct'] : [road]
      }),
    ),
  )
  if (roads.size < 2) return undefined
  return `Cannot rely on ${[...roads].join(' and ')} side by side: ${REVERSE_PATH_FILTER} is 1 (strict) and drops what comes back by another road, wanted 2 (loose) or 0; use: sysctl -w ${REVERSE_PATH_FILTER}=2`
}

/** An ADD that comes before the table leaves its elements to whoever makes it. */
export function makesTable(ops: readonly KernelOp[]): boolean {
  return ops.some((op) => op.kind === 'add' && op.object.kind === 'nft-table')
}

/** Identities of the pods' nftables elements among what is added. */
export const elementsAdded = (ops: readonly KernelOp[]): readonly string[] =>
  ops.flatMap((op) =>
    op.kind === 'add' && op.object.kind === 'nft-element' && isPodSet(op.object.set)
      ? [identity(op.object)]
      : [],
  )

/** Removing what is gone, as happens when a pod's link takes its routes along. */
export function isDone(op: KernelOp, failure: KernelFailure): boolean {
  const gone = ['ENOENT', 'ESRCH', 'ENODEV', 'EADDRNOTAVAIL']
  if (op.kind === 'remove') return gone.includes(failure.code)
  // The pod was deleted between observation and application.
  const subject = subjectOf(op)
  return subject.kind === 'route' && isPodLinkName(subject.link ?? '') && failure.code === 'ENODEV'
}
