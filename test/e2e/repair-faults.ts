/**
 * Harm that anybody may do to a node, each undone by a repair completely.
 *
 * A fault takes what it harms from the node as iproute2 and nft show it, so it
 * does not depend on what we believe to be ours.
 */
import { inNetns, must } from '../../src/lab/exec.ts'
import { ip, ipJson, type Json } from '../support/e2e.ts'

/** One node with pods, and peers that its routes lead to. */
export interface Scene {
  readonly netns: string
  /** The pod's end of the host. */
  readonly hostLink: string
  readonly podIp: string
  /** Addresses of the underlay, with their lengths. */
  readonly underlay: readonly string[]
}

export interface Fault {
  readonly title: string
  readonly harm: (scene: Scene) => Promise<unknown>
}

const fault = (title: string, harm: Fault['harm']): Fault => ({ title, harm })

const on = (scene: Scene, ...command: readonly string[]): Promise<string> =>
  must(inNetns(scene.netns, command))
const nft = (scene: Scene, command: string): Promise<string> => on(scene, 'nft', command)

function first<T>(things: readonly T[], what: string): T {
  const [thing] = things
  if (thing === undefined) throw new Error(`Cannot do harm: there is no ${what}`)
  return thing
}

type Family = '-4' | '-6'

/** A route to a peer's block. */
async function peerRoute({ netns }: Scene, family: Family): Promise<Json> {
  const all = await ipJson(netns, family, 'route', 'show', 'proto', '84')
  const away = all.filter((route) => route['gateway'] ?? route['encap'])
  return first(away, `route to a peer (${family})`)
}

async function blackhole({ netns }: Scene, family: Family): Promise<string> {
  const holes = await ipJson(netns, family, 'route', 'show', 'type', 'blackhole')
  return String(first(holes, 'blackhole')['dst'])
}

async function tunnel({ netns }: Scene): Promise<string> {
  return String(first(await ipJson(netns, 'link', 'show', 'type', 'vxlan'), 'tunnel')['ifname'])
}

async function neighbour(scene: Scene): Promise<{ readonly dst: string; readonly dev: string }> {
  const dev = await tunnel(scene)
  const all = await ipJson(scene.netns, 'neigh', 'show', 'dev', dev, 'nud', 'permanent')
  return { dst: String(first(all, 'neighbour')['dst']), dev }
}

async function forwardingEntry(
  scene: Scene,
): Promise<{ readonly mac: string; readonly dev: string }> {
  const dev = await tunnel(scene)
  const all = JSON.parse(await on(scene, 'bridge', '-j', 'fdb', 'show', 'dev', dev)) as Json[]
  const away = all.filter(({ dst }) => dst !== undefined)
  return { mac: String(first(away, 'forwarding entry')['mac']), dev }
}

const deleteRoute =
  (family: Family): Fault['harm'] =>
  async (scene) =>
    ip(scene.netns, family, 'route', 'del', String((await peerRoute(scene, family))['dst']))

const misleadRoute =
  (family: Family, via: string): Fault['harm'] =>
  async (scene) => {
    const dst = String((await peerRoute(scene, family))['dst'])
    const where = ['via', via, 'dev', 'eth0', 'proto', '84']
    await ip(scene.netns, family, 'route', 'replace', dst, ...where)
  }

/** The uplink's end takes routes along without a word, and IPv6 addresses too. */
async function uplinkDownAndUp({ netns, underlay }: Scene): Promise<void> {
  await ip(netns, 'link', 'set', 'eth0', 'down')
  await ip(netns, 'link', 'set', 'eth0', 'up')
  for (const address of underlay.filter((each) => each.includes(':'))) {
    await ip(netns, 'addr', 'replace', address, 'dev', 'eth0', 'nodad')
  }
}

const VXLAN = ['type', 'vxlan', 'dev', 'eth0', 'local', '192.0.2.1'] as const

