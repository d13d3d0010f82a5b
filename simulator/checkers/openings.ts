/**
 * Which packets are sent between two pods: of any sort where they may meet, and
 * where a network is open for some ports one to each of them, and two that have
 * to be stopped.
 *
 * @module
 */
import type { AllowedPort } from '../../ipam/records.ts'
import type { Delivery } from '../delivery.ts'
import { forward, type World } from '../forward.ts'
import type { Flow } from '../guards.ts'
import type { SimPod } from '../node.ts'
import type { Cluster } from '../world.ts'

/** What became of the packets of a pair. */
export interface PairAnswers {
  /** Those that may arrive, of each family and port. */
  readonly asked: readonly Delivery[]
  /** Why one arrived that must not; undefined: none did. */
  readonly leak: string | undefined
  /** Nothing may arrive. */
  readonly closed: boolean
}

const PORT_MAX = 65_535

export function pairAnswers(world: World, cluster: Cluster, from: SimPod, to: SimPod): PairAnswers {
  const send = (flow?: Flow): readonly Delivery[] =>
    to.attachment.ips.map((ip) => forward(world, from, ip, flow))
  const arrives = (flow?: Flow): boolean => send(flow).some(({ kind }) => kind === 'delivered')
  const opening = cluster.opening(from.attachment.network, to.attachment.network)
  const pair = `pod ${from.id} reaches pod ${to.id}`
  if (opening === undefined) {
    return { asked: [], leak: arrives() ? `${pair} in a closed network` : undefined, closed: true }
  }
  const [first] = opening
  if (first === undefined) return { asked: send(), leak: undefined, closed: false }
  const asked = opening.flatMap((port) => send(port))
  const stranger = notAmong(opening, first)
  if (arrives()) return { asked, leak: `${pair} by more than the open ports`, closed: false }
  const leak = arrives(stranger) ? `${pair} by ${stranger.protocol}/${stranger.port}` : undefined
  return { asked, leak, closed: false }
}

/** A port beside the open ones. */
function notAmong(open: readonly AllowedPort[], { protocol, port }: AllowedPort): AllowedPort {
  for (let next = (port % PORT_MAX) + 1; next !== port; next = (next % PORT_MAX) + 1) {
    if (!open.some((each) => each.protocol === protocol && each.port === next)) {
      return { protocol, port: next }
    }
  }
  return { protocol, port: 0 }
}
