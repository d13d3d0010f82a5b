/**
 * What a kernel answered, against what iproute2 made of the same bytes; and the
 * same bytes damaged, against every decoder.
 */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { type Message, NLM_F, splitMessages } from '../../src/netlink-ts/message.ts'
import { type Addr, DecodeError, decodeEvent, type Event } from '../../src/netlink-ts/mod.ts'
import { corpus, holds, unhex } from './support.ts'

const datagrams = (name: string): Uint8Array[] =>
  corpus(`dump-${name}.txt`)
    .split('\n')
    .filter((line) => line.startsWith('< '))
    .map((line) => unhex(line.slice(2)))

// biome-ignore lint/suspicious/noExplicitAny: JSON of another program
const json = (name: string): any[] => JSON.parse(corpus(`dump-${name}.json`))

/** The entries of a dump; a capture also holds look-ups of single links. */
const entries = (name: string): Event[] =>
  datagrams(name)
    .flatMap(splitMessages)
    .filter(({ flags }) => (flags & NLM_F.multi) !== 0)
    .flatMap((message) => decodeEvent(message) ?? [])

const only = <K extends Event['kind']>(name: string, kind: K): Extract<Event, { kind: K }>[] =>
  entries(name).filter((event): event is Extract<Event, { kind: K }> => event.kind === kind)

const names = new Map(only('link', 'link').map(({ link }) => [link.index, link.name]))
const nameOf = (index: number | undefined): string | undefined =>
  index === undefined ? undefined : names.get(index)

/** Drops what is undefined, as JSON does. */
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value))

/** `ip -N` prints types as numbers, as it does protocols. */
const ROUTE_TYPES: Readonly<Record<string, string>> = {
  1: 'unicast',
  2: 'local',
  3: 'broadcast',
  4: 'anycast',
  5: 'multicast',
  6: 'blackhole',
  7: 'unreachable',
}

t.test('links', async (t) => {
  const ours = only('link', 'link').map(({ link }) => ({
    ifindex: link.index,
    ifname: link.name,
    mtu: link.mtu,
    operstate: link.operState.toString().toUpperCase(),
    address: link.mac,
    broadcast: link.broadcast,
    master: nameOf(link.master),
    link: nameOf(link.link),
    ifalias: link.alias,
    kind: link.kind,
    up: link.up,
    txqlen: link.txQueueLen,
  }))
  const theirs = json('link').map((link) => ({
    ifindex: link.ifindex,
    ifname: link.ifname,
    mtu: link.mtu,
    operstate: link.operstate,
    address: link.address,
    broadcast: link.broadcast,
    master: link.master,
    link: link.link,
    ifalias: link.ifalias,
    kind: link.linkinfo?.info_kind,
    up: link.flags.includes('UP'),
    txqlen: link.txqlen,
  }))
  t.strictSame(plain(ours), plain(theirs))
  t.ok(ours.length >= 5, 'the capture has links')
})

t.test('settings of links', async (t) => {
  const find = (name: string): unknown =>
    only('link', 'link').find(({ link }) => link.name === name)?.link.data
  const told = (name: string) =>
    json('link').find((link) => link.ifname === name)?.linkinfo.info_data
  const vx9 = told('vx9')
  t.match(find('vx9'), {
    type: 'vxlan',
    vni: vx9.id,
    local: vx9.local,
    remote: vx9.remote,
    port: vx9.port,
    ttl: vx9.ttl,
    portRange: { low: vx9.port_range.low, high: vx9.port_range.high },
    ageingSeconds: vx9.ageing,
    learning: true,
  })
  t.match(find('vx0'), { type: 'vxlan', vni: 42, learning: false })
  t.match(find('vx6'), { type: 'vxlan', external: true, gpe: true, local6: 'fd00::1' })
  const br0 = told('br0')
  t.match(find('br0'), {
    type: 'bridge',
    ageingSeconds: br0.ageing_time / 100,
    forwardDelaySeconds: br0.forward_delay / 100,
    stp: br0.stp_state !== 0,
    priority: br0.priority,
  })
  const port = only('link', 'link').find(({ link }) => link.name === 'v1')?.link.bridgePort
  const toldPort = json('link').find((link) => link.ifname === 'v1').linkinfo.info_slave_data
  t.match(port, {
    state: toldPort.state,
    cost: toldPort.cost,
    priority: toldPort.priority,
    hairpin: toldPort.hairpin,
    isolated: toldPort.isolated,
    learning: toldPort.learning,
  })
  t.strictSame([toldPort.hairpin, toldPort.isolated], [true, true])
})

