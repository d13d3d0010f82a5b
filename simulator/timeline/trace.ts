/**
 * Traces of pods: CSV with a header, `at_ms,action,pod,node[,network]`.
 *
 * | column  | is |
 * |---------|----|
 * | at_ms   | milliseconds after the step begins, with up to three decimals |
 * | action  | `add` or `remove` |
 * | pod     | any name; a name may come again after it was removed |
 * | node    | index, or name like node-0003; empty: the scheduler chooses; of a remove it is not read |
 * | network | empty: pods go round the networks |
 *
 * Rows need no order; those of one moment keep the file's. Fields may be quoted
 * (RFC 4180), but hold no line breaks.
 *
 * @module
 */
import { TriviumError } from '../../src/errors.ts'
import { TICKS_PER_MS } from '../clock.ts'
import { HOUR_MS, show } from '../scenario-values.ts'
import { ACTIONS_MAX } from '../scenario-workload.ts'
import { among } from '../suggest.ts'
import { nodeName, nodeNamed } from '../underlay.ts'

/** Bytes, or characters: a trace is ASCII but for names. */
export const TRACE_LENGTH_MAX = 64 * 2 ** 20
const DAY_MS = 24 * HOUR_MS
const LINE_LENGTH_MAX = 1000
/** Different ones that a trace may name. */
const NODES_MAX = 100_000
/** As a pod's in Kubernetes. */
const NAME_LENGTH_MAX = 253
const COLUMNS = ['at_ms', 'action', 'pod', 'node', 'network'] as const

export interface TraceRow {
  readonly atTick: number
  readonly action: 'add' | 'remove'
  readonly pod: string
  /** Undefined: the scheduler chooses. */
  readonly node: number | undefined
  readonly network: string | undefined
}

interface Line extends TraceRow {
  readonly line: number
}

export interface TraceOptions {
  /** Name for errors. */
  readonly file: string
  /** How many there are; or a book of any names, which takes those that it does not have. */
  readonly nodes: number | Map<string, number>
  /** Undefined: of any name. */
  readonly networks: readonly string[] | undefined
}

/**
 * Reads a trace.
 *
 * @returns rows in the order of their times.
 * @throws {TriviumError} BAD_CONFIG: `file:line: found X, wanted Y`, for the first error.
 */
export function parseTrace(text: string, options: TraceOptions): readonly TraceRow[] {
  const { file } = options
  if (text.length > TRACE_LENGTH_MAX) {
    const mib = TRACE_LENGTH_MAX / 2 ** 20
    throw bad(file, 1, `found ${text.length} characters, wanted at most ${mib} MiB`)
  }
  const rows: Line[] = []
  let columns: readonly string[] | undefined
  let line = 0
  for (let start = 0; start < text.length; ) {
    line++
    const end = endOfLine(text, start)
    if (end - start > LINE_LENGTH_MAX) {
      throw bad(file, line, `${end - start} characters, wanted at most ${LINE_LENGTH_MAX}`)
    }
    const content = text.slice(line === 1 && text.startsWith('\ufeff') ? 1 : start, end)
    start = end + 1
    const fields = fieldsOf(content.endsWith('\r') ? content.slice(0, -1) : content)
    if (fields === undefined) throw bad(file, line, 'a quote is not closed')
    if (fields.length === 1 && fields[0] === '') continue
    if (columns === undefined) {
      columns = headerOf(fields, file, line)
      continue
    }
    if (rows.length === ACTIONS_MAX) {
      throw bad(file, line, `wanted at most ${ACTIONS_MAX} rows`)
    }
    rows.push(rowOf(fields, columns.length, line, options))
  }
  if (columns === undefined) throw bad(file, 1, `found nothing, wanted ${COLUMNS.join(',')}`)
  // Stable: rows of one moment keep the file's order.
  rows.sort((left, right) => left.atTick - right.atTick)
  checkLives(rows, file)
  return rows
}

const endOfLine = (text: string, start: number): number => {
  const end = text.indexOf('\n', start)
  return end === -1 ? text.length : end
}

function headerOf(fields: readonly string[], file: string, line: number): readonly string[] {
  const found = fields.map((field) => field.trim().toLowerCase())
  const wanted = COLUMNS.slice(0, Math.max(4, found.length))
  if (found.length === wanted.length && found.every((name, at) => name === wanted[at])) return found
  throw bad(
    file,
    line,
    `found the header ${show(fields.join(','))}, wanted at_ms,action,pod,node or the same with ,network`,
  )
}

