/**
 * ADD: the record first, then the kernel.
 *
 * @module
 */
import type { PodPlan } from '../../backend/backend.ts'
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
import { podLinkName } from '../../kernel/mod.ts'
import { openPodNetns, type PodNetns } from '../netns.ts'
import { type Allocated, allocateFor, contextOf } from './allocate.ts'
import { del } from './del.ts'
import { type EarlyLink, earlyLink } from './early-link.ts'
import { type CniCallInput, type CniHost, keyOf, netnsQuestion } from './host.ts'
import { makeLink, openNode, openPod, openPort, type Plumbing, plumbing } from './plumb.ts'
import { segmentOf, setAside, TakenOnWire } from './segment.ts'
import { takeBack } from './take-back.ts'

/** One ADD: where it acts. */
interface Place {
  readonly request: CniRequest
  readonly host: CniHost
  readonly hostLink: string
  readonly netns: PodNetns
}

/** What the record asks for. */
interface Work {
  readonly plan: PodPlan
  readonly plumbing: Plumbing
  /** Absent where the link is made after the record. */
  readonly early?: EarlyLink | undefined
}

/** Addresses that an ADD tries where somebody else on the segment has the one before. */
const TRIES_MAX = 3

export async function add(
  request: CniRequest,
  input: CniCallInput,
  host: CniHost,
): Promise<unknown> {
  for (let tries = 1; ; tries++) {
    try {
      return await addOnce(request, input, host)
    } catch (thrown) {
      if (!(thrown instanceof TakenOnWire)) throw thrown
      let isFixed = false
      for (const taken of [thrown, ...(thrown.also === undefined ? [] : [thrown.also])]) {
        input.steps.taken.push({ ip: taken.ip, mac: taken.mac })
        await setAside(taken, request, host)
        isFixed ||= request.ask.ips.includes(taken.ip) || taken.isReserved
      }
      if (isFixed || tries === TRIES_MAX) throw thrown
    }
  }
}

async function addOnce(request: CniRequest, input: CniCallInput, host: CniHost): Promise<unknown> {
  const { steps } = input
  const key = keyOf(request)
  const hostLink = podLinkName(key.network, key.containerId, key.ifname)
  const netns = openPodNetns(netnsQuestion(request, input))
  steps.mark('netns')
  const letGo = host.hold(hostLink)
  try {
    const place = { request, host, hostLink, netns }
    const { allocated, begun } = await recorded(place)
    const { attachment } = allocated
    steps.attachment = attachment
    steps.mark('store')
    try {
      const { plan, plumbing, early } = begun ?? workOf(place, allocated)
      await (early?.recorded() ?? makeLink(plumbing))
      steps.mark('pair')
      const segment = segmentOf(request, allocated, netns)
      await openPort(plumbing)
      await segment?.probe()
      await openPod(plumbing)
      segment?.announce()
      steps.mark('pod')
      await openNode(plumbing)
      steps.mark('node')
      const result = withDns(request, addResult(plan, attachment, request.netns))
      return answerOf(result, request.config.prevResult, request.cniVersion)
    } catch (thrown) {
      return await takeBack(thrown, async () => {
        await del(key, true, host)
        steps.mark('undo')
      })
    }
  } finally {
    letGo()
    netns.close()
  }
}

/** The record, on disk, and what was begun meanwhile. Without a record nothing of it stays. */
async function recorded(
  place: Place,
): Promise<{ readonly allocated: Allocated; readonly begun: Work | undefined }> {
  const { request, host, hostLink } = place
  let begun: Work | undefined
  try {
    const allocated = await allocateFor(request, host, hostLink, (made) => {
      begun = begin(place, made)
    })
    return { allocated, begun }
  } catch (thrown) {
    return takeBack(thrown, () => begun?.early?.undo())
  }
}

function begin(place: Place, allocated: Allocated): Work | undefined {
  try {
    const work = workOf(place, allocated)
    // A macvlan has no end here by whose name another process would find it without a record.
    if (allocated.attachment.macvlan === true) return work
    return { ...work, early: earlyLink(work.plumbing, place.hostLink, place.host) }
  } catch {
    return undefined // the same again once there is a record, which is then taken back
  }
}

function workOf({ request, host, netns }: Place, { attachment, network, self }: Allocated): Work {
  const { ifname } = request
  const plan = planPod(attachment, network, self)
  return { plan, plumbing: plumbing(planAdd(plan, ifname), { ifname, host, netns }) }
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
