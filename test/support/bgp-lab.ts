/**
 * Racks of nodes that speak BGP with BIRD as the routers of their racks.
 *
 * ```
 *   rack r1, AS 64601: n1 n3 …        rack r2, AS 64602: n2 n4 …
 *        |  |                              |  |
 *     [ 192.0.2.0/24 ]                 [ 198.51.100.0/24 ]
 *        |  |                              |  |
 *     tor1a tor1b  AS 65001            tor2a tor2b  AS 65002
 *        |  |                              |  |
 *     ---+--+------ 203.0.113.0/24 --------+--+---
 * ```
 *
 * Nodes reach each other's own addresses through a router that knows nothing of pods,
 * so what pods of different racks hear of each other came through BGP.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { inNetns, must, run } from '../../src/lab/exec.ts'
import { createLab, type Lab, type LabAgent, type LabNode } from '../../src/lab/lab.ts'
import type { RunningPod } from './dataplane.ts'
import { added, builtCli, ip, ipJson, ipsOf, type Json, POOLS, settle } from './e2e.ts'

/** Why BIRD cannot run here; undefined when it can. */
export const birdMissing = (): string | undefined =>
  ['/usr/sbin/bird', '/usr/bin/bird'].some((path) => existsSync(path)) ? undefined : 'no BIRD'

export interface BgpLabOptions {
  readonly nodes?: number
  /** Routers of each rack, 1 or 2. @default 1 */
  readonly routers?: 1 | 2
  /** Flags of `trivium bgp set`. */
  readonly settings?: readonly string[]
  /** Flags of each `trivium bgp peer add`. */
  readonly peer?: readonly string[]
  /** Of BIRD, milliseconds; 0: none. @default 0 */
  readonly bfdMs?: number
  /** Whether BIRD keeps the routes of a node that BFD lost as those of one that restarts. @default false */
  readonly bfdIsGraceful?: boolean
  /** Of all sessions with routers (RFC 2385). */
  readonly password?: string
  /** Whether packets from beyond the link are not heard (RFC 5082). @default false */
  readonly ttlSecurity?: boolean
  /** BIRD's hold time in seconds. @default 240 */
  readonly holdSeconds?: number
  /** Whether BIRD keeps routes of a node that restarts. @default true */
  readonly restart?: boolean
}

export interface Router {
  readonly name: string
  readonly netns: string
  readonly rack: number
  /** In its rack. */
  readonly ips: readonly [v4: string, v6: string]
  /** @param recovers After a kill: routes stay until its neighbours have said theirs (RFC 4724). */
  start(recovers?: boolean): Promise<void>
  kill(): Promise<void>
  /** `birdc ARGS`. */
  ask(...args: readonly string[]): Promise<string>
  /** Its link to the rack takes no more packets, or takes them again; nobody is told. */
  cut(): Promise<void>
  mend(): Promise<void>
}

export interface BgpLab {
  readonly lab: Lab
  readonly nodes: readonly LabNode[]
  readonly routers: readonly Router[]
  trivium(...args: readonly string[]): Promise<string>
  start(node: LabNode): Promise<LabAgent>
  pod(node: LabNode): Promise<RunningPod>
  /** `trivium bgp ARGS` on a node. */
  bgp(node: LabNode, ...args: readonly string[]): Promise<string>
}

const RACKS = [
  { asn: 64_601, routers: 65_001, v4: '192.0.2.', v6: '2001:db8::' },
  { asn: 64_602, routers: 65_002, v4: '198.51.100.', v6: '2001:db8:1::' },
] as const
const FABRIC = { bridge: 'br2', v4: '203.0.113.', v6: '2001:db8:2::' } as const

/** Of node n<number>: 0 or 1. */
const rackOf = ({ name }: LabNode): number => (Number(name.slice(1)) - 1) % RACKS.length

