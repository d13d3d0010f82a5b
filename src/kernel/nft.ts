/**
 * Our nftables tables: operations as requests, dumps as kernel objects.
 *
 * Still pure: it builds and reads messages; `live` moves the bytes.
 *
 * @module
 */
import { nft } from 'netlink-ts'
import { assertNever, unreachable } from '../errors.ts'
import { NFT_RULES, NFT_SETS } from './firewall.ts'
import { NFT_PLACES, type NftPlace, nftPlace, PORT_RULES, PORT_SETS } from './nft-ports.ts'
import { compileRule } from './nft-rule.ts'
import { type KernelOp, subjectOf } from './op.ts'
import {
  isNft,
  type NftChain,
  type NftElement,
  type NftKeyType,
  type NftObject,
  type NftSet,
} from './state.ts'

/** Requests for operations, to be sent as one transaction. Elements of one set share a request. */
export function nftRequests(ops: readonly KernelOp[]): readonly nft.NftRequest[] {
  const requests: nft.NftRequest[] = []
  for (let start = 0; start < ops.length; ) {
    const end = runEnd(ops, start)
    requests.push(...requestsOf(ops.slice(start, end)))
    start = end
  }
  return requests
}

/** Elements go in bulk: same verb, same set. */
function runEnd(ops: readonly KernelOp[], start: number): number {
  const first = runKey(ops[start])
  let end = start + 1
  while (first !== undefined && end < ops.length && runKey(ops[end]) === first) end += 1
  return end
}

function runKey(op: KernelOp | undefined): string | undefined {
  if (op === undefined) return undefined
  const object = subjectOf(op)
  return object.kind === 'nft-element' ? `${op.kind} ${object.set}` : undefined
}

function requestsOf(ops: readonly KernelOp[]): readonly nft.NftRequest[] {
  const [op] = ops
  const object = op && subjectOf(op)
  if (op === undefined || object === undefined || !isNft(object))
    return unreachable('only operations on nftables')
  const gone = op.kind === 'remove'
  switch (object.kind) {
    case 'nft-table': {
      const ref = { family: nftPlace(object).family, name: object.name }
      return [gone ? nft.table.remove(ref) : nft.table.add(ref)]
    }
    case 'nft-set':
      return [
        gone
          ? nft.set.remove({ ...nftPlace(object), name: object.name })
          : nft.set.add(setSpec(object)),
      ]
    case 'nft-element':
      return [elementRequest(ops, object.set, gone)]
    case 'nft-chain':
      return chainRequests(op, object)
    default:
      return assertNever(object)
  }
}

function setSpec(set: NftSet): nft.SetSpec {
  const { name, key, interval } = set
  return { ...nftPlace(set), name, ...shapeOf(key, interval) }
}

function shapeOf(key: string, interval: boolean): nft.SetShape {
  const types = (key.split(' . ') as NftKeyType[]).map((type) => (type === 'vni' ? 'mark' : type))
  return interval ? { key: types, flags: ['interval'] } : { key: types }
}

const SETS = new Map([...NFT_SETS, ...PORT_SETS].map((set) => [set.name, set]))

function elementRequest(ops: readonly KernelOp[], set: string, gone: boolean): nft.NftRequest {
  const spec = elementSpec(
    set,
    ops.map((op) => subjectOf(op) as NftElement),
  )
  return gone ? nft.element.remove(spec) : nft.element.add(spec)
}

function elementSpec(set: string, elements: readonly NftElement[]): nft.ElementSpec {
  const known = SETS.get(set)
  if (known === undefined) return unreachable(`a set of ours: ${set}`)
  const types = known.key.split(' . ') as NftKeyType[]
  const keys = elements.map((element) => fieldsOf(element, types))
  return { ...nftPlace(known), set, ...shapeOf(known.key, known.interval), elements: keys }
}

/** Requests that remove those of the elements that are there; since Linux 6.3. */
export const destroyElements = (elements: readonly NftElement[]): readonly nft.NftRequest[] =>
  elements.map((element) => nft.element.destroy(elementSpec(element.set, [element])))

const PROTOCOLS: Readonly<Record<string, number>> = { tcp: 6, udp: 17, sctp: 132 }
const PROTOCOL_NAMES = new Map(Object.entries(PROTOCOLS).map(([name, number]) => [number, name]))

function fieldsOf({ key }: NftElement, types: readonly NftKeyType[]): readonly nft.Field[] {
  return key.split(' . ').map((word, index) => {
    switch (types[index]) {
      case 'vni':
        return swapped(Number(word) * 256)
      case 'inet_service':
        return Number(word)
      case 'inet_proto':
        return PROTOCOLS[word] ?? Number(word)
      default:
        return word
    }
  })
}

function wordOf(field: nft.Field, type: NftKeyType | undefined): string {
  if (typeof field === 'object') return `${field.from}-${field.to}`
  if (type === 'vni' && typeof field === 'number') return String(swapped(field) / 256)
  if (type === 'inet_proto') return PROTOCOL_NAMES.get(Number(field)) ?? String(field)
  return String(field)
}

/** A mark is a number in the machine's order, a header's field is not. */
function swapped(value: number): number {
  const bytes = new DataView(new ArrayBuffer(4))
  bytes.setUint32(0, value)
  return new Uint32Array(bytes.buffer)[0] ?? 0
}

/**
 * The chain is emptied and filled in the same transaction, so it never stands
 * half. One that hangs elsewhere is made anew: the kernel moves no base chain.
 */
