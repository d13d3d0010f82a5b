/** What the doctor says of a node, one trouble at a time. */
import t from 'tap'
import { type Examined, examine, type Finding, worst } from '../../src/explain/mod.ts'
import { parseIp, parsePrefix } from '../../src/net/mod.ts'
import { type Ground, Scene } from './scene.ts'

interface Row {
  readonly ground?: Ground
  readonly harm?: (scene: Scene) => void
  readonly examined?: (good: Examined) => Partial<Examined>
  readonly severity: Finding['severity']
  readonly check: string
  readonly found: RegExp
  readonly command?: RegExp
}

const chain = (hook: string, rules: number) => ({
  family: 'ip',
  table: 'filter',
  chain: hook.toUpperCase(),
  hook,
  priority: 0,
  policy: 'drop' as const,
  rules,
})

const ROWS: Readonly<Record<string, Row>> = {
  'no agent': {
    examined: () => ({ agentProblem: 'Cannot ask the agent: ENOENT' }),
    severity: 'fail',
    check: 'agent',
    found: /ENOENT/,
    command: /trivium agent --node n1/,
  },
  'no store': {
    examined: () => ({ storeProblem: 'Cannot open store', view: undefined }),
    severity: 'fail',
    check: 'store',
    found: /Cannot open store/,
  },
  'not registered': {
    examined: () => ({ view: undefined }),
    severity: 'fail',
    check: 'store',
    found: /does not know node n1/,
  },
  'a lease that comes to its end': {
    examined: () => ({
      cluster: { refusal: undefined, leaseLeftMs: 600_000, leaseMs: 3_600_000 },
    }),
    severity: 'warn',
    check: 'cluster',
    found: /last heard of 50 min ago: in 10 min this node gives no address/,
    command: /^etcdctl endpoint health/,
  },
  'a lease that is over': {
    examined: () => ({
      cluster: { refusal: 'Cannot give an address', leaseLeftMs: -1, leaseMs: 3_600_000 },
    }),
    severity: 'fail',
    check: 'cluster',
    found: /^Cannot give an address/,
  },
  'a route that the agent would add': {
    harm: (s) => s.drop('n1', /^route 10\.42\.0\.128/),
    severity: 'fail',
    check: 'kernel',
    found: /not as the store asks/,
    command: /^ip route add 10\.42\.0\.128\/26/,
  },
  'a foreign route on our prefix': {
    harm: (s) =>
      s.put('n1', {
        kind: 'route',
        dst: parsePrefix('10.42.0.128/26'),
        type: 'unicast',
        link: 'eth0',
        via: parseIp('192.0.2.9'),
        metric: 0,
        protocol: 4,
      }),
    severity: 'fail',
    check: 'conflict',
    found: /route 10\.42\.0\.128\/26 via 192\.0\.2\.9 .* is somebody else's/,
    command: /^ip route del 10\.42\.0\.128\/26/,
  },
  "somebody else's link under our name": {
    harm: (s) => s.change('n1', 'link trvx.1', { alias: 'mine' }),
    severity: 'fail',
    check: 'conflict',
    found: /trvx\.1.* is somebody else's/,
    command: /^ip link del dev trvx\.1$/,
  },
  'the underlay is down': {
    harm: (s) => s.change('n1', 'link eth0', { up: false }),
    severity: 'fail',
    check: 'underlay',
    found: /eth0 is down/,
  },
  'the underlay has another MTU': {
    harm: (s) => s.change('n1', 'link eth0', { mtuBytes: 9000 }),
    severity: 'fail',
    check: 'underlay',
    found: /mtu 9000, the store says 1500/,
  },
  'strict filter': {
    harm: (s) => s.change('n1', 'sysctl net.ipv4.conf.all.rp_filter', { value: '1' }),
    severity: 'warn',
    check: 'rp_filter',
    found: /^net\.ipv4\.conf\.all\.rp_filter is strict/,
    command: /sysctl -w net\.ipv4\.conf\.all\.rp_filter=2/,
  },
  'strict filter, two roads': {
    ground: { options: { crossSubnet: true } },
    harm: (s) => s.change('n1', 'sysctl net.ipv4.conf.all.rp_filter', { value: '1' }),
    severity: 'fail',
    check: 'rp_filter',
    found: /peers are reached by two roads/,
  },
  'more neighbours than fit': {
    ground: { mode: 'route' },
    harm: (s) => s.change('n1', 'sysctl net.ipv4.neigh.default.gc_thresh3', { value: '2' }),
    severity: 'fail',
    check: 'neighbours',
    found: /gc_thresh3 is 2, and 5 are needed \(2 peers/,
  },
  'somebody else has our port': {
    harm: (s) =>
      s.put('n1', {
        kind: 'link',
        name: 'flannel.1',
        link: { type: 'vxlan', vni: 1, port: 8472, underlay: 'eth0', local: parseIp('192.0.2.1') },
        up: true,
      }),
    severity: 'fail',
    check: 'tunnel',
    found: /flannel\.1 is somebody else's VXLAN device on our UDP port 8472/,
  },
  'a chain that drops': {
    harm: (s) => s.chains.set('n1', [chain('forward', 3)]),
    severity: 'warn',
    check: 'nftables',
    found: /ip filter FORWARD: hook forward, policy drop, 3 rules/,
    command: /nft list chain ip filter FORWARD/,
  },
  "a pod's namespace is gone": {
    harm: (s) => s.podProblems.set('a', 'no such file'),
    severity: 'warn',
    check: 'pods',
    found: /container container-a eth0: no such file/,
  },
  'a full connection table': {
    examined: ({ snapshot }) => ({ snapshot: { ...snapshot, conntrack: { count: 95, max: 100 } } }),
    severity: 'warn',
    check: 'conntrack',
    found: /95 of 100/,
  },
  'an old kernel and lightweight tunnels': {
    ground: { options: { flavour: 'lightweight' } },
    examined: ({ snapshot }) => ({ snapshot: { ...snapshot, kernelRelease: '6.1.0' } }),
    severity: 'fail',
    check: 'tunnel',
    found: /Linux 6\.1\.0 damages packets/,
  },
  'a kernel that gets checksums wrong': {
    examined: ({ snapshot }) => ({ snapshot: { ...snapshot, kernelRelease: '5.4.0' } }),
    severity: 'warn',
    check: 'tunnel',
    found: /trvx\.1 leaves checksums to the device/,
    command: /ethtool -K trvx\.1 tx-checksum-ip-generic off/,
  },
}

function examinedOf(scene: Scene): Examined {
  return {
    node: 'n1',
    agentProblem: undefined,
    socketPath: '/run/trivium/agent.sock',
    storeProblem: undefined,
    view: scene.view('n1'),
    snapshot: scene.snapshot('n1'),
  }
}

t.test('a healthy node', async (t) => {
  for (const ground of [
    {},
    { mode: 'route' },
    { options: { flavour: 'lightweight' } },
  ] as Ground[]) {
    const findings = examine(examinedOf(new Scene(ground)))
    t.equal(
      worst(findings),
      'ok',
      JSON.stringify(findings.filter((each) => each.severity !== 'ok')),
    )
    t.ok(findings.length > 5)
  }
})

t.test('troubles', async (t) => {
  for (const [title, row] of Object.entries(ROWS)) {
    const scene = new Scene(row.ground)
    row.harm?.(scene)
    const good = examinedOf(scene)
    const findings = examine({ ...good, ...row.examined?.(good) })
    const found = findings.find(
      ({ check, severity, found }) =>
        check === row.check && severity === row.severity && row.found.test(found),
    )
    t.ok(found, title, { findings: findings.filter(({ severity }) => severity !== 'ok') })
    if (row.command !== undefined) t.match(found?.command ?? '', row.command, title)
    t.equal(worst(findings), row.severity, `${title}: the worst`)
  }
})
