/**
 * The daemons that are compared, each with the least that it needs: no kernel routes, no
 * log, everything taken in, and monitors told everything. All wait for their peers.
 */
import { join } from 'node:path'
import type { Ip } from '../../src/net/mod.ts'
import type { End } from './speaker.ts'

/** What a daemon is to be. */
export interface Setting {
  readonly address: Ip
  readonly asn: number
  readonly feeders: readonly End[]
  readonly monitors: readonly End[]
  /** Whether feeders are told what others taught, as monitors are. */
  readonly tellsFeeders: boolean
  readonly holdSeconds: number
}

export interface Daemon {
  readonly name: string
  /** The program that must be there. */
  readonly program: string
  /** Runs one round where the others run several. */
  readonly isSlow?: boolean
  readonly config: (setting: Setting) => string
  /** The command, given the configuration's path and a folder for its sockets. */
  readonly command: (config: string, folder: string) => readonly string[]
  readonly environment?: (folder: string) => Readonly<Record<string, string>>
}

export const BIRD: Daemon = {
  name: 'BIRD',
  program: '/usr/sbin/bird',
  config: ({ address, asn, feeders, monitors, tellsFeeders, holdSeconds }) =>
    `router id ${address};
protocol device {}
template bgp feeder {
  local ${address} as ${asn}; passive yes; hold time ${holdSeconds};
  ipv4 { import all; export ${tellsFeeders ? 'all' : 'none'}; };
}
template bgp monitor {
  local ${address} as ${asn}; passive yes; hold time ${holdSeconds};
  ipv4 { import all; export all; };
}
${feeders.map((end, at) => `protocol bgp f${at} from feeder { neighbor ${end.address} as ${end.asn}; }`).join('\n')}
${monitors.map((end, at) => `protocol bgp m${at} from monitor { neighbor ${end.address} as ${end.asn}; }`).join('\n')}
`,
  command: (config, folder) => ['bird', '-f', '-c', config, '-s', `${folder}/bird.ctl`],
}

const FRR: Daemon = {
  name: 'FRR',
  program: '/usr/lib/frr/bgpd',
  config: ({ address, asn, feeders, monitors, tellsFeeders, holdSeconds }) =>
    `hostname bench
router bgp ${asn}
 bgp router-id ${address}
 no bgp ebgp-requires-policy
 no bgp network import-check
 timers bgp ${Math.floor(holdSeconds / 3)} ${holdSeconds}
${['feeders', 'monitors']
  .map(
    (group) => ` neighbor ${group} peer-group
 neighbor ${group} passive
 neighbor ${group} advertisement-interval 0`,
  )
  .join('\n')}
${[
  ...feeders.map((end) => ({ ...end, group: 'feeders' })),
  ...monitors.map((end) => ({ ...end, group: 'monitors' })),
]
  .map(
    (end) => ` neighbor ${end.address} remote-as ${end.asn}
 neighbor ${end.address} peer-group ${end.group}`,
  )
  .join('\n')}
 address-family ipv4 unicast
${tellsFeeders ? '' : '  neighbor feeders route-map nothing out\n'} exit-address-family
route-map nothing deny 10
`,
  command: (config, folder) => [
    ...['/usr/lib/frr/bgpd', '-Z', '-S', '-u', 'root', '-g', 'root', '-f', config],
    ...['-i', `${folder}/bgpd.pid`, '--vty_socket', folder, '-P', '0'],
  ],
}

const GOBGP: Daemon = {
  name: 'GoBGP',
  program: '/usr/bin/gobgpd',
  isSlow: true,
  config: ({ address, asn, feeders, monitors, tellsFeeders, holdSeconds }) =>
    `[global.config]
as = ${asn}
router-id = "${address}"
${
  tellsFeeders
    ? ''
    : `[global.apply-policy.config]
export-policy-list = ["monitors-only"]
default-export-policy = "accept-route"
[[defined-sets.neighbor-sets]]
neighbor-set-name = "monitors"
neighbor-info-list = [${monitors.map((end) => `"${end.address}"`).join(', ')}]
[[policy-definitions]]
name = "monitors-only"
[[policy-definitions.statements]]
name = "others"
[policy-definitions.statements.conditions.match-neighbor-set]
neighbor-set = "monitors"
match-set-options = "invert"
[policy-definitions.statements.actions]
route-disposition = "reject-route"
`
}${[...feeders, ...monitors]
  .map(
    (end) => `[[neighbors]]
[neighbors.config]
neighbor-address = "${end.address}"
peer-as = ${end.asn}
[neighbors.transport.config]
passive-mode = true
[neighbors.timers.config]
hold-time = ${holdSeconds}
keepalive-interval = ${Math.floor(holdSeconds / 3)}
`,
  )
  .join('')}`,
  command: (config) => ['gobgpd', '-f', config, '-p', '--log-level', 'error'],
}

const CLI = join(import.meta.dirname, '..', '..', 'dist', 'cli.cjs')
const PROBE = join(import.meta.dirname, 'memory-probe.cjs')

const TRIVIUM: Daemon = {
  name: 'trivium',
  program: CLI,
  config: ({ address, asn, feeders, monitors, tellsFeeders, holdSeconds }) => {
    const peer = (end: End, exportPolicy: string) => ({
      ...end,
      passive: true,
      holdSeconds,
      families: ['ipv4'],
      importPolicy: 'all',
      exportPolicy,
    })
    return JSON.stringify({
      asn,
      routerId: address,
      listen: [address],
      policies: { all: { otherwise: 'accept' }, nothing: { otherwise: 'reject' } },
      peers: [
        ...feeders.map((end) => peer(end, tellsFeeders ? 'all' : 'nothing')),
        ...monitors.map((end) => peer(end, 'all')),
      ],
    })
  },
  command: (config, folder) => [
    ...[process.execPath, '--require', PROBE, CLI, 'bgp', 'run', config],
    ...['--socket', join(folder, 'bgp.sock'), '--log-level', 'error'],
  ],
  environment: (folder) => ({ TRIVIUM_MEMORY_FILE: join(folder, 'memory.json') }),
}

/** No BGP: it hands the octets of its feeders on as they are. What the bench itself takes. */
export const RELAY: Daemon = {
  name: 'relay',
  program: process.execPath,
  config: (setting) => JSON.stringify(setting),
  command: (config) => [
    process.execPath,
    ...process.execArgv,
    join(import.meta.dirname, 'relay.ts'),
    config,
  ],
}

export const DAEMONS: readonly Daemon[] = [TRIVIUM, BIRD, FRR, GOBGP]
