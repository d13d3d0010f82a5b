/**
 * What a new configuration changes, and for whom a session must end because of it.
 *
 * Policies are compared by what they say, not by who they are: a file that is read
 * again gives equal ones, and peers of one policy must stay in one group.
 *
 * @module
 */
import type { Ip, Prefix } from '../../net/mod.ts'
import type { Originated, PeerConfig, SpeakerConfig } from '../config.ts'
import type { Policy } from '../policy/policy.ts'
import type { PeerPolicies } from '../rib/mod.ts'

/** Equal text means equal plain data; keys in their order. */
export function fingerprint(value: unknown): string {
  return JSON.stringify(value, (_key, each: unknown) => {
    if (typeof each === 'bigint') return `${each}n`
    if (each instanceof Uint8Array) return [...each]
    if (typeof each !== 'object' || each === null || Array.isArray(each)) return each
    return Object.fromEntries(
      Object.entries(each)
        .filter(([, member]) => member !== undefined)
        .sort(([left], [right]) => (left < right ? -1 : 1)),
    )
  })
}

/** One object for each policy that is in use, whoever says it. */
export class PolicyNames {
  #byText = new Map<string, Policy>()

  /** The peers with policies that are `===` where they say the same, also as before. */
  unify(peers: readonly PeerConfig[]): readonly PeerConfig[] {
    const before = this.#byText
    const texts = new Map<Policy, string>()
    this.#byText = new Map()
    const same = (policy: Policy): Policy => {
      let text = texts.get(policy)
      if (text === undefined) {
        text = fingerprint(policy)
        texts.set(policy, text)
      }
      const known = this.#byText.get(text) ?? before.get(text) ?? policy
      this.#byText.set(text, known)
      return known
    }
    return peers.map((peer) => ({
      ...peer,
      ...(peer.importPolicy && { importPolicy: same(peer.importPolicy) }),
      ...(peer.exportPolicy && { exportPolicy: same(peer.exportPolicy) }),
    }))
  }
}

/** What no session and no RIB survives. */
export function isAnotherSpeaker(before: SpeakerConfig, after: SpeakerConfig): boolean {
  const hard = ({ peers: _, originate: _own, gracefulShutdown: _going, ...rest }: SpeakerConfig) =>
    fingerprint(rest)
  return hard(before) !== hard(after)
}

/** Changes that a running session takes over; any other ends it. */
const SOFT = [
  'description',
  'importPolicy',
  'exportPolicy',
  'prefixesMax',
  'gracefulShutdown',
  'transparent',
  'isShutdown',
  'bfd',
] as const satisfies readonly (keyof PeerConfig)[]

export function mustRestart(before: PeerConfig, after: PeerConfig): boolean {
  const hard = (peer: PeerConfig): string =>
    fingerprint(Object.fromEntries(Object.entries(peer).filter(([key]) => !isSoft(key))))
  return hard(before) !== hard(after)
}

const isSoft = (key: string): boolean => SOFT.some((soft) => soft === key)

/** Own routes: those of the configuration, and those that come and go beside it, which hide them. */
export class OwnPrefixes {
  #configured = new Map<Prefix, Originated>()
  readonly #added = new Map<Prefix, Originated>()

  /** Another configuration: what to announce anew and what to withdraw. */
  configure(routes: readonly Originated[]): Changed {
    const before = this.#configured
    this.#configured = new Map(routes.map((route) => [route.prefix, route]))
    const isVisible = ({ prefix }: Originated): boolean => !this.#added.has(prefix)
    const add = [...this.#configured.values()].filter((route) => {
      const known = before.get(route.prefix)
      return isVisible(route) && (known === undefined || fingerprint(known) !== fingerprint(route))
    })
    const gone = [...before.values()].filter((route) => {
      return isVisible(route) && !this.#configured.has(route.prefix)
    })
    return { add, remove: gone.map(({ prefix }) => prefix) }
  }

  *all(): Generator<Originated> {
    yield* this.#added.values()
    for (const [prefix, route] of this.#configured) if (!this.#added.has(prefix)) yield route
  }

  change(add: readonly Originated[], remove: readonly Prefix[]): Changed {
    const announced: Originated[] = []
    const withdrawn: Prefix[] = []
    for (const prefix of remove) {
      if (!this.#added.delete(prefix)) continue
      const configured = this.#configured.get(prefix)
      if (configured === undefined) withdrawn.push(prefix)
      else announced.push(configured)
    }
    for (const route of add) {
      this.#added.set(route.prefix, route)
      announced.push(route)
    }
    return { add: announced, remove: withdrawn }
  }
}

/** To be withdrawn first. */
export interface Changed {
  readonly add: readonly Originated[]
  readonly remove: readonly Prefix[]
}

/** Of two with one address the last one counts; whoever reads a file refuses them. */
export const byAddress = (peers: readonly PeerConfig[]): ReadonlyMap<Ip, PeerConfig> =>
  new Map(peers.map((peer) => [peer.address, peer]))

/** Peers with what the speaker says for all of them. */
export function withDefaults({ peers, gracefulShutdown }: SpeakerConfig): readonly PeerConfig[] {
  if (gracefulShutdown === undefined) return peers
  return peers.map((peer) => ({ gracefulShutdown, ...peer }))
}

/** What a RIB takes over from a configuration while the session lasts. */
export function policiesOf(config: PeerConfig): PeerPolicies {
  const { importPolicy, exportPolicy, gracefulShutdown = false, transparent = false } = config
  return {
    gracefulShutdown,
    transparent,
    ...(importPolicy && { importPolicy }),
    ...(exportPolicy && { exportPolicy }),
  }
}

export function isPolicedAlike(left: PeerConfig, right: PeerConfig): boolean {
  const [ours, theirs] = [policiesOf(left), policiesOf(right)]
  return (
    ours.importPolicy === theirs.importPolicy &&
    ours.exportPolicy === theirs.exportPolicy &&
    ours.gracefulShutdown === theirs.gracefulShutdown &&
    ours.transparent === theirs.transparent
  )
}
