/**
 * Policy rules: which routing table a packet is looked up in.
 *
 * Rules are asked in the order of their priority, the lowest first. What a rule
 * does not name it does not care about.
 *
 * Source: include/uapi/linux/fib_rules.h, struct fib_rule_hdr and FRA_*;
 * net/core/fib_rules.c, v6.12.
 *
 * @module
 */
import { readAttrs, writeAttrs } from '../attrs.ts'
import { inRange, namesOf, numberOf } from '../codecs.ts'
import { DecodeError } from '../errors.ts'
import { ADDRESS_BYTES, familyOf, formatPrefix, type IpFamily, parsePrefix } from '../ip.ts'
import { type Message, NLM_F } from '../message.ts'
import { changeRequest, type DumpRequest, dumpRequest, type Request } from '../request.ts'
import { HOST_LITTLE, type Writer } from '../writer.ts'
import { bodyOf, present } from './body.ts'
import { AF, afOf, ipFamilyOf, RTM, routeTable } from './constants.ts'
import { FRA_DST, FRA_SRC, type NumberRange, ruleAttrs } from './rule-attrs.ts'
import { ruleText } from './rule-text.ts'

/** Bytes of struct fib_rule_hdr: family, dst_len, src_len, tos, table, 2 reserved, action u8; flags u32. */
const RULE_BYTES = 12
const FIB_RULE_INVERT = 2
const U8_MAX = 255
const NO_SUPPRESSION = 0xffff_ffff

/** What happens to a packet that fits. Source: fib_rules.h, FR_ACT_*. */
const ACTIONS = {
  unspec: 0,
  table: 1,
  goto: 2,
  nop: 3,
  blackhole: 6,
  unreachable: 7,
  prohibit: 8,
} as const

/** An action's name, or its number when it has none. */
export type RuleAction = keyof typeof ACTIONS | number

/** What a rule says: the same words when asked for and when read. */
interface RuleFields {
  readonly family: IpFamily
  /** Source prefix. */
  readonly from?: string | undefined
  /** Destination prefix. */
  readonly to?: string | undefined
  /** Name of the link that packets come in by. */
  readonly iif?: string | undefined
  /** Name of the link that local sockets are bound to. */
  readonly oif?: string | undefined
  readonly fwmark?: number | undefined
  /** Bits of the mark that count. @default all of them */
  readonly fwmask?: number | undefined
  readonly tos?: number | undefined
  /** Transport protocol, IPPROTO_*: 6 = TCP, 17 = UDP. */
  readonly ipProtocol?: number | undefined
  /** Source ports; wants `ipProtocol`. */
  readonly sport?: NumberRange | undefined
  /** Destination ports; wants `ipProtocol`. */
  readonly dport?: NumberRange | undefined
  /** User ids of local sockets. */
  readonly uidRange?: NumberRange | undefined
  /** Tunnel metadata's id. */
  readonly tunId?: number | undefined
  /** Look up in the table of the packet's VRF. */
  readonly l3mdev?: boolean | undefined
  /** The rule is for what does not fit the above. */
  readonly not?: boolean | undefined
  /** Routes with prefixes this short or shorter do not count: 0 hides default routes. */
  readonly suppressPrefixLength?: number | undefined
  /** Priority of the rule to go on with. */
  readonly goto?: number | undefined
}

/** A rule to add or remove. */
export interface RuleSpec extends RuleFields {
  /** @default one before the lowest there is, 0 excepted; for `remove`, any */
  readonly priority?: number | undefined
  /** @default 254, main, for the action `table`; for `remove`, any */
  readonly table?: number | undefined
  /** @default `goto` with a `goto`, otherwise `table`; for `remove`, any */
  readonly action?: RuleAction | undefined
  /** Who installs it, 0..255; see `routeProtocol`. @default 0, as iproute2; for `remove`, any */
  readonly protocol?: number | undefined
}

/** A rule as the kernel reports it. */
export interface Rule extends RuleFields {
  readonly priority: number
  readonly action: RuleAction
  /** 0 when the action needs none. */
  readonly table: number
  readonly protocol: number
}

/** Adds a rule; EEXIST when the same one is there. */
const add = (spec: RuleSpec): Request => change('add', spec)

/** Removes the first rule that has everything `spec` says; ENOENT when there is none. */
const remove = (spec: RuleSpec): Request => change('delete', spec)

/** Which rules to read. */
export interface RuleFilter {
  /** @default both */
  readonly family?: IpFamily | undefined
}

/** Reads rules, of each family in the order they are asked. */
function list({ family }: RuleFilter = {}): DumpRequest<Rule> {
  return dumpRequest(
    RTM.getRule,
    (out) => {
      const at = out.reserve(RULE_BYTES)
      out.view.setUint8(at, family === undefined ? AF.unspec : afOf(family))
    },
    {
      text: family === 6 ? '-6 rule show' : 'rule show',
      missing: ['EAFNOSUPPORT'],
      decode: decodeRule,
    },
  )
}

