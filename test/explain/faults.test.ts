/**
 * One object broken at a time: the walk names it, and nothing before it. Each
 * row was seen in a table of what stops packets on plain kernels.
 */
import t from 'tap'
import { type Explanation, explain, type Hop } from '../../src/explain/mod.ts'
import { parseIp, parseMac, parsePrefix } from '../../src/net/mod.ts'
import { type Ground, Scene } from './scene.ts'

interface Row {
  readonly ground?: Ground
  readonly harm: (scene: Scene) => void
  readonly place: string
  readonly object: RegExp
  /** In what was found or wanted. */
  readonly says: RegExp
  readonly command: RegExp
  readonly status?: Hop['status']
  /** Where the agent puts it right by itself. */
  readonly byAgent?: boolean
  readonly to?: 'a2' | 'z' | 'n2'
}

const LIGHT: Ground = { options: { flavour: 'lightweight' } }
const DIRECT: Ground = { options: { crossSubnet: true } }
const A = 'trv89d91c819aa'
const B = 'trv5eaea580948'
const OTHER_MAC = parseMac('02:00:00:00:00:99')
const foreign = (dst: string, type: 'unicast' | 'blackhole', via?: string) => ({
  kind: 'route' as const,
  dst: parsePrefix(dst),
  type,
  metric: 0,
  protocol: 3,
  ...(type === 'unicast' ? { link: 'eth0', via: parseIp(via ?? '192.0.2.77') } : {}),
})

