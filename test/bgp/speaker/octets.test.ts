/** What a speaker does with a peer's octets: faults, martians, limits, and a transport that is full. */
import t from 'tap'
import type { Attributes } from '../../../src/bgp/attributes.ts'
import { encodeEndOfRib, packAnnouncements, prepareAttributes } from '../../../src/bgp/wire/pack.ts'
import { nlriOf } from '../../../src/bgp/wire/prefixes.ts'
import { parsePrefix } from '../../../src/net/mod.ts'
import { CONTEXT, rawPeer } from './raw-peer.ts'
import { ALL, ip, own, peer, speaker } from './support.ts'

const ATTRIBUTES: Attributes = {
  origin: 'igp',
  asPath: [{ kind: 'sequence', asns: [65002] }],
  nextHop: ip('192.0.2.2'),
}

function update(prefixes: readonly string[], attributes: Partial<Attributes> = {}): Uint8Array {
  const prepared = prepareAttributes({ ...ATTRIBUTES, ...attributes }, 'ipv4', CONTEXT)
  const nlri = nlriOf(
    'ipv4',
    prefixes.map((text) => ({ prefix: parsePrefix(text) })),
    false,
  )
  return Buffer.concat([...(packAnnouncements(prepared, nlri, CONTEXT) ?? [])])
}

/** The same with an ORIGIN that there is not: its attribute is the first, behind 23 octets. */
function broken(prefixes: readonly string[]): Uint8Array {
  const bytes = update(prefixes)
  bytes[23 + 3] = 9
  return bytes
}

const TERMS = speaker(1, 65001, [peer('192.0.2.2', 65002)])
const known = ({ speaker }: ReturnType<typeof rawPeer>): readonly string[] =>
  [...speaker.routes('ipv4')].map(({ prefix }) => prefix).sort()

t.test('treat-as-withdraw removes what was taught before (RFC 7606)', async (t) => {
  const raw = rawPeer(TERMS)
  raw.say(update(['10.1.0.0/16', '10.2.0.0/16']))
  t.strictSame(known(raw), ['10.1.0.0/16', '10.2.0.0/16'])
  raw.reports()
  raw.say(broken(['10.1.0.0/16']))
  t.strictSame(known(raw), ['10.2.0.0/16'], 'the earlier route is gone')
  raw.say(broken(['10.2.0.0/16']))
  const problems = raw.reports().filter(({ event }) => event === 'problem')
  t.strictSame(
    problems.map((report) => 'problem' in report && report.problem),
    ['withdraw: ORIGIN: origin 9, wanted 0 to 2 (RFC 7606 section 7.1)'],
    'reported once',
  )
  t.equal(raw.speaker.peer(ip('192.0.2.2'))?.problems, 2, 'and counted each time')
  t.equal(raw.speaker.peer(ip('192.0.2.2'))?.state, 'established')
})

t.test('a next hop that cannot be', async (t) => {
  const raw = rawPeer(TERMS)
  for (const nextHop of ['127.0.0.1', '0.0.0.1', '224.0.0.5', '255.255.255.255', '192.0.2.1']) {
    raw.say(update(['10.1.0.0/16']))
    t.strictSame(known(raw), ['10.1.0.0/16'])
    raw.say(update(['10.1.0.0/16'], { nextHop: ip(nextHop) }))
    t.strictSame(known(raw), [], nextHop)
  }
  const reasons = raw.reports().filter(({ event }) => event === 'problem')
  t.equal(reasons.length, 4, 'each reason once')
})

t.test('paths with our AS, and without the peer’s', async (t) => {
  const raw = rawPeer(TERMS)
  raw.say(update(['10.1.0.0/16'], { asPath: [{ kind: 'sequence', asns: [65002, 65001] }] }))
  raw.say(update(['10.2.0.0/16'], { asPath: [{ kind: 'sequence', asns: [65003] }] }))
  t.strictSame(known(raw), [])
  t.match(raw.speaker.why(parsePrefix('10.1.0.0/16')), [
    { standing: { kind: 'rejected', reason: 'own AS 65001 in AS_PATH' } },
  ])
  const server = rawPeer({ ...TERMS, peers: [peer('192.0.2.2', 65002, { enforceFirstAs: false })] })
  server.say(update(['10.2.0.0/16'], { asPath: [{ kind: 'sequence', asns: [65003] }] }))
  t.strictSame(known(server), ['10.2.0.0/16'], 'a route server’s')
})

