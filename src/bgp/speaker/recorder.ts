/**
 * Everything that a speaker was told, with the moment, as a stream of octets; and the
 * same speaker again from it. A speaker's effects follow from its inputs, so whatever
 * it did on a host can be looked at elsewhere, step by step.
 *
 * A record is its length (32 bits), its kind (8), the instant in ms (a double), and:
 *
 *     options    JSON, first of all
 *     received   octets of the peer's address (8 bits), the address, the connection
 *                (32), what came over it
 *     input      JSON: any other
 *     wake, turn nothing
 *     cost       JSON: what the IGP said of a next hop while the record before was taken
 *
 * Passwords are in it as they are in the configuration.
 *
 * @module
 */
import { invariant, TriviumError } from '../../errors.ts'
import type { Instant } from '../../machine.ts'
import type { Ip } from '../../net/mod.ts'
import {
  createSpeaker,
  type Speaker,
  type SpeakerEffect,
  type SpeakerInput,
  type SpeakerOptions,
} from '../speaker.ts'

const KINDS = ['options', 'received', 'input', 'wake', 'turn', 'cost'] as const
type Kind = (typeof KINDS)[number]

/** Kind and instant. */
const HEAD_OCTETS = 9
/** A configuration of thousands of peers has some megabytes. */
const RECORD_OCTETS_MAX = 1 << 28

/** A speaker that writes down what it is told. `write` gets whole records, which are its own. */
export function createRecordedSpeaker(
  options: SpeakerOptions,
  write: (record: Uint8Array) => void,
): Speaker {
  const { costOf, ...plain } = options
  let at = 0 as Instant
  const say = (kind: Kind, now: Instant, body: Uint8Array = NOTHING): void => {
    at = now
    write(recordOf(kind, now, body))
  }
  say('options', 0 as Instant, jsonOctets(plain))
  const speaker = createSpeaker({
    ...plain,
    ...(costOf && {
      costOf(nextHop: Ip) {
        const cost = costOf(nextHop)
        say('cost', at, jsonOctets([nextHop, cost ?? null]))
        return cost
      },
    }),
  })
  const recorded: Pick<Speaker, 'handle' | 'wake'> = {
    handle(input, now) {
      if (input.kind === 'turn.given') say('turn', now)
      else if (input.kind === 'session' && input.input.kind === 'received') {
        say('received', now, receivedOctets(input.peer, input.input))
      } else say('input', now, jsonOctets(input))
      return speaker.handle(input, now)
    },
    wake(now) {
      say('wake', now)
      return speaker.wake(now)
    },
  }
  // Questions go to the speaker itself.
  return Object.assign(Object.create(speaker) as Speaker, recorded)
}

export interface Replayed {
  readonly now: Instant
  /** Undefined: it was woken. */
  readonly input: SpeakerInput | undefined
  readonly effects: readonly SpeakerEffect[]
  readonly speaker: Speaker
}

/**
 * A speaker again, a step for each thing that it was told. A stream that breaks off in
 * a record, as after a crash, ends before it.
 *
 * @throws {TriviumError} BAD_JSON: it is no such stream.
 */
export function* replay(stream: Uint8Array): Generator<Replayed> {
  const records = [...recordsOf(stream)]
  const [first] = records
  if (first?.kind !== 'options') throw damaged('it does not begin with options')
  /** What the IGP says while the step at hand is taken. */
  let costs: readonly (readonly [nextHop: Ip, cost: number | null])[] = []
  let asked = 0
  const speaker = createSpeaker({
    ...(jsonOf(first.body) as SpeakerOptions),
    ...(records.some(({ kind }) => kind === 'cost') && {
      costOf(nextHop: Ip) {
        const answer = costs[asked++]
        invariant(answer?.[0] === nextHop, `the cost of ${nextHop} was not asked for here`)
        return answer[1] ?? undefined
      },
    }),
  })
  for (let index = 1; index < records.length; ) {
    const { kind, now, body } = records[index++]!
    const from = index
    while (records[index]?.kind === 'cost') index++
    costs = records.slice(from, index).map((each) => jsonOf(each.body) as [Ip, number | null])
    asked = 0
    if (kind === 'wake') yield { now, input: undefined, effects: speaker.wake(now), speaker }
    else {
      const input = inputOf(kind, body)
      yield { now, input, effects: speaker.handle(input, now), speaker }
    }
  }
}

