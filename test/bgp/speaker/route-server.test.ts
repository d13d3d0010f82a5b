/** A route server and its clients (RFC 7947): what one says another hears as it was said. */
import t from 'tap'
import type { Attributes } from '../../../src/bgp/attributes.ts'
import type { PeerConfig, SpeakerConfig } from '../../../src/bgp/config.ts'
import { community, WELL_KNOWN } from '../../../src/bgp/policy/policy.ts'
import { ExportContext, type ExportTerms } from '../../../src/bgp/rib/export.ts'
import { SpeakerNetwork, type SpeakerNode } from '../../../src/bgp/speaker/in-memory.ts'
import { ALL, at, ip, own, peer, speaker } from './support.ts'

const SERVER = ip('192.0.2.1')
const NON_TRANSITIVE = 0x4002_fdea_0000_0064n

const client = (number: number, more: Partial<PeerConfig> = {}): PeerConfig =>
  peer(`192.0.2.${number}`, 65000 + number, { transparent: true, ...more })

const serverOf = (...peers: readonly PeerConfig[]): SpeakerConfig =>
  speaker(1, 65001, peers, ['10.1.0.0/16'])

/** `2001:db8:N::/48` and `10.N.0.0/16`, with all that a route server could spoil. */
const clientAt = (number: number, more: Partial<PeerConfig> = {}): SpeakerConfig => ({
  ...speaker(number, 65000 + number, [peer(SERVER, 65001, { enforceFirstAs: false, ...more })]),
  originate: [
    own(`10.${number}.0.0/16`, { med: 7, communities: [community(65009, 1)] }),
    own(`2001:db8:${number}::/48`, { med: 8 }),
  ],
})

function world(server: SpeakerConfig, clients: readonly SpeakerConfig[]) {
  const net = new SpeakerNetwork()
  const rs = net.add('rs', at(1), server)
  const nodes = clients.map((config, index) => net.add(`c${index + 2}`, at(index + 2), config))
  net.settle()
  return { net, rs, nodes }
}

const heard = ({ speaker }: SpeakerNode, family: 'ipv4' | 'ipv6' = 'ipv4') =>
  new Map(
    [...speaker.routes(family, { from: SERVER })].map(({ prefix, best: { attributes } }) => {
      const { asPath, nextHop, med, communities } = attributes
      return [
        prefix as string,
        { path: asPath.flatMap(({ asns }) => asns), nextHop, med, communities },
      ]
    }),
  )

t.test('path, next hop, MED and communities', async (t) => {
  const server = serverOf(client(2), client(3), peer('192.0.2.4', 65004))
  const clients = [clientAt(2), clientAt(3), clientAt(4, { enforceFirstAs: true })]
  const { net, rs, nodes } = world(server, clients)
  const [, c3, c4] = nodes as [SpeakerNode, SpeakerNode, SpeakerNode]
  const asSaid = { path: [65002], nextHop: '192.0.2.2', med: 7, communities: [community(65009, 1)] }
  const asOthers = { ...asSaid, path: [65001, 65002], nextHop: SERVER, med: undefined }
  t.strictSame(heard(c3).get('10.2.0.0/16'), asSaid, 'to a client')
  t.strictSame(heard(c4).get('10.2.0.0/16'), asOthers, 'to another peer')
  t.match(heard(c3, 'ipv6').get('2001:db8:2::/48'), {
    path: [65002],
    nextHop: '2001:db8::2',
    med: 8,
  })
  t.match(heard(c3).get('10.1.0.0/16'), { path: [65001], nextHop: SERVER }, 'its own routes')
  const change = (peers: readonly PeerConfig[]): void => {
    net.feed('rs', { kind: 'configure', config: serverOf(...peers) })
    net.settle()
  }
  change([client(2), client(3, { transparent: false }), peer('192.0.2.4', 65004)])
  t.strictSame(heard(c3).get('10.2.0.0/16'), asOthers, 'no client any more')
  change(server.peers)
  t.strictSame(heard(c3).get('10.2.0.0/16'), asSaid)
  t.equal(rs.speaker.peer(ip('192.0.2.3'))?.session.establishments, 1, 'in one session')
})