export async function bgpLab(t: Test, options: BgpLabOptions = {}): Promise<BgpLab> {
  const { nodes = 2, settings = [], peer = [], password, ttlSecurity = false } = options
  const trivium = builtCli()
  const lab = await createLab({ nodes, trivium, subnets: RACKS.length })
  t.teardown(() => lab.destroy())
  await ip(`${lab.id}-sw`, 'link', 'add', FABRIC.bridge, 'type', 'bridge')
  await ip(`${lab.id}-sw`, 'link', 'set', FABRIC.bridge, 'up')
  const routers = await routersOf(t, lab, options)
  const store = ['--store', lab.storeUrl]
  const file = join(lab.dir, 'password')
  if (password !== undefined) writeFileSync(file, `${password}\n`, { mode: 0o600 })
  const guards = [
    ...(password === undefined ? [] : ['--password-file', file]),
    ...(ttlSecurity ? ['--ttl-hops', '1'] : []),
  ]
  const call = (...args: readonly string[]): Promise<string> =>
    must([...trivium, ...args, ...store])
  const pools = POOLS.flatMap((pool) => ['--pool', pool])
  await call('network', 'create', 'pods', '--mode', 'route', ...pools)
  await call('bgp', 'set', '--asn', '64512', ...settings)
  for (const [index, { asn, routers: remote }] of RACKS.entries()) {
    await call('bgp', 'rack', `r${index + 1}`, '--asn', String(asn))
    for (const router of routers.filter(({ rack }) => rack === index)) {
      for (const address of router.ips) {
        const scope = ['--rack', `r${index + 1}`, '--asn', String(remote)]
        await call('bgp', 'peer', 'add', address, ...scope, ...guards, ...peer)
      }
    }
  }
  await call('network', 'set', 'pods', '--peer-routes', 'bgp')
  for (const node of lab.nodes) await lab.install(node, '--name', 'pods')
  return {
    ...{ lab, nodes: lab.nodes, routers, trivium: call },
    start: (node) => lab.startAgent(node, '--rack', `r${rackOf(node) + 1}`),
    pod: (node) => podOn(lab, node),
    bgp: (node, ...args) => {
      const socket = join(node.socketPath, '..', 'bgp.sock')
      return must(inNetns(node.netns, [...trivium, 'bgp', ...args, '--socket', socket]))
    },
  }
}

async function podOn(lab: Lab, node: LabNode): Promise<RunningPod> {
  const pod = await lab.addPod(node)
  const result = await added(lab, pod)
  const ips = ipsOf(result)
  const [v4 = '', v6 = ''] = ips
  return { name: `pod@${node.name}`, lab: pod, netns: pod.netns, node, result, v4, v6, ips }
}

async function routersOf(t: Test, lab: Lab, options: BgpLabOptions): Promise<readonly Router[]> {
  const { routers = 1 } = options
  const places = RACKS.flatMap((_rack, rack) =>
    Array.from({ length: routers }, (_, at) => ({ rack, at })),
  )
  const made: Router[] = []
  for (const [index, { rack, at }] of places.entries()) {
    const name = `tor${rack + 1}${'ab'[at]}`
    const netns = `${lab.id}-${name}`
    await must(['ip', 'netns', 'add', netns])
    t.teardown(() => run(['ip', 'netns', 'del', netns]))
    await ip(netns, 'link', 'set', 'lo', 'up')
    const own = RACKS[rack]
    if (own === undefined) throw new Error(`no rack ${rack}`)
    const ips = [`${own.v4}${240 + at}`, `${own.v6}${(240 + at).toString(16)}`] as const
    const port = `${name}r`
    await plug(lab, netns, { port, bridge: `br${rack}`, link: 'eth0' }, ips)
    await plug(
      lab,
      netns,
      { port: `${name}f`, bridge: FABRIC.bridge, link: 'eth1' },
      fabricIps(index),
    )
    const forward = ['net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1']
    const hash = ['net.ipv4.fib_multipath_hash_policy=1', 'net.ipv6.fib_multipath_hash_policy=1']
    await must(inNetns(netns, ['sysctl', '-qw', ...forward, ...hash]))
    const text = birdConfig(index, places, lab.nodes, options)
    made.push(router(t, lab, { name, netns, rack, ips, port, text }))
  }
  for (const each of made) await each.start()
  return made
}

const fabricIps = (index: number): readonly [string, string] => [
  `${FABRIC.v4}${index + 1}`,
  `${FABRIC.v6}${index + 1}`,
]

interface Plug {
  readonly port: string
  readonly bridge: string
  readonly link: string
}

async function plug(
  lab: Lab,
  netns: string,
  { port, bridge, link }: Plug,
  [v4, v6]: readonly [string, string],
): Promise<void> {
  const fabric = `${lab.id}-sw`
  await ip(fabric, 'link', 'add', port, 'type', 'veth', 'peer', 'name', link, 'netns', netns)
  await ip(fabric, 'link', 'set', port, 'master', bridge, 'up')
  await ip(netns, 'link', 'set', link, 'up')
  await ip(netns, 'addr', 'add', `${v4}/24`, 'dev', link)
  await ip(netns, 'addr', 'add', `${v6}/64`, 'dev', link, 'nodad')
}

interface Place {
  readonly rack: number
  readonly at: number
}

