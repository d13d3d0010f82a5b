/** Octets of UPDATEs, spoilt at random: some places blindly, some with lengths that agree again. */
import type { Prng } from '../../../src/prng.ts'

type Chance = Pick<Prng, 'below'>

const TELLING = [
  0, 1, 2, 3, 4, 5, 8, 12, 14, 15, 16, 17, 18, 20, 32, 33, 64, 65, 127, 128, 129, 192, 255,
]

/** Where the attributes lie in a body; as far as the body says so. */
function attributesOf(body: Uint8Array): readonly [start: number, end: number] {
  const withdrawn = ((body[0] ?? 0) << 8) | (body[1] ?? 0)
  const start = 4 + withdrawn
  const length = ((body[start - 2] ?? 0) << 8) | (body[start - 1] ?? 0)
  return [Math.min(start, body.length), Math.min(start + length, body.length)]
}

/** The attributes' places, each with its header. */
function places(body: Uint8Array): (readonly [start: number, end: number])[] {
  const [start, end] = attributesOf(body)
  const found: (readonly [number, number])[] = []
  let at = start
  while (at + 3 <= end) {
    const isLong = ((body[at] ?? 0) & 0x10) !== 0
    const length = isLong ? ((body[at + 2] ?? 0) << 8) | (body[at + 3] ?? 0) : (body[at + 2] ?? 0)
    const next = at + (isLong ? 4 : 3) + length
    if (next > end) break
    found.push([at, next])
    at = next
  }
  return found
}

/** Replaces the attributes, and says their new length. */
function withAttributes(body: Uint8Array, attributes: readonly number[]): Uint8Array {
  const [start, end] = attributesOf(body)
  const result = Uint8Array.from([...body.subarray(0, start), ...attributes, ...body.subarray(end)])
  result[start - 2] = attributes.length >>> 8
  result[start - 1] = attributes.length & 0xff
  return result
}

/** Mostly in the attributes: a wrong length of the message, or of a prefix, hides all else. */
function somewhere(body: Uint8Array, random: Chance): number {
  const [start, end] = attributesOf(body)
  if (end <= start || random.below(8) === 0) return random.below(body.length)
  return start + random.below(end - start)
}

type Mutation = (body: Uint8Array, random: Chance, other: Uint8Array) => Uint8Array

const pick = <T>(random: Chance, values: readonly T[]): T | undefined =>
  values[random.below(Math.max(1, values.length))]

const MUTATIONS: readonly Mutation[] = [
  /** One bit. */
  (body, random) => {
    const at = somewhere(body, random)
    body[at] = (body[at] ?? 0) ^ (1 << random.below(8))
    return body
  },
  /** One octet that means something somewhere. */
  (body, random) => {
    body[somewhere(body, random)] = pick(random, TELLING) ?? 0
    return body
  },
  /** An octet of an attribute's header: flags, code or length. */
  (body, random) => {
    const [at = 0] = pick(random, places(body)) ?? []
    if (at > 0) body[at + random.below(3)] = pick(random, TELLING) ?? 0
    return body
  },
  /** Cut off, or longer. */
  (body, random) =>
    random.below(2) === 0
      ? body.slice(0, random.below(body.length + 1))
      : random.below(4) > 0
        ? body
        : Uint8Array.from([...body, random.below(256), random.below(256)]),
  /** An attribute fewer. */
  (body, random) => changed(body, random, () => []),
  /** An attribute twice. */
  (body, random) => changed(body, random, (octets) => [...octets, ...octets]),
  /** An attribute whose value is shorter or longer, and says so. */
  (body, random) =>
    changed(body, random, (octets) => {
      const head = ((octets[0] ?? 0) & 0x10) !== 0 ? 4 : 3
      const less = random.below(3)
      const value = octets.slice(head, octets.length - less)
      if (less === 0) value.push(random.below(256))
      return [octets[0] ?? 0, octets[1] ?? 0, value.length, ...value].map((o, at) =>
        at === 0 ? o & 0xef : o,
      )
    }),
  /** An attribute of another message. */
  (body, random, other) => {
    const [start = 0, end = 0] = pick(random, places(other)) ?? []
    const [from, to] = attributesOf(body)
    return withAttributes(body, [...body.subarray(from, to), ...other.subarray(start, end)])
  },
]

function changed(
  body: Uint8Array,
  random: Chance,
  change: (octets: number[]) => readonly number[],
): Uint8Array {
  const all = places(body)
  const chosen = random.below(Math.max(1, all.length))
  const [start] = attributesOf(body)
  if (start < 4 || all.length === 0) return body
  const parts = all.map(([from, to], index) => {
    const octets = [...body.subarray(from, to)]
    return index === chosen ? change(octets) : octets
  })
  return withAttributes(body, parts.flat())
}

/** One to three faults in a copy of `body`. */
export function mutate(body: Uint8Array, other: Uint8Array, random: Chance): Uint8Array {
  let result: Uint8Array = body.slice()
  for (let left = 1 + random.below(3); left > 0; left--) {
    if (result.length === 0) return result
    result = pick(random, MUTATIONS)?.(result, random, other) ?? result
  }
  return result
}
