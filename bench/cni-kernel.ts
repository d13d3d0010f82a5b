/**
 * The floors under an ADD and a DEL, in a namespace of their own: the same
 * netlink messages in a loop with nothing else, and an agent that answers every
 * launcher at once.
 *
 * One JSON line in, one out; the first says where the pod's namespace is.
 */
import { rm } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import * as nl from 'netlink-ts'
import { NetlinkSocket, NftSocket, openNetns, warmPool } from 'netlink-ts/live'
import type { AttachmentRecord } from '../src/cluster/view.ts'
import { planAdd, planPod } from '../src/cni/mod.ts'
import { FIREWALL } from '../src/kernel/firewall.ts'
import { isNft, type KernelObject, type KernelOp, subjectOf } from '../src/kernel/mod.ts'
import { opRequests } from '../src/kernel/netlink.ts'
import { nftRequests } from '../src/kernel/nft.ts'
import { serveAgentSocket } from '../src/live/agent-socket.ts'
import { linkEnds } from '../src/live/link-ends.ts'
import type { Ip } from '../src/net/mod.ts'
import { CLUSTERS, NETWORK, SELF } from './peers-cluster.ts'

/** `answer`: serve launchers at this socket from now on; `pod`: one ADD and DEL there. */
export type Ask =
  | { readonly do: 'answer'; readonly socket: string }
  | { readonly do: 'pod'; readonly path: string }

export type Told = Readonly<Record<string, number>>

const HOST_LINK = 'trv0123456789a'

await warmPool()
const host = NetlinkSocket.open()
const table = NftSocket.open()
const ends = linkEnds(undefined, (index) => host.get(nl.link.get({ index })) === undefined)
const add = (object: KernelObject): KernelOp => ({ kind: 'add', object })
table.commit(nftRequests(FIREWALL.map(add)))

const ATTACHMENT: AttachmentRecord = {
  network: NETWORK,
  containerId: 'floor',
  ifname: 'eth0',
  node: SELF,
  ips: ['10.42.0.9' as Ip],
  hostLink: HOST_LINK,
  netns: '',
  sequence: 1,
  bootId: '',
  addedMs: 0,
}

/** The operations of one ADD as the planner has them. */
function planned(): { readonly node: readonly KernelOp[]; readonly pod: readonly KernelOp[] } {
  const { network, self } = CLUSTERS.route(0)
  return planAdd(planPod(ATTACHMENT, network, self), 'eth0')
}

/** Made before the clock runs, as far as indexes allow. */
async function onePod(path: string): Promise<Told> {
  const netnsFd = openNetns(path)
  const pod = NetlinkSocket.open({ netnsFd })
  const { node, pod: inPod } = planned()
  const requests = (ops: readonly KernelOp[], indexOf: (name: string) => number) =>
    ops.flatMap((op) => opRequests(op, { indexOf, peerNetnsFd: netnsFd }))
  const noIndex = (): number => 0
  const [pair, alias] = requests(node.slice(0, 1), noIndex)
  if (pair === undefined || alias === undefined) throw new Error('Cannot time: no pair is planned')
  const isGuard = (op: KernelOp): boolean => isNft(subjectOf(op))
  const guards = nftRequests(node.filter(isGuard))
  const noGuards = nftRequests(
    node.filter(isGuard).map((op) => ({ kind: 'remove', object: subjectOf(op) })),
  )
  const check = (errors: readonly (Error | undefined)[]): void => {
    const error = errors.find((each) => each !== undefined)
    if (error !== undefined) throw error
  }

  const times: number[] = [performance.now()]
  const lap = (): number => times.push(performance.now())
  check(host.execute([pair]))
  lap()
  const eth0 = pod.indexOf('eth0') ?? 0
  check(pod.execute(requests(inPod, () => eth0)))
  lap()
  check(table.transact(guards))
  lap()
  const index = host.indexOf(HOST_LINK) ?? 0
  const rest = node.slice(1).filter((op) => !isGuard(op))
  check(host.execute([alias, ...requests(rest, () => index)]))
  lap()
  // As long as a pod lives, for the kernel's put-off work.
  await new Promise((resolve) => setTimeout(resolve, 30))
  const began = performance.now()
  const gone = ends.wait(index)
  const acknowledged = host.executeAsync([nl.link.remove({ index })])
  await gone
  const announced = performance.now()
  check(table.transact(noGuards))
  const removed = performance.now()
  await acknowledged
  pod.close()
  const [t0 = 0, t1 = 0, t2 = 0, t3 = 0, t4 = 0] = times
  return {
    ADD: t4 - t0,
    'ADD: pair': t1 - t0,
    'ADD: pod': t2 - t1,
    'ADD: guards': t3 - t2,
    'ADD: alias and routes': t4 - t3,
    DEL: removed - began,
    'DEL: link until RTM_DELLINK': announced - began,
    'DEL: guards': removed - announced,
  }
}

const ANSWER = { exitStatus: 0, stdout: '{"cniVersion":"1.0.0"}\n', stderr: '' }

for await (const line of createInterface({ input: process.stdin })) {
  const ask = JSON.parse(line) as Ask
  let told: Told = {}
  if (ask.do === 'pod') {
    told = await onePod(ask.path)
  } else {
    await rm(ask.socket, { force: true })
    await serveAgentSocket(ask.socket, async () => ANSWER)
  }
  process.stdout.write(`${JSON.stringify(told)}\n`)
}
process.exit(0)
