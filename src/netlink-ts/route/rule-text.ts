/**
 * Policy rules in iproute2's words, for errors.
 *
 * @module
 */
import { word, words } from './body.ts'
import type { RuleSpec } from './rule.ts'
import type { NumberRange } from './rule-attrs.ts'

/** The words after `ip`, e.g. `rule add priority 100 from 10.0.0.0/24 table 7`. */
export function ruleText(verb: string, spec: RuleSpec): string {
  const { family, priority, from, to, fwmark, fwmask, action, l3mdev } = spec
  return words(
    family === 6 && '-6',
    `rule ${verb}`,
    word('priority', priority),
    spec.not && 'not',
    word('from', from),
    word('to', to),
    word('tos', spec.tos),
    fwmark !== undefined && `fwmark ${fwmark}${fwmask === undefined ? '' : `/${fwmask}`}`,
    word('iif', spec.iif),
    word('oif', spec.oif),
    word('uidrange', rangeText(spec.uidRange)),
    word('tun_id', spec.tunId),
    word('ipproto', spec.ipProtocol),
    word('sport', rangeText(spec.sport)),
    word('dport', rangeText(spec.dport)),
    word('table', spec.table),
    l3mdev && 'l3mdev',
    action !== 'table' && action !== 'goto' && action,
    word('suppress_prefixlength', spec.suppressPrefixLength),
    word('goto', spec.goto),
    word('protocol', spec.protocol),
  )
}

const rangeText = (range: NumberRange | undefined): string | undefined =>
  range === undefined ? undefined : `${range.start}-${range.end}`
