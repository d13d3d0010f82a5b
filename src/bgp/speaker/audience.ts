/**
 * Who hears what a RIB says: outputs become octets, and octets go to peers.
 *
 * Outputs to the same peers follow each other as a rule, so their messages are
 * gathered and leave as one piece for each encoding.
 *
 * @module
 */
import { assertNever } from '../../errors.ts'
import type { Ip } from '../../net/mod.ts'
import type { RibOutput } from '../rib/mod.ts'
import { joined } from '../wire/octets.ts'
import { encodeEndOfRib } from '../wire/pack.ts'
import { encodeRouteRefresh } from '../wire/route-refresh.ts'
import { type Encoding, messagesFor } from './outbound.ts'
import type { Peering } from './peering.ts'
import type { Scene } from './scene.ts'

interface Bucket {
  readonly encoding: Encoding
  readonly peerings: Peering[]
  messages: Uint8Array[]
}

export class Audience {
  readonly #scene: Scene
  /** Those whom the last output was for, and what waits for them. */
  #to: readonly Ip[] = []
  #buckets: readonly Bucket[] = []

  constructor(scene: Scene) {
    this.#scene = scene
  }

  say(output: RibOutput): void {
    switch (output.kind) {
      case 'routes':
        this.#scene.emit(output)
        break
      case 'update': {
        for (const bucket of this.#bucketsFor(output.to)) {
          const { messages, problem } = messagesFor(
            bucket.encoding,
            output.attributes,
            output.prefixes,
          )
          bucket.messages.push(...messages)
          if (problem === undefined) continue
          for (const peering of bucket.peerings) this.#scene.problem(peering, problem)
        }
        break
      }
      case 'end-of-rib':
      case 'begin-of-refresh':
      case 'end-of-refresh':
        this.#mark(output)
        break
      default:
        assertNever(output)
    }
  }

  /** Everything that was gathered leaves. */
  flush(): void {
    for (const bucket of this.#buckets) {
      if (bucket.messages.length === 0) continue
      const bytes = joined(bucket.messages)
      for (const peering of bucket.peerings) {
        this.#scene.send(peering, bytes, bucket.messages.length)
      }
      bucket.messages = []
    }
    this.#to = []
    this.#buckets = []
  }

  #mark({ kind, to, family }: Exclude<RibOutput, { kind: 'routes' | 'update' }>): void {
    this.flush()
    const peering = this.#scene.peerings.get(to)
    if (peering?.agreed === undefined) return
    if (kind === 'end-of-rib') this.#scene.send(peering, encodeEndOfRib(family), 1)
    else if (peering.agreed.refresh === 'enhanced') {
      const purpose = kind === 'begin-of-refresh' ? 'begin' : 'end'
      this.#scene.send(peering, encodeRouteRefresh(family, purpose), 0)
    }
  }

  #bucketsFor(to: readonly Ip[]): readonly Bucket[] {
    if (isSame(to, this.#to)) return this.#buckets
    this.flush()
    const buckets: Bucket[] = []
    for (const address of to) {
      const peering = this.#scene.peerings.get(address)
      if (peering?.encoding === undefined) continue
      const { encoding } = peering
      const bucket = buckets.find((each) => each.encoding === encoding)
      if (bucket !== undefined) bucket.peerings.push(peering)
      else buckets.push({ encoding, peerings: [peering], messages: [] })
    }
    this.#to = to
    this.#buckets = buckets
    return buckets
  }
}

const isSame = (left: readonly Ip[], right: readonly Ip[]): boolean =>
  left === right || (left.length === right.length && left.every((ip, at) => ip === right[at]))
