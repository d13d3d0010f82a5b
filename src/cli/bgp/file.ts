/**
 * The file of `trivium bgp run`: YAML or JSON in, a speaker's configuration or the
 * first error out, with the line it is on.
 *
 * @module
 */
import { readFileSync } from 'node:fs'
import { isNode, LineCounter, parseDocument } from 'yaml'
import { z } from 'zod'
import type { Originated, PeerConfig, SpeakerConfig } from '../../bgp/config.ts'
import type { Policy } from '../../bgp/policy/policy.ts'
import { TriviumError } from '../../errors.ts'
import type { ListenAddress } from '../../live/bgp/listener.ts'
import type { Ip } from '../../net/mod.ts'
import {
  communityValue,
  extendedCommunityValue,
  ipValue,
  largeCommunityValue,
  prefixValue,
  rangeValue,
  show,
  whole,
} from './values.ts'

export interface SpeakerFile {
  readonly config: SpeakerConfig
  readonly listen: readonly ListenAddress[]
  /** The kernel's table that routes go into; false: none. */
  readonly kernel: false | { readonly table: number }
}

const asn = whole(1, 4_294_967_295)
const communities = z.array(communityValue).max(1000)
const largeCommunities = z.array(largeCommunityValue).max(1000)
const word = <const T extends readonly [string, ...string[]]>(words: T) =>
  z.enum(words, { error: ({ input }) => `found ${show(input)}, wanted ${words.join(', ')}` })
const families = z.array(word(['ipv4', 'ipv6'])).min(1)

const conditionSchema = z.strictObject({
  prefixes: z.array(rangeValue).optional(),
  sources: z.array(word(['own', 'ebgp', 'ibgp'])).optional(),
  communities: communities.optional(),
  largeCommunities: largeCommunities.optional(),
  nextHops: z.array(ipValue).optional(),
  passes: z.array(asn).optional(),
  originatesIn: z.array(asn).optional(),
  asPathLengthMax: whole(0, 1000).optional(),
})

const changesSchema = z.strictObject({
  localPref: whole(0, 4_294_967_295).optional(),
  med: z.union([z.literal('remove'), whole(0, 4_294_967_295)]).optional(),
  origin: word(['igp', 'egp', 'incomplete']).optional(),
  addCommunities: communities.optional(),
  removeCommunities: z.union([z.literal('all'), communities]).optional(),
  addLargeCommunities: largeCommunities.optional(),
  removeLargeCommunities: z.literal('all').optional(),
  prepend: whole(0, 64).optional(),
  nextHop: z.union([z.literal('self'), z.literal('unchanged'), ipValue]).optional(),
})

const policySchema = z.strictObject({
  rules: z
    .array(
      z.strictObject({
        name: z.string().max(100).optional(),
        when: conditionSchema.optional(),
        set: changesSchema.optional(),
        action: word(['accept', 'reject', 'continue']).optional(),
      }),
    )
    .max(10_000)
    .default([]),
  otherwise: word(['accept', 'reject']),
})

const originatedSchema = z.union([
  prefixValue.transform((prefix): Originated => ({ prefix })),
  z
    .strictObject({
      prefix: prefixValue,
      med: whole(0, 4_294_967_295).optional(),
      localPref: whole(0, 4_294_967_295).optional(),
      communities: communities.optional(),
      largeCommunities: largeCommunities.optional(),
      extendedCommunities: z.array(extendedCommunityValue).max(1000).optional(),
    })
    .transform(({ prefix, ...attributes }) => ({ prefix, attributes }) as Originated),
])

const limitSchema = z.strictObject({
  count: whole(1, 100_000_000),
  action: word(['warn', 'ignore', 'down']),
})
const perFamily = <T extends z.ZodType>(value: T) =>
  z.strictObject({ ipv4: value.optional(), ipv6: value.optional() })

const peerSchema = z.strictObject({
  address: ipValue,
  asn,
  description: z.string().max(200).optional(),
  port: whole(1, 65_535).optional(),
  localAddress: ipValue.optional(),
  passive: z.boolean().optional(),
  password: z.string().min(1).max(80).optional(),
  ttlSecurityHops: whole(1, 255).optional(),
  multihop: whole(1, 255).optional(),
  holdSeconds: z.union([z.literal(0), whole(3, 65_535)]).optional(),
  connectRetrySeconds: whole(1, 65_535).optional(),
  idleSeconds: whole(1, 3600).optional(),
  families: families.optional(),
  nextHops: perFamily(ipValue).optional(),
  isClient: z.boolean().optional(),
  addPath: perFamily(word(['receive', 'send', 'both'])).optional(),
  gracefulRestart: z
    .union([z.literal(false), z.strictObject({ restartSeconds: whole(1, 4095) })])
    .optional(),
  role: word(['provider', 'customer', 'peer', 'route-server', 'route-server-client']).optional(),
  isRoleStrict: z.boolean().optional(),
  prefixesMax: perFamily(limitSchema).optional(),
  importPolicy: z.string().optional(),
  exportPolicy: z.string().optional(),
  gracefulShutdown: z.boolean().optional(),
  transparent: z.boolean().optional(),
  bfd: z
    .strictObject({
      intervalMs: whole(10, 60_000).optional(),
      multiplier: whole(1, 255).optional(),
    })
    .optional(),
  asSets: word(['accept', 'withdraw']).optional(),
  enforceFirstAs: z.boolean().optional(),
  extendedNextHop: z.boolean().optional(),
  extendedMessages: z.boolean().optional(),
  isShutdown: z.boolean().optional(),
})

const listenSchema = z.union([
  ipValue.transform((address) => ({ address })),
  z.strictObject({ address: ipValue, port: whole(1, 65_535).optional() }),
])

