/**
 * The nftables part of a simulated kernel: what hangs on what, and the errnos.
 *
 * Rules are text; all that is known of one is which sets it looks up. Whether a
 * packet passes is for guards.ts to say.
 *
 * @module
 */
import {
  identity,
  isNft,
  type NftChain,
  type NftElement,
  type NftObject,
  type NftSet,
  nftPlace,
} from '../src/kernel/mod.ts'
import {
  addressAt,
  containsIp,
  type Ip,
  networkAddress,
  type Prefix,
  prefixesOverlap,
  prefixFamily,
  prefixSize,
  tryParsePrefix,
} from '../src/net/mod.ts'
import type { Errno } from './kernel-rules.ts'
import { KernelTables } from './kernel-tables.ts'

export class KernelNft extends KernelTables {
  /** Adds without NLM_F_EXCL: what is there already, and alike, is no error. */
  protected setNft(object: NftObject): Errno | undefined {
    if (object.kind === 'nft-table') return this.insertNew(object)
    if (this.get(`nft-table ${nftPlace(object).table}`) === undefined) return 'ENOENT'
    switch (object.kind) {
      case 'nft-set':
        return this.setSet(object)
      case 'nft-element':
        return this.setElement(object)
      default:
        return this.setChain(object)
    }
  }

  protected removeNft(found: NftObject): Errno | undefined {
    if (found.kind === 'nft-table') {
      for (const object of [...this.objects()]) {
        if (isNft(object) && nftPlace(object).table === found.name) this.erase(object)
      }
      return undefined
    }
    if (found.kind === 'nft-set') {
      if (this.isLookedUp(found.name)) return 'EBUSY'
      for (const element of this.elements(found.name)) this.erase(element)
    }
    this.erase(found)
    return undefined
  }

  private insertNew(object: NftObject): undefined {
    if (this.get(identity(object)) === undefined) this.insert(object)
  }

  private setSet(set: NftSet): Errno | undefined {
    const found = this.get(identity(set))
    if (found?.kind !== 'nft-set') return this.insert(set)
    return found.key === set.key && found.interval === set.interval ? undefined : 'EEXIST'
  }

  private setElement(element: NftElement): Errno | undefined {
    const set = this.get(`nft-set ${element.set}`)
    if (set?.kind !== 'nft-set') return 'ENOENT'
    if (this.get(identity(element)) !== undefined) return undefined
    if (!set.interval) return this.insert(element)
    const clash = this.elements(element.set).some(({ key }) => collide(key, element.key))
    return clash ? 'EEXIST' : this.insert(element)
  }

  private setChain(chain: NftChain): Errno | undefined {
    const found = this.get(identity(chain))
    if (found?.kind === 'nft-chain') {
      const { type, hook, priority } = found
      // A base chain never moves to another hook.
      const moves = type !== chain.type || hook !== chain.hook || priority !== chain.priority
      if (moves) return 'EEXIST'
    }
    const missing = setsOf(chain).some((set) => this.get(`nft-set ${set}`) === undefined)
    return missing ? 'ENOENT' : this.insert(chain)
  }

  private isLookedUp(set: string): boolean {
    for (const object of this.objects()) {
      if (object.kind === 'nft-chain' && setsOf(object).includes(set)) return true
    }
    return false
  }
}

const setsByRules = new WeakMap<NftChain, readonly string[]>()

/** Sets that a chain's rules look up. */
function setsOf(chain: NftChain): readonly string[] {
  const known = setsByRules.get(chain)
  if (known !== undefined) return known
  const sets = [...chain.rules.matchAll(/@(\w+)/g)].flatMap(([, name]) => name ?? [])
  setsByRules.set(chain, sets)
  return sets
}

/**
 * Whether an interval set refuses `added` because of `present`. A plain one
 * (rbtree) refuses every overlap; a concatenation (pipapo) only one in which the
 * first or last combination is taken: a wider one may lie around a narrower.
 * Source: net/netfilter/nft_set_pipapo.c, nft_pipapo_insert. Linux 6.1 compares the
 * first four bytes only, and accepts what it refuses later; it is left out there, too.
 */
function collide(present: string, added: string): boolean {
  const [held, wanted] = [present.split(' . '), added.split(' . ')]
  if (wanted.length === 1) {
    const [one, other] = [tryParsePrefix(held[0] ?? ''), tryParsePrefix(wanted[0] ?? '')]
    return one !== undefined && other !== undefined && prefixesOverlap(one, other)
  }
  const holds = (edge: (prefix: Prefix) => Ip): boolean =>
    wanted.every((field, index) => {
      const [one, other] = [tryParsePrefix(held[index] ?? ''), tryParsePrefix(field)]
      if (one === undefined || other === undefined) return field === held[index]
      return prefixFamily(one) === prefixFamily(other) && containsIp(one, edge(other))
    })
  return holds(networkAddress) || holds((prefix) => addressAt(prefix, prefixSize(prefix) - 1n))
}