function rowOf(
  fields: readonly string[],
  columns: number,
  line: number,
  { file, nodes, networks }: TraceOptions,
): Line {
  const [at = '', action, pod = '', node = '', network = ''] = fields.map((field) => field.trim())
  const fail = (message: string): TriviumError => bad(file, line, message)
  if (fields.length !== columns) throw fail(`found ${fields.length} fields, wanted ${columns}`)
  const ms = /^\d{1,12}(\.\d{1,3})?$/.test(at) ? Number(at) : Number.NaN
  if (!(ms <= DAY_MS)) {
    throw fail(
      `at_ms: found ${show(at)}, wanted milliseconds from 0 to ${DAY_MS}, with at most 3 decimals`,
    )
  }
  if (action !== 'add' && action !== 'remove') {
    throw fail(`action: found ${show(action)}, wanted add or remove`)
  }
  if (pod === '' || pod.length > NAME_LENGTH_MAX) {
    throw fail(`pod: found ${show(pod)}, wanted a name of at most ${NAME_LENGTH_MAX} characters`)
  }
  const index = action === 'add' && node !== '' ? indexIn(nodes, node, fail) : undefined
  if (network !== '' && networks !== undefined && !networks.includes(network)) {
    throw fail(`network: no network ${show(network)}, ${among(network, networks)}`)
  }
  return {
    atTick: Math.round(ms * TICKS_PER_MS),
    action,
    pod,
    node: index,
    network: network === '' ? undefined : network,
    line,
  }
}

function indexIn(
  nodes: TraceOptions['nodes'],
  node: string,
  fail: (message: string) => TriviumError,
): number {
  if (typeof nodes === 'number') {
    const index = nodeNamed(node, nodes)
    if (index === undefined) throw fail(`node: ${unknownNode(node, nodes)}`)
    return index
  }
  const known = nodes.get(node)
  if (known !== undefined) return known
  if (node.length > NAME_LENGTH_MAX) {
    throw fail(`node: ${node.length} characters, wanted at most ${NAME_LENGTH_MAX}`)
  }
  if (nodes.size === NODES_MAX) throw fail(`node: wanted at most ${NODES_MAX} different ones`)
  nodes.set(node, nodes.size)
  return nodes.size - 1
}

/** What there is instead of a node. */
export function unknownNode(node: string | number, nodes: number): string {
  const last = nodeName(nodes - 1)
  return `no node ${show(node)}, there are ${nodes}, from 0 or ${nodeName(0)} to ${last}`
}

/** A pod is added before it is removed, and not twice. */
function checkLives(rows: readonly Line[], file: string): void {
  const lines = new Map<string, number>()
  for (const { pod, action, line } of rows) {
    const since = lines.get(pod)
    if (action === 'add') {
      if (since !== undefined) {
        throw bad(
          file,
          line,
          `pod ${show(pod)} is added a second time, wanted it removed before (line ${since} adds it)`,
        )
      }
      lines.set(pod, line)
    } else {
      if (since === undefined) {
        throw bad(file, line, `pod ${show(pod)} is removed but not there, wanted it added before`)
      }
      lines.delete(pod)
    }
  }
}

/** Fields of one line; undefined: a quote is open. */
function fieldsOf(line: string): readonly string[] | undefined {
  if (!line.includes('"')) return line.split(',')
  const fields: string[] = []
  let at = 0
  for (;;) {
    if (line[at] !== '"') {
      const end = line.indexOf(',', at)
      fields.push(line.slice(at, end === -1 ? line.length : end))
      if (end === -1) return fields
      at = end + 1
      continue
    }
    let field = ''
    for (at++; ; at++) {
      const end = line.indexOf('"', at)
      if (end === -1) return undefined
      field += line.slice(at, end)
      at = end + 1
      if (line[at] !== '"') break
      field += '"'
    }
    fields.push(field)
    if (at >= line.length) return fields
    if (line[at] !== ',') return undefined
    at++
  }
}

const bad = (file: string, line: number, message: string): TriviumError =>
  new TriviumError('BAD_CONFIG', `Cannot read trace ${file}:${line}: ${message}`)