t.test('a client that wants the first AS to be its peer’s takes nothing of others', async (t) => {
  const { nodes } = world(serverOf(client(2), client(3)), [
    clientAt(2),
    clientAt(3, { enforceFirstAs: true }),
  ])
  t.strictSame([...heard(nodes[1]!).keys()], ['10.1.0.0/16'])
})

t.test('what the best path hides, ADD-PATH shows', async (t) => {
  const same = (number: number, more: Partial<PeerConfig> = {}): SpeakerConfig => ({
    ...clientAt(number, more),
    originate: [own('10.9.0.0/16')],
  })
  const addPath = { ipv4: 'receive' } as const
  const { nodes } = world(
    serverOf(client(2), client(3), client(4, { addPath: { ipv4: 'send' } })),
    [same(2), same(3), { ...same(4, { addPath }), originate: [] }],
  )
  const hops = nodes[2]!.speaker.why(own('10.9.0.0/16').prefix)
  t.strictSame(hops.map(({ attributes }) => attributes.nextHop).sort(), ['192.0.2.2', '192.0.2.3'])
})

const TERMS: ExportTerms = {
  family: 'ipv6',
  kind: 'ebgp',
  self: { nextHop: ip('2001:db8::1'), linkLocal: ip('fe80::1') },
  addPath: false,
  policy: ALL,
  role: undefined,
  gracefulShutdown: false,
  transparent: true,
}
const USED: Attributes = {
  origin: 'egp',
  asPath: [{ kind: 'sequence', asns: [65002] }],
  nextHop: ip('2001:db8::2'),
  linkLocal: ip('fe80::2'),
  med: 7,
  localPref: 300,
  communities: [WELL_KNOWN.noExport, WELL_KNOWN.noAdvertise],
  extendedCommunities: [NON_TRANSITIVE],
}
const out = (terms: Partial<ExportTerms>, used: Attributes, from: 'own' | 'ebgp' | 'ibgp') => {
  const context = new ExportContext({ ...TERMS, ...terms }, { asn: 65001, routerId: SERVER })
  const verdict = context.decide(used, from, 0)
  return verdict.kind === 'accept' ? verdict.attributes : verdict.reason
}

t.test('export, attribute by attribute', async (t) => {
  const { localPref: _inside, ...asItCame } = USED
  t.strictSame(out({}, USED, 'ebgp'), asItCame, 'RFC 7947 sections 2.2.1 to 2.2.4')
  t.strictSame(out({}, USED, 'ibgp'), asItCame, 'of another route server of this AS')
  t.equal(out({}, USED, 'own'), 'community no-advertise', 'our own are ours to process')
  t.equal(out({ transparent: false }, USED, 'ebgp'), 'community no-advertise')
  const { communities: _none, ...plain } = USED
  const empty = { ...plain, asPath: [] }
  t.match(out({}, empty, 'ibgp'), { asPath: [{ asns: [65001] }], nextHop: TERMS.self.nextHop })
  t.match(out({ role: 'route-server-client' }, plain, 'ebgp'), { onlyToCustomer: 65001 })
  const [going] = [out({ gracefulShutdown: true }, plain, 'ebgp')]
  t.match(going, { communities: [WELL_KNOWN.gracefulShutdown], asPath: plain.asPath })
  t.match(
    out({ policy: { ...ALL, rules: [{ set: { nextHop: 'self', prepend: 1 } }] } }, plain, 'ebgp'),
    { nextHop: TERMS.self.nextHop, asPath: [{ asns: [65001, 65002] }] },
    'a policy has the last word',
  )
  t.equal(out({ policy: undefined }, plain, 'ebgp'), 'no export policy (RFC 8212)')
})
