/**
 * An ADD's operations on both kernels, in as few exchanges as there can be: the
 * link, which leads nowhere yet, then the addresses and the ways to them.
 *
 * @module
 */
import type { AddPlan } from '../../cni/mod.ts'
import { TriviumError, unreachable } from '../../errors.ts'
import {
  bornLinkName,
  identity,
  isNft,
  isWayToPeer,
  type KernelOp,
  nftPlace,
  POD_GATEWAY,
  renderOp,
  type SegmentGuard,
  satisfies,
  subjectOf,
} from '../../kernel/mod.ts'
import { ipFamily } from '../../net/mod.ts'
import type { LiveKernel } from '../kernel.ts'
import type { Failures } from '../kernel-apply.ts'
import type { PodNetns } from '../netns.ts'
import { closeSegment } from '../segment-guard.ts'
import type { CniHost } from './host.ts'

/** Where one ADD acts, and what it does there. */
export interface Plumbing {
  /** Without addresses: nobody is reached through it, and nobody reaches out. */
  readonly link: {
    /** The pair, or the pod's macvlan, without its alias, which needs a message of its own. */
    readonly pair: readonly KernelOp[]
    /** What the host's end is called and has whatever pod it is. */
    readonly node: readonly KernelOp[]
    readonly pod: readonly KernelOp[]
    /** Of what leaves by a pod's macvlan. */
    readonly guard: SegmentGuard | undefined
  }
  /** What makes it a pod's. */
  readonly ways: {
    readonly pod: readonly KernelOp[]
    readonly guards: readonly KernelOp[]
    /** What may come in by a port of a bridge: nothing without. */
    readonly port: readonly KernelOp[]
    readonly node: readonly KernelOp[]
  }
  readonly ifname: string
  readonly host: Pick<CniHost, 'kernel' | 'isAlone'>
  readonly netns: PodNetns
}

export function plumbing(
  { link, guard, node, pod }: AddPlan,
  where: Pick<Plumbing, 'ifname' | 'host' | 'netns'>,
): Plumbing {
  const [pair, named, others] = link === undefined ? pairOf(node) : [born(link), [], node]
  const routed = others.filter((op) => !isNft(subjectOf(op)))
  return {
    link: {
      pair: [pair],
      node: [...named, ...routed.filter(isOfLink)],
      pod: pod.filter(isOfLink),
      guard,
    },
    ways: {
      pod: pod.filter((op) => !isOfLink(op)),
      guards: nftOf(others, 'inet'),
      port: nftOf(others, 'bridge'),
      node: routed.filter((op) => !isOfLink(op)),
    },
    ...where,
  }
}

function nftOf(ops: readonly KernelOp[], family: 'inet' | 'bridge'): readonly KernelOp[] {
  return ops.filter((op) => {
    const object = subjectOf(op)
    return isNft(object) && nftPlace(object).family === family
  })
}

/** Under a name that no link of the node has. */
function born(op: KernelOp): KernelOp {
  const link = subjectOf(op)
  if (link.kind !== 'link') return unreachable('a pod hangs on a link')
  return { kind: 'add', object: { ...link, name: bornLinkName(link.name) } }
}

/** The pair, how it gets its name, and the rest. */
function pairOf([first, ...others]: readonly KernelOp[]): readonly [
  KernelOp,
  readonly KernelOp[],
  readonly KernelOp[],
] {
  const link = first === undefined ? undefined : subjectOf(first)
  if (link?.kind !== 'link') return unreachable('a pod hangs on a link')
  const { alias: _named, ...nameless } = link
  return [{ kind: 'add', object: nameless }, [{ kind: 'change', from: nameless, to: link }], others]
}

/** The link itself, and the gateway's address, which every pair's host end has. */
function isOfLink(op: KernelOp): boolean {
  const object = subjectOf(op)
  return object.kind === 'link' || (object.kind === 'addr' && object.ip === POD_GATEWAY[6])
}

/**
 * Makes the pair, and opens the pod's end.
 *
 * @param made Told once there is a pair.
 * @throws {TriviumError} CONFLICT when the pod has a link of that name; KERNEL when the kernel refuses.
 */
export async function makeLink(plumbing: Plumbing, made: () => void = () => {}): Promise<void> {
  const { link, ways, ifname, host, netns } = plumbing
  if (netns.kernel.hasLink(ifname)) {
    throw new TriviumError(
      'CONFLICT',
      `Cannot add interface ${ifname}: the container already has one of that name`,
      'Run DEL first, or ask for another CNI_IFNAME',
    )
  }
  // Before the link: whoever looks for it from here goes by the namespace's id.
  if (isMacvlan(link.pair)) host.kernel.macvlans.know(netns.fd)
  must(link.pair, await host.kernel.applySoon(link.pair, netns.fd, host.isAlone()))
  made()
  if (isMacvlan(link.pair)) netns.kernel.rename(bornLinkName(ifname), ifname)
  if (link.guard !== undefined) closeSegment(netns.fd, link.guard)
  if (ways.pod.some(isAddress6)) netns.enableIpv6(ifname)
  must(link.pod, await netns.kernel.applySoon(link.pod))
  must(link.node, await beyondPresent(link.node, host.kernel))
}

const isMacvlan = ([op]: readonly KernelOp[]): boolean =>
  op?.kind === 'add' && op.object.kind === 'link' && op.object.link.type === 'macvlan'

const isAddress6 = (op: KernelOp): boolean =>
  op.kind === 'add' && op.object.kind === 'addr' && ipFamily(op.object.ip) === 6

/** Gives the pod its addresses. The link's removal undoes all of it. */
export async function openPod({ ways, netns }: Plumbing): Promise<void> {
  must(ways.pod, await netns.kernel.applySoon(ways.pod))
}

/** Lets in what comes by the pod's port, a probe for its address before all. */
export const openPort = ({ ways, host: { kernel } }: Plumbing): Promise<void> =>
  letIn(ways.port, kernel)

async function letIn(guards: readonly KernelOp[], kernel: LiveKernel): Promise<void> {
  const first = guards[0] && subjectOf(guards[0])
  // Where no agent has made the nftables table yet, it will come with the pod in it.
  if (first === undefined || !isNft(first) || !kernel.hasTable(first)) return
  must(guards, await beyondPresent(guards, kernel))
}

/** Makes the node's ways to the pod. */
export async function openNode({ ways, host: { kernel } }: Plumbing): Promise<void> {
  await letIn(ways.guards, kernel)
  must(ways.node, await beyondPresent(ways.node, kernel))
}

/**
 * Applies, and forgives what is there already: the agent reads the store too,
 * and may have put the same object on the new link before us. The way to a peer
 * that had the pod's address until now makes room. A table that goes at this very
 * moment will come again with the pod in it.
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
  const after: (Failures[number] | Promise<Failures>)[] = failures.map((failure, index) => {
    const op = ops[index]
    if (failure?.code !== 'EEXIST' || op === undefined) return failure
    const wanted = subjectOf(op)
    const found = state.get(identity(wanted))
    if (found === undefined) return failure
    if (satisfies(found, wanted)) return undefined
    return isWayToPeer(found)
      ? kernel.applySoon([{ kind: 'change', from: found, to: wanted }])
      : failure
  })
  return (await Promise.all(after)).map((each) => (Array.isArray(each) ? each[0] : each))
}

function must(ops: readonly KernelOp[], failures: Failures): void {
  const at = failures.findIndex((failure) => failure !== undefined)
  const [op, failure] = [ops[at], failures[at]]
  if (op === undefined || failure === undefined) return
  throw new TriviumError('KERNEL', failure.message, `while doing: ${renderOp(op)}`)
}
