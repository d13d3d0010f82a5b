/**
 * The allocator as a person would do it on paper: every address is a number in
 * a list, every search a walk over all of them. Slow, short, and written from
 * the rules only.
 */
import type { NetworkSpec } from '../../ipam/mod.ts'
import { bounds } from './invariants.ts'

export interface ModelBlock {
  readonly owner: string
  readonly family: number
  readonly first: bigint
  readonly last: bigint
  /** Addresses no pod gets, beside the tunnel's. */
  readonly edges: readonly bigint[]
  /** Whether its first address is the tunnel's. */
  endpoint: boolean
  readonly claimedMs: number
  /** Address to try next. */
  next: bigint
}

/** An address given up, in order. */
interface Rest {
  readonly family: number
  readonly address: bigint
  readonly sinceMs: number
}

interface ModelPool {
  readonly family: number
  readonly first: bigint
  readonly last: bigint
  readonly blockSize: bigint
  readonly gateway: bigint | undefined
  draining: boolean
}

/** One network on paper. */
export class ModelNetwork {
  readonly families: readonly number[]
  readonly pools: readonly ModelPool[]
  blocks: ModelBlock[] = []
  /** Container on a node to its addresses, as `family:integer`. */
  readonly held = new Map<string, readonly string[]>()
  /** What was given up and nobody had since, oldest first. */
  rests: Rest[] = []
  /** When each holder came, and who had what until when. */
  readonly since = new Map<string, number>()
  readonly past: string[] = []
  /** Addresses as `family:integer` to the container they are kept for. */
  readonly kept = new Map<string, string>()
  nowMs = 1
  private readonly restMs: number
  private readonly strict: boolean
  private readonly idleMs: number

  constructor(spec: NetworkSpec) {
    this.restMs = (spec.options?.cooldownSeconds ?? 60) * 1000
    this.strict = spec.options?.cooldownStrict === true
    this.idleMs = (spec.options?.idleSeconds ?? 600) * 1000
    this.pools = spec.pools.map(({ cidr, blockLength = 0, gateway }) => {
      const family = cidr.includes(':') ? 6 : 4
      const [first, last] = bounds(cidr)
      const blockSize = 2n ** BigInt((family === 6 ? 128 : 32) - blockLength)
      const point = gateway === undefined ? undefined : bounds(gateway)[0]
      return { family, first, last, blockSize, gateway: point, draining: false }
    })
    this.families = [...new Set(this.pools.map(({ family }) => family))]
  }

  /** All holders of a container's name, past and present. */
  holdings(container: string): readonly string[] {
    const now = [...this.held].flatMap(([name, held]) =>
      held.map((text) => `${text} ${name} ${this.since.get(name)} undefined`),
    )
    return [...this.past, ...now].filter((text) => text.split(' ')[1]?.endsWith(`/${container}`))
  }

  own(node: string, family: number): ModelBlock[] {
    return this.blocks
      .filter((block) => block.owner === node && block.family === family)
      .sort((a, b) => (a.first < b.first ? -1 : 1))
  }

  taken(family: number, address: bigint): boolean {
    return [...this.held.values()].flat().includes(`${family}:${address}`)
  }

  isResting(family: number, address: bigint): boolean {
    return this.rests.some(
      (rest) =>
        rest.family === family &&
        rest.address === address &&
        rest.sinceMs + this.restMs > this.nowMs,
    )
  }

  remove(name: string): void {
    for (const text of this.held.get(name) ?? []) {
      this.past.push(`${text} ${name} ${this.since.get(name)} ${this.nowMs}`)
      const [family, address] = text.split(':')
      this.rests.push({
        family: Number(family),
        address: BigInt(address!),
        sinceMs: this.nowMs,
      })
    }
    this.held.delete(name)
  }

  /** Lowest block nobody owns, in the given pools. */
  freeBlock(
    node: string,
    pools: readonly ModelPool[],
    claimedMs = this.nowMs,
  ): ModelBlock | undefined {
    for (const pool of pools) {
      for (let first = pool.first; first <= pool.last; first += pool.blockSize) {
        const { family } = pool
        if (this.blocks.some((block) => block.family === family && block.first === first)) continue
        return this.block(node, pool, first, claimedMs)
      }
    }
    return undefined
  }

  block(node: string, pool: ModelPool, first: bigint, claimedMs = this.nowMs): ModelBlock {
    const { family, gateway } = pool
    const last = first + pool.blockSize - 1n
    const edges = [pool.first]
    const endpoint = this.own(node, family).length === 0
    if (family === 4) edges.push(pool.last)
    if (gateway !== undefined) edges.push(gateway)
    return { owner: node, family, first, last, edges, endpoint, claimedMs, next: first }
  }