const ROWS: Readonly<Record<string, Row>> = {
  "the pod's interface is down": {
    harm: (s) => s.change('a', 'link eth0', { up: false }),
    place: 'pod default/a',
    object: /^link eth0$/,
    says: /down/,
    command: /^on n1: nsenter --net=\/run\/netns\/container-a ip link set dev eth0 up$/,
  },
  "the pod's interface is gone": {
    harm: (s) => s.drop('a', /^link eth0/),
    place: 'pod default/a',
    object: /^link eth0$/,
    says: /no such link/,
    command: /ip link/,
  },
  "the pod's namespace is gone": {
    harm: (s) => s.podProblems.set('a', 'Cannot open network namespace: there is no such file'),
    place: 'pod default/a',
    object: /^namespace \/run\/netns\/container-a$/,
    says: /no such file/,
    command: /^$/,
  },
  'the pod lost its address': {
    harm: (s) => s.drop('a', /^addr eth0 10\./),
    place: 'pod default/a',
    object: /^addr 10\.42\.0\.65 dev eth0$/,
    says: /missing/,
    command: /nsenter .* ip addr .*10\.42\.0\.65\/32 dev eth0/,
  },
  'the pod lost its default route': {
    harm: (s) => s.drop('a', /^route 0\.0\.0\.0\/0/),
    place: 'pod default/a',
    object: /^route 0\.0\.0\.0\/0 via 169\.254\.1\.1/,
    says: /missing/,
    command: /nsenter .* ip route replace 0\.0\.0\.0\/0 via 169\.254\.1\.1 dev eth0/,
  },
  "the pod's gateway has no neighbour entry": {
    harm: (s) => s.drop('a', /^neigh eth0 169/),
    place: 'pod default/a',
    object: /^neigh 169\.254\.1\.1 /,
    says: /missing/,
    command: /ip neigh replace 169\.254\.1\.1 lladdr 02:74:72:69:76:01 dev eth0 nud permanent/,
  },
  "the pod's gateway has another MAC": {
    harm: (s) => s.change('a', 'neigh eth0 169.254.1.1', { mac: OTHER_MAC }),
    place: 'pod default/a',
    object: /^neigh 169\.254\.1\.1 dev eth0$/,
    says: /lladdr 02:74:72:69:76:01/,
    command: /ip neigh replace 169\.254\.1\.1 lladdr 02:74:72:69:76:01/,
  },
  "the host's end is gone": {
    harm: (s) => s.drop('n1', new RegExp(`^link ${A}|^addr ${A}`)),
    place: 'node n1',
    object: new RegExp(`^link ${A}$`),
    says: /no such link/,
    command: /ip -d link show/,
  },
  "the host's end is down": {
    harm: (s) => s.change('n1', `link ${A}`, { up: false }),
    place: 'node n1',
    object: new RegExp(`^link ${A}$`),
    says: /down/,
    command: new RegExp(`^on n1: ip link set dev ${A} up$`),
    byAgent: true,
  },
  "the host's end has another MAC": {
    harm: (s) => s.change('n1', `link ${A}`, { mac: OTHER_MAC }),
    place: 'node n1',
    object: new RegExp(`^link ${A}$`),
    says: /address 02:00:00:00:00:99.*address 02:74:72:69:76:01/,
    command: new RegExp(`ip link set dev ${A} address 02:74:72:69:76:01`),
  },
  'the anti-spoof element is missing': {
    harm: (s) => s.drop('n1', new RegExp(`^nft-element pods4 ${A}`)),
    place: 'node n1',
    object: /^element inet trivium pods4/,
    says: /missing/,
    command: new RegExp(`^on n1: nft add element inet trivium pods4 { ${A} . 10.42.0.65 }$`),
    byAgent: true,
  },
  'forwarding is off': {
    harm: (s) => s.change('n1', 'sysctl net.ipv4.ip_forward', { value: '0' }),
    place: 'node n1',
    object: /^sysctl net\.ipv4\.ip_forward$/,
    says: /0.*1/,
    command: /^on n1: sysctl -w net\.ipv4\.ip_forward=1$/,
    byAgent: true,
  },
  "forwarding is off on the pod's link": {
    harm: (s) => s.put('n1', { kind: 'sysctl', name: `net.ipv4.conf.${A}.forwarding`, value: '0' }),
    place: 'node n1',
    object: new RegExp(`^sysctl net\\.ipv4\\.conf\\.${A}\\.forwarding$`),
    says: /0.*1/,
    command: /sysctl -w/,
  },
  'the route to the peer is missing': {
    harm: (s) => s.drop('n1', /^route 10\.42\.0\.128/),
    place: 'node n1',
    object: /^route 10\.42\.0\.128\/26 via 10\.42\.0\.128 dev trvx\.1/,
    says: /missing/,
    command: /^on n1: ip route replace 10\.42\.0\.128\/26 via 10\.42\.0\.128 dev trvx\.1 .*onlink$/,
    byAgent: true,
  },
  'the route is missing and the default route takes over': {
    harm(s) {
      s.drop('n1', /^route 10\.42\.0\.128/)
      s.put('n1', foreign('0.0.0.0/0', 'unicast', '192.0.2.254'))
    },
    place: 'node n1',
    object: /^route 10\.42\.0\.128\/26/,
    says: /missing, so route 0\.0\.0\.0\/0 via 192\.0\.2\.254 dev eth0 proto 3 is taken/,
    command: /ip route replace 10\.42\.0\.128\/26/,
    byAgent: true,
  },
  'a foreign route is in its place': {
    harm: (s) => s.put('n1', foreign('10.42.0.128/26', 'unicast')),
    place: 'node n1',
    object: /^route 10\.42\.0\.128\/26 via 192\.0\.2\.77 dev eth0 proto 3/,
    says: /not ours/,
    command: /^on n1: ip route del 10\.42\.0\.128\/26 via 192\.0\.2\.77 dev eth0 proto 3$/,
  },
  'a foreign, more specific route takes the pod': {
    harm: (s) => s.put('n1', foreign('10.42.0.129/32', 'unicast', '192.0.2.3')),
    place: 'node n1',
    object: /^route 10\.42\.0\.129\/32 via 192\.0\.2\.3/,
    says: /node n3.*not to n2/,
    command: /ip route del 10\.42\.0\.129\/32/,
  },
  'a blackhole swallows the pod': {
    harm: (s) => s.put('n1', foreign('10.42.0.128/27', 'blackhole')),
    place: 'node n1',
    object: /^route blackhole 10\.42\.0\.128\/27/,
    says: /swallows 10\.42\.0\.129/,
    command: /^on n1: ip route del blackhole 10\.42\.0\.128\/27$/,
  },
  "the tunnel's address is gone, and its routes with it": {
    harm: (s) => s.drop('n1', /^addr trvx\.1 10\.|^(route 10\.42\.0\.128|neigh trvx\.1 10)/),
    place: 'node n1',
    object: /^addr 10\.42\.0\.64\/32 dev trvx\.1/,
    says: /routes of trvx\.1 went with it/,
    command: /ip addr .*10\.42\.0\.64\/32 dev trvx\.1/,
    byAgent: true,
  },
  'the tunnel is gone': {
    harm: (s) =>
      s.drop(
        'n1',
        /^link trvx\.1$|^(addr|neigh|fdb) trvx\.1|^route (10\.42\.0\.(128|192)|fd42::(80|c0))/,
      ),
    place: 'node n1',
    object: /^link trvx\.1$/,
    says: /no such link/,
    command: /^on n1: ip link add name trvx\.1 .*type vxlan id 1 dstport 8472/,
    byAgent: true,
  },
  'the tunnel is down': {
    harm(s) {
      s.change('n1', 'link trvx.1', { up: false })
      s.drop('n1', /^neigh trvx\.1|^route (10\.42\.0\.(128|192)|fd42::(80|c0))/)
    },
    place: 'node n1',
    object: /^link trvx\.1$/,
    says: /down/,
    command: /ip link set dev trvx\.1 up/,
    byAgent: true,
  },
  'the tunnel is too narrow': {
    harm: (s) => s.change('n1', 'link trvx.1', { mtuBytes: 1300 }),
    place: 'node n1',
    object: /^link trvx\.1$/,
    says: /mtu 1300: a packet of 1450 bytes does not fit.*mtu 1450/,
    command: /ip link set dev trvx\.1 mtu 1450/,
    byAgent: true,
  },
  'the tunnel has another VNI': {
    harm: (s) =>
      s.change('n1', 'link trvx.1', {
        link: { type: 'vxlan', vni: 7, port: 8472, underlay: 'eth0', local: '192.0.2.1' },
      }),
    place: 'node n1',
    object: /^link trvx\.1$/,
    says: /id 7/,
    command: /ip link del dev trvx\.1/,
    byAgent: true,
  },
  'the tunnel on the other side has another port': {
    harm: (s) =>
      s.change('n2', 'link trvx.1', {
        link: { type: 'vxlan', vni: 1, port: 4789, underlay: 'eth0', local: '192.0.2.2' },
      }),
    place: 'node n2',
    object: /trvx\.1.*dstport 4789/,
    says: /does not listen for id 1 on port 8472/,
    command: /^on n2: ip link del dev trvx\.1/,
    byAgent: true,
  },
  'the tunnel sends from an address that the node has not': {
    harm: (s) =>
      s.change('n1', 'link trvx.1', {
        link: { type: 'vxlan', vni: 1, port: 8472, underlay: 'eth0', local: '192.0.2.55' },
      }),
    place: 'node n1',
    object: /^link trvx\.1 local 192\.0\.2\.55$/,
    says: /no address 192\.0\.2\.55/,
    command: /ip -d link show dev trvx\.1/,
  },
  "the gateway's neighbour entry is missing": {
    harm: (s) => s.drop('n1', /^neigh trvx\.1 10\.42\.0\.128/),
    place: 'node n1',
    object: /^neigh 10\.42\.0\.128 lladdr .* dev trvx\.1/,
    says: /missing/,
    command: /^on n1: ip neigh replace 10\.42\.0\.128 lladdr .* dev trvx\.1 nud permanent$/,
    byAgent: true,
  },
  "the gateway's neighbour entry has another MAC": {
    harm: (s) => s.change('n1', 'neigh trvx.1 10.42.0.128', { mac: OTHER_MAC }),
    place: 'node n1',
    object: /^neigh 10\.42\.0\.128 dev trvx\.1$/,
    says: /lladdr 02:00:00:00:00:99/,
    command: /ip neigh replace/,
    byAgent: true,
  },
  'the forwarding entry is missing': {
    harm: (s) => s.drop('n1', /^fdb trvx\.1 02:10:52/),
    place: 'node n1',
    object: /^fdb 02:10:52:86:e3:35 dev trvx\.1 dst 192\.0\.2\.2/,
    says: /missing/,
    command:
      /^on n1: bridge fdb replace 02:10:52:86:e3:35 dev trvx\.1 dst 192\.0\.2\.2 self permanent$/,
    byAgent: true,
  },
  'the forwarding entry leads to another node': {
    harm: (s) => s.change('n1', 'fdb trvx.1 02:10:52:86:e3:35', { dst: '192.0.2.3' }),
    place: 'node n1',
    object: /^fdb .* dst 192\.0\.2\.3/,
    says: /leads to node n3, not to n2/,
    command: /bridge fdb replace .* dst 192\.0\.2\.2/,
    byAgent: true,
  },
  'the underlay is down': {
    harm(s) {
      s.change('n1', 'link eth0', { up: false })
      s.drop('n1', /^route (192|2001)/)
    },
    place: 'node n1',
    object: /^link eth0$/,
    says: /down/,
    command: /^on n1: ip link set dev eth0 up$/,
  },
  'the underlay has no way to the peer': {
    harm: (s) => s.drop('n1', /^route 192/),
    place: 'node n1',
    object: /^route 192\.0\.2\.2$/,
    says: /no way to the peer/,
    command: /ip route get 192\.0\.2\.2/,
  },
  'the underlay is too narrow': {
    harm: (s) => s.change('n1', 'link eth0', { mtuBytes: 1400 }),
    place: 'node n1',
    object: /^link eth0$/,
    says: /mtu 1400: a tunnel packet of 1500 bytes does not fit/,
    command: /mtu 1500/,
  },
  "the peer's underlay is too narrow": {
    harm: (s) => s.change('n2', 'link eth0', { mtuBytes: 1400 }),
    place: 'node n2',
    object: /^link eth0$/,
    says: /mtu 1400/,
    command: /^on n2: ip link set dev eth0 mtu 1500/,
  },
  'the store has a stale address of the peer': {
    ground: { storeSays: '192.0.2.77' },
    harm: () => {},
    place: 'store',
    object: /^address 192\.0\.2\.77 of node n2$/,
    says: /store says 192\.0\.2\.77.*eth0 of n2 has 192\.0\.2\.2/,
    command: /^trivium node show n2$/,
  },
  "the peer's underlay is down": {
    harm: (s) => s.change('n2', 'link eth0', { up: false }),
    place: 'node n2',
    object: /^link eth0$/,
    says: /down/,
    command: /^on n2: ip link set dev eth0 up$/,
  },
  "the peer's guard does not know the node": {
    harm: (s) => s.drop('n2', /^nft-element nodes4 192\.0\.2\.1$/),
    place: 'node n2',
    object: /^element inet trivium nodes4 { 192\.0\.2\.1 }$/,
    says: /packets from 192\.0\.2\.1 are dropped/,
    command: /^on n2: nft add element inet trivium nodes4 { 192\.0\.2\.1 }$/,
    byAgent: true,
  },
  "the peer's tunnel is gone": {
    harm: (s) => s.drop('n2', /^link trvx\.1$/),
    place: 'node n2',
    object: /^link trvx\.1$/,
    says: /no such link/,
    command: /^on n2: ip link add name trvx\.1/,
    byAgent: true,
  },
  "the peer's tunnel is down": {
    harm: (s) => s.change('n2', 'link trvx.1', { up: false }),
    place: 'node n2',
    object: /^link trvx\.1$/,
    says: /down/,
    command: /^on n2: ip link set dev trvx\.1 up$/,
    byAgent: true,
  },
  "the peer's tunnel has another MAC": {
    harm: (s) => s.change('n2', 'link trvx.1', { mac: OTHER_MAC }),
    place: 'node n2',
    object: /^link trvx\.1$/,
    says: /address 02:00:00:00:00:99.*address 02:10:52:86:e3:35: n1 sends there/,
    command: /^on n2: ip link set dev trvx\.1 address 02:10:52:86:e3:35/,
    byAgent: true,
  },
  'the peer does not take the pool from the tunnel': {
    harm: (s) => s.drop('n2', /^nft-element tunnelled4 trvx\.1/),
    place: 'node n2',
    object: /^element inet trivium tunnelled4 { trvx\.1 \. 10\.42\.0\.0\/16 }$/,
    says: /missing/,
    command: /nft add element/,
    byAgent: true,
  },
  "the pod's route on the peer is missing": {
    harm: (s) => s.drop('n2', /^route 10\.42\.0\.129/),
    place: 'node n2',
    object: new RegExp(`^route 10\\.42\\.0\\.129/32 dev ${B}`),
    says: /missing, so route blackhole 10\.42\.0\.128\/26 proto 84 is taken/,
    command: new RegExp(`^on n2: ip route replace 10\\.42\\.0\\.129/32 dev ${B} proto 84$`),
    byAgent: true,
  },
  "the other pod's interface is down": {
    harm: (s) => s.change('b', 'link eth0', { up: false }),
    place: 'pod default/b',
    object: /^link eth0$/,
    says: /down/,
    command: /^on n2: nsenter/,
  },
  'strict reverse-path filter, and the way back is another road': {
    ground: DIRECT,
    harm(s) {
      s.put('n2', { kind: 'sysctl', name: 'net.ipv4.conf.all.rp_filter', value: '1' })
      s.put('n2', foreign('10.42.0.64/27', 'unicast', '192.0.2.3'))
      s.change('n2', 'route 10.42.0.64/27 metric 0', { link: 'trvx.1' })
    },
    place: 'node n2',
    object: /^sysctl net\.ipv4\.conf\.all\.rp_filter$/,
    says: /come in by eth0, the way back is route 10\.42\.0\.64\/27 via 192\.0\.2\.3 dev trvx\.1/,
    command: /^on n2: sysctl -w net\.ipv4\.conf\.all\.rp_filter=2$/,
  },
  'somebody drops every forwarded packet': {
    harm: (s) =>
      s.chains.set('n1', [
        {
          family: 'ip',
          table: 'filter',
          chain: 'FORWARD',
          hook: 'forward',
          priority: 0,
          policy: 'drop',
          rules: 0,
        },
      ]),
    place: 'node n1',
    object: /^chain ip filter FORWARD$/,
    says: /policy drop, no rules/,
    command: /^on n1: nft list chain ip filter FORWARD$/,
  },
  'somebody drops what his rules do not accept': {
    harm: (s) =>
      s.chains.set('n1', [
        {
          family: 'inet',
          table: 'firewalld',
          chain: 'filter_FORWARD',
          hook: 'forward',
          priority: 10,
          policy: 'drop',
          rules: 12,
        },
      ]),
    place: 'node n1',
    object: /^chain inet firewalld filter_FORWARD$/,
    says: /none of its 12 rules accepts/,
    command: /nft list chain/,
    status: 'suspect',
  },
  'somebody drops tunnel packets': {
    harm: (s) =>
      s.chains.set('n2', [
        {
          family: 'inet',
          table: 'fw',
          chain: 'in',
          hook: 'input',
          priority: 0,
          policy: 'drop',
          rules: 0,
        },
      ]),
    place: 'node n2',
    object: /^chain inet fw in$/,
    says: /hook input/,
    command: /nft list chain inet fw in/,
  },
  'networks are closed to each other': {
    harm: () => {},
    to: 'z',
    place: 'node n1',
    object: /^chain inet trivium isolate$/,
    says: /networks pods and zone are closed to each other/,
    command: /^trivium network allow pods zone$/,
  },
  'the neighbour table is full': {
    ground: { mode: 'route' },
    harm(s) {
      s.dynamic = 1024
    },
    place: 'node n1',
    object: /^sysctl net\.ipv4\.neigh\.default\.gc_thresh3$/,
    says: /1024 neighbours are resolved/,
    command: /sysctl -w/,
    status: 'suspect',
  },
  'lightweight: the route carries another VNI': {
    ground: LIGHT,
    harm: (s) => s.change('n1', 'route 10.42.0.128/26 metric 0', { encapVni: 7 }),
    place: 'node n1',
    object: /encap ip id 7/,
    says: /id 7 is another network's/,
    command: /ip route replace 10\.42\.0\.128\/26 encap ip id 1 dst 192\.0\.2\.2 dev trvx\.1/,
    byAgent: true,
  },
  'lightweight: the route leads to another node': {
    ground: LIGHT,
    harm: (s) =>
      s.change('n1', 'route 10.42.0.128/26 metric 0', { encapDst: parseIp('192.0.2.3') }),
    place: 'node n1',
    object: /dst 192\.0\.2\.3/,
    says: /node n3, not to n2/,
    command: /ip route replace .* dst 192\.0\.2\.2/,
    byAgent: true,
  },
  'lightweight: the peer does not take the VNI': {
    ground: LIGHT,
    harm: (s) => s.drop('n2', /^vni trvx\.1 1$/),
    place: 'node n2',
    object: /^vni 1 dev trvx\.1$/,
    says: /missing/,
    command: /^on n2: bridge vni add vni 1 dev trvx\.1$/,
    byAgent: true,
  },
  'route mode: the gateway is another node': {
    ground: { mode: 'route' },
    harm: (s) => s.change('n1', 'route 10.42.0.128/26 metric 0', { via: parseIp('192.0.2.3') }),
    place: 'node n1',
    object: /via 192\.0\.2\.3/,
    says: /leads to 192\.0\.2\.3 \(node n3\), not to n2/,
    command: /ip route replace 10\.42\.0\.128\/26 via 192\.0\.2\.2/,
    byAgent: true,
  },
  'vlan mode: the port is in no bridge': {
    ground: { mode: 'vlan' },
    harm: (s) => s.change('n1', `link ${A}`, { master: undefined }),
    place: 'node n1',
    object: new RegExp(`^link ${A}$`),
    says: /in no bridge/,
    command: new RegExp(`ip link set dev ${A} master trvb\\.100`),
  },
  'vlan mode: the 802.1Q link is down': {
    ground: { mode: 'vlan' },
    harm: (s) => s.change('n2', 'link trvl.100', { up: false }),
    place: 'node n2',
    object: /^link trvl\.100$/,
    says: /down/,
    command: /^on n2: ip link set dev trvl\.100 up$/,
    byAgent: true,
  },
}

