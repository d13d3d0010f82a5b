/**
 * Expressions in nft's words, for errors and logs. What nft would need more
 * context to name is written as nft's raw expression (`@nh,96,32`).
 *
 * @module
 */
import { formatIp } from '../../ip.ts'
import { words } from '../../route/body.ts'
import { HOST_LITTLE } from '../../writer.ts'
import { fromHex } from '../codecs.ts'
import type { BitwiseExpr } from './compare.ts'
import { FIB_TYPES, type FibExpr, type MetaExpr, type PayloadExpr } from './load.ts'
import type { Expr } from './mod.ts'
import type { NatExpr } from './nat.ts'

/** What lies in a register: words, and how a value of it reads. */
interface Loaded {
  readonly words: string
  readonly bytes: number
  format(value: Uint8Array): string
}

type Registers = Map<number, Loaded>

/** A rule's expressions, e.g. `iifname "trv*" udp dport 53 accept`. */
export function ruleText(expressions: readonly Expr[]): string {
  const registers: Registers = new Map()
  return expressions
    .map((expression) => stepText(expression, registers))
    .filter((words) => words !== '')
    .join(' ')
}

const OPS: Readonly<Record<string, string>> = {
  eq: '',
  neq: '!= ',
  lt: '< ',
  lte: '<= ',
  gt: '> ',
  gte: '>= ',
}

/** The words of one step; empty for one that only prepares the next. */
function stepText(e: Expr, registers: Registers): string {
  switch (e.type) {
    case 'meta':
      return load(registers, e.dreg, metaLoad(e))
    case 'ct':
      return load(registers, e.dreg, raw(words('ct', e.direction, e.key), 4))
    case 'payload':
      return load(registers, e.dreg, payloadLoad(e))
    case 'fib':
      return load(registers, e.dreg, fibLoad(e))
    case 'immediate':
      return load(registers, e.dreg, raw(`0x${e.value}`, e.value.length / 2))
    case 'bitwise':
      return load(registers, e.dreg ?? e.sreg, masked(take(registers, e.sreg), e))
    case 'cmp': {
      const { words, format } = registers.get(e.sreg ?? 0) ?? raw(`reg ${e.sreg ?? 0}`, 4)
      return `${words} ${OPS[e.op] ?? '? '}${format(fromHex(e.value, 'value'))}`
    }
    case 'range': {
      const { words, format } = take(registers, e.sreg)
      const ends = [e.from, e.to].map((end) => format(fromHex(end, 'value')))
      return `${words} ${OPS[e.op] ?? '? '}${ends.join('-')}`
    }
    case 'lookup': {
      const key = takeAll(registers, e.sreg).join(' . ')
      if (e.verdict === true) return `${key} vmap @${e.set}`
      if (e.dreg === undefined) return `${key} ${e.inverted === true ? '!= ' : ''}@${e.set}`
      return load(registers, e.dreg, raw(`${key} map @${e.set}`, 4))
    }
    default:
      return actionText(e, registers)
  }
}

type Action = Exclude<
  Expr,
  {
    type: 'meta' | 'ct' | 'payload' | 'fib' | 'immediate' | 'bitwise' | 'cmp' | 'range' | 'lookup'
  }
>

function actionText(e: Action, registers: Registers): string {
  switch (e.type) {
    case 'verdict':
      return e.chain === undefined ? `${e.verdict}` : `${e.verdict} ${e.chain}`
    case 'metaSet':
      return `meta ${e.key} set ${take(registers, e.sreg).words}`
    case 'ctSet':
      return `ct ${e.key} set ${take(registers, e.sreg).words}`
    case 'payloadSet':
      return `${payloadLoad({ ...e, type: 'payload' }).words} set ${take(registers, e.sreg).words}`
    case 'masq':
      return ['masquerade', ...(e.flags ?? [])].join(' ')
    case 'redir':
      return ['redirect', ...portWords(registers, e.port), ...(e.flags ?? [])].join(' ')
    case 'snat':
    case 'dnat':
      return natText(e, registers)
    case 'log':
      return e.prefix === undefined ? 'log' : `log prefix "${e.prefix}"`
    case 'limit':
      return `limit rate ${e.inverted === true ? 'over ' : ''}${e.rate}/${e.unitSeconds}s`
    case 'reject':
      return e.with === 'tcpReset' ? 'reject with tcp reset' : `reject with ${e.with} ${e.code}`
    case 'unknown':
      return `{ ${e.name} }`
    default:
      return e.type
  }
}

function natText(
  { type, family, address, port, flags = [] }: NatExpr,
  registers: Registers,
): string {
  const to = address === undefined ? [] : [take(registers, address).words]
  return [type, family, 'to', ...to, ...portWords(registers, port), ...flags].join(' ')
}

const portWords = (registers: Registers, port: number | undefined): readonly string[] =>
  port === undefined ? [] : [`:${take(registers, port).words}`]

function load(registers: Registers, dreg: number | undefined, loaded: Loaded): string {
  registers.set(dreg ?? 0, loaded)
  return ''
}

