/**
 * Messages and attributes in the field's words: attributes as `birdc show route all`
 * prints them, messages in the names of their RFCs.
 *
 * @module
 */
import type { Attributes } from '../attributes.ts'
import type { NlriSlice } from '../nlri.ts'
import { asPathText } from './as-path.ts'
import { decodeAttributes } from './attributes.ts'
import { capabilityNames } from './capabilities.ts'
import { communityText, extendedCommunityText, largeCommunityText } from './communities.ts'
import type { Context } from './context.ts'
import { errorName } from './iana.ts'
import type { Message } from './message.ts'
import { hexOf } from './octets.ts'
import type { Open } from './open.ts'
import { prefixesOf } from './prefixes.ts'

const ORIGIN_TEXT: Readonly<Record<Attributes['origin'], string>> = {
  igp: 'IGP',
  egp: 'EGP',
  incomplete: 'Incomplete',
}

type TextRow = readonly [name: string, text: (attributes: Attributes) => string | undefined]

const list = <T>(values: readonly T[] | undefined, text: (value: T) => string) =>
  values?.map(text).join(' ')

const TEXT_ROWS: readonly TextRow[] = [
  ['origin', ({ origin }) => ORIGIN_TEXT[origin]],
  ['as_path', ({ asPath }) => asPathText(asPath)],
  ['next_hop', ({ nextHop, linkLocal }) => (linkLocal ? `${nextHop} ${linkLocal}` : nextHop)],
  ['med', ({ med }) => med?.toString()],
  ['local_pref', ({ localPref }) => localPref?.toString()],
  ['atomic_aggr', ({ atomicAggregate }) => (atomicAggregate ? '' : undefined)],
  ['aggregator', ({ aggregator }) => aggregator && `${aggregator.id} AS${aggregator.asn}`],
  ['community', ({ communities }) => list(communities, communityText)],
  ['originator_id', ({ originatorId }) => originatorId],
  ['cluster_list', ({ clusterList }) => clusterList?.join(' ')],
  ['ext_community', ({ extendedCommunities }) => list(extendedCommunities, extendedCommunityText)],
  ['large_community', ({ largeCommunities }) => list(largeCommunities, largeCommunityText)],
  ['otc', ({ onlyToCustomer }) => onlyToCustomer?.toString()],
]

/** A line an attribute, e.g. `BGP.as_path: 65001 {65002 65003}`. */
export function attributeLines(attributes: Attributes): readonly string[] {
  const known = TEXT_ROWS.flatMap(([name, text]) => {
    const value = text(attributes)
    return value === undefined ? [] : [`BGP.${name}: ${value}`.trimEnd()]
  })
  const unknown = (attributes.unknown ?? []).map(
    ({ code, bytes }) => `BGP.${code.toString(16).padStart(2, '0')} [t]: ${hexOf(bytes)}`,
  )
  return [...known, ...unknown]
}

/** Each prefix, its path identifier behind it where there is one. */
export function nlriText(slices: readonly NlriSlice[]): string {
  return slices
    .flatMap(prefixesOf)
    .map(({ prefix, pathId }) => (pathId === undefined ? prefix : `${prefix} id ${pathId}`))
    .join(', ')
}

/** A message, a line for what it says and one for each attribute. */
export function messageLines(message: Message, context: Context): readonly string[] {
  switch (message.kind) {
    case 'open':
      return openLines(message)
    case 'keepalive':
      return ['KEEPALIVE']
    case 'route-refresh':
      return [`ROUTE-REFRESH ${message.family ?? 'of another family'} ${message.purpose}`]
    case 'notification': {
      const { code, subcode, data, shutdownText } = message
      const rest = shutdownText === undefined ? hexOf(data) : JSON.stringify(shutdownText)
      return [`NOTIFICATION ${errorName(code, subcode)} ${rest}`.trimEnd()]
    }
    case 'reset':
      return [`reset: ${errorName(message.code, message.subcode)}: ${message.reason}`]
    case 'withdraw':
      return [
        `UPDATE treated as withdraw ${nlriText(message.withdrawn)}`.trimEnd(),
        ...message.faults.map(({ reason }) => `  ${reason}`),
      ]
    case 'update':
      return updateLines(message, context)
  }
}

function openLines({ asn, holdSeconds, id, capabilities, unknownCapabilities }: Open) {
  const names = capabilityNames(capabilities)
  const unknown = unknownCapabilities.map((code) => `capability ${code}`)
  return [
    `OPEN AS ${asn} hold ${holdSeconds} id ${id}`,
    ...[...names, ...unknown].map((name) => `  ${name}`),
  ]
}

function updateLines(
  { updates, discarded }: Extract<Message, { kind: 'update' }>,
  context: Context,
): readonly string[] {
  const lines: string[] = []
  for (const { withdrawn, announced, attributes, endOfRib } of updates) {
    if (endOfRib !== undefined) lines.push(`UPDATE End-of-RIB ${endOfRib}`)
    if (withdrawn.length > 0) lines.push(`UPDATE withdraw ${nlriText(withdrawn)}`)
    if (attributes === undefined) continue
    const result = decodeAttributes(attributes, context)
    const isWithdrawn = result.kind === 'withdraw'
    lines.push(`UPDATE ${isWithdrawn ? 'treated as withdraw' : 'announce'} ${nlriText(announced)}`)
    if (isWithdrawn) lines.push(...result.faults.map(({ reason }) => `  ${reason}`))
    else {
      lines.push(...attributeLines(result.attributes).map((line) => `  ${line}`))
      lines.push(...result.discarded.map(({ reason }) => `  discarded: ${reason}`))
    }
  }
  lines.push(...discarded.map(({ reason }) => `  discarded: ${reason}`))
  return lines
}
