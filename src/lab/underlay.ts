/**
 * The underlay of a lab: one switch a subnet, and a router between them when
 * there are several. Nodes get routes to the other subnets and no default route.
 *
 * ```
 *   n1  n3      n2
 *    |   |       |
 *   [ br0 ]--R--[ br1 ]      R and the switches are one namespace
 * ```
 *
 * @module
 */
import { must } from './exec.ts'

/** Documentation prefixes: RFC 5737, RFC 3849. */
const SUBNETS = [
  { v4: '192.0.2.', v6: '2001:db8::' },
  { v4: '198.51.100.', v6: '2001:db8:1::' },
  { v4: '203.0.113.', v6: '2001:db8:2::' },
] as const
const LENGTH = { v4: 24, v6: 64 } as const
/** The router's address in each subnet, above every host's. */
const ROUTER = { v4: '254', v6: 'fe' } as const

export type UnderlayFamily = 4 | 6

export interface UnderlayOptions {
  /** Namespace that is the switches and the router; exists and is empty. */
  readonly netns: string
  readonly mtuBytes: number
  readonly families: readonly UnderlayFamily[]
  /** How many subnets, 1 to 3. */
  readonly subnets: number
}

export interface Underlay {
  /** Plugs a namespace in: `eth0` with the number's addresses, which are returned. */
  attach(netns: string, number: number, subnet: number): Promise<readonly string[]>
  /** Changes the MTU of the switches and of every port and `eth0`. */
  setMtu(mtuBytes: number): Promise<void>
}

const keyOf = (family: UnderlayFamily): 'v4' | 'v6' => (family === 4 ? 'v4' : 'v6')

/** Builds the switches. */
export async function createUnderlay(options: UnderlayOptions): Promise<Underlay> {
  const { netns, families } = options
  const subnets = SUBNETS.slice(0, options.subnets)
  const routed = subnets.length > 1
  const attached = new Map<string, string>()
  let mtuBytes = options.mtuBytes
  const inSwitch = (...args: readonly string[]) => must(['ip', '-n', netns, ...args])

  for (const [index, subnet] of subnets.entries()) {
    const bridge = `br${index}`
    await inSwitch('link', 'add', bridge, 'mtu', String(mtuBytes), 'type', 'bridge')
    await inSwitch('link', 'set', bridge, 'up')
    if (!routed) continue
    for (const key of families.map(keyOf)) {
      const address = `${subnet[key]}${ROUTER[key]}/${LENGTH[key]}`
      await inSwitch('addr', 'add', address, 'dev', bridge, ...noDad(key))
    }
  }
  if (routed) await forward(netns)

  async function plug(name: string, port: string, bridge: string): Promise<void> {
    const mtu = ['mtu', String(mtuBytes)]
    const end = ['peer', 'name', 'eth0', ...mtu, 'netns', name]
    await inSwitch('link', 'add', port, ...mtu, 'type', 'veth', ...end)
    await inSwitch('link', 'set', port, 'master', bridge, 'up')
    await must(['ip', '-n', name, 'link', 'set', 'eth0', 'up'])
    attached.set(name, port)
  }

  return {
    async attach(name, number, subnet) {
      await plug(name, `p${number}`, `br${subnet}`)
      const own = subnets[subnet]
      if (own === undefined) throw new Error(`Cannot attach ${name}: no subnet ${subnet}`)
      const ips: string[] = []
      for (const key of families.map(keyOf)) {
        const ip = `${own[key]}${key === 'v4' ? number : number.toString(16)}`
        const address = `${ip}/${LENGTH[key]}`
        await must(['ip', '-n', name, 'addr', 'add', address, 'dev', 'eth0', ...noDad(key)])
        for (const other of subnets.filter((each) => each !== own)) {
          const dst = `${other[key]}${key === 'v4' ? '0' : ''}/${LENGTH[key]}`
          await must(['ip', '-n', name, 'route', 'add', dst, 'via', `${own[key]}${ROUTER[key]}`])
        }
        ips.push(ip)
      }
      return ips
    },
    async setMtu(bytes) {
      mtuBytes = bytes
      for (const [name, port] of attached) {
        await must(['ip', '-n', name, 'link', 'set', 'eth0', 'mtu', String(bytes)])
        await inSwitch('link', 'set', port, 'mtu', String(bytes))
      }
      for (const index of subnets.keys())
        await inSwitch('link', 'set', `br${index}`, 'mtu', String(bytes))
    },
  }
}

const noDad = (key: 'v4' | 'v6'): readonly string[] => (key === 'v6' ? ['nodad'] : [])

async function forward(netns: string): Promise<void> {
  const names = ['net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1']
  await must(['nsenter', `--net=/run/netns/${netns}`, '--', 'sysctl', '-qw', ...names])
}