function chainRequests(op: KernelOp, chain: NftChain): readonly nft.NftRequest[] {
  const place = nftPlace(chain)
  const ref = { ...place, name: chain.name }
  const away = [nft.chain.flush(ref), nft.chain.remove(ref)]
  if (op.kind === 'remove') return away
  const { name, type, hook, priority, rules } = chain
  const from = op.kind === 'change' && op.from.kind === 'nft-chain' ? op.from : chain
  const moves = from.type !== type || from.hook !== hook || from.priority !== priority
  return [
    ...(moves ? away : []),
    nft.chain.add({ ...place, name, type, hook, priority, policy: 'accept' }),
    nft.chain.flush(ref),
    ...rules
      .split('\n')
      .map((text) =>
        nft.rule.add({ ...place, chain: name, expressions: compileRule(text), comment: undefined }),
      ),
  ]
}

/** Reads our tables, of one moment; nothing when there is none. */
export function readNft(conn: nft.NftConn): readonly NftObject[] {
  return conn.snapshot(() => {
    const found: NftObject[] = []
    const reading = readTables()
    let step = reading.next()
    while (step.done !== true) {
      const { value } = step
      if (value.kind === 'objects') found.push(...value.objects)
      step = reading.next(value.kind === 'dump' ? conn.dump(value.request) : [])
    }
    return found
  }).value
}

/** What a reading does next: it asks for rows and goes on with them, or hands over some objects. */
export type NftReadStep =
  | { readonly kind: 'dump'; readonly request: nft.NftDump<unknown> }
  | { readonly kind: 'objects'; readonly objects: readonly NftObject[] }

type NftReading<T> = Generator<NftReadStep, T, readonly unknown[]>

/** Objects that are handed over together. */
const PIECE_OBJECTS = 64

/** Reads our tables; who drives it may do something else after every step, and looks whether it changed. */
export function* readTables(): NftReading<void> {
  for (const place of NFT_PLACES) yield* readTable(place)
}

function* readTable(place: NftPlace): NftReading<void> {
  const { family, table } = place
  const tables = yield* rowsOf(nft.table.list({ family }))
  if (!tables.some(({ name }) => name === table)) return
  const found = yield* rowsOf(nft.set.list(place))
  const rules = yield* rowsOf(nft.rule.list(place))
  yield { kind: 'objects', objects: [{ kind: 'nft-table', name: table }] }
  // An object is known by its name alone: what is named as if it were in the other table is left out.
  const isHere = (object: NftObject): boolean => nftPlace(object).table === table
  const sets = found.filter((set) => isHere(setObject(set)))
  yield { kind: 'objects', objects: sets.map(setObject) }
  // Elements of a stranger's set go with the set.
  for (const set of sets) if (SETS.has(set.name)) yield* elementsOf(set, place)
  for (const chain of yield* rowsOf(nft.chain.list(place))) {
    yield { kind: 'objects', objects: chainObject(chain, rules).filter(isHere) }
  }
}

function* rowsOf<T>(request: nft.NftDump<T>): NftReading<readonly T[]> {
  return (yield { kind: 'dump', request }) as readonly T[]
}

function setObject({ name, key, flags = [] }: nft.NftSet): NftSet {
  const known = SETS.get(name)
  const words = key.map(String).join(' . ')
  // The kernel does not know our name for a VNI.
  const same = known?.key.replaceAll('vni', 'mark') === words
  return {
    kind: 'nft-set',
    name,
    key: same && known !== undefined ? known.key : words,
    interval: flags.includes('interval'),
  }
}

function* elementsOf(set: nft.NftSet, place: NftPlace): NftReading<void> {
  const { name, key, flags } = set
  const shape = flags === undefined ? { key } : { key, flags }
  const types = SETS.get(name)?.key.split(' . ') as NftKeyType[] | undefined
  const elements = yield* rowsOf(nft.element.list({ ...place, set: name, ...shape }))
  const objectOf = (element: nft.Element): NftElement => {
    const fields = 'data' in element ? element.key : element
    const words = (fields as readonly nft.Field[]).map((field, index) =>
      wordOf(field, types?.[index]),
    )
    return { kind: 'nft-element', set: name, key: words.join(' . ') }
  }
  for (let start = 0; start < elements.length; start += PIECE_OBJECTS) {
    const objects = elements.slice(start, start + PIECE_OBJECTS).map(objectOf)
    yield { kind: 'objects', objects }
  }
}

/** Compiled on first use: a process that lives for one call does without. */
let known: ReadonlyMap<string, string> | undefined
const knownRules = (): ReadonlyMap<string, string> =>
  (known ??= new Map(
    [...NFT_RULES, ...PORT_RULES.keys()].map((text) => [JSON.stringify(compileRule(text)), text]),
  ))

/** Chains of ours are base chains with policy accept; any other reads as one that differs. */
function chainObject(chain: nft.Chain, rules: readonly nft.Rule[]): readonly NftChain[] {
  const { name, type, hook, priority = 0, policy } = chain
  const own = rules.filter((rule) => rule.chain === name)
  const lines = own.map(
    ({ expressions }) => knownRules().get(JSON.stringify(expressions)) ?? strange(expressions),
  )
  return [
    {
      kind: 'nft-chain',
      name,
      type: type === 'nat' ? 'nat' : 'filter',
      hook: hook as NftChain['hook'],
      priority,
      rules: [...(policy === 'accept' ? [] : [`unknown policy ${policy}`]), ...lines].join('\n'),
    },
  ]
}

const strange = (expressions: nft.Exprs): string => `unknown ${nft.ruleText(expressions)}`