/** Requests about policy rules. */
export const rule = { add, remove, list } as const

/**
 * Reads RTM_NEWRULE and RTM_DELRULE of IPv4 and IPv6; undefined for any other message.
 *
 * @throws {DecodeError} The bytes break the format.
 */
export function decodeRule(message: Message): Rule | undefined {
  if (message.type !== RTM.newRule && message.type !== RTM.delRule) return undefined
  const view = bodyOf(message, 'struct fib_rule_hdr', RULE_BYTES)
  const family = ipFamilyOf(view.getUint8(0))
  if (family === undefined) return undefined
  const attrs = readAttrs(ruleAttrs, view, RULE_BYTES, view.byteLength)
  const { priority = 0, protocol = 0, table = view.getUint8(4), ...rest } = attrs
  const { dst, src, l3mdev, suppressPrefixLength, ...plain } = rest
  const tos = view.getUint8(3)
  return present({
    ...plain,
    family,
    priority,
    action: ACTION_NAMES.get(view.getUint8(7)) ?? view.getUint8(7),
    table,
    protocol,
    from: prefixOf(family, src, view.getUint8(2), 'src_len'),
    to: prefixOf(family, dst, view.getUint8(1), 'dst_len'),
    tos: tos === 0 ? undefined : tos,
    l3mdev: l3mdev ? true : undefined,
    not: (view.getUint32(8, HOST_LITTLE) & FIB_RULE_INVERT) !== 0 ? true : undefined,
    suppressPrefixLength:
      suppressPrefixLength === NO_SUPPRESSION ? undefined : suppressPrefixLength,
  }) as Rule
}

const ACTION_NAMES = namesOf(ACTIONS)

function prefixOf(
  family: IpFamily,
  address: string | undefined,
  bits: number,
  field: string,
): string | undefined {
  const most = ADDRESS_BYTES[family] * 8
  if (bits > most) throw new DecodeError(field, 0, `at most ${most}`, bits)
  if (bits === 0) return undefined
  return formatPrefix(address ?? (family === 4 ? '0.0.0.0' : '::'), bits)
}

function change(verb: 'add' | 'delete', spec: RuleSpec): Request {
  const removing = verb === 'delete'
  return changeRequest(
    removing ? RTM.delRule : RTM.newRule,
    removing ? 0 : NLM_F.create | NLM_F.excl,
    () => ruleText(verb, spec),
    (out) => writeSpec(out, spec, removing),
  )
}

function writeSpec(out: Writer, spec: RuleSpec, removing: boolean): void {
  const { family, from, to, goto } = spec
  const usual = goto !== undefined ? 'goto' : removing ? 'unspec' : 'table'
  const action = numberOf(ACTIONS, spec.action ?? usual, 'action')
  const main = !removing && action === ACTIONS.table && !spec.l3mdev ? routeTable.main : 0
  const table = inRange(spec.table ?? main, 0, 0xffff_ffff, 'table')
  const at = out.reserve(RULE_BYTES)
  out.view.setUint8(at, afOf(family))
  out.view.setUint8(at + 3, inRange(spec.tos ?? 0, 0, U8_MAX, 'tos'))
  out.view.setUint8(at + 4, table > U8_MAX ? 0 : table)
  out.view.setUint8(at + 7, inRange(action, 0, U8_MAX, 'action'))
  out.view.setUint32(at + 8, spec.not ? FIB_RULE_INVERT : 0, HOST_LITTLE)
  out.view.setUint8(at + 1, writePrefix(out, FRA_DST, to, family))
  out.view.setUint8(at + 2, writePrefix(out, FRA_SRC, from, family))
  const { iif, oif, priority, fwmark, fwmask, ipProtocol, sport, dport } = spec
  const { uidRange, tunId, suppressPrefixLength } = spec
  writeAttrs(out, ruleAttrs, {
    iif,
    oif,
    priority,
    fwmark,
    fwmask,
    ipProtocol,
    sport,
    dport,
    uidRange,
    tunId,
    suppressPrefixLength,
    goto,
    l3mdev: spec.l3mdev ? true : undefined,
    protocol: spec.protocol,
    table: table > U8_MAX ? table : undefined,
  })
}

/** Appends a prefix's address and returns its length. */
function writePrefix(
  out: Writer,
  type: number,
  prefix: string | undefined,
  family: IpFamily,
): number {
  if (prefix === undefined) return 0
  if (familyOf(prefix) !== family) {
    throw new RangeError(`Cannot encode a rule: found ${prefix}, wanted an IPv${family} prefix`)
  }
  const { bytes, bits } = parsePrefix(prefix)
  const start = out.beginAttr(type)
  out.append(bytes)
  out.endAttr(start)
  return bits
}
