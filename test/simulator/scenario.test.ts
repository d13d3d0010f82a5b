/** Bad scenarios: the message, with the line, for each mistake. */
import { readdirSync, readFileSync } from 'node:fs'
import t from 'tap'
import { parseScenario } from '../../simulator/scenario.ts'

const GOOD = `nodes: 4
podsPerNode: 10
racks: 2
pools:
  - cidr: 10.42.0.0/16
    blockLength: 26
modes: [vxlan, route]
switch: { profile: trident3-default }
`

const FOLDER = new URL('../../simulator/scenarios/', import.meta.url)

/** What is replaced in the good one, by what, and what is said then. */
const MISTAKES: readonly (readonly [what: string, from: string, to: string, message: RegExp])[] = [
  ['zero nodes', 'nodes: 4', 'nodes: 0', /x\.yaml:1: nodes: found 0, wanted a whole number from 1/],
  [
    'a billion nodes',
    'nodes: 4',
    'nodes: 1e9',
    /:1: nodes: found 1000000000, .* to 20000; no engine/,
  ],
  ['NaN', 'nodes: 4', 'nodes: .nan', /:1: nodes: found NaN, wanted a whole number/],
  ['infinity', 'nodes: 4', 'nodes: .inf', /:1: nodes: found Infinity/],
  ['half a node', 'nodes: 4', 'nodes: 2.5', /:1: nodes: found 2\.5/],
  ['text', 'nodes: 4', 'nodes: many', /:1: nodes: found "many", wanted a whole number/],
  ['a missing key', 'podsPerNode: 10\n', '', /x\.yaml:1: podsPerNode: found nothing/],
  [
    'an unknown key',
    'podsPerNode',
    'podPerNode',
    /:2: unknown key "podPerNode", did you mean podsPerNode\?/,
  ],
  [
    'an unknown key, unlike all',
    'racks: 2',
    'racks: 2\nzebra: 1',
    /:4: unknown key "zebra", wanted one of name/,
  ],
  [
    'an unknown key below',
    'blockLength',
    'blocklenth',
    /:6: pools\.0: unknown key "blocklenth", did you mean blockLength\?/,
  ],
  ['a bad CIDR', '10.42.0.0/16', '10.42.0.1/16', /:5: pools\.0\.cidr: found "10\.42\.0\.1\/16"/],
  [
    'a block larger than its pool',
    '26',
    '8',
    /:5: pools: .*block length of pool 10\.42\.0\.0\/16 is 8, wanted 16 to 32/,
  ],
  [
    'a pool of the underlay',
    '10.42.0.0/16',
    '100.64.0.0/16',
    /:5: pools\.0\.cidr: .*overlaps 100\.64\.0\.0\/10/,
  ],
  [
    'a pool too small',
    '10.42.0.0/16',
    '10.42.0.0/25',
    /:5: .*has 2 blocks of \/26, 4 nodes with 10 pods need 4: at least a \/24, a \/23 with/,
  ],
  [
    'an unknown mode',
    '[vxlan, route]',
    '[vxlan, bgp]',
    /:7: modes\.1: found "bgp", wanted vxlan, route, vlan/,
  ],
  [
    'a flavour of no tunnel',
    '[vxlan, route]',
    '[{ mode: route, flavour: lightweight }]',
    /:7: modes\.0: flavour: lightweight belongs to mode vxlan, not route/,
  ],
  [
    'a direct road beside the direct road',
    '[vxlan, route]',
    '[{ mode: route, crossSubnet: true }]',
    /:7: modes\.0: crossSubnet belongs to mode vxlan, not route/,
  ],
  ['an unknown flavour', '[vxlan, route]', '[{ mode: vxlan, flavour: heavy }]', /:7: modes\.0/],
  [
    'an opening of nobody',
    'racks: 2',
    'allow: [{ from: pods, to: blue }]',
    /:3: allow\.0\.to: no network blue, there is pods/,
  ],
  [
    'an opening to itself',
    'racks: 2',
    'allow: [{ from: pods, to: pods }]',
    /:3: allow\.0: pods reaches itself already, wanted two networks/,
  ],
  [
    'pools that overlap',
    'modes',
    '  - { cidr: 10.42.128.0/17, network: blue }\nmodes',
    /:7: pools\.1\.cidr: 10\.42\.128\.0\/17 overlaps 10\.42\.0\.0\/16, wanted separate pools/,
  ],
  [
    'a network without room',
    'modes',
    '  - { cidr: 10.43.0.0/25, network: blue }\nmodes',
    /:7: pools\.1\.cidr: 10\.43\.0\.0\/25 has 2 blocks of \/26, 4 nodes with 5 pods need 4/,
  ],
  [
    'a bad name of a network',
    'modes',
    '  - { cidr: 10.43.0.0/16, network: "-" }\nmodes',
    /:5: pools: Cannot use network name "-"/,
  ],
  ['a mode twice', '[vxlan, route]', '[vxlan, vxlan]', /:7: modes\.1: mode vxlan is listed twice/],
  [
    '/32s in a tunnel',
    '[vxlan, route]',
    '[{ mode: vxlan, announce: host }]',
    /:7: modes\.0: announce: host belongs to mode route/,
  ],
  [
    'blocks by rack in a tunnel',
    '[vxlan, route]',
    '[{ mode: vxlan, placement: rack }]',
    /:7: modes\.0: placement: rack belongs to mode route/,
  ],
  [
    'static summaries of parts no larger than a block',
    '10.42.0.0/16\n    blockLength: 26\nmodes: [vxlan, route]',
    '10.42.0.0/24\n    blockLength: 25\nmodes: [{ mode: route, announce: static }]',
    /:7: modes\.0: announce: static cuts 10\.42\.0\.0\/24 into parts of \/25 for 2 racks, blocks are \/25: wanted a pool of at least a \/23/,
  ],
  [
    'a network without a road',
    '[vxlan, route]',
    '[{ mode: mixed, networks: {} }]',
    /:7: modes\.0: network pods has no road, wanted one a network/,
  ],
  [
    'a road of no network',
    '[vxlan, route]',
    '[{ mode: mixed, networks: { pods: vxlan, red: route } }]',
    /:7: modes\.0: no network red, there is pods/,
  ],
  [
    'a wrong road of a network',
    '[vxlan, route]',
    '[{ mode: mixed, networks: { pods: { mode: vlan, announce: rack } } }]',
    /:7: modes\.0: announce: rack belongs to mode route, not vlan/,
  ],
  [
    'tunnels to other racks only, where every node is a neighbour',
    '10.42.0.0/16\n    blockLength: 26\nmodes: [vxlan, route]',
    '10.42.0.0/16\n  - { cidr: 10.43.0.0/16, network: red }\nmodes: [{ mode: mixed, networks: { pods: route, red: { mode: vxlan, crossSubnet: true } } }]',
    /:7: modes\.0: crossSubnet beside route or vlan/,
  ],
  [
    'mixed without networks',
    '[vxlan, route]',
    '[mixed]',
    /:7: modes\.0: found "mixed", wanted vxlan, route, vlan or \{.*\{ mode: mixed, networks/,
  ],
  ['no mode', '[vxlan, route]', '[]', /:7: modes: wanted at least one mode/],
  [
    'an unknown profile',
    'trident3-default',
    'trident3-defalt',
    /:8: switch: no profile "trident3-defalt" \(did you mean trident3-default\?\)/,
  ],
  [
    'capacity zero',
    '{ profile: trident3-default }',
    '{ host: 0, lpm: 1, mac: 1 }',
    /:8: switch\.host: found 0, wanted a whole number from 1/,
  ],
  [
    'an unknown policy',
    '{ profile: trident3-default }',
    '{ profile: trident3-default, overflow: drop }',
    /:8: switch: overflow: found "drop", wanted refuse, evict, software/,
  ],
  [
    'an unknown rate',
    '{ profile: trident3-default }',
    '{ profile: trident3-default, routesPerSecond: fast }',
    /:8: switch: routesPerSecond: found "fast", wanted .* sonic-measured, sonic-q200/,
  ],
  [
    'a rate of zero',
    '{ profile: trident3-default }',
    '{ profile: trident3-default, routesPerSecond: 0 }',
    /:8: switch\.routesPerSecond: found 0, wanted a whole number from 1/,
  ],
  [
    'a silent talk',
    'racks: 2',
    'racks: 2\ntalk: 0',
    /:4: talk: .*wanted .*whole number from 1|none/,
  ],
  [
    'no room for neighbours',
    'racks: 2',
    'racks: 2\nkernel: { gcThresh3: 0 }',
    /:4: kernel\.gcThresh3: found 0, wanted a whole number from 1/,
  ],
  [
    'more data centres than racks',
    'racks: 2',
    'racks: 2\nfabric: { dataCenters: 3 }',
    /:4: fabric\.dataCenters: 3 groups of racks, wanted at most one a rack \(2\)/,
  ],
  [
    'a loss of everything',
    'racks: 2',
    'racks: 2\nfabric: { wanLossPercent: 100 }',
    /:4: fabric\.wanLossPercent: found 100, wanted a number from 0 to 99\.9999 with at most 4 decimals/,
  ],
  [
    'a loss too fine',
    'racks: 2',
    'racks: 2\nfabric: { lossPercent: 0.00001 }',
    /:4: fabric\.lossPercent: found 0\.00001, wanted a number from 0 to 99\.9999 with at most 4/,
  ],
  [
    'a store in no rack',
    'racks: 2',
    'racks: 2\nstore: { rack: 2 }',
    /:4: store\.rack: found 2, wanted a rack from 0 to 1/,
  ],
  [
    'a store in no data centre',
    'racks: 2',
    'racks: 2\nstore: { dataCenter: 1 }',
    /:4: store\.dataCenter: found 1, wanted a data centre from 0 to 0/,
  ],
  [
    'a store in two places',
    'racks: 2',
    'racks: 2\nstore: { dataCenter: 0, rack: 0 }',
    /:4: store: has a rack and a dataCenter, wanted one of them/,
  ],
  [
    'an opening of no port',
    'racks: 2',
    'racks: 2\nallow: [{ from: a, to: b, ports: [icmp/3] }]',
    /:4: allow\.0\.ports\.0: found "icmp\/3", wanted tcp\/PORT, udp\/PORT or sctp\/PORT/,
  ],
  [
    'no bandwidth',
    'racks: 2',
    'racks: 2\nfabric: { linkGbps: .nan }',
    /:4: fabric\.linkGbps: found NaN, wanted a number/,
  ],
  [
    'a key of the fabric',
    'racks: 2',
    'racks: 2\nfabric: { dataCentres: 2 }',
    /:4: fabric: unknown key "dataCentres", did you mean dataCenters\?/,
  ],
  [
    'more racks than nodes',
    'racks: 2',
    'racks: 5',
    /:3: racks: found 5, wanted at most one a node \(4\)/,
  ],
  [
    'racks too full',
    'nodes: 4',
    'nodes: 2000',
    /:3: racks: a rack would have 1000 nodes, .* at least 8 racks/,
  ],
  [
    'too many pods',
    'nodes: 4\npodsPerNode: 10',
    'nodes: 5000\npodsPerNode: 1000',
    /:2: podsPerNode: 5000 nodes x 1000 pods are 5000000/,
  ],
  [
    'a time of zero',
    'racks: 2',
    'racks: 2\ntimes: { settleMs: 0 }',
    /:4: times\.settleMs: found 0/,
  ],
  [
    'a fault without an end that is none',
    'racks: 2',
    'racks: 2\nfaults:\n  - { kind: store, atMs: 1 }\n  - { kind: store, atMs: 1, forMs: 0 }',
    /:6: faults\.1\.forMs: found 0, wanted a whole number from 1 to 3600000/,
  ],
  [
    'a fault beyond an hour',
    'racks: 2',
    'racks: 2\nfaults: [{ kind: store, atMs: 3600001 }]',
    /:4: faults\.0\.atMs: found 3600001/,
  ],
  [
    'a fault of no node',
    'racks: 2',
    'racks: 2\nfaults: [{ kind: node, atMs: 1, node: nod-0001 }]',
    /:4: faults\.0: no node nod-0001, did you mean node-0001\?/,
  ],
  [
    'a partition of everything',
    'racks: 2',
    'racks: 2\nfaults: [{ kind: partition, atMs: 1, racks: [1, 0] }]',
    /:4: faults\.0: cuts all 2 racks off from nobody/,
  ],
  [
    'a million faults',
    'racks: 2',
    'racks: 2\nswarm: { forMs: 1000, faults: 1000000 }',
    /:4: swarm\.faults: found 1000000, wanted a whole number from 1 to 1000/,
  ],
  [
    'a kind of fault that cannot be',
    'racks: 2',
    'racks: 1\nswarm: { forMs: 1000, faults: 10, kinds: [node, partition] }',
    /:4: swarm\.kinds\.1: found partition, but this cluster has nothing of that kind/,
  ],
  ['broken YAML', 'modes: [vxlan, route]', 'modes: [vxlan, route', /x\.yaml:\d+: /],
  ['a key twice', 'racks: 2', 'racks: 2\nracks: 3', /:4: Map keys must be unique/],
  ['a list', GOOD, '- 1\n', /x\.yaml:1: /],
  ['nothing', GOOD, '', /x\.yaml:1: /],
]

const LISTED = `${GOOD}fabric:
  kind: listed
  devices:
    - { name: a, role: tor }
    - { name: b, role: tor }
    - { name: hub, role: core }
  links:
    - { between: [a, hub] }
    - { between: [hub, b] }
faults:
  - { kind: device, atMs: 1, name: hub }
`

/** The same for a fabric that is listed. */
const IMPOSSIBLE: typeof MISTAKES = [
  [
    'an unknown device',
    '[a, hub]',
    '[a, hob]',
    /:16: fabric\.links\.0: no device hob, did you mean hub\?/,
  ],
  ['a device twice', 'name: b', 'name: a', /:13: fabric\.devices\.1: device a is listed twice/],
  ['a link to itself', '[a, hub]', '[a, a]', /:16: fabric\.links\.0: joins a to itself/],
  ['a link twice', '[hub, b]', '[hub, a]', /:17: fabric\.links\.1: hub and a are joined twice/],
  ['a rack alone', '    - { between: [hub, b] }\n', '', /:16: fabric\.links: no path from b to a/],
  [
    'a rack too few',
    'racks: 2',
    'racks: 3',
    /:12: fabric\.devices: found 2 devices of role tor, wanted one a rack \(3\)/,
  ],
  [
    'an unknown role',
    'role: core',
    'role: hub',
    /:14: fabric\.devices\.2\.role: found "hub", wanted tor, aggreg/,
  ],
  [
    'an unknown profile of one',
    'role: core',
    'role: core, profile: helix5',
    /:14: fabric\.devices\.2: no profile "helix5", did you mean helix4\?/,
  ],
  ['three ends', '[a, hub]', '[a, hub, b]', /:16: fabric\.links\.0\.between: /],
  [
    'a key of a link',
    'between: [a',
    'betwen: [a',
    /:16: fabric\.links\.0: unknown key "betwen", did you mean between/,
  ],
  [
    'a fault of nobody',
    'atMs: 1, name: hub',
    'atMs: 1, name: hup',
    /:19: faults\.0: no device hup, did you mean hub\?/,
  ],
  [
    'a fault of nothing',
    'atMs: 1, name: hub',
    'atMs: 1',
    /:19: faults\.0: kind device lacks what it hits, wanted name: tor-0/,
  ],
  [
    'a fault of no link',
    'kind: device, atMs: 1, name: hub',
    'kind: link, atMs: 1, between: [a, b]',
    /:19: faults\.0: no link between a and b/,
  ],
  [
    'a fault with the key of another kind',
    'name: hub }',
    'name: hub, node: 0 }',
    /:19: faults\.0: node belongs to kind node or agent, not device/,
  ],
  [
    'a spine where there is none',
    'kind: device, atMs: 1, name: hub',
    'kind: spine, atMs: 1, spine: 0',
    /:19: faults\.0: this fabric has no spines, wanted kind device and a name/,
  ],
  [
    'a list without its kind',
    'kind: listed',
    'kind: leaf-spine',
    /:12: fabric\.devices: belongs to kind listed/,
  ],
  [
    'an unknown kind',
    'kind: listed',
    'kind: ring',
    /:10: fabric\.kind: found "ring", wanted leaf-spine, three-tier/,
  ],
]

t.doesNotThrow(() => parseScenario(GOOD, 'x.yaml'), 'the good one')
t.doesNotThrow(() => parseScenario(LISTED, 'x.yaml'), 'the listed one')

for (const [what, from, to, message] of IMPOSSIBLE) {
  const text = LISTED.replace(from, to)
  t.ok(text !== LISTED, `${what}: was put in`)
  t.throws(() => parseScenario(text, 'x.yaml'), { code: 'BAD_CONFIG', message }, what)
}

for (const [what, from, to, message] of MISTAKES) {
  const text = GOOD.replace(from, to)
  t.ok(text !== GOOD, `${what}: was put in`)
  t.throws(() => parseScenario(text, 'x.yaml'), { code: 'BAD_CONFIG', message }, what)
}

for (const file of readdirSync(FOLDER).filter((name) => name.endsWith('.yaml'))) {
  const text = readFileSync(new URL(file, FOLDER), 'utf8')
  t.doesNotThrow(() => parseScenario(text, file), `built-in ${file}`)
}