const NOTHING = new Uint8Array(0)

function recordOf(kind: Kind, now: Instant, body: Uint8Array): Uint8Array {
  const record = new Uint8Array(4 + HEAD_OCTETS + body.length)
  const view = new DataView(record.buffer)
  view.setUint32(0, HEAD_OCTETS + body.length)
  view.setUint8(4, KINDS.indexOf(kind))
  view.setFloat64(5, now)
  record.set(body, 4 + HEAD_OCTETS)
  return record
}

interface Record {
  readonly kind: Kind
  readonly now: Instant
  readonly body: Uint8Array
}

function* recordsOf(stream: Uint8Array): Generator<Record> {
  const view = new DataView(stream.buffer, stream.byteOffset, stream.byteLength)
  for (let at = 0; at + 4 <= stream.length; ) {
    const length = view.getUint32(at)
    if (length < HEAD_OCTETS || length > RECORD_OCTETS_MAX) {
      throw damaged(`a record of ${length} octets at ${at}`)
    }
    if (at + 4 + length > stream.length) return
    const kind = KINDS[view.getUint8(at + 4)]
    if (kind === undefined) throw damaged(`a record of kind ${view.getUint8(at + 4)} at ${at}`)
    const now = view.getFloat64(at + 5) as Instant
    yield { kind, now, body: stream.slice(at + 4 + HEAD_OCTETS, at + 4 + length) }
    at += 4 + length
  }
}

type Received = Extract<
  Extract<SpeakerInput, { kind: 'session' }>['input'],
  { readonly kind: 'received' }
>

function receivedOctets(peer: Ip, { connection, bytes }: Received): Uint8Array {
  const address = new TextEncoder().encode(peer)
  const body = new Uint8Array(1 + address.length + 4 + bytes.length)
  body[0] = address.length
  body.set(address, 1)
  new DataView(body.buffer).setUint32(1 + address.length, connection)
  body.set(bytes, 5 + address.length)
  return body
}

function inputOf(kind: Kind, body: Uint8Array): SpeakerInput {
  if (kind === 'turn') return { kind: 'turn.given' }
  if (kind === 'input') return jsonOf(body) as SpeakerInput
  if (kind !== 'received') throw damaged(`${kind} in the place of an input`)
  const end = 1 + (body[0] ?? 0)
  if (end + 4 > body.length) throw damaged('a record of what was received is cut off')
  const peer = new TextDecoder().decode(body.subarray(1, end)) as Ip
  const connection = new DataView(body.buffer, body.byteOffset).getUint32(end)
  const input = { kind: 'received', connection, bytes: body.slice(end + 4) } as const
  return { kind: 'session', peer, input }
}

/** JSON has neither: `{"$n":"18446744073709551615"}`, `{"$b":[1,2]}`. */
function jsonOctets(value: unknown): Uint8Array {
  const text = JSON.stringify(value, (_key, each: unknown) => {
    if (typeof each === 'bigint') return { $n: String(each) }
    return each instanceof Uint8Array ? { $b: [...each] } : each
  })
  return new TextEncoder().encode(text)
}

function jsonOf(body: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(body), (_key, each: unknown) => {
      if (typeof each !== 'object' || each === null) return each
      if ('$n' in each) return BigInt(String(each.$n))
      return '$b' in each ? Uint8Array.from(each.$b as number[]) : each
    })
  } catch (thrown) {
    throw damaged((thrown as Error).message)
  }
}

const damaged = (reason: string): TriviumError =>
  new TriviumError('BAD_JSON', `Cannot replay a speaker: ${reason}`)
