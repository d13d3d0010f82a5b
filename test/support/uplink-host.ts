/**
 * A host whose uplink leads to a gateway, in namespaces of their own:
 *
 * ```
 *   host eth0 ------ p0 br0 (192.0.2.1, 2001:db8::1, fe80::1) gateway
 * ```
 *
 * The gateway's addresses are on its bridge, so that it can fall silent while the host's link stays up.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { inNetns, must, run } from '../../src/lab/exec.ts'
import { settle } from './e2e.ts'

export interface UplinkHost {
  readonly host: string
  readonly gateway: string
  readonly socketPath: string
  /** `ip` in the host's namespace. */
  ip(...args: readonly string[]): Promise<string>
  /** All that iproute2 and the link's files say of the host; remaining times without their last digits. */
  dump(): Promise<readonly string[]>
  /** Stops or starts everything above the wire at the gateway. */
  setGateway(isUp: boolean): Promise<void>
}

const GATEWAY_ADDRS = ['192.0.2.1/24', '2001:db8::1/64', 'fe80::1/64']

const HOST = [
  'addr add 192.0.2.10/24 brd + dev eth0',
  'addr add 192.0.2.11/24 dev eth0 label eth0:1',
  'addr add 198.51.100.9/32 dev eth0 valid_lft 90000 preferred_lft 80000',
  '-6 addr add 2001:db8::10/64 dev eth0 nodad',
  '-6 addr add 2001:db8::11/64 dev eth0 valid_lft 90000 preferred_lft 0 noprefixroute',
  'route add default via 192.0.2.1 proto dhcp src 192.0.2.10 metric 100',
  'route add 203.0.113.0/24 via 192.0.2.1 table 100 onlink proto static dev eth0 mtu 1400',
  'route add 10.4.0.0/16 nexthop via 192.0.2.1 dev eth0 weight 3 nexthop via 192.0.2.2 dev eth0',
  '-6 route add default via fe80::1 dev eth0 proto ra metric 1024 expires 1800 pref high',
  '-6 route add 2001:db8:7::/48 nexthop via fe80::1 dev eth0 nexthop via 2001:db8::1 dev eth0',
  'rule add priority 1000 iif eth0 table 100',
  'neigh add 192.0.2.7 lladdr 02:00:00:00:00:07 dev eth0 nud permanent',
  '-6 neigh add 2001:db8::7 lladdr 02:00:00:00:00:07 dev eth0 nud permanent',
] as const

/** Builds it; it goes with the test. */
export async function uplinkHost(t: Test): Promise<UplinkHost> {
  const id = `trvu-${process.pid}-${randomBytes(2).toString('hex')}`
  const [host, gateway] = [`${id}-h`, `${id}-g`]
  const dir = mkdtempSync(join(tmpdir(), `${id}-`))
  t.teardown(async () => {
    for (const name of [host, gateway]) await run(['ip', 'netns', 'del', name])
    rmSync(dir, { recursive: true, force: true })
  })
  const at = (netns: string) => (line: string) => must(['ip', '-n', netns, ...line.split(' ')])
  for (const name of [host, gateway]) {
    await must(['ip', 'netns', 'add', name])
    await at(name)('link set lo up')
  }
  const [onHost, onGateway] = [at(host), at(gateway)]
  await onHost(`link add eth0 address 02:00:00:00:00:01 type veth peer name p0 netns ${gateway}`)
  await onGateway('link add br0 address 02:00:00:00:00:fe type bridge forward_delay 0')
  await onGateway('link set p0 master br0 up')
  await onGateway('link set br0 up')
  for (const each of GATEWAY_ADDRS)
    await onGateway(`addr add ${each} dev br0${each.includes(':') ? ' nodad' : ''}`)
  await onHost('link set eth0 up')
  const tentative = async (): Promise<readonly string[]> =>
    (await onHost('-6 -o addr show dev eth0')).includes('scope link')
      ? (await onHost('-6 -o addr show tentative')).split('\n').filter(Boolean)
      : ['none']
  for (const line of HOST) await onHost(line)
  await settle(tentative)
  const settings = ['net.ipv6.conf.eth0.accept_ra=2', 'net.ipv4.conf.eth0.arp_ignore=1']
  await must(inNetns(host, ['sysctl', '-qw', ...settings]))
  return {
    host,
    gateway,
    socketPath: join(dir, 'run', 'agent.sock'),
    ip: (...args) => must(['ip', '-n', host, ...args]),
    dump: () => dumpHost(host),
    async setGateway(isUp) {
      await onGateway(`link set br0 ${isUp ? 'up' : 'down'}`)
      const six = GATEWAY_ADDRS.filter((each) => each.includes(':'))
      for (const each of isUp ? six : []) await onGateway(`addr replace ${each} dev br0 nodad`)
    },
  }
}