const first = ({ paths }: Explanation) => paths.find(({ family }) => family === 4)?.hops ?? []

t.test('faults', async (t) => {
  for (const [title, row] of Object.entries(ROWS)) {
    await t.test(title, async (t) => {
      const scene = new Scene(row.ground)
      row.harm(scene)
      const answer = scene.explain('a', row.to ?? 'b')
      const { cause } = answer
      const { status = 'broken' } = row
      t.equal(cause?.status, status)
      t.equal(cause?.place, row.place)
      t.match(cause?.object ?? '', row.object)
      t.match(`${cause?.found} ${cause?.wanted}`, row.says)
      t.match(cause?.command ?? '', row.command)
      t.equal(cause?.byAgent ?? false, row.byAgent ?? false, 'who repairs it')
      t.equal(answer.verdict, status === 'broken' ? 'broken' : 'unknown')
      const before = first(answer).slice(0, first(answer).indexOf(cause as Hop))
      t.ok(
        before.every((hop) => hop.status === 'ok'),
        'what comes before is well',
      )
    })
  }
})

t.test('nothing broken', async (t) => {
  const grounds: Readonly<Record<string, Ground>> = {
    vxlan: {},
    lightweight: LIGHT,
    direct: DIRECT,
    route: { mode: 'route' },
    vlan: { mode: 'vlan' },
  }
  for (const [name, ground] of Object.entries(grounds)) {
    const ends = ground.mode === 'vlan' ? ['b', 'a2'] : ['b', 'a2', 'n2', 'n1']
    for (const to of ends as ('b' | 'a2' | 'n2' | 'n1')[]) {
      const { verdict, cause } = new Scene(ground).explain('a', to)
      t.equal(verdict, 'reachable', `${name}: pod a reaches ${to} ${JSON.stringify(cause)}`)
    }
    if (ground.mode === 'vlan') continue
    t.equal(new Scene(ground).explain('n1', 'b').verdict, 'reachable', `${name}: node to pod`)
  }
})

