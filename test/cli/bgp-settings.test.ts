/** `trivium bgp set`, `rack`, `node` and `peer`, as a person runs them. */
import t from 'tap'
import { claimBlock, keys, registerNode } from '../../ipam/mod.ts'
import { macFromName, type Prefix, parseIp } from '../../src/net/mod.ts'
import { cliOnStore } from '../support/store-cli.ts'

const { trivium, inStore } = cliOnStore(t)

trivium('network', 'create', 'pods', '--mode', 'route', '--pool', '10.42.0.0/16')
await inStore((tx) => {
  for (const [index, rack] of ['r1', 'r1', 'r2'].entries()) {
    const name = `n${index + 1}`
    registerNode(tx, {
      name,
      rack,
      underlayLink: 'eth0',
      underlayIps: [parseIp(`192.0.2.${index + 1}`)],
      underlayPrefixes: ['192.0.2.0/24' as Prefix],
      underlayMtuBytes: 1500,
      vtepMac: macFromName(name),
      registeredMs: 1,
    })
  }
  const pods = tx.get(keys.network('pods'))!
  claimBlock(tx, pods, pods.pools[0]!, 'n1', 1)
})

t.test('a plan shows, and changes nothing', async (t) => {
  t.match(trivium('bgp', 'settings'), { status: 0, stdout: /nobody speaks BGP/ })
  const { status, stdout } = trivium('bgp', 'set', '--asn', '64512', '--plan')
  t.equal(status, 0)
  t.match(stdout, '! node n1\n+router bgp 64512\n+ bgp router-id 192.0.2.1\n')
  t.match(stdout, '+ network 10.42.0.0/26\n')
  t.equal(await inStore((tx) => tx.get(keys.bgpSettings)), undefined)
})

t.test('settings, racks, nodes and peers are shown as they were said', async (t) => {
  const said = [
    ['set', '--asn', '64512', '--sessions', 'reflectors', '--bfd', '300x3', '--restart', 'off'],
    ['rack', 'r1', '--asn', '64601', '--summary', '10.42.0.0/20'],
    ['node', 'n2', '--reflector'],
    ['peer', 'add', '192.0.2.254', '--asn', '65001', '--rack', 'r1', '--ttl-hops', '1'],
    ['peer', 'add', '2001:db8::fe', '--asn', '65009', '--families', 'ipv4+ipv6'],
  ]
  for (const each of said)
    t.match(trivium('bgp', ...each), { status: 0, stderr: '' }, each.join(' '))
  const lines = trivium('bgp', 'settings').stdout.replaceAll(/ +/g, ' ').trimEnd().split('\n')
  t.strictSame(lines, [
    'OF AS SETTINGS',
    'all nodes 64512 sessions reflectors restart off bfd 300x3',
    'rack r1 64601 summary 10.42.0.0/20',
    'node n2 - reflector',
    'peer 2001:db8::fe of all nodes 65009 families ipv4+ipv6',
    'peer 192.0.2.254 of rack r1 65001 ttl-hops 1',
  ])
  const peers = JSON.parse(trivium('bgp', 'peer', 'list', '-o', 'json').stdout)
  t.match(peers, [{ address: '2001:db8::fe' }, { address: '192.0.2.254', ttlSecurityHops: 1 }])
  const config = trivium('bgp', 'config', 'n1', '--policies').stdout
  t.match(config, / neighbor 192.0.2.254 remote-as 65001 .* ttl-security hops 1 /)
  t.match(config, /route-map to-fabric permit source own ip 10.42.0.0\/20 \(summaries\)/)
})

t.test('a change of one peer shows on its nodes alone', async (t) => {
  const gone = trivium('bgp', 'peer', 'remove', '192.0.2.254', '--rack', 'r1', '--plan').stdout
  t.match(gone, /^! node n1\n- neighbor 192.0.2.254 .*\n! node n2\n- neighbor 192.0.2.254 .*\n$/)
  t.equal(trivium('bgp', 'peer', 'remove', '192.0.2.254', '--rack', 'r1').status, 0)
  t.equal(trivium('bgp', 'rack', 'r1', '--asn', 'none', '--no-summaries').status, 0)
  t.equal(await inStore((tx) => tx.get(keys.bgpRack('r1'))), undefined)
})

t.test('routes from BGP, and the way back', async (t) => {
  t.equal(trivium('network', 'set', 'pods', '--peer-routes', 'bgp').status, 0)
  t.match(trivium('network', 'show').stdout, /^pods +route +10.42.0.0\/16 +bgp$/m)
  t.match(trivium('bgp', 'unset'), { status: 1, stderr: /network pods has its routes from BGP/ })
  t.equal(trivium('network', 'set', 'pods', '--peer-routes', 'direct').status, 0)
  t.match(trivium('bgp', 'unset'), { status: 0, stdout: 'bgp: unset\n' })
})

const REFUSED: readonly (readonly [args: readonly string[], status: number, words: RegExp])[] = [
  [['set', '--asn', 'x'], 2, /Cannot read --asn "x": wanted a whole number/],
  [['set', '--asn', '0'], 1, /AS number is 0, wanted 1 to 4294967294/],
  [['set', '--bfd', '300'], 2, /Cannot read --bfd "300": wanted MILLISECONDSxCOUNT/],
  [['peer', 'add', '192.0.2.9', '--asn', '1', '--rack', 'a', '--node', 'b'], 2, /one of them/],
  [['peer', 'add', '192.0.2.9', '--asn', '1'], 1, /no settings yet, wanted an AS number first/],
  [['config', 'n9'], 1, /Cannot show node n9: the store has n1, n2, n3/],
]
for (const [args, status, stderr] of REFUSED) {
  t.match(trivium('bgp', ...args), { status, stderr }, args.join(' '))
}
