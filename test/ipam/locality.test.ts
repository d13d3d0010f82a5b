/**
 * Pods come and go in a pool that is nearly full: blocks of a rack scatter, and
 * the blocks that nodes keep ahead find together again.
 */
import t from 'tap'
import { IDLE_SECONDS } from '../../ipam/idle.ts'
import {
  allocate,
  createNetwork,
  keepBlocks,
  keys,
  parseNetworkSpec,
  registerNode,
  release,
} from '../../ipam/mod.ts'
import { prefixCount } from '../../ipam/placement.ts'
import { summarised } from '../../simulator/announcer.ts'
import { macFromName, type Prefix, parseIp, prefixOf } from '../../src/net/mod.ts'
import { prng } from '../../src/prng.ts'
import { smallStore } from './small-store.ts'

const [RACKS, NODES] = [8, 80]
/** 256 blocks, of which some 235 are claimed. */
const POOL = { cidr: '10.42.0.0/20', blockLength: 28 }
const PODS_MAX = 34
const IDLE_MS = IDLE_SECONDS * 1000

const rackOf = (node: string): number => Number(node.slice(1)) % RACKS

/** Nodes and their pods. */
class Site {
  readonly run = smallStore().run
  readonly #chance = prng(7)
  readonly #pods = new Map<string, string[]>()
  #named = 0
  nowMs = 1

  constructor() {
    const options = { cooldownSeconds: 0 }
    const spec = parseNetworkSpec({ name: 'pods', mode: 'route', pools: [POOL], options }, 0)
    this.run((tx) => void createNetwork(tx, spec))
    for (let index = 0; index < NODES; index++) {
      const name = `n${index}`
      this.#pods.set(name, [])
      this.run((tx) => {
        registerNode(tx, {
          name,
          underlayLink: 'eth0',
          underlayIps: [parseIp(`192.0.2.${index + 1}`)],
          underlayMtuBytes: 1500,
          vtepMac: macFromName(name),
          registeredMs: 0,
          rack: `r${rackOf(name)}`,
        })
      })
    }
  }

  /** Another number of pods on one of the nodes. */
  churn(): void {
    const node = `n${this.#chance.below(NODES)}`
    const own = this.#pods.get(node) ?? []
    const wanted = this.#chance.below(PODS_MAX)
    for (; own.length < wanted; own.push(`p${this.#named++}`)) {
      const key = { network: 'pods', containerId: `p${this.#named}`, ifname: 'eth0' }
      const rest = { node, netns: '', mayClaim: true, nowMs: this.nowMs, bootId: '' }
      this.run((tx) => {
        if (allocate(tx, { key, ...rest }).kind !== 'allocated') throw new Error('The pool is full')
      })
    }
    while (own.length > wanted) {
      const [containerId = ''] = own.splice(this.#chance.below(own.length), 1)
      const key = { network: 'pods', containerId, ifname: 'eth0' }
      this.run((tx) => void release(tx, node, key, this.nowMs))
    }
  }

  /** What each agent does, once blocks that are idle have been so for long enough. */
  round(ms = IDLE_MS): void {
    this.nowMs += ms
    for (const node of this.#pods.keys()) {
      this.run((tx) => keepBlocks(tx, tx.get(keys.network('pods'))!, node, this.nowMs))
    }
  }

  claims(): readonly { readonly cidr: Prefix; readonly node: string }[] {
    return this.run((tx) => tx.range(keys.claims('pods')).map(([, claim]) => claim))
  }

  held(): readonly string[] {
    return this.run((tx) =>
      tx.range(keys.addresses('pods')).map(([, { ip, containerId }]) => `${ip} ${containerId}`),
    )
  }

  /** What a spine hears, a summary a rack. */
  prefixes(): number {
    const racks = Array.from({ length: RACKS }, (): Prefix[] => [])
    for (const { cidr, node } of this.claims()) racks[rackOf(node)]?.push(cidr)
    return racks.reduce((sum, own) => sum + summarised(own).length, 0)
  }
}

t.test('under steady churn a spine hears few prefixes, and pods stay', async (t) => {
  const site = new Site()
  const counts: number[] = []
  for (let step = 1; step <= 1000; step++) {
    site.churn()
    if (step % 40 > 0) continue
    const held = site.held()
    site.round()
    t.strictSame(site.held(), held, 'nobody moved')
    counts.push(site.prefixes())
  }
  const mean = counts.slice(15).reduce((sum, count) => sum + count, 0) / 10
  t.comment(`${mean} prefixes for ${site.claims().length} blocks of ${RACKS} racks`)
  // Where what is kept ahead stays where it is, they are 80 and more.
  t.ok(mean < 65, `${mean}`)
  for (let round = 0; round < 10; round++) site.round()
  const claims = site.claims()
  site.round()
  t.strictSame(site.claims(), claims, 'it comes to rest')
})

t.test('blocks are looked at rarely: a look reads every claim', async (t) => {
  const site = new Site()
  for (let step = 0; step < 400; step++) site.churn()
  // Whoever lacks a block ahead has one then.
  site.round(0)
  const claims = site.claims()
  site.round(1.5 * IDLE_MS)
  const kept = new Set(claims.map(({ cidr }) => cidr))
  t.ok(
    site.claims().every(({ cidr }) => kept.has(cidr)),
    'between two looks nothing is claimed elsewhere',
  )
  site.round(0.5 * IDLE_MS)
  t.notOk(site.claims().every(({ cidr }) => kept.has(cidr)))
})

t.test('prefixes are counted as a switch summarises them', async (t) => {
  const chance = prng(11)
  for (let run = 0; run < 300; run++) {
    const places = Array.from({ length: 64 }, (_, place) => place).filter(() => chance.below(3) > 0)
    const cidrs = places.map((place) => prefixOf(parseIp(`10.0.0.${place * 4}`), 30))
    const shuffled = places.toReversed().map(BigInt)
    if (prefixCount(shuffled) !== summarised(cidrs).length) t.fail(`${places}`)
  }
})
