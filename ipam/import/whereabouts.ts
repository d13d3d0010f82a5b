/**
 * whereabouts' pools: `kubectl get ippools.whereabouts.cni.cncf.io -A -o json`.
 *
 * `spec.allocations` maps offsets from the range's address to `{id, podref,
 * ifname}`. Older entries have no `ifname`. Which node a pod is on is not there.
 *
 * @module
 */
import {
  ADDRESS_BITS,
  type Ip,
  ipFamily,
  ipFromInteger,
  ipToInteger,
  tryParseIp,
} from '../../src/net/mod.ts'
import {
  asName,
  asObject,
  ENTRIES_MAX,
  type Foreign,
  type Gathering,
  gathering,
  itemsOf,
  podOf,
  told,
} from './foreign.ts'

export function readWhereabouts(value: unknown): Foreign {
  const found = gathering()
  const pools = itemsOf(value, 'IPPool')
  if (pools.length === 0) found.ignored.push('there is no IPPool')
  for (const pool of pools) readPool(asObject(pool['spec']), found)
  return found
}

function readPool(spec: Readonly<Record<string, unknown>>, found: Gathering): void {
  const { range } = spec
  const [address = '', length = ''] = typeof range === 'string' ? range.split('/') : []
  const start = tryParseIp(address)
  if (start === undefined || !/^\d{1,3}$/.test(length)) {
    found.ignored.push(`pool ${told(range)}: wanted a range such as 10.10.0.0/16`)
    return
  }
  const entries = Object.entries(asObject(spec['allocations'])).slice(0, ENTRIES_MAX)
  for (const [offset, entry] of entries) {
    const ip = /^\d{1,39}$/.test(offset) ? above(start, BigInt(offset)) : undefined
    const { id, podref, ifname } = asObject(entry)
    const containerId = asName(id)
    if (ip === undefined || containerId === undefined) {
      found.ignored.push(`${told(range)}, offset ${told(offset)}: ${told(entry)} is no allocation`)
      continue
    }
    const [pod, link] = [podOf(podref), asName(ifname)]
    found.addresses.push({
      ip,
      containerId,
      ...(link === undefined ? {} : { ifname: link }),
      ...(pod === undefined ? {} : { pod }),
    })
  }
}

function above(start: Ip, offset: bigint): Ip | undefined {
  const family = ipFamily(start)
  const value = ipToInteger(start) + offset
  return value < 1n << BigInt(ADDRESS_BITS[family]) ? ipFromInteger(family, value) : undefined
}
