/**
 * Table capacities of real switches, one row a forwarding profile, each with
 * its public source.
 *
 * What decides for containers: the /32 (or /128) of a pod is a *host* entry and
 * sits in the small table beside ARP entries; a block is a prefix and sits in
 * the large LPM table.
 *
 * A vendor's "16k" is read as 16 x 1024. IPv6 prefix capacities are those of
 * prefixes longer than /64, which is what a block of pod addresses is. A number
 * that no public page gives is undefined, "unknown", and never made up.
 *
 * @module
 */

/**
 * Tables of a switch that a cluster can fill. `host6`: IPv6 hosts where they
 * have room of their own. `arp`: next hops, ARP and ND, where they do not sit in
 * the host table. `ecmp`: next hops of all groups. `vtep`: tunnels that end here.
 */
export const SWITCH_TABLES = ['lpm', 'lpm6', 'host', 'host6', 'mac', 'arp', 'ecmp', 'vtep'] as const
export type SwitchTable = (typeof SWITCH_TABLES)[number]

/** Entries that a table takes; undefined: unknown, so without limit. */
export type Capacities = Readonly<Partial<Record<SwitchTable, number | undefined>>> & {
  /** IPv4 and IPv6 prefixes share one memory: so many of the one, or so many of the other. */
  readonly sharedLpm?: boolean
}

/** Entries of the shared host table that one address takes. Source: QFX and Cumulus, see below. */
export const HOST_COST = { 4: 1, 6: 2 } as const

export interface SwitchProfile {
  readonly name: string
  readonly asic: string
  readonly capacities: Capacities
  readonly source: string
}

const NVIDIA = 'https://docs.nvidia.com/networking-ethernet-software'
const CUMULUS_43 = `${NVIDIA}/cumulus-linux-43/Layer-3/Routing/Supported-Route-Table-Entries`
const CUMULUS_58 = `${NVIDIA}/cumulus-linux-58/Layer-3/Routing/Forwarding-Table-Size-and-Profiles/`
const JUNIPER = 'https://juniper.net/documentation/en_US/junos13.2/topics/topic-map'
const QFX5100 = `${JUNIPER}/unified-forwarding-table-D15-qfx-series.html`
const QFX5110 =
  'https://kb.juniper.net/InfoCenter/index?page=content&id=KB34576&cat=QFX5110&actp=LIST'
const EXTREME = 'https://documentation.extremenetworks.com'
const EXOS_306 = `${EXTREME}/exos_30.6/GUID-EB02FF99-665B-48CB-A94C-43ADF5471FD1.shtml`
const SLX = `${EXTREME}/slxos/sw/20xx/20.6.1/l2config/GUID-567A4AC7-79AA-4CED-A5B1-21D3AD0EC0D1.shtml`
const CATALYST =
  'https://www.cisco.com/c/en/us/td/docs/switches/lan/catalyst9500/software/release/17-13/configuration_guide/vxlan/b_1713_bgp_evpn_vxlan_9500_cg/scale_and_performance_capabilities_for_bgp_evpn_vxlan.html'
const FLEXROUTE = 'https://www.arista.com/zh/solutions/flexroute-engine-ip-forwarding'
const K = 1024

/**
 * Next hops of all ECMP groups together on a Tomahawk. Source: Cumulus Linux 4.2,
 * Resource Diagnostics Using cl-resource-query, `ecmp_nhs`.
 */
const TOMAHAWK_ECMP = 16_327

function broadcom(
  name: string,
  asic: string,
  capacities: Pick<Capacities, 'lpm' | 'lpm6' | 'host' | 'mac' | 'ecmp'>,
): SwitchProfile {
  return { name, asic, capacities: { ...capacities, sharedLpm: true }, source: CUMULUS_43 }
}

/** @param sizes In units of 1024: MAC, IPv4 and IPv6 hosts, IPv4 and long IPv6 prefixes. */
function spectrum(
  name: string,
  asic: string,
  sizes: readonly [mac: number, host: number, host6: number, lpm: number, lpm6: number],
  source: string,
): SwitchProfile {
  const [mac, host, host6, lpm, lpm6] = sizes.map((size) => size * K)
  return { name, asic, capacities: { lpm, lpm6, host, host6, mac }, source }
}

/** The page says nothing of prefixes but in `lpm-profile`. @param sizes In units of 1024. */
function qfx5100(profile: string, mac: number, host: number, lpm?: number): SwitchProfile {
  const capacities = { mac: mac * K, host: host * K, lpm: lpm === undefined ? undefined : lpm * K }
  return {
    name: `qfx5100-${profile}`,
    asic: `Juniper QFX5100 (Trident II): ${profile}`,
    capacities,
    source: QFX5100,
  }
}

/** One number for IPv4 and IPv6 each. VTEPs are the leaves of one fabric. */
function catalyst(
  name: string,
  asic: string,
  mac: number,
  host: number,
  lpm: number,
): SwitchProfile {
  const capacities = { lpm, lpm6: lpm, host, host6: host, mac, vtep: 500 }
  return { name, asic, capacities, source: CATALYST }
}