/** Wherever pods are routed. */
const ANYWHERE: readonly Fault[] = [
  fault("a peer's route is gone", deleteRoute('-4')),
  fault("a peer's IPv6 route is gone", deleteRoute('-6')),
  fault("a peer's route leads elsewhere", misleadRoute('-4', '192.0.2.200')),
  fault("a peer's IPv6 route leads elsewhere", misleadRoute('-6', '2001:db8::200')),
  fault('every route of ours is gone', async ({ netns }) => {
    await ip(netns, '-4', 'route', 'flush', 'proto', '84')
    await ip(netns, '-6', 'route', 'flush', 'proto', '84')
  }),
  fault('a blackhole is gone', async (scene) =>
    ip(scene.netns, 'route', 'del', 'blackhole', await blackhole(scene, '-4')),
  ),
  fault('an IPv6 blackhole is gone', async (scene) =>
    ip(scene.netns, '-6', 'route', 'del', 'blackhole', await blackhole(scene, '-6')),
  ),
  fault("a pod's route is gone", ({ netns, podIp }) => ip(netns, 'route', 'del', `${podIp}/32`)),
  fault("a pod's link is down", ({ netns, hostLink }) =>
    ip(netns, 'link', 'set', hostLink, 'down'),
  ),
  fault("a pod's link has another MTU", ({ netns, hostLink }) =>
    ip(netns, 'link', 'set', hostLink, 'mtu', '1300'),
  ),
  fault("a pod's link has another MAC", ({ netns, hostLink }) =>
    ip(netns, 'link', 'set', hostLink, 'address', '02:00:00:00:00:98'),
  ),
  fault("a pod's link has lost its alias", ({ netns, hostLink }) =>
    ip(netns, 'link', 'set', hostLink, 'alias', ''),
  ),
  fault("a pod's gateway address is gone", ({ netns, hostLink }) =>
    ip(netns, 'addr', 'del', 'fe80::1/64', 'dev', hostLink),
  ),
  fault('a stale route is there', ({ netns }) =>
    ip(netns, 'route', 'add', '203.0.113.0/25', 'dev', 'eth0', 'proto', '84'),
  ),
  fault("a stale pod's link is there", async ({ netns }) => {
    await ip(netns, 'link', 'add', 'trv00000000abc', 'type', 'veth', 'peer', 'name', 'stale0')
    // By now an agent that runs may have taken it away: it had no alias, so it was its own.
    await ip(netns, 'link', 'set', 'trv00000000abc', 'alias', 'trivium pods gone eth0 7').catch(
      () => {},
    )
  }),
  fault('a stale link is there, killed before it had an alias', ({ netns }) =>
    ip(netns, 'link', 'add', 'trv00000000abd', 'type', 'veth', 'peer', 'name', 'stale1'),
  ),
  fault('a stale tunnel is there', ({ netns }) =>
    ip(netns, 'link', 'add', 'trvx.77', ...VXLAN, 'id', '77', 'dstport', '8477'),
  ),
]

const GUARDS: readonly Fault[] = [
  fault("a pod's guard is gone", ({ netns, hostLink, podIp }) =>
    must(inNetns(netns, ['nft', `delete element inet trivium pods4 { "${hostLink}" . ${podIp} }`])),
  ),
  fault('a stranger is a node', (scene) =>
    nft(scene, 'add element inet trivium nodes4 { 192.0.2.99 }'),
  ),
  fault('a rule is gone', async (scene) => {
    const { nftables } = JSON.parse(
      await on(scene, 'nft', '-a', '-j', 'list', 'chain', 'inet', 'trivium', 'spoof'),
    ) as { nftables: { rule?: { handle: number } }[] }
    const { handle } = first(
      nftables.flatMap(({ rule }) => (rule === undefined ? [] : [rule])),
      'rule',
    )
    await nft(scene, `delete rule inet trivium spoof handle ${handle}`)
  }),
  fault('a rule lets everything pass', (scene) =>
    nft(scene, 'insert rule inet trivium isolate accept'),
  ),
  fault('a chain is empty', (scene) => nft(scene, 'flush chain inet trivium isolate')),
  fault('a chain has another policy', (scene) =>
    nft(scene, 'add chain inet trivium isolate { policy drop; }'),
  ),
  fault('a chain of somebody is in the table', (scene) =>
    nft(scene, 'add chain inet trivium stray { type filter hook forward priority 5; }'),
  ),
  fault('a set of somebody is in the table', (scene) =>
    nft(scene, 'add set inet trivium stray { type ipv4_addr; }'),
  ),
  fault('the table is gone', (scene) => nft(scene, 'delete table inet trivium')),
]

/** What both flavours of tunnels suffer alike. */
const TUNNELS: readonly Fault[] = [
  fault('the tunnel is gone, and every peer with it', async (scene) =>
    ip(scene.netns, 'link', 'del', await tunnel(scene)),
  ),
  fault('the tunnel is down', async (scene) =>
    ip(scene.netns, 'link', 'set', await tunnel(scene), 'down'),
  ),
  fault('the tunnel has another MTU', async (scene) =>
    ip(scene.netns, 'link', 'set', await tunnel(scene), 'mtu', '1300'),
  ),
  fault('the tunnel has another port', async (scene) => {
    const name = await tunnel(scene)
    await ip(scene.netns, 'link', 'del', name)
    await ip(scene.netns, 'link', 'add', name, ...VXLAN, 'id', '9', 'dstport', '8499').catch(
      () => {}, // a running agent was faster
    )
  }),
  fault("the tunnel's addresses are gone", async (scene) =>
    ip(scene.netns, 'addr', 'flush', 'dev', await tunnel(scene), 'scope', 'global'),
  ),
  fault("the tunnel's checksum offload is another", async (scene) => {
    const name = await tunnel(scene)
    const isOn = /tx-checksum-ip-generic: on/.test(await on(scene, 'ethtool', '-k', name))
    await on(scene, 'ethtool', '-K', name, 'tx-checksum-ip-generic', isOn ? 'off' : 'on')
  }),
]

