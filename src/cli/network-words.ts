/**
 * A network's description as command-line flags: the way back of network-flags.ts.
 *
 * @module
 */
import type { NetworkSpec, OptionChanges } from '../../ipam/mod.ts'
import type { AllowedPort } from '../../ipam/records.ts'

/** `--pool CIDR,block=LENGTH` or `--pool CIDR,floating` for each pool. */
export function poolFlags(pools: NetworkSpec['pools']): readonly string[] {
  return pools.flatMap(({ cidr, blockLength, floating }) => {
    const block = blockLength === undefined ? cidr : `${cidr},block=${blockLength}`
    return ['--pool', floating === true ? `${cidr},floating` : block]
  })
}

/** `--port tcp/443` for each port. */
export function portFlags(ports: readonly AllowedPort[]): readonly string[] {
  return ports.flatMap(({ protocol, port }) => ['--port', `${protocol}/${port}`])
}

/** Flags of the options that are given. */
export function flagsOfOptions(options: OptionChanges = {}): readonly string[] {
  const { flavour, crossSubnet, masquerade, checksumOffload, vlanId, attachment, conflictProbe } =
    options
  const { peerRoutes } = options
  return [
    ...(flavour === undefined ? [] : ['--flavour', flavour]),
    ...(crossSubnet === undefined ? [] : [crossSubnet ? '--cross-subnet' : '--no-cross-subnet']),
    ...(masquerade === undefined ? [] : [masquerade ? '--masquerade' : '--no-masquerade']),
    ...(checksumOffload === undefined
      ? []
      : ['--checksum-offload', checksumOffload ? 'on' : 'off']),
    ...(conflictProbe === undefined
      ? []
      : [conflictProbe ? '--conflict-probe' : '--no-conflict-probe']),
    ...(vlanId === undefined ? [] : ['--vlan', String(vlanId)]),
    ...(peerRoutes === undefined ? [] : ['--peer-routes', peerRoutes]),
    ...(attachment === undefined ? [] : ['--attachment', attachment]),
  ]
}