  isEdge({ endpoint, first, edges }: ModelBlock, address: bigint): boolean {
    return edges.includes(address) || (endpoint && address === first)
  }

  drains({ family, first }: ModelBlock): boolean {
    return this.poolOf(family, first)!.draining
  }

  /** Blocks that pods get addresses of. */
  open(node: string, family: number): ModelBlock[] {
    return this.own(node, family).filter((block) => !this.drains(block))
  }

  /** Every address a pod could get in the block, from the next one round. */
  candidates(block: ModelBlock): bigint[] {
    const { family, first, last, next } = block
    const all: bigint[] = []
    for (let address = first; address <= last; address++) all.push(address)
    const place = all.indexOf(next)
    return [...all.slice(place), ...all.slice(0, place)].filter(
      (address) =>
        !this.isEdge(block, address) &&
        !this.kept.has(`${family}:${address}`) &&
        !this.taken(family, address),
    )
  }

  /** Addresses as `family:integer`, or the reason of the refusal. */
  add(node: string, container: string, mayClaim: boolean): readonly string[] | string {
    const name = `${node}/${container}`
    if (this.held.has(name)) return 'duplicate'
    const before = this.blocks.map((block) => ({ ...block }))
    const rests = [...this.rests]
    const given: string[] = []
    for (const family of this.families) {
      const address =
        this.ownKept(node, container, family, mayClaim) ?? this.take(node, family, mayClaim)
      if (typeof address === 'string') {
        this.blocks = before
        this.rests = rests
        return address
      }
      given.push(`${family}:${address}`)
    }
    this.held.set(name, given)
    this.since.set(name, this.nowMs)
    return given
  }

  /** The address kept for the container; undefined: any will do. */
  ownKept(
    node: string,
    container: string,
    family: number,
    mayClaim: boolean,
  ): bigint | string | undefined {
    const text = this.keptFor(container, family)
    if (text === undefined) return undefined
    const address = BigInt(text.split(':')[1]!)
    if (this.taken(family, address)) return this.holder(text) === container ? undefined : 'held'
    const pool = this.poolOf(family, address)!
    const first = address - (address % pool.blockSize)
    const block = this.blocks.find((one) => one.family === family && one.first === first)
    if (block !== undefined && block.owner !== node) return 'not-available'
    if (block === undefined && !mayClaim) return 'not-available'
    if (block === undefined) this.blocks.push(this.block(node, pool, first))
    return this.woken(family, address)
  }

  keptFor(container: string, family: number): string | undefined {
    const all = [...this.kept].filter(
      ([text, owner]) => owner === container && text.startsWith(`${family}:`),
    )
    return all[0]?.[0]
  }

  holder(text: string): string | undefined {
    const [name] = [...this.held].find(([, held]) => held.includes(text)) ?? []
    return name?.split('/')[1]
  }

  poolOf(family: number, address: bigint): ModelPool | undefined {
    return this.pools.find(
      (pool) => pool.family === family && pool.first <= address && address <= pool.last,
    )
  }

  /** Whether it is kept now. */
  keep(container: string, family: number, address: bigint): boolean {
    const pool = this.poolOf(family, address)
    const text = `${family}:${address}`
    if (pool === undefined || address % pool.blockSize === 0n || pool.draining) return false
    if (address === pool.first || address === pool.gateway) return false
    if (family === 4 && address === pool.last) return false
    if (this.kept.has(text)) return this.kept.get(text) === container
    if (this.keptFor(container, family) !== undefined) return false
    if ((this.holder(text) ?? container) !== container) return false
    this.kept.set(text, container)
    return true
  }

  take(node: string, family: number, mayClaim: boolean): bigint | string {
    for (;;) {
      const ahead = this.ahead(node, family)
      const others = this.open(node, family).filter((block) => block !== ahead)
      for (const blocks of [others, ahead === undefined ? [] : [ahead]]) {
        for (const block of blocks) {
          const [address] = this.candidates(block).filter((one) => !this.isResting(family, one))
          if (address === undefined) continue
          block.next = address === block.last ? block.first : address + 1n
          return this.woken(family, address)
        }
        const oldest = this.strict ? undefined : this.oldest(family, blocks)
        if (oldest !== undefined) return this.woken(family, oldest)
      }
      const pools = this.openPools(family)
      if (pools.length === 0) return 'not-available'
      const block = this.freeBlock(node, pools)
      if (block === undefined) return 'exhausted'
      if (!mayClaim) return 'needs-block'
      this.blocks.push(block)
    }
  }