const CLASSIC: readonly Fault[] = [
  fault('a neighbour is gone', async (scene) => {
    const { dst, dev } = await neighbour(scene)
    await ip(scene.netns, 'neigh', 'del', dst, 'dev', dev)
  }),
  fault('a neighbour has another MAC', async (scene) => {
    const { dst, dev } = await neighbour(scene)
    const entry = ['lladdr', '02:00:00:00:00:99', 'dev', dev, 'nud', 'permanent']
    await ip(scene.netns, 'neigh', 'replace', dst, ...entry)
  }),
  fault('a neighbour is not permanent', async (scene) => {
    const { dst, dev } = await neighbour(scene)
    await ip(scene.netns, 'neigh', 'replace', dst, 'dev', dev, 'nud', 'stale')
  }),
  fault('a forwarding entry is gone', async (scene) => {
    const { mac, dev } = await forwardingEntry(scene)
    await on(scene, 'bridge', 'fdb', 'del', mac, 'dev', dev, 'self')
  }),
  fault('a forwarding entry leads elsewhere', async (scene) => {
    const { mac, dev } = await forwardingEntry(scene)
    const entry = ['dev', dev, 'dst', '192.0.2.200', 'self', 'permanent']
    await on(scene, 'bridge', 'fdb', 'replace', mac, ...entry)
  }),
  fault('the tunnel has another MAC', async (scene) =>
    ip(scene.netns, 'link', 'set', await tunnel(scene), 'address', '02:00:00:00:00:97'),
  ),
  fault('the tunnel has another name', async (scene) => {
    const name = await tunnel(scene)
    await ip(scene.netns, 'link', 'set', name, 'down')
    await ip(scene.netns, 'link', 'set', name, 'name', 'trvx.4242').catch(
      () => {}, // a running agent had it up again
    )
  }),
]

const LIGHTWEIGHT: readonly Fault[] = [
  fault('the VNI filter is empty', async (scene) =>
    on(scene, 'bridge', 'vni', 'delete', 'vni', '1', 'dev', await tunnel(scene)),
  ),
  fault('the VNI filter lets another network in', async (scene) =>
    on(scene, 'bridge', 'vni', 'add', 'vni', '99', 'dev', await tunnel(scene)),
  ),
  fault("a peer's tunnel ends elsewhere", async (scene) => {
    const { dst, dev } = await peerRoute(scene, '-4')
    const encap = ['encap', 'ip', 'id', '1', 'dst', '192.0.2.200', 'dev', String(dev)]
    await ip(scene.netns, 'route', 'replace', String(dst), ...encap, 'proto', '84')
  }),
  fault("a peer's tunnel is of another network", async (scene) => {
    const { dst, dev, encapDst } = await peerRoute(scene, '-6')
    const encap = ['encap', 'ip', 'id', '99', 'dst', String(encapDst), 'dev', String(dev)]
    await ip(scene.netns, '-6', 'route', 'replace', String(dst), ...encap, 'proto', '84')
  }),
]

/** By road; guards do not depend on it. */
export const FAULTS = {
  classic: [...ANYWHERE, ...GUARDS, ...TUNNELS, ...CLASSIC],
  lightweight: [...ANYWHERE, ...TUNNELS, ...LIGHTWEIGHT],
  route: [...ANYWHERE, fault('the uplink was down', uplinkDownAndUp)],
} as const satisfies Record<string, readonly Fault[]>

export type Road = keyof typeof FAULTS

/** Things that look like ours, or lie beside them, and are not. */
export async function addForeign(netns: string): Promise<void> {
  await ip(netns, '-6', 'route', 'add', '2001:db8:1::/48', 'dev', 'lo', 'proto', '99')
  await ip(netns, 'link', 'add', 'beside0', 'type', 'bridge')
  await ip(netns, 'link', 'set', 'beside0', 'up')
  await ip(netns, 'route', 'add', '203.0.113.128/25', 'dev', 'beside0', 'proto', '99')
  await ip(netns, 'addr', 'add', '198.51.100.1/24', 'dev', 'beside0')
  const neighbour = ['lladdr', '02:00:00:00:00:77', 'dev', 'beside0', 'nud', 'permanent']
  await ip(netns, 'neigh', 'add', '198.51.100.77', ...neighbour)
  for (const name of ['trv-something', 'trvx.abc', 'trv0123456789', 'trvb']) {
    await ip(netns, 'link', 'add', name, 'type', 'bridge')
  }
  // Our exact shape, but whoever made it says whose it is.
  await ip(netns, 'link', 'add', 'foreign1', 'type', 'veth', 'peer', 'name', 'foreign0')
  await ip(netns, 'link', 'set', 'foreign1', 'alias', 'somebody else')
  await ip(netns, 'link', 'set', 'foreign1', 'name', 'trv0123456789a')
  for (const table of ['inet trivium_like', 'ip trivium']) {
    await must(
      inNetns(netns, [
        'nft',
        `add table ${table}; add set ${table} pods4 { type ipv4_addr; elements = { 10.0.0.1 }; }; add chain ${table} c { type filter hook forward priority 7; }; add rule ${table} c ip saddr @pods4 counter accept`,
      ]),
    )
  }
}