t.test('a side that was not seen', async (t) => {
  const scene = new Scene()
  scene.unseen.add('n2')
  const answer = scene.explain()
  t.equal(answer.verdict, 'unknown')
  t.strictSame(answer.unseen, ['n2'])
  scene.drop('n1', /^fdb trvx\.1 02:10:52/)
  t.equal(scene.explain().verdict, 'broken', 'what was seen may still be broken')
})

t.test('an opening for some ports', async (t) => {
  const scene = new Scene({ mode: 'route' })
  const opening = '10.42.0.0/16 . 10.99.0.0/16 . tcp . 80'
  scene.put('n1', { kind: 'nft-element', set: 'reach_port4', key: opening })
  const place = (port: number) => scene.explain('a', 'z', { protocol: 'tcp', port }).cause?.object
  t.not(place(80), 'chain inet trivium isolate', 'tcp/80 is open on n1')
  t.equal(place(81), 'chain inet trivium isolate', 'tcp/81 is not')
})

t.test('ends that cannot be walked', async (t) => {
  const scene = new Scene()
  const outside = { kind: 'outside', ips: [parseIp('203.0.113.1')] } as const
  const base = { views: scene.views, snapshots: new Map([['n1', scene.snapshot('n1')]]) }
  t.throws(
    () => explain({ ...base, from: outside, to: scene.end('a') }),
    /Cannot follow a packet from 203\.0\.113\.1/,
  )
  const out = explain({ ...base, from: scene.end('a'), to: outside })
  t.equal(out.verdict, 'broken', 'no route leaves this node')
  scene.put('n1', foreign('0.0.0.0/0', 'unicast', '192.0.2.254'))
  const snapshots = new Map([['n1', scene.snapshot('n1')]])
  const left = explain({ ...base, snapshots, from: scene.end('a'), to: outside })
  t.equal(left.verdict, 'unknown')
  t.match(left.cause?.found ?? '', /outside the cluster: what follows is not seen/)
  const z = { ...scene.end('z'), ips: [parseIp('10.99.0.129')] }
  const six = { ...scene.end('a'), ips: [parseIp('fd42::41')] }
  const apart = explain({ ...base, from: six, to: z })
  t.equal(apart.verdict, 'broken')
  t.equal(apart.cause?.wanted, 'an IP family that both have')
})
