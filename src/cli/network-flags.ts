/**
 * Command-line flags that describe a network.
 *
 * @module
 */
import { Option } from 'commander'
import type { NetworkSpec } from '../../ipam/mod.ts'
import type { NetworkOptions } from '../../ipam/records.ts'
import { TriviumError } from '../errors.ts'

export interface NetworkFlags {
  readonly vni?: string
  readonly vxlanPort?: string
  readonly vlan?: string
  readonly mtu?: string
}

export function networkFlags(): readonly Option[] {
  return [
    new Option('--vni <id>', 'VXLAN network identifier (default: lowest unused)'),
    new Option('--vxlan-port <port>', 'UDP port of the tunnel (default: 8472)'),
    new Option('--vlan <id>', '802.1Q VLAN id, for mode vlan'),
    new Option('--mtu <bytes>', "MTU of pods' links (default: from the underlay)"),
  ]
}

/** `CIDR[,block=LENGTH][,gateway=ADDRESS]` */
function poolOf(text: string): NetworkSpec['pools'][number] {
  const [cidr = '', ...settings] = text.split(',')
  const pool: { cidr: string; blockLength?: number; gateway?: string } = { cidr }
  for (const setting of settings) {
    const [key, value = ''] = setting.split('=')
    if (key === 'block') pool.blockLength = numberOf('block', value)
    else if (key === 'gateway') pool.gateway = value
    else {
      throw new TriviumError(
        'USAGE',
        `Cannot read pool ${JSON.stringify(text)}: unknown setting ${JSON.stringify(key)}, wanted block=LENGTH or gateway=ADDRESS`,
      )
    }
  }
  return pool
}

/** The raw description, for `parseNetworkSpec` to check. */
export function specOf(
  name: string,
  mode: string,
  pools: readonly string[],
  flags: NetworkFlags,
): NetworkSpec {
  return { name, mode, pools: pools.map(poolOf), options: optionsOf(flags) }
}

export function optionsOf({ vni, vxlanPort, vlan, mtu }: NetworkFlags): Partial<NetworkOptions> {
  return {
    ...(vni === undefined ? {} : { vni: numberOf('--vni', vni) }),
    ...(vxlanPort === undefined ? {} : { vxlanPort: numberOf('--vxlan-port', vxlanPort) }),
    ...(vlan === undefined ? {} : { vlanId: numberOf('--vlan', vlan) }),
    ...(mtu === undefined ? {} : { mtuBytes: numberOf('--mtu', mtu) }),
  }
}

function numberOf(flag: string, text: string): number {
  if (/^\d{1,10}$/.test(text)) return Number(text)
  throw new TriviumError(
    'USAGE',
    `Cannot read ${flag} ${JSON.stringify(text)}: wanted a whole number`,
  )
}