const SHOWN = [
  ['-d', '-4', 'addr', 'show'],
  ['-d', '-6', 'addr', 'show'],
  ['-4', 'route', 'show', 'table', 'all'],
  ['-6', 'route', 'show', 'table', 'all'],
  ['-4', 'rule', 'show'],
  ['-6', 'rule', 'show'],
  ['-4', 'neigh', 'show', 'nud', 'permanent'],
  ['-6', 'neigh', 'show', 'nud', 'permanent'],
  ['-d', 'link', 'show'],
] as const

async function dumpHost(netns: string): Promise<readonly string[]> {
  const texts = await Promise.all(SHOWN.map((args) => must(['ip', '-n', netns, ...args])))
  const settings = ['/proc/sys/net/ipv4/conf/eth0', '/proc/sys/net/ipv6/conf/eth0']
  // One of them is a secret that cannot be read before it is set.
  const { stdout: files } = await run(inNetns(netns, ['grep', '-rs', '.', ...settings]))
  return [...texts, files]
    .flatMap((text) => text.split('\n'))
    .filter((line) => line.trim() !== '')
    .map((line) =>
      line.replace(
        /\b(\d+)sec\b/g,
        (_, seconds: string) => `${Math.round(Number(seconds) / 1000)}ksec`,
      ),
    )
    .sort()
}

/** A connection from the host to the gateway that counts: what is sent comes back. */
export interface Talk {
  /** Answers so far. */
  readonly count: () => number
  readonly isOver: () => boolean
  stop(): void
}

const SERVER = `require('net').createServer(s=>s.pipe(s)).listen(7,'::')`
const CLIENT = (ip: string): string => `
const s=require('net').connect(7,'${ip}');s.setNoDelay(true);
let n=0;s.on('connect',()=>setInterval(()=>s.write('x'),10));
s.on('data',d=>{n+=d.length;console.log(n)});s.on('error',e=>{console.error(e);process.exit(1)});s.on('close',()=>process.exit(1))`

export async function talk(t: Test, { host, gateway }: UplinkHost, ip: string): Promise<Talk> {
  const serve = await run(inNetns(gateway, ['sh', '-c', 'ss -ltn 2>/dev/null | grep -q ":7 "']))
  if (serve.status !== 0) start(t, gateway, SERVER)
  const attempt = async (): Promise<{ child: ChildProcess; read: () => number }> => {
    const child = start(t, host, CLIENT(ip))
    let count = 0
    child.stdout?.on('data', (chunk: Buffer) => {
      count = Number(chunk.toString().trim().split('\n').at(-1))
    })
    await settle(() => (count > 3 || child.exitCode !== null ? [] : ['silent']))
    return { child, read: () => count }
  }
  let { child, read } = await attempt()
  for (let tries = 0; child.exitCode !== null && tries < 20; tries++)
    ({ child, read } = await attempt())
  return { count: read, isOver: () => child.exitCode !== null, stop: () => child.kill('SIGKILL') }
}

function start(t: Test, netns: string, script: string): ChildProcess {
  const [program = '', ...args] = inNetns(netns, [process.execPath, '-e', script])
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'ignore'] })
  t.teardown(() => child.kill('SIGKILL'))
  return child
}

export interface Pinged {
  readonly sent: number
  readonly received: number
}

/** Pings from `netns` while `work` runs, a hundred or more a second. */
export async function pinging<T>(
  netns: string,
  ip: string,
  work: () => Promise<T>,
  perSecond = 100,
): Promise<readonly [T, Pinged]> {
  const [program = '', ...args] = inNetns(netns, [
    'ping',
    '-n',
    '-q',
    '-i',
    String(1 / perSecond),
    '-W',
    '1',
    ip,
  ])
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'ignore'] })
  let text = ''
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk
  })
  const ended = new Promise<void>((resolve) => child.on('close', () => resolve()))
  await settle(() => (text.includes('PING') ? [] : ['not yet']))
  const result = await work()
  child.kill('SIGINT')
  await ended
  const [, sent = '0', received = '0'] =
    /(\d+) packets transmitted, (\d+) received/.exec(text) ?? []
  return [result, { sent: Number(sent), received: Number(received) }]
}
