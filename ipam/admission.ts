/**
 * Which pools of its network a pod may have addresses of: those open to its
 * namespace and, where it names some, only those.
 *
 * @module
 */
import { type IpFamily, type Prefix, prefixFamily } from '../src/net/mod.ts'
import { familyPools } from './blocks.ts'
import type { NetworkRecord, PodIdentity, Pool } from './records.ts'

/** What decides. */
export interface PoolWish {
  /** Whose addresses they will be; undefined where the runtime did not say. */
  readonly pod?: PodIdentity
  /** Pools it asks for by CIDR; families without one are free. Empty or absent: any pool. */
  readonly pools?: readonly Prefix[]
  /** Asks on behalf of every namespace: whether anybody could be served. */
  readonly everyNamespace?: boolean
}

/**
 * The pools of one family that the pod may use: those that name its namespace
 * first, the common ones after, because a pool that names somebody is meant for them.
 * A floating one is for those that it names, and for whoever names it, after the ordinary ones.
 */
export function poolGroups(
  network: NetworkRecord,
  family: IpFamily,
  wish: PoolWish,
): readonly (readonly Pool[])[] {
  const admitted = familyPools(network, family).filter(
    (pool) => closedBecause(pool, wish) === undefined,
  )
  const named = admitted.filter(({ namespaces }) => namespaces !== undefined)
  const common = admitted.filter(({ namespaces }) => namespaces === undefined)
  const asked = common.filter(({ cidr }) => wish.pools?.includes(cidr) === true)
  const groups = [fixed(named), floats(named), fixed(common), floats(asked)]
  return groups.filter((pools) => pools.length > 0)
}

const fixed = (pools: readonly Pool[]) => pools.filter(({ floating }) => floating !== true)
const floats = (pools: readonly Pool[]) => pools.filter(({ floating }) => floating === true)

/** Why the pod gets nothing of this pool, as the end of a sentence; undefined when it may. */
export function closedBecause(pool: Pool, wish: PoolWish): string | undefined {
  const { pod, pools = [], everyNamespace = false } = wish
  const { cidr, namespaces, draining = false } = pool
  if (draining) return `pool ${cidr} drains: nobody gets an address of it`
  const isHome = pod !== undefined && namespaces?.includes(pod.namespace)
  if (namespaces !== undefined && isHome !== true && !everyNamespace) {
    return `pool ${cidr} is for pods of ${namespaceWords(namespaces)}, ${podWords(pod)}`
  }
  const asked = pools.filter((each) => prefixFamily(each) === prefixFamily(cidr))
  if (asked.length === 0 || asked.includes(cidr)) return undefined
  return `it is of pool ${cidr}, the pod asks for pool ${asked.join(' or ')}`
}

/** The first pool asked for that the pod cannot have, and why. */
export function poolMisfit(
  network: NetworkRecord,
  wish: PoolWish,
): { readonly cidr: Prefix; readonly why: string } | undefined {
  for (const cidr of wish.pools ?? []) {
    const pool = network.pools.find((each) => each.cidr === cidr)
    if (pool === undefined) {
      const known = network.pools.map((each) => each.cidr).join(' and ')
      return { cidr, why: `network ${network.name} has no such pool, it has ${known}` }
    }
    const why = closedBecause(pool, wish)
    if (why !== undefined) return { cidr, why }
  }
  return undefined
}

const namespaceWords = (names: readonly string[]): string =>
  `${names.length === 1 ? 'namespace' : 'namespaces'} ${names.join(', ')}`

const podWords = (pod: PodIdentity | undefined): string =>
  pod === undefined ? 'this container names none' : `this one is in ${pod.namespace}`
