/**
 * How routing daemons behave in time, as data. A profile sets the timers of a speaker
 * and holds back its input and output; what is decided is the product's own.
 *
 * @module
 */

import { CONNECT_RETRY_SECONDS } from '../../src/backend/bgp/speaker-plan.ts'

/** Seconds, but where the name says milliseconds. */
export interface DaemonProfile {
  readonly name: string
  /** Keepalives are a third of it, in all of them. */
  readonly holdSeconds: number
  readonly connectRetrySeconds: number
  /** First wait after a session failed. */
  readonly idleSeconds: number
  /** From the start of a peer to the first attempt to connect. */
  readonly connectDelaySeconds: number
  /** What a peer is told when its session comes up waits so long, so that peers share the work. */
  readonly coalesceMs: number
  /** More of it for each peer there is, up to `coalesceMaxMs` in all. */
  readonly coalesceMsPerPeer: number
  readonly coalesceMaxMs: number
  /** MinRouteAdvertisementInterval towards a peer, eBGP and iBGP. Source of the term: RFC 4271 section 9.2.1.1. */
  readonly advertiseSeconds: { readonly ebgp: number; readonly ibgp: number }
  /** Own routes are seen when the kernel is scanned, every so often; 0: at once. */
  readonly kernelScanMs: number
  /** Whether a link without carrier ends the sessions on it. */
  readonly watchesCarrier: boolean
  /** How long peers are asked to wait for a restart (RFC 4724); false: they are not asked. */
  readonly restartSeconds: number | false
  /** Whether it keeps the routes of a peer that asks. */
  readonly helpsRestart: boolean
  /**
   * After a restart it chooses and says nothing until every peer that keeps routes has said
   * all it knows, or so late: the Selection_Deferral_Timer of RFC 4724 section 4.1.
   */
  readonly deferralSeconds: number
  /** Whether every start counts as a restart, the first one after a loss of power, too. */
  readonly alwaysRestarts: boolean
  /** Prefixes learned a second: what a turn of decisions takes. Measured with 100 prefixes an UPDATE, where not said. */
  readonly routesPerSecond: number
  /** From what comes in to what is said of it, at least: what a turn takes, however little there is to decide. */
  readonly turnMs: number
  /** Whether its small messages wait for each other (RFC 896), because it does not set TCP_NODELAY. */
  readonly hasNagle: boolean
  /** Where the figures are. */
  readonly sources: readonly string[]
}

const NO_COALESCING = { coalesceMs: 0, coalesceMsPerPeer: 0, coalesceMaxMs: 0 } as const
const NO_ADVERTISE_INTERVAL = { ebgp: 0, ibgp: 0 } as const

const TRIVIUM = {
  name: 'trivium',
  holdSeconds: 90,
  connectRetrySeconds: CONNECT_RETRY_SECONDS,
  idleSeconds: 1,
  connectDelaySeconds: 0,
  ...NO_COALESCING,
  advertiseSeconds: NO_ADVERTISE_INTERVAL,
  kernelScanMs: 0,
  watchesCarrier: false,
  restartSeconds: 120,
  helpsRestart: true,
  deferralSeconds: 120,
  alwaysRestarts: false,
  routesPerSecond: 1_400_000,
  turnMs: 0,
  hasNagle: false,
  sources: ['src/backend/bgp/speaker-plan.ts', 'src/bgp/config.ts', 'bench bgp-rib'],
} as const satisfies DaemonProfile

const BIRD = {
  ...TRIVIUM,
  name: 'bird',
  holdSeconds: 240,
  connectRetrySeconds: 120,
  idleSeconds: 60,
  connectDelaySeconds: 5,
  watchesCarrier: true,
  // It helps others, and does not ask for help itself.
  restartSeconds: false,
  // `graceful restart wait`, DEFAULT_GR_WAIT of nest/protocol.h: exports to the kernel and to peers wait.
  deferralSeconds: 240,
  routesPerSecond: 1_300_000,
  turnMs: 0.25,
  hasNagle: true,
  sources: ['CZ-NIC/bird proto/bgp/config.Y', 'doc/bird.sgml', 'measured: BIRD 2.0.12'],
} as const satisfies DaemonProfile

const FRR = {
  ...TRIVIUM,
  name: 'frr',
  holdSeconds: 180,
  connectRetrySeconds: 30,
  coalesceMs: 1000,
  coalesceMsPerPeer: 50,
  coalesceMaxMs: 10_000,
  watchesCarrier: true,
  restartSeconds: false,
  routesPerSecond: 183_000,
  sources: ['FRRouting/frr bgpd/bgpd.h, bgpd/bgp_updgrp.h', 'measured: bgpd 8.4.4'],
} as const satisfies DaemonProfile

const BY_NAME = [
  TRIVIUM,
  BIRD,
  FRR,
  {
    ...FRR,
    name: 'frr-datacenter',
    holdSeconds: 9,
    connectRetrySeconds: 10,
    sources: [...FRR.sources, 'bgpd/bgp_vty.h, doc/user/basic.rst'],
  },
  {
    ...TRIVIUM,
    name: 'gobgp',
    holdSeconds: 90,
    connectRetrySeconds: 120,
    idleSeconds: 30,
    restartSeconds: false,
    helpsRestart: false,
    routesPerSecond: 73_000,
    sources: ['osrg/gobgp pkg/config/oc/default.go', 'measured: gobgpd 3.10'],
  },
  {
    ...BIRD,
    name: 'calico',
    connectRetrySeconds: 5,
    idleSeconds: 5,
    connectDelaySeconds: 2,
    kernelScanMs: 2000,
    restartSeconds: 120,
    // It is started as `bird -R`.
    alwaysRestarts: true,
    sources: [
      ...BIRD.sources,
      'CZ-NIC/bird nest/proto.c, graceful_restart_init',
      'projectcalico/calico confd/tests/compiled_templates, bird.cfg',
      'projectcalico/calico node/filesystem/etc/service/available/bird/run',
    ],
  },
] as const satisfies readonly DaemonProfile[]

export const DAEMONS: readonly DaemonProfile[] = BY_NAME
export type DaemonName = (typeof BY_NAME)[number]['name']

type NamesOf<All extends readonly DaemonProfile[]> = { readonly [At in keyof All]: All[At]['name'] }
/** As a tuple, which `map` loses. */
export const DAEMON_NAMES = BY_NAME.map(({ name }) => name) as unknown as NamesOf<typeof BY_NAME>

export const daemonNamed = (name: DaemonName): DaemonProfile =>
  DAEMONS.find((daemon) => daemon.name === name) ?? TRIVIUM

/** Seconds that routes of a session outlive it: when one end asks for it and the other helps. */
export function restartBetween(one: DaemonProfile, other: DaemonProfile): number | false {
  const asked = (asks: DaemonProfile, helps: DaemonProfile): number =>
    helps.helpsRestart && asks.restartSeconds !== false ? asks.restartSeconds : 0
  const seconds = Math.max(asked(one, other), asked(other, one))
  return seconds === 0 ? false : seconds
}

/** Milliseconds that a new session waits for what it is told first. */
export function coalescedFor(daemon: DaemonProfile, peers: number): number {
  const { coalesceMs, coalesceMsPerPeer, coalesceMaxMs } = daemon
  return Math.min(coalesceMaxMs, coalesceMs + peers * coalesceMsPerPeer)
}