t.test('more prefixes than a peer may teach (RFC 4486)', async (t) => {
  const limited = (action: 'warn' | 'ignore' | 'down') =>
    rawPeer({
      ...TERMS,
      peers: [peer('192.0.2.2', 65002, { prefixesMax: { ipv4: { count: 2, action } } })],
    })
  const many = update(['10.1.0.0/16', '10.2.0.0/16', '10.3.0.0/16'])
  const warned = limited('warn')
  warned.say(many)
  t.equal(known(warned).length, 3)
  t.match(warned.reports().at(-1), { problem: '3 ipv4 prefixes where 2 are allowed (RFC 4486)' })
  const ignoring = limited('ignore')
  ignoring.say(many)
  t.equal(known(ignoring).length, 2)
  const ending = limited('down')
  ending.heard()
  ending.say(many)
  t.strictSame(known(ending), [])
  t.match(ending.heard(), [/^NOTIFICATION Cease: Maximum Number of Prefixes Reached/])
  warned.heard()
  const peers = [peer('192.0.2.2', 65002, { prefixesMax: { ipv4: { count: 1, action: 'down' } } })]
  warned.feed({ kind: 'configure', config: { ...TERMS, peers } })
  t.match(warned.heard(), [/Maximum Number of Prefixes/], 'a lower limit counts at once')
})

t.test('what waits for a peer that takes nothing has a bound', async (t) => {
  const raw = rawPeer(TERMS, { blockedOctetsMax: 500 })
  const originate = (from: number, count: number): void => {
    const add = Array.from({ length: count }, (_, at) =>
      own(`10.${from}.${at}.0/24`, { med: from * 256 + at }),
    )
    raw.feed({ kind: 'originate', add, remove: [] })
  }
  originate(0, 100)
  t.equal(raw.speaker.peer(ip('192.0.2.2'))?.state, 'established', 'nothing waits')
  raw.session({ kind: 'flow', connection: 2, isBlocked: true })
  originate(1, 4)
  t.equal(raw.speaker.peer(ip('192.0.2.2'))?.state, 'established')
  t.ok((raw.speaker.peer(ip('192.0.2.2'))?.blockedOctets ?? 0) > 100, 'counted')
  raw.session({ kind: 'flow', connection: 2, isBlocked: true, waitingOctets: 10 })
  t.equal(raw.speaker.peer(ip('192.0.2.2'))?.blockedOctets, 10, 'less, when some has left')
  raw.heard()
  originate(2, 50)
  t.match(raw.heard().at(-1), /^NOTIFICATION Cease: Out of Resources/)
  t.not(raw.speaker.peer(ip('192.0.2.2'))?.state, 'established')
})

t.test('a next hop that the peer cannot be told', async (t) => {
  const raw = rawPeer(
    speaker(1, 65001, [peer('192.0.2.2', 65002)], ['2001:db8:1::/48', '10.1.0.0/16']),
  )
  const heard = raw.heard()
  t.notOk(
    heard.some((line) => /announce 2001/.test(line)),
    'no IPv6 without an IPv6 address here',
  )
  t.ok(heard.some((line) => /announce 10.1.0.0/.test(line)))
  t.ok(
    raw.reports().some((report) => 'problem' in report && /set nextHops.ipv6/.test(report.problem)),
  )
  const nextHops = { ipv6: ip('2001:db8::1') }
  const told = rawPeer(
    speaker(1, 65001, [peer('192.0.2.2', 65002, { nextHops })], ['2001:db8:1::/48']),
  )
  t.ok(told.heard().some((line) => /announce 2001:db8:1::\/48/.test(line)))
})

t.test(
  'after a restart nothing is decided before the peers have told everything (RFC 4724)',
  async (t) => {
    const gracefulRestart = {
      isRestarting: false,
      hasNotification: false,
      restartSeconds: 60,
      families: [{ family: 'ipv4', isForwarding: true } as const],
    }
    const capabilities = { families: ['ipv4'], fourOctetAs: 65002, gracefulRestart } as const
    const raw = rawPeer(
      { ...TERMS, peers: [peer('192.0.2.2', 65002, { importPolicy: ALL })] },
      { isRestarting: true, deferralSeconds: 30 },
      { capabilities },
    )
    raw.say(update(['10.1.0.0/16']))
    const kinds = (): readonly string[] => raw.effects.map(({ kind }) => kind)
    t.notOk(kinds().includes('routes'), 'learned, and not told')
    t.notOk(kinds().includes('routes.complete'))
    raw.say(encodeEndOfRib('ipv4'))
    t.ok(kinds().indexOf('routes') >= 0, 'told')
    t.ok(kinds().indexOf('routes.complete') > kinds().indexOf('routes'), 'then complete')
    const mute = rawPeer(TERMS, { isRestarting: true, deferralSeconds: 30 })
    t.ok(
      mute.effects.some(({ kind }) => kind === 'routes.complete'),
      'a peer without the capability is not waited for',
    )
    const silent = rawPeer(
      { ...TERMS, peers: [...TERMS.peers, peer('192.0.2.3', 65003)] },
      { isRestarting: true, deferralSeconds: 30 },
    )
    silent.say(update(['10.1.0.0/16']))
    t.notOk(
      silent.effects.some(({ kind }) => kind === 'routes'),
      'another is not there yet',
    )
    silent.at(30_000)
    t.ok(
      silent.effects.some(({ kind }) => kind === 'routes'),
      'and the timer ends it',
    )
    t.equal(silent.effects.filter(({ kind }) => kind === 'routes.complete').length, 2)
  },
)
