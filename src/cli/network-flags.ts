/**
 * Command-line flags that describe a network.
 *
 * @module
 */
import { Option } from 'commander'
import type { NetworkSpec, OptionChanges, PoolChanges, PoolSpec } from '../../ipam/mod.ts'
import type { AllowedPort, Attachment, Flavour, PeerRoutes } from '../../ipam/records.ts'
import { TriviumError } from '../errors.ts'

export interface NetworkFlags {
  readonly vni?: string
  readonly vxlanPort?: string
  readonly vlan?: string
  readonly attachment?: string
  readonly mtu?: string
  readonly flavour?: string
  readonly crossSubnet?: boolean
  readonly conflictProbe?: boolean
  readonly masquerade?: boolean
  readonly peerRoutes?: string
  readonly checksumOffload?: string
  readonly force?: boolean
}

export function networkFlags(): readonly Option[] {
  return [
    new Option('--vni <id>', 'VXLAN network identifier (default: lowest unused)'),
    new Option(
      '--vxlan-port <port>',
      'UDP port of the tunnel (default: 8472, lightweight tunnels: 4790)',
    ),
    new Option(
      '--flavour <flavour>',
      'classic (as Flannel; default) or lightweight (one route a peer; Linux 6.6 or newer)',
    ),
    new Option('--cross-subnet', 'reach peers on the same underlay network without tunnel'),
    new Option('--no-cross-subnet', 'tunnel to every peer (default)'),
    new Option(
      '--peer-routes <from>',
      "mode route: ways to other nodes' blocks are direct (default), or from bgp",
    ).choices(['direct', 'bgp']),
    new Option('--masquerade', "pods leave the networks under their node's address (default)"),
    new Option('--no-masquerade', 'pods leave the networks under their own addresses'),
    new Option('--checksum-offload <choice>', 'tunnels: auto (default), on or off'),
    new Option(
      '--conflict-probe',
      'mode vlan: ADD asks for 0.2 s whether somebody else has the address',
    ),
    new Option('--no-conflict-probe', 'ADD does not ask (default)'),
    new Option('--force', 'lightweight tunnels on kernels older than 6.6, too'),
    new Option('--vlan <id>', '802.1Q VLAN id, for mode vlan; 0: untagged (with --attachment)'),
    new Option(
      '--attachment <how>',
      "mode vlan: bridge (default), or macvlan (pods' links on the uplink itself)",
    ).choices(['bridge', 'macvlan']),
    new Option('--mtu <bytes>', "MTU of pods' links, or auto: from the underlay (default)"),
  ]
}

/** How `--pool` is written. */
export const POOL_FORM =
  'CIDR[,block=LENGTH][,gateway=ADDRESS][,rack=LABEL][,nodes=A+B][,namespaces=A+B][,floating], repeatable'

type Draft<T> = { -readonly [K in keyof T]: T[K] }

/** As POOL_FORM says. */
export function poolOf(text: string): PoolSpec {
  const [cidr = '', ...settings] = text.split(',')
  const pool: Draft<PoolSpec> = { cidr }
  for (const setting of settings) {
    const [key, value = ''] = setting.split('=')
    if (key === 'block') pool.blockLength = numberOf('block', value)
    else if (key === 'gateway') pool.gateway = value
    else if (key === 'rack') pool.rack = value
    else if (key === 'nodes') pool.nodes = value.split('+')
    else if (key === 'namespaces') pool.namespaces = value.split('+')
    else if (setting === 'floating') pool.floating = true
    else
      throw unknownSetting(
        text,
        key,
        'block=LENGTH, gateway=ADDRESS, rack=LABEL, nodes=A+B, floating',
      )
  }
  return pool
}

/** How a change of a pool is written: as POOL_FORM, an empty value takes a setting back. */
export const POOL_CHANGE_FORM =
  'CIDR[,gateway=[ADDRESS]][,rack=[LABEL]][,nodes=[A+B]][,namespaces=[A+B]]'