function birdConfig(
  index: number,
  places: readonly Place[],
  nodes: readonly LabNode[],
  options: BgpLabOptions,
): string {
  const { bfdMs = 0, bfdIsGraceful = false, holdSeconds = 240, restart = true } = options
  const { password, ttlSecurity } = options
  const { rack = 0, at = 0 } = places[index] ?? {}
  const own = RACKS[rack]
  const channel = (family: string): string =>
    `${family} { import where net ~ POOLS${family === 'ipv4' ? 4 : 6}; export where source = RTS_BGP; };`
  const session = (
    name: string,
    local: string,
    asn: number,
    remote: string,
    more: string,
  ): string => {
    const family = remote.includes(':') ? 'ipv6' : 'ipv4'
    return `protocol bgp ${name}${family} { local ${local} as ${own?.routers}; neighbor ${remote} as ${asn}; hold time ${holdSeconds}; connect retry time 1; error wait time 1, 2; ${more} ${channel(family)} }`
  }
  const bfd = bfdMs > 0 ? `bfd ${bfdIsGraceful ? 'graceful' : 'on'};` : ''
  const secret = password === undefined ? '' : `password "${password}";`
  const guards = `${secret} ${ttlSecurity === true ? 'ttl security on;' : ''}`
  const graceful = `graceful restart ${restart ? 'on' : 'off'};`
  const towards = nodes
    .filter((node) => rackOf(node) === rack)
    .flatMap(({ name, underlayIps }) =>
      underlayIps.map((remote) => {
        const local = remote.includes(':')
          ? `${own?.v6}${(240 + at).toString(16)}`
          : `${own?.v4}${240 + at}`
        return session(name, local, own?.asn ?? 0, remote, `${bfd} ${graceful} ${guards}`)
      }),
    )
  const beside = places.flatMap((place, other) =>
    place.rack === rack
      ? []
      : fabricIps(other).map((remote) => {
          const [v4, v6] = fabricIps(index)
          const asn = RACKS[place.rack]?.routers ?? 0
          return session(`t${other}`, remote.includes(':') ? v6 : v4, asn, remote, graceful)
        }),
  )
  return `router id ${fabricIps(index)[0]};
define POOLS4 = [ 10.42.0.0/16{16,32} ];
define POOLS6 = [ fd42::/112{112,128} ];
protocol device { scan time 1; }
protocol kernel { ipv4 { import none; export all; }; merge paths on; graceful restart on; scan time 5; }
protocol kernel { ipv6 { import none; export all; }; merge paths on; graceful restart on; scan time 5; }
${bfdMs > 0 ? `protocol bfd { interface "eth0" { interval ${bfdMs} ms; multiplier 3; }; }` : ''}
${[...towards, ...beside].join('\n')}
`
}

interface Parts {
  readonly name: string
  readonly netns: string
  readonly rack: number
  readonly ips: readonly [string, string]
  readonly port: string
  readonly text: string
}

function router(t: Test, lab: Lab, { text, port, ...place }: Parts): Router {
  const { name, netns } = place
  const folder = join(lab.dir, name)
  mkdirSync(folder, { mode: 0o700 })
  const [config, socket] = [join(folder, 'bird.conf'), join(folder, 'bird.ctl')]
  writeFileSync(config, text)
  let child: ChildProcess | undefined
  const kill = async (): Promise<void> => {
    const running = child
    child = undefined
    if (running === undefined || running.exitCode !== null || running.signalCode !== null) return
    const ended = new Promise((resolve) => running.once('exit', resolve))
    running.kill('SIGKILL')
    await ended
  }
  t.teardown(kill)
  const portState = async (state: 'disabled' | 'forwarding'): Promise<void> => {
    const number = state === 'disabled' ? '0' : '3'
    const set = ['bridge', 'link', 'set', 'dev', port, 'state', number]
    await must(inNetns(`${lab.id}-sw`, set))
  }
  const ask = (...args: readonly string[]): Promise<string> =>
    must(['birdc', '-s', socket, ...args])
  return {
    ...place,
    ask,
    kill,
    async start(recovers = false) {
      const command = ['bird', '-f', ...(recovers ? ['-R'] : []), '-c', config, '-s', socket]
      const [program = '', ...args] = inNetns(netns, command)
      child = spawn(program, args, { stdio: ['ignore', 'ignore', 'inherit'] })
      const left = await settle(async () => {
        const { status } = await run(['birdc', '-s', socket, 'show', 'status'])
        return status === 0 ? [] : [`BIRD of ${name} does not answer`]
      })
      if (left.length > 0) throw new Error(left.join())
    },
    cut: () => portState('disabled'),
    mend: () => portState('forwarding'),
  }
}

/** Routes of a protocol in a namespace's main table, both families. */
export async function routesBy(netns: string, protocol: string): Promise<readonly Json[]> {
  const read = (family: string): Promise<readonly Json[]> =>
    ipJson(netns, family, 'route', 'show', 'table', 'main', 'proto', protocol)
  return [...(await read('-4')), ...(await read('-6'))]
}

/** Processor seconds of all ended children so far, for a comment. */
export const cpuSeconds = (): number => {
  const { userCPUTime, systemCPUTime } = process.resourceUsage()
  return (userCPUTime + systemCPUTime) / 1e6
}

export const birdVersion = (): string => execFileSync('bird', ['--version'], { encoding: 'utf8' })