const fileSchema = z.strictObject({
  asn,
  routerId: ipValue,
  clusterId: ipValue.optional(),
  listen: z
    .array(listenSchema)
    .max(64)
    .default([{ address: '0.0.0.0' as Ip }, { address: '::' as Ip }]),
  kernel: z
    .union([z.literal(false), z.strictObject({ table: whole(1, 4_294_967_295) })])
    .default(false),
  policies: z.record(z.string(), policySchema).default({}),
  originate: z.array(originatedSchema).default([]),
  peers: z.array(peerSchema).max(65_534).default([]),
  multipath: whole(1, 64).optional(),
  medMissing: word(['best', 'worst']).optional(),
  alwaysCompareMed: z.boolean().optional(),
  gracefulShutdown: z.boolean().optional(),
})

type Path = readonly PropertyKey[]

/**
 * Reads the file.
 *
 * @throws {TriviumError} BAD_CONFIG: it cannot be read, or the first error in it.
 */
export function readSpeakerFile(path: string): SpeakerFile {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (thrown) {
    const { code } = thrown as NodeJS.ErrnoException
    const found = code === 'ENOENT' ? 'there is none' : (thrown as Error).message
    throw new TriviumError(
      'BAD_CONFIG',
      `Cannot read speaker file ${path}: ${found}, wanted YAML or JSON as in docs/bgp.md`,
    )
  }
  return parseSpeakerFile(text, path)
}

/**
 * Reads the file's text.
 *
 * @param file Name for errors.
 * @throws {TriviumError} BAD_CONFIG: `file:line: path: found X, wanted Y`, for the first error.
 */
export function parseSpeakerFile(text: string, file: string): SpeakerFile {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false })
  const refuse = (line: number, path: Path, message: string): never => {
    const where = path.length === 0 ? '' : `${path.map(String).join('.')}: `
    throw new TriviumError('BAD_CONFIG', `Cannot read ${file}:${line}: ${where}${message}`)
  }
  const lineOf = (path: Path): number => {
    for (let length = path.length; length >= 0; length--) {
      const node = length === 0 ? document.contents : document.getIn(path.slice(0, length), true)
      if (isNode(node) && node.range) return lines.linePos(node.range[0]).line
    }
    return 1
  }
  const [broken] = document.errors
  if (broken !== undefined) {
    return refuse(lines.linePos(broken.pos[0]).line, [], broken.message.split('\n')[0] ?? '')
  }
  const parsed = fileSchema.safeParse(document.toJS({ maxAliasCount: 1000 }))
  if (!parsed.success) {
    const { path, message } = deepest(parsed.error.issues)
    return refuse(lineOf(path), path, message)
  }
  const complaint = complaintAbout(parsed.data)
  if (complaint !== undefined) return refuse(lineOf(complaint[0]), ...complaint)
  return assembled(parsed.data)
}

type Issue = { readonly path: Path; readonly message: string }

/** Of a union every alternative complains: the one that came furthest meant it. */
function deepest(issues: readonly z.core.$ZodIssue[]): Issue {
  const found: Issue[] = issues.map((issue) => {
    if (issue.code === 'invalid_union') {
      const inner = issue.errors.filter((each) => each.length > 0).map(deepest)
      const best = inner.sort((left, right) => right.path.length - left.path.length)[0]
      if (best !== undefined) return { path: [...issue.path, ...best.path], message: best.message }
    }
    if (issue.code === 'unrecognized_keys') {
      return {
        path: [...issue.path, ...issue.keys.slice(0, 1)],
        message: 'is no key that is known here',
      }
    }
    return { path: issue.path, message: issue.message }
  })
  // A slip in a key explains the key that is missing.
  const slip = issues.findIndex(({ code }) => code === 'unrecognized_keys')
  return found[slip] ?? found[0] ?? { path: [], message: 'wanted a speaker' }
}

type Parsed = z.infer<typeof fileSchema>

function complaintAbout({
  routerId,
  peers,
  policies,
  asn: own,
}: Parsed): readonly [Path, string] | undefined {
  if (routerId.includes(':') || routerId === '0.0.0.0') {
    return [['routerId'], `found ${routerId}, wanted an IPv4 address other than 0.0.0.0`]
  }
  const seen = new Set<Ip>()
  for (const [index, peer] of peers.entries()) {
    const at = (key: string): Path => ['peers', index, key]
    if (seen.has(peer.address)) return [at('address'), `a second peer ${peer.address}`]
    seen.add(peer.address)
    for (const key of ['importPolicy', 'exportPolicy'] as const) {
      const name = peer[key]
      if (name !== undefined && policies[name] === undefined) {
        return [at(key), `no policy ${show(name)} under policies`]
      }
    }
    if (peer.isClient === true && peer.asn !== own) {
      return [at('isClient'), `only peers of AS ${own} are clients`]
    }
    if (peer.transparent === true && peer.asn === own) {
      return [
        at('transparent'),
        `only peers of other AS numbers than ${own} are clients of a route server`,
      ]
    }
  }
  return undefined
}

function assembled({ listen, kernel, policies, peers, ...rest }: Parsed): SpeakerFile {
  const byName = new Map<string, Policy>(
    Object.entries(policies).map(([name, policy]) => [name, { name, ...policy } as Policy]),
  )
  const config = {
    ...rest,
    peers: peers.map(({ importPolicy, exportPolicy, ...peer }) => ({
      ...peer,
      ...(importPolicy !== undefined && { importPolicy: byName.get(importPolicy) }),
      ...(exportPolicy !== undefined && { exportPolicy: byName.get(exportPolicy) }),
    })) as readonly PeerConfig[],
  } as SpeakerConfig
  return { config, listen: listen as readonly ListenAddress[], kernel }
}
