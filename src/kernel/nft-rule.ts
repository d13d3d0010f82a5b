/**
 * The part of nft's language that our rules are written in, as expressions.
 *
 * A rule is a row of matches and one decision. A match compares one field with a
 * literal, or looks a field or a concatenation up in a set.
 *
 * @module
 */
import { nft } from 'netlink-ts'
import { invariant } from '../errors.ts'
import { PORT_RULES } from './nft-ports.ts'

const { action, exprs, match, verdict } = nft
type Exprs = nft.Exprs
type MatchField = nft.MatchField

/** nft's words for fields, and the library's. */
const FIELDS: Readonly<Record<string, MatchField>> = {
  iifname: 'iifname',
  oifname: 'oifname',
  'ip saddr': 'ipSaddr',
  'ip daddr': 'ipDaddr',
  'ip6 saddr': 'ip6Saddr',
  'ip6 daddr': 'ip6Daddr',
  'meta l4proto': 'l4proto',
  'th dport': 'thDport',
}

const field = `(?:${Object.keys(FIELDS).join('|')})`

/** ICMPv6 type 134. Source: RFC 4861 section 4.2. */
const ND_ROUTER_ADVERT = '86'

interface Term {
  readonly pattern: RegExp
  compile(groups: readonly (string | undefined)[]): Exprs
}

const TERMS: readonly Term[] = [
  { pattern: /^iifname "([^"]+)"/, compile: ([name = '']) => match.iifname(name) },
  { pattern: /^udp dport \. vni @(\w+)/, compile: ([set = '']) => tunnelLookup(set) },
  {
    pattern: new RegExp(`^(${field}(?: \\. ${field})*) (!= )?@(\\w+)`),
    compile: ([fields = '', not, set = '']) =>
      match.lookup(
        fields.split(' . ').map((word) => FIELDS[word] as MatchField),
        set,
        not === undefined ? {} : { inverted: true },
      ),
  },
  {
    pattern: /^(ip6?) ([sd]addr) (!= )?([0-9a-f.:/]+)/,
    compile: ([ip, which, not, address = '']) => {
      const six = ip === 'ip6'
      const source = which === 'saddr'
      const name = six ? (source ? 'ip6Saddr' : 'ip6Daddr') : source ? 'ipSaddr' : 'ipDaddr'
      return match[name](address, not === undefined ? 'eq' : 'neq')
    },
  },
  {
    pattern: /^ct state established,related/,
    compile: () => match.ctState('established', 'related'),
  },
  {
    pattern: /^icmpv6 type nd-router-advert/,
    compile: () => [
      ...match.l4proto('icmpv6'),
      { type: 'payload', base: 'transport', offset: 0, length: 1 },
      { type: 'cmp', op: 'eq', value: ND_ROUTER_ADVERT },
    ],
  },
  { pattern: /^masquerade fully-random/, compile: () => action.masquerade('fully-random') },
  { pattern: /^masquerade/, compile: () => action.masquerade() },
  { pattern: /^accept/, compile: () => verdict.accept },
  { pattern: /^drop/, compile: () => verdict.drop },
]

/**
 * UDP port and VNI: the third 32-bit word behind the UDP header's first, whose
 * last byte is reserved. Source: RFC 7348 section 5.
 */
function tunnelLookup(set: string): Exprs {
  return [
    ...match.l4proto('udp'),
    { type: 'payload', base: 'transport', offset: 2, length: 2 },
    { type: 'payload', base: 'transport', offset: 12, length: 4, dreg: 1 },
    { type: 'bitwise', mask: 'ffffff00', sreg: 1 },
    { type: 'lookup', set },
  ]
}

/** A rule's expressions. */
export function compileRule(text: string): Exprs {
  const whole = PORT_RULES.get(text)
  if (whole !== undefined) return whole
  const parts: Exprs[] = []
  for (let rest = text; rest !== ''; ) {
    const [found, term] = firstTerm(rest)
    invariant(term !== undefined && found !== null, `a rule of known terms: ${rest}`)
    parts.push(term.compile(found.slice(1)))
    rest = rest.slice(found[0].length).trimStart()
  }
  return exprs(...parts)
}

function firstTerm(text: string): readonly [RegExpExecArray | null, Term | undefined] {
  for (const term of TERMS) {
    const found = term.pattern.exec(text)
    if (found !== null) return [found, term]
  }
  return [null, undefined]
}