t.test('addresses', async (t) => {
  const flagOf = (addr: Addr, flag: string): boolean | undefined =>
    (addr.flags as readonly string[]).includes(flag) || undefined
  const ours = only('addr', 'addr').map(({ addr }) => ({
    ifname: nameOf(addr.index),
    family: addr.family === 4 ? 'inet' : 'inet6',
    local: addr.address,
    address: addr.peer,
    prefixlen: addr.prefixLength,
    broadcast: addr.broadcast,
    scope: addr.scope,
    label: addr.label,
    nodad: flagOf(addr, 'nodad'),
    noprefixroute: flagOf(addr, 'noprefixroute'),
    tentative: flagOf(addr, 'tentative'),
    forever: addr.lifetime === undefined,
  }))
  const theirs = json('addr').flatMap((link) =>
    // biome-ignore lint/suspicious/noExplicitAny: JSON of another program
    link.addr_info.map((info: any) => ({
      ifname: link.ifname,
      family: info.family,
      local: info.local,
      address: info.address,
      prefixlen: info.prefixlen,
      broadcast: info.broadcast,
      scope: info.scope,
      label: info.label,
      nodad: info.nodad,
      noprefixroute: info.noprefixroute,
      tentative: info.tentative,
      forever: info.valid_life_time === 0xffff_ffff,
    })),
  )
  const sorted = (list: unknown[]): string[] => list.map((item) => JSON.stringify(item)).sort()
  t.strictSame(sorted(ours), sorted(theirs))
  t.ok(ours.length >= 3, 'the capture has addresses')
})

for (const family of [4, 6] as const) {
  t.test(`IPv${family} routes`, async (t) => {
    const ours = only(`route${family}`, 'route').map(({ route }) => ({
      type: route.type,
      dst: (route.dst ?? 'default').replace(family === 4 ? /\/32$/ : /\/128$/, ''),
      gateway: route.gateway?.includes(':') === (family === 6) ? route.gateway : undefined,
      via: route.gateway?.includes(':') === (family === 6) ? undefined : route.gateway,
      dev: nameOf(route.oif),
      table: route.table,
      protocol: route.protocol,
      prefsrc: route.prefSrc,
      metric: route.priority,
      mtu: route.mtu,
      onlink: route.onlink,
      nexthops: route.multipath?.map(({ gateway, oif, weight, onlink }) => ({
        gateway,
        dev: nameOf(oif),
        weight,
        onlink: onlink === true,
      })),
    }))
    const theirs = json(`route${family}`).map((route) => ({
      type: ROUTE_TYPES[route.type],
      dst: route.dst,
      gateway: route.gateway,
      via: route.via?.host,
      dev: route.dev,
      table: Number(route.table ?? 254),
      protocol: Number(route.protocol),
      prefsrc: route.prefsrc,
      metric: route.metric,
      mtu: route.metrics?.[0]?.mtu,
      onlink: route.flags.includes('onlink') || undefined,
      // biome-ignore lint/suspicious/noExplicitAny: JSON of another program
      nexthops: route.nexthops?.map((hop: any) => ({
        gateway: hop.gateway,
        dev: hop.dev,
        weight: hop.weight,
        onlink: hop.flags.includes('onlink'),
      })),
    }))
    t.strictSame(plain(ours), plain(theirs))
    t.ok(ours.length >= 4, 'the capture has routes')
  })
}

t.test('neighbours', async (t) => {
  const ours = only('neigh', 'neigh')
    .filter(({ neigh }) => neigh.state !== 'noarp') // ip leaves these out
    .map(({ neigh }) => ({
      dst: neigh.address,
      dev: nameOf(neigh.index),
      lladdr: neigh.mac,
      state: [String(neigh.state).toUpperCase()],
    }))
  const theirs = json('neigh').map(({ dst, dev, lladdr, state }) => ({ dst, dev, lladdr, state }))
  t.strictSame(plain(ours), plain(theirs))
})

t.test('forwarding entries', async (t) => {
  const ours = only('fdb', 'fdb').map(({ fdb }) => ({
    mac: fdb.mac,
    ifname: nameOf(fdb.index),
    dst: fdb.dst,
    port: fdb.port,
    vni: fdb.vni,
    viaIf: nameOf(fdb.via),
    master: nameOf(fdb.bridge),
    self: fdb.self,
    state: fdb.state,
  }))
  const theirs = json('fdb').map((entry) => ({
    mac: entry.mac,
    ifname: entry.ifname,
    dst: entry.dst,
    port: entry.port,
    vni: entry.vni,
    viaIf: entry.viaIf,
    master: entry.master,
    self: entry.flags.includes('self'),
    state: entry.state,
  }))
  t.strictSame(plain(ours), plain(theirs))
})

const all = ['link', 'addr', 'route4', 'route6', 'neigh', 'fdb'].flatMap(datagrams)

const damaged = fc
  .tuple(
    fc.nat(all.length - 1),
    fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 8 }),
    fc.nat(40),
  )
  .map(([which, changes, cut]) => {
    const bytes = all[which]!.slice()
    for (const [at, byte] of changes) bytes[at % bytes.length] = byte
    return bytes.slice(0, bytes.length - cut)
  })

holds(t, 'damaged answers are read or refused with DecodeError', damaged, (bytes) => {
  for (const message of attempt(() => splitMessages(bytes)) ?? [])
    attempt(() => decodeEvent(message))
})

const random = fc.record({
  type: fc.integer({ min: 16, max: 29 }),
  flags: fc.constant(0),
  seq: fc.constant(0),
  pid: fc.constant(0),
  body: fc.uint8Array({ maxLength: 80 }),
}) satisfies fc.Arbitrary<Message>

holds(t, 'random bodies are read or refused with DecodeError', random, (message) => {
  attempt(() => decodeEvent(message))
})

function attempt<T>(work: () => T): T | undefined {
  try {
    return work()
  } catch (error) {
    assert.ok(error instanceof DecodeError, String(error))
    return undefined
  }
}
