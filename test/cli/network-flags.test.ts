/** Flags that describe a network: what they mean, and what they refuse. */
import t from 'tap'
import { cooldownOf } from '../../src/cli/commands/ipam-configure.ts'
import { collect } from '../../src/cli/common.ts'
import {
  allowedPort,
  networkFlags,
  optionsOf,
  poolChangesOf,
  specOf,
} from '../../src/cli/network-flags.ts'

t.strictSame(
  specOf(
    'pods',
    'vxlan',
    ['10.42.0.0/16', 'fd42::/48,block=122', '10.43.0.0/16,gateway=10.43.0.1,block=24'],
    {
      vni: '7',
      mtu: '1400',
    },
  ),
  {
    name: 'pods',
    mode: 'vxlan',
    pools: [
      { cidr: '10.42.0.0/16' },
      { cidr: 'fd42::/48', blockLength: 122 },
      { cidr: '10.43.0.0/16', gateway: '10.43.0.1', blockLength: 24 },
    ],
    options: { vni: 7, mtuBytes: 1400 },
  },
)

t.strictSame(optionsOf({}), {}, 'nothing given, nothing said')
t.strictSame(optionsOf({ vni: '0', vxlanPort: '4789', vlan: '4094', mtu: '9000' }), {
  vni: 0,
  vxlanPort: 4789,
  vlanId: 4094,
  mtuBytes: 9000,
})

const BAD = [
  [{ vni: '-1' }, 'Cannot read --vni "-1": wanted a whole number'],
  [{ vni: '' }, 'Cannot read --vni "": wanted a whole number'],
  [{ vxlanPort: '8472/udp' }, 'Cannot read --vxlan-port "8472/udp": wanted a whole number'],
  [{ vlan: '0x10' }, 'Cannot read --vlan "0x10": wanted a whole number'],
  [{ mtu: '1e3' }, 'Cannot read --mtu "1e3": wanted a whole number'],
  [{ mtu: '1500.5' }, 'Cannot read --mtu "1500.5": wanted a whole number'],
] as const
for (const [flags, message] of BAD) {
  t.throws(() => optionsOf(flags), { code: 'USAGE', message }, message)
}

const POOLS = [
  ['10.42.0.0/16,block=x', 'Cannot read block "x": wanted a whole number'],
  ['10.42.0.0/16,block', 'Cannot read block "": wanted a whole number'],
  [
    '10.42.0.0/16,size=26',
    'Cannot read pool "10.42.0.0/16,size=26": unknown setting "size", wanted block=LENGTH, gateway=ADDRESS, rack=LABEL, nodes=A+B, floating or namespaces=A+B',
  ],
  [
    '10.42.0.0/16,',
    'Cannot read pool "10.42.0.0/16,": unknown setting "", wanted block=LENGTH, gateway=ADDRESS, rack=LABEL, nodes=A+B, floating or namespaces=A+B',
  ],
] as const
for (const [pool, message] of POOLS) {
  t.throws(() => specOf('pods', 'route', [pool], {}), { code: 'USAGE', message }, message)
}

t.strictSame(
  networkFlags().map(({ long }) => long),
  [
    '--vni',
    '--vxlan-port',
    '--flavour',
    '--cross-subnet',
    '--no-cross-subnet',
    '--peer-routes',
    '--masquerade',
    '--no-masquerade',
    '--checksum-offload',
    '--conflict-probe',
    '--no-conflict-probe',
    '--force',
    '--vlan',
    '--attachment',
    '--mtu',
  ],
)
for (const [flags, options] of [
  [
    { flavour: 'lightweight', crossSubnet: true },
    { flavour: 'lightweight', crossSubnet: true },
  ],
  [
    { attachment: 'macvlan', vlan: '0' },
    { attachment: 'macvlan', vlanId: 0 },
  ],
  [
    { masquerade: false, force: true },
    { masquerade: false, anyKernel: true },
  ],
  [{ checksumOffload: 'off' }, { checksumOffload: false }],
  [{ checksumOffload: 'on' }, { checksumOffload: true }],
  [
    { checksumOffload: 'auto', mtu: 'auto' },
    { checksumOffload: undefined, mtuBytes: undefined },
  ],
] as const) {
  t.strictSame(optionsOf(flags), options, JSON.stringify(flags))
}
t.throws(() => optionsOf({ checksumOffload: 'perhaps' }), { code: 'USAGE' })
for (const [text, options] of [
  ['0', { cooldownSeconds: 0 }],
  ['90,strict', { cooldownSeconds: 90, cooldownStrict: true }],
  ['strict', { cooldownStrict: true }],
  ['soft', { cooldownStrict: undefined }],
] as const) {
  t.strictSame(cooldownOf(text), options, text)
}
for (const text of ['60,stern', '60,', ',strict', '', 'strict,60', '-1', '60strict']) {
  t.throws(() => cooldownOf(text), { code: 'USAGE' }, text)
}
t.strictSame(poolChangesOf('10.1.0.0/16,rack=,namespaces=a+b,gateway=10.1.0.1'), [
  '10.1.0.0/16',
  { rack: undefined, namespaces: ['a', 'b'], gateway: '10.1.0.1' },
])
t.throws(() => poolChangesOf('10.1.0.0/16,block=26'), { code: 'USAGE', message: /"block"/ })
t.strictSame(allowedPort('udp/53'), { protocol: 'udp', port: 53 })
for (const port of ['tcp', 'tcp/0', 'tcp/65536', 'icmp/1', '80', 'tcp/80x', '']) {
  t.throws(() => allowedPort(port), { code: 'USAGE' }, port)
}
t.strictSame(collect('b', collect('a')), ['a', 'b'], 'options given several times keep their order')
