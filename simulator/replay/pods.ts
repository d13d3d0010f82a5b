/**
 * The pods of a cluster, as `kubectl get pods -A -o json` prints them: the first pods of a
 * replay, at the rate of their busiest minute, out of the range that their addresses are from.
 *
 * @module
 */
import {
  type Ip,
  ipFamily,
  networkAddress,
  type Prefix,
  prefixOf,
  tryParseIp,
} from '../../src/net/mod.ts'
import { NODES_MAX } from '../scenario.ts'
import { inputWords } from '../timeline/inputs.ts'
import { parsePodList } from '../timeline/kubernetes.ts'
import type { Recorded, RecordedPool } from './recorded.ts'

/** Of `2026-11-22T20:56:45Z`: up to the minute. */
const MINUTE_LENGTH = 16
/** Of a pool: clusters have no smaller one, and no larger. */
const POOL_LENGTH = { least: 8, most: 16 } as const

/** @throws {TriviumError} BAD_CONFIG: `file: items[3].spec: found X, wanted Y`. */
export function recordedPods(text: string, file: string): Recorded {
  const list = parsePodList(text, { file, nodes: NODES_MAX })
  return {
    about: inputWords({ kind: 'kubernetes', ...list }),
    nodes: list.nodes,
    racks: undefined,
    pools: poolsOf(list.addresses),
    podsPerSecond: busiest(list.created),
    first: list.pods,
    rows: [],
  }
}

/** Pods a second in the minute in which most were made; at least one. */
function busiest(created: readonly string[]): number | undefined {
  const pods = new Map<string, number>()
  for (const time of created) {
    const minute = time.slice(0, MINUTE_LENGTH)
    pods.set(minute, (pods.get(minute) ?? 0) + 1)
  }
  const most = [...pods.values()].reduce((peak, found) => Math.max(peak, found), 0)
  return most === 0 ? undefined : Math.max(1, Math.round(most / 60))
}

/** What the IPv4 addresses have in common; nothing when there are none. */
function poolsOf(addresses: readonly string[]): readonly RecordedPool[] {
  const ips = addresses.flatMap((text): Ip[] => {
    const ip = tryParseIp(text)
    return ip !== undefined && ipFamily(ip) === 4 ? [ip] : []
  })
  const [first] = ips
  if (first === undefined) return []
  const over = (length: number): Prefix => prefixOf(first, length)
  let length: number = POOL_LENGTH.most
  while (length > POOL_LENGTH.least && ips.some((ip) => prefixOf(ip, length) !== over(length))) {
    length--
  }
  return [{ cidr: `${networkAddress(over(length))}/${length}` }]
}