function take(registers: Registers, sreg = 0): Loaded {
  const found = registers.get(sreg) ?? raw(`reg ${sreg}`, 4)
  registers.delete(sreg)
  return found
}

/** The fields of a concatenation, one register behind the other. */
function takeAll(registers: Registers, sreg = 0): readonly string[] {
  const fields: string[] = []
  for (let at = sreg; registers.has(at); ) {
    const { words, bytes } = take(registers, at)
    fields.push(words)
    at += Math.max(1, Math.ceil(bytes / 4))
  }
  return fields
}

const raw = (words: string, bytes: number): Loaded => ({ words, bytes, format: hexNumber })

const hexNumber = (value: Uint8Array): string =>
  `0x${[...value].map((byte) => byte.toString(16).padStart(2, '0')).join('')}`

const decimal = (value: Uint8Array): string => `${value.reduce((n, byte) => n * 256 + byte, 0)}`

function hostNumber(value: Uint8Array): number | undefined {
  if (value.length !== 4) return undefined
  return new DataView(value.buffer, value.byteOffset, 4).getUint32(0, HOST_LITTLE)
}

const NAMES = new Set(['iifname', 'oifname', 'ibrname', 'obrname', 'iifkind', 'oifkind'])
const BARE = new Set(['iifname', 'oifname', 'iif', 'oif', 'iifgroup', 'oifgroup'])

function metaLoad({ key }: MetaExpr): Loaded {
  const words = BARE.has(`${key}`) ? `${key}` : `meta ${key}`
  if (NAMES.has(`${key}`)) return { words, bytes: 16, format: name }
  if (key === 'nfproto') return { words, bytes: 1, format: ([n]) => NFPROTOS[n!] ?? `${n}` }
  if (key === 'l4proto') return { words, bytes: 1, format: ([n]) => L4PROTOS[n!] ?? `${n}` }
  if (key === 'protocol') return { words, bytes: 2, format: hexNumber }
  return { words, bytes: 4, format: (value) => `${hostNumber(value) ?? hexNumber(value)}` }
}

const NFPROTOS: Readonly<Record<number, string>> = { 2: 'ipv4', 10: 'ipv6' }
const L4PROTOS: Readonly<Record<number, string>> = {
  1: 'icmp',
  6: 'tcp',
  17: 'udp',
  58: 'ipv6-icmp',
  132: 'sctp',
}

function name(value: Uint8Array): string {
  const end = value.indexOf(0)
  const text = new TextDecoder().decode(end < 0 ? value : value.subarray(0, end))
  return end < 0 && value.length < 16 ? `"${text}*"` : `"${text}"`
}

const masked = (from: Loaded, { mask, xor }: BitwiseExpr): Loaded => {
  const and = `${from.words} & 0x${mask}`
  return { ...from, words: xor === undefined ? and : `(${and}) ^ 0x${xor}` }
}

const fibLoad = ({ flags, result }: FibExpr): Loaded => ({
  words: `fib ${flags.join(' . ')} ${result}`,
  bytes: 4,
  format: (value) => {
    const type = hostNumber(value)
    return Object.entries(FIB_TYPES).find(([, n]) => n === type)?.[0] ?? hexNumber(value)
  },
})

const HEADERS: readonly (readonly [base: string, offset: number, bytes: number, words: string])[] =
  [
    ['network', 12, 4, 'ip saddr'],
    ['network', 16, 4, 'ip daddr'],
    ['network', 9, 1, 'ip protocol'],
    ['network', 8, 16, 'ip6 saddr'],
    ['network', 24, 16, 'ip6 daddr'],
    ['transport', 0, 2, 'th sport'],
    ['transport', 2, 2, 'th dport'],
    ['link', 0, 6, 'ether daddr'],
    ['link', 6, 6, 'ether saddr'],
    ['link', 12, 2, 'ether type'],
  ]
const BASE_WORDS: Readonly<Record<string, string>> = {
  link: 'll',
  network: 'nh',
  transport: 'th',
  inner: 'ih',
}

function payloadLoad({ base, offset, length }: PayloadExpr): Loaded {
  const header = HEADERS.find(([b, o, n]) => b === base && o === offset && n >= length)
  const words = `@${BASE_WORDS[base] ?? base},${offset * 8},${length * 8}`
  if (header === undefined) return raw(words, length)
  const [, , bytes, known] = header
  if (known.startsWith('th')) return { words: known, bytes, format: decimal }
  if (!known.endsWith('addr') || bytes === 6) {
    return length === bytes ? raw(known, bytes) : raw(words, length)
  }
  return { words: known, bytes: length, format: (value) => addressText(value, bytes) }
}

/** A value shorter than an address is a prefix of whole bytes. */
function addressText(value: Uint8Array, bytes: number): string {
  if (value.length > bytes) return hexNumber(value)
  const whole = new Uint8Array(bytes)
  whole.set(value)
  return value.length === bytes ? formatIp(whole) : `${formatIp(whole)}/${value.length * 8}`
}