export const SWITCH_PROFILES: readonly SwitchProfile[] = [
  broadcom('helix4', 'Broadcom Helix4 (fixed)', {
    lpm: 7800,
    lpm6: 2 * K,
    host: 12 * K,
    mac: 24 * K,
  }),
  broadcom('trident3-default', 'Broadcom Trident II, II+, Trident3: default', {
    lpm: 128 * K,
    lpm6: 20 * K,
    host: 16 * K,
    mac: 32 * K,
  }),
  broadcom('trident3-l2-heavy', 'Broadcom Trident II, II+, Trident3: l2-heavy', {
    lpm: 8 * K,
    lpm6: 2 * K,
    host: 96 * K,
    mac: 160 * K,
  }),
  broadcom('tomahawk-default', 'Broadcom Tomahawk, Tomahawk+: default', {
    lpm: 64 * K,
    lpm6: 8 * K,
    host: 40 * K,
    mac: 40 * K,
    ecmp: TOMAHAWK_ECMP,
  }),
  broadcom('tomahawk-l2-heavy', 'Broadcom Tomahawk, Tomahawk+: l2-heavy', {
    lpm: 8 * K,
    lpm6: 2 * K,
    host: 72 * K,
    mac: 72 * K,
    ecmp: TOMAHAWK_ECMP,
  }),
  broadcom('tomahawk-v4-lpm-heavy', 'Broadcom Tomahawk, Tomahawk+: v4-lpm-heavy', {
    lpm: 128 * K,
    lpm6: 20 * K,
    host: 8 * K,
    mac: 8 * K,
    ecmp: TOMAHAWK_ECMP,
  }),
  spectrum('spectrum-default', 'Mellanox Spectrum: default', [40, 32, 16, 64, 28], CUMULUS_43),
  spectrum('spectrum-l2-heavy-1', 'Mellanox Spectrum: l2-heavy-1', [180, 8, 8, 8, 8], CUMULUS_43),
  spectrum(
    'spectrum-v4-lpm-heavy-1',
    'Mellanox Spectrum: v4-lpm-heavy-1',
    [8, 8, 2, 176, 2],
    CUMULUS_43,
  ),
  // The page's IPv6 number is for /64; longer prefixes have half of it.
  spectrum(
    'spectrum2-default',
    'NVIDIA Spectrum-2 to 4: default',
    [50, 41, 20, 82, 37],
    CUMULUS_58,
  ),
  spectrum(
    'spectrum2-l2-heavy-2',
    'NVIDIA Spectrum-2 to 4: l2-heavy-2',
    [124, 132, 12, 16, 8],
    CUMULUS_58,
  ),
  spectrum(
    'spectrum2-v4-lpm-heavy-1',
    'NVIDIA Spectrum-2 to 4: v4-lpm-heavy-1',
    [16, 16, 4, 256, 4],
    CUMULUS_58,
  ),
  spectrum(
    'spectrum2-lpm-balanced',
    'NVIDIA Spectrum-2 to 4: lpm-balanced',
    [16, 16, 12, 124, 62],
    CUMULUS_58,
  ),
  qfx5100('l2-profile-one', 288, 16),
  qfx5100('l2-profile-two', 224, 80),
  qfx5100('l2-profile-three', 160, 144),
  qfx5100('l3-profile', 96, 208),
  qfx5100('lpm-profile', 32, 16, 128),
  {
    name: 'qfx5110-lpm-profile',
    asic: 'Juniper QFX5110: lpm-profile; prefixes are the least that is promised',
    capacities: { lpm: 128 * K, lpm6: 16 * K, host: 8 * K },
    source: QFX5110,
  },
  {
    name: 'x670-g2-l2-and-l3',
    asic: 'Extreme X670-G2 (Trident II): l2-and-l3',
    // Its IPv6 prefixes are counted up to /64 only.
    capacities: { lpm: 16 * K, host: 96 * K, arp: 48 * K },
    source: EXOS_306,
  },
  {
    name: 'x670-g2-more-routes',
    asic: 'Extreme X670-G2 (Trident II): more routes, long IPv6 masks',
    capacities: { lpm: 64 * K, host: 16 * K, arp: 48 * K },
    source: EXOS_306,
  },
  {
    name: 'slx-9150',
    asic: 'Extreme SLX 9150, 9250, 8520, 8720 as tunnel end',
    capacities: { vtep: 250 },
    source: SLX,
  },
  {
    name: 'slx-9540',
    asic: 'Extreme SLX 9540, 9640 as tunnel end',
    capacities: { vtep: 1024 },
    source: SLX,
  },
  catalyst('c9500-distribution', 'Cisco Catalyst 9500: distribution', 64_000, 48_000, 64_000),
  catalyst('c9500-custom', 'Cisco Catalyst 9500: custom', 128_000, 256_000, 256_000),
  catalyst(
    'c9500h-distribution',
    'Cisco Catalyst 9500 High Performance: distribution',
    82_000,
    114_000,
    114_000,
  ),
  {
    name: 'arista-7280r3',
    asic: 'Arista 7280R3 (Jericho2): FlexRoute, more than that',
    capacities: { lpm: 5_000_000 },
    source: FLEXROUTE,
  },
]

export const profileNamed = (name: string): SwitchProfile | undefined =>
  SWITCH_PROFILES.find((profile) => profile.name === name)

/** How fast a device's software writes routes into its ASIC. */
export interface ProgrammingRate {
  readonly name: string
  readonly routesPerSecond: number
  readonly source: string
}

export const PROGRAMMING_RATES: readonly ProgrammingRate[] = [
  {
    // 500 routes in 651 ms, 6 500 in 9 143 ms, control plane to data plane.
    name: 'sonic-measured',
    routesPerSecond: 750,
    source: 'https://github.com/sonic-net/sonic-mgmt/pull/5098',
  },
  {
    name: 'sonic-q200',
    routesPerSecond: 19_600,
    source:
      'https://github.com/sonic-net/SONiC/blob/master/doc/bgp_loading_optimization/bgp-loading-optimization-hld.md',
  },
  {
    name: 'mx304',
    routesPerSecond: 47_000,
    source:
      'https://github.com/sonic-net/SONiC/blob/master/doc/bgp_loading_optimization/bgp-loading-optimization-hld.md',
  },
]