/** As POOL_CHANGE_FORM says. */
export function poolChangesOf(text: string): readonly [cidr: string, changes: PoolChanges] {
  const [cidr = '', ...settings] = text.split(',')
  const changes: Draft<PoolChanges> = {}
  for (const setting of settings) {
    const [key, value = ''] = setting.split('=')
    const given = value === '' ? undefined : value
    if (key === 'gateway') changes.gateway = given
    else if (key === 'rack') changes.rack = given
    else if (key === 'nodes') changes.nodes = given?.split('+')
    else if (key === 'namespaces') changes.namespaces = given?.split('+')
    else throw unknownSetting(text, key, 'gateway=[ADDRESS], rack=[LABEL], nodes=[A+B]')
  }
  return [cidr, changes]
}

const unknownSetting = (text: string, key: string | undefined, wanted: string): TriviumError =>
  new TriviumError(
    'USAGE',
    `Cannot read pool ${JSON.stringify(text)}: unknown setting ${JSON.stringify(key)}, wanted ${wanted} or namespaces=A+B`,
  )

/** The raw description, for `parseNetworkSpec` to check. */
export function specOf(
  name: string,
  mode: string,
  pools: readonly string[],
  flags: NetworkFlags,
): NetworkSpec {
  return { name, mode, pools: pools.map(poolOf), options: optionsOf(flags) }
}

export function optionsOf(flags: NetworkFlags): OptionChanges {
  const { vni, vxlanPort, vlan, attachment, mtu, flavour, crossSubnet, masquerade, force } = flags
  return {
    ...(vni === undefined ? {} : { vni: numberOf('--vni', vni) }),
    ...(vxlanPort === undefined ? {} : { vxlanPort: numberOf('--vxlan-port', vxlanPort) }),
    ...(vlan === undefined ? {} : { vlanId: numberOf('--vlan', vlan) }),
    ...(mtu === undefined ? {} : { mtuBytes: mtu === 'auto' ? undefined : numberOf('--mtu', mtu) }),
    // What it may be, the network's own rules say.
    ...(flavour === undefined ? {} : { flavour: flavour as Flavour }),
    ...(attachment === undefined ? {} : { attachment: attachment as Attachment }),
    ...(flags.peerRoutes === undefined ? {} : { peerRoutes: flags.peerRoutes as PeerRoutes }),
    ...(crossSubnet === undefined ? {} : { crossSubnet }),
    ...(flags.conflictProbe === undefined ? {} : { conflictProbe: flags.conflictProbe }),
    ...(masquerade === undefined ? {} : { masquerade }),
    ...checksumOf(flags.checksumOffload),
    ...(force === undefined ? {} : { anyKernel: force }),
  }
}

function checksumOf(choice: string | undefined): OptionChanges {
  if (choice === undefined) return {}
  if (choice === 'auto') return { checksumOffload: undefined }
  if (choice === 'on' || choice === 'off') return { checksumOffload: choice === 'on' }
  throw new TriviumError(
    'USAGE',
    `Cannot read --checksum-offload ${JSON.stringify(choice)}: wanted auto, on or off`,
  )
}

/** `tcp/443`, `udp/53`, `sctp/3868` */
export function allowedPort(text: string): AllowedPort {
  const [, protocol, digits] = /^(tcp|udp|sctp)\/(\d{1,5})$/.exec(text) ?? []
  const port = Number(digits)
  if (protocol === undefined || port < 1 || port > 65_535) {
    throw new TriviumError(
      'USAGE',
      `Cannot read port ${JSON.stringify(text)}: wanted tcp/PORT, udp/PORT or sctp/PORT, 1 to 65535`,
    )
  }
  return { protocol: protocol as AllowedPort['protocol'], port }
}

function numberOf(flag: string, text: string): number {
  if (/^\d{1,10}$/.test(text)) return Number(text)
  throw new TriviumError(
    'USAGE',
    `Cannot read ${flag} ${JSON.stringify(text)}: wanted a whole number`,
  )
}
