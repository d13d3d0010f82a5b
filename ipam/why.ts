/**
 * Why an address is whose it is, and why a pod would get none: as facts in order.
 *
 * @module
 */
import { containsIp, type Ip } from '../src/net/mod.ts'
import { refusalNow } from './allocator.ts'
import { homeWords } from './blocks.ts'
import { historyOf } from './history.ts'
import { keys } from './keys.ts'
import type { PodName } from './records.ts'
import { exclusionOf, isPod, podText, reservationOf } from './reservations.ts'
import { type IpState, showIp } from './show.ts'
import type { Reader } from './store.ts'

/** One thing that decides. */
export interface WhyFact {
  readonly about: 'pool' | 'block' | 'reservation' | 'exclusion' | 'state' | 'past' | 'refusal'
  readonly network: string
  readonly found: string
  /** Since when it is so. Absent: not known, or it does not matter. */
  readonly sinceMs?: number
  /** Until when it was so. */
  readonly untilMs?: number
}

/** Why the address is in the state it is; empty when no pool contains it. */
export function whyIp(reader: Reader, ip: Ip, nowMs: number): readonly WhyFact[] {
  const facts: WhyFact[] = []
  for (const [, network] of reader.range(keys.networks)) {
    const pool = network.pools.find(({ cidr }) => containsIp(cidr, ip))
    if (pool === undefined) continue
    const say = (about: WhyFact['about'], found: string, when: Times = {}): void => {
      facts.push({ about, network: network.name, found, ...when })
    }
    const isForAll = pool.rack === undefined && pool.nodes === undefined
    const home = isForAll ? '' : `, for ${homeWords(pool)}`
    const spaces = pool.namespaces === undefined ? '' : `, for ${pool.namespaces.join(', ')}`
    const floats = pool.floating === true ? ', floating' : ''
    const drains = pool.draining === true ? ', drains' : ''
    say('pool', `${pool.cidr}${home}${spaces}${floats}${drains}`)
    const reservation = reservationOf(reader, network, ip)
    if (reservation !== undefined) {
      say('reservation', `${podText(reservation.pod)}, MAC ${reservation.mac}`)
    }
    const range = exclusionOf(network, ip)
    if (range !== undefined) say('exclusion', `${range}`)
    const state = showIp(reader, ip, nowMs)
    if (state.kind !== 'outside' && state.kind !== 'unclaimed') {
      say('block', `${state.block} of node ${state.node}`)
    }
    say('state', stateWords(state), stateTimes(state))
    const last = historyOf(reader, { ip }).findLast(({ toMs }) => toMs !== undefined)
    if (last?.toMs !== undefined) {
      const who = last.pod === undefined ? `container ${last.containerId}` : podText(last.pod)
      say('past', who, { sinceMs: last.fromMs, untilMs: last.toMs })
    }
  }
  return facts
}

type Times = Pick<WhyFact, 'sinceMs' | 'untilMs'>

function stateTimes(state: IpState): Times {
  if (state.kind === 'held') return { sinceMs: state.attachment.addedMs }
  return state.kind === 'cooling' ? { sinceMs: state.sinceMs } : {}
}

function stateWords(state: IpState): string {
  switch (state.kind) {
    case 'held': {
      const { pod, containerId, sequence } = state.attachment
      const who = pod === undefined ? `container ${containerId}` : podText(pod)
      return `held by ${who}, allocation ${sequence} of its node`
    }
    case 'cooling':
      return state.taken === undefined
        ? 'free, but it rests before another pod gets it'
        : `no pod's, ${state.taken} answered for it on the segment`
    case 'kept':
    case 'reserved':
      return state.why
    case 'unclaimed':
      return 'free: no node has claimed its block'
    default:
      return state.kind
  }
}

/** What `whyPod` asks about. */
export interface PodQuestion {
  readonly network: string
  readonly pod: PodName
  /** Where it would run. */
  readonly node: string
  readonly mayClaim: boolean
  readonly nowMs: number
}

/** Why the pod has its addresses, or why it would get none on the node now. */
export function whyPod(reader: Reader, question: PodQuestion): readonly WhyFact[] {
  const { network, pod, node, mayClaim, nowMs } = question
  const owners = new Set([...reader.range(keys.claims(network))].map(([, claim]) => claim.node))
  const held = [...owners].flatMap((owner) =>
    [...reader.range(keys.networkAttachments(owner, network))]
      .filter(([, each]) => isPod(pod, each.pod))
      .flatMap(([, { ips }]) => ips),
  )
  if (held.length > 0) return held.flatMap((ip) => whyIp(reader, ip, nowMs))
  const refusal = refusalNow(reader, {
    // No runtime names a container so: nothing stands under this key.
    key: { network, containerId: '?', ifname: '?' },
    node,
    netns: '',
    pod: { ...pod, uid: '' },
    mayClaim,
    nowMs,
    bootId: '',
  })
  if (refusal !== undefined) return [{ about: 'refusal', network, found: refusal.message }]
  return [
    { about: 'state', network, found: `${podText(pod)} has none and would get one on ${node}` },
  ]
}
