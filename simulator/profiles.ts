/**
 * Table capacities of real switches, one row a forwarding profile, each with
 * its public source.
 *
 * What decides for containers: the /32 (or /128) of a pod is a *host* entry and
 * sits in the small table beside ARP entries; a block is a prefix and sits in
 * the large LPM table.
 *
 * A vendor's "16k" is read as 16 x 1024. IPv6 capacities are those of prefixes
 * longer than /64, which is what a block of pod addresses is.
 *
 * @module
 */

/** Tables of a switch that a cluster can fill. */
export const SWITCH_TABLES = ['lpm', 'lpm6', 'host', 'mac'] as const
export type SwitchTable = (typeof SWITCH_TABLES)[number]

/** Entries that each table takes. */
export type Capacities = Readonly<Record<SwitchTable, number>>

/** Entries of the shared host table that one address takes. Source: QFX and Cumulus, see below. */
export const HOST_COST = { 4: 1, 6: 2 } as const

export interface SwitchProfile {
  readonly name: string
  readonly asic: string
  readonly capacities: Capacities
  readonly source: string
}

const CUMULUS_43 =
  'https://docs.nvidia.com/networking-ethernet-software/cumulus-linux-43/Layer-3/Routing/Supported-Route-Table-Entries'
const K = 1024

export const SWITCH_PROFILES: readonly SwitchProfile[] = [
  {
    name: 'helix4',
    asic: 'Broadcom Helix4 (fixed)',
    capacities: { lpm: 7800, lpm6: 2 * K, host: 12 * K, mac: 24 * K },
    source: CUMULUS_43,
  },
  {
    name: 'trident3-default',
    asic: 'Broadcom Trident II, II+, Trident3: default',
    capacities: { lpm: 128 * K, lpm6: 20 * K, host: 16 * K, mac: 32 * K },
    source: CUMULUS_43,
  },
  {
    name: 'trident3-l2-heavy',
    asic: 'Broadcom Trident II, II+, Trident3: l2-heavy',
    capacities: { lpm: 8 * K, lpm6: 2 * K, host: 96 * K, mac: 160 * K },
    source: CUMULUS_43,
  },
  {
    name: 'tomahawk-default',
    asic: 'Broadcom Tomahawk, Tomahawk+: default',
    capacities: { lpm: 64 * K, lpm6: 8 * K, host: 40 * K, mac: 40 * K },
    source: CUMULUS_43,
  },
  {
    name: 'tomahawk-v4-lpm-heavy',
    asic: 'Broadcom Tomahawk, Tomahawk+: v4-lpm-heavy',
    capacities: { lpm: 128 * K, lpm6: 20 * K, host: 8 * K, mac: 8 * K },
    source: CUMULUS_43,
  },
  {
    name: 'spectrum-default',
    asic: 'Mellanox Spectrum: default',
    capacities: { lpm: 64 * K, lpm6: 28 * K, host: 32 * K, mac: 40 * K },
    source: CUMULUS_43,
  },
  {
    name: 'spectrum-v4-lpm-heavy-1',
    asic: 'Mellanox Spectrum: v4-lpm-heavy-1',
    capacities: { lpm: 176 * K, lpm6: 2 * K, host: 8 * K, mac: 8 * K },
    source: CUMULUS_43,
  },
]

export const profileNamed = (name: string): SwitchProfile | undefined =>
  SWITCH_PROFILES.find((profile) => profile.name === name)