  woken(family: number, address: bigint): bigint {
    this.rests = this.rests.filter((rest) => rest.family !== family || rest.address !== address)
    return address
  }

  /** The unused block where least rests, the last of several: another is claimed when it is taken. */
  ahead(node: string, family: number): ModelBlock | undefined {
    const restsIn = ({ first, last }: ModelBlock): number => {
      let count = 0
      for (let at = first; at <= last; at++) if (this.isResting(family, at)) count++
      return count
    }
    const spares = this.open(node, family).filter((block) => this.spare(block))
    const least = Math.min(...spares.map(restsIn))
    return spares.filter((block) => restsIn(block) === least).at(-1)
  }

  /** Which of the blocks' addresses rests longest; of several the one in the lowest block. */
  oldest(family: number, blocks: readonly ModelBlock[]): bigint | undefined {
    let found: Rest | undefined
    for (const block of blocks) {
      const free = this.candidates(block)
      for (const rest of this.rests) {
        if (rest.family !== family || !free.includes(rest.address)) continue
        if (found === undefined || rest.sinceMs < found.sinceMs) found = rest
      }
    }
    return found?.address
  }

  /** Claims until each family has an unused block; the first addresses of the new ones. */
  ensure(node: string): readonly string[] {
    const claimed: string[] = []
    for (const family of this.families) {
      const pools = this.openPools(family)
      while (!this.open(node, family).some((block) => this.spare(block))) {
        const block = this.freeBlock(node, pools)
        if (block === undefined) break
        this.blocks.push(block)
        claimed.push(`${family}:${block.first}`)
      }
    }
    return claimed
  }

  /** First addresses of the blocks that nobody needs; the lowest spare and the first block stay. */
  giveBack(node: string): readonly string[] {
    const gone: ModelBlock[] = []
    for (const family of this.families) {
      const own = this.own(node, family)
      const keep = this.open(node, family).find((block) => this.spare(block))
      for (const block of own) {
        const isOld = this.nowMs - block.claimedMs >= this.idleMs
        if (this.isBusy(block) || block === keep || block.endpoint) continue
        if (isOld || this.drains(block)) gone.push(block)
      }
    }
    this.blocks = this.blocks.filter((block) => !gone.includes(block))
    return gone.map(({ family, first }) => `${family}:${first}`)
  }

  isBusy({ family, first, last }: ModelBlock): boolean {
    for (let at = first; at <= last; at++) {
      if (this.taken(family, at) || this.isResting(family, at)) return true
    }
    return false
  }

  openPools(family: number): readonly ModelPool[] {
    return this.pools.filter((pool) => pool.family === family && !pool.draining)
  }

  /** The tunnel's address leaves a pool that drains as soon as its block is nobody's. */
  moveEndpoint(node: string): void {
    for (const family of this.families) {
      const old = this.own(node, family).find(({ endpoint }) => endpoint)
      if (old === undefined || !this.drains(old) || this.isBusy(old)) continue
      let next = this.open(node, family).find(({ first }) => !this.taken(family, first))
      if (next === undefined) {
        next = this.freeBlock(node, this.openPools(family))
        if (next === undefined) continue
        this.blocks.push(next)
      }
      next.endpoint = true
      old.endpoint = false
    }
  }

  /** Whether it is drained now. */
  drain(index: number): boolean {
    const pool = this.pools[index]!
    const isKept = [...this.kept.keys()].some((text) => {
      const [family, address] = text.split(':')
      return this.poolOf(Number(family), BigInt(address!)) === pool
    })
    const others = this.openPools(pool.family).filter((other) => other !== pool)
    if (pool.draining) return true
    pool.draining = others.length > 0 && !isKept
    return pool.draining
  }

  spare(block: ModelBlock): boolean {
    const { family, first, last } = block
    let usable = 0
    for (let address = first; address <= last; address++) {
      if (this.taken(family, address)) return false
      if (this.isEdge(block, address)) continue
      if (!this.strict || !this.isResting(family, address)) usable++
    }
    return usable > 0
  }

  forget(node: string): void {
    for (const name of this.held.keys()) if (name.startsWith(`${node}/`)) this.remove(name)
    const gone = this.blocks.filter(({ owner }) => owner === node)
    this.blocks = this.blocks.filter(({ owner }) => owner !== node)
    this.rests = this.rests.filter(
      ({ family, address }) =>
        !gone.some((block) => {
          return block.family === family && address >= block.first && address <= block.last
        }),
    )
  }
}
