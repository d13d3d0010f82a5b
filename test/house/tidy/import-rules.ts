/**
 * Who may import whom, as data. A unit is a folder, or one file that stands
 * for itself; the longest match wins. What is not listed is forbidden.
 */

export interface ImportRule {
  /** Folder or file, from the root of the repository. */
  readonly unit: string
  /** Other units; `*` is all but those that nobody imports. */
  readonly units: readonly string[]
  /** Single files of units that are forbidden otherwise. */
  readonly files?: readonly string[]
  /** Packages; `node:*` is everything built in, `*` is anything. */
  readonly packages?: readonly string[]
}

/** Files without a folder, each a unit: none may drag in more than it needs. */
const CORE: readonly ImportRule[] = [
  { unit: 'src/errors.ts', units: [] },
  { unit: 'src/hash.ts', units: [] },
  { unit: 'src/kernel-release.ts', units: [] },
  { unit: 'src/steps.ts', units: [] },
  { unit: 'src/machine.ts', units: [] },
  { unit: 'src/version.ts', units: [] },
  { unit: 'src/words.ts', units: [] },
  { unit: 'src/prng.ts', units: ['src/errors.ts', 'src/hash.ts'] },
  { unit: 'src/ports.ts', units: ['src/machine.ts', 'src/kernel'] },
  { unit: 'src/driver.ts', units: ['src/machine.ts', 'src/ports.ts'] },
]

const PURE = [
  ...CORE.map(({ unit }) => unit),
  'src/net',
  'src/wire',
  'src/cluster',
  'src/kernel',
  'src/backend',
  'src/agent',
  'src/cni',
  'src/explain',
  'src/metrics',
  'src/bgp',
  'ipam',
]

export const IMPORT_RULES: readonly ImportRule[] = [
  ...CORE,
  { unit: 'src/net', units: ['src/errors.ts', 'src/hash.ts'], packages: ['ip-address'] },
  { unit: 'src/wire', units: ['src/net', 'src/errors.ts'] },
  { unit: 'src/netlink-ts', units: [] },
  { unit: 'src/netlink-ts/live', units: ['src/netlink-ts'], packages: ['koffi', 'node:*'] },
  {
    unit: 'ipam',
    units: [
      'src/net',
      'src/machine.ts',
      'src/errors.ts',
      'src/hash.ts',
      'src/kernel-release.ts',
      'src/words.ts',
    ],
  },
  {
    unit: 'ipam/lmdb',
    units: ['ipam', 'src/errors.ts'],
    packages: ['lmdb', 'netlink-ts/live', 'node:*'],
  },
  {
    unit: 'ipam/etcd',
    units: ['ipam', 'ipam/lmdb', 'src/errors.ts'],
    packages: ['etcd3', 'node:*'],
  },
  {
    unit: 'ipam/etcd-store.ts',
    units: ['ipam', 'ipam/etcd', 'src/errors.ts'],
    packages: ['node:*'],
  },
  { unit: 'ipam/lmdb-store.ts', units: ['ipam', 'ipam/lmdb', 'src/errors.ts'] },
  {
    unit: 'src/cluster',
    units: ['src/net', 'src/errors.ts', 'src/machine.ts', 'src/ports.ts', 'ipam'],
  },
  {
    unit: 'src/kernel',
    units: ['src/net', 'src/errors.ts', 'src/hash.ts', 'src/steps.ts'],
  },
  {
    unit: 'src/kernel/netlink.ts',
    units: ['src/kernel', 'src/net', 'src/errors.ts'],
    packages: ['netlink-ts'],
  },
  {
    unit: 'src/kernel/netlink-read.ts',
    units: ['src/kernel', 'src/net', 'src/errors.ts'],
    packages: ['netlink-ts'],
  },
  {
    unit: 'src/kernel/nft.ts',
    units: ['src/kernel', 'src/kernel/nft-rule.ts', 'src/net', 'src/errors.ts'],
    packages: ['netlink-ts'],
  },
  {
    unit: 'src/kernel/nft-rule.ts',
    units: ['src/kernel', 'src/errors.ts'],
    packages: ['netlink-ts'],
  },
  {
    unit: 'src/kernel/nft-segment.ts',
    units: ['src/kernel', 'src/net'],
    packages: ['netlink-ts'],
  },
  {
    unit: 'src/backend',
    units: [
      'src/net',
      'src/cluster',
      'src/kernel',
      'src/bgp',
      'src/errors.ts',
      'src/hash.ts',
      'src/kernel-release.ts',
      'src/steps.ts',
    ],
  },
  {
    unit: 'src/agent',
    units: [
      'src/machine.ts',
      'src/ports.ts',
      'src/steps.ts',
      'src/errors.ts',
      'src/net',
      'src/cluster',
      'src/kernel',
      'src/backend',
      'ipam',
    ],
  },
  {
    unit: 'src/cni',
    units: ['src/net', 'src/cluster', 'src/kernel', 'src/backend', 'src/errors.ts', 'ipam'],
  },
  {
    unit: 'src/explain',
    units: [
      'src/net',
      'src/cluster',
      'src/kernel',
      'src/backend',
      'src/errors.ts',
      'src/kernel-release.ts',
      'src/words.ts',
      'ipam',
    ],
  },
  {
    unit: 'src/metrics',
    units: ['src/net', 'src/kernel', 'src/agent', 'ipam'],
  },
  {
    unit: 'src/bgp',
    units: [
      'src/net',
      'src/wire',
      'src/machine.ts',
      'src/steps.ts',
      'src/prng.ts',
      'src/errors.ts',
      'src/hash.ts',
      'src/words.ts',
    ],
  },
  {
    unit: 'src/live',
    units: [
      ...PURE,
      'src/kernel/netlink.ts',
      'src/kernel/netlink-read.ts',
      'src/kernel/nft.ts',
      'src/kernel/nft-segment.ts',
      'ipam/lmdb-store.ts',
      'ipam/etcd',
      'ipam/etcd-store.ts',
    ],
    packages: ['pino', 'netlink-ts', 'netlink-ts/live', 'node:*'],
  },
  { unit: 'src/lab', units: ['src/errors.ts'], packages: ['node:*'] },
  { unit: 'src/conformance', units: ['src/lab', 'src/errors.ts'], packages: ['node:*'] },
  {
    unit: 'src/cli',
    units: [
      ...[...PURE, 'src/live', 'src/lab', 'src/conformance'],
      ...['simulator', 'simulator/main.ts', 'simulator/sweep.ts', 'simulator/sweep'],
    ],
    packages: ['commander', 'yaml', 'zod', 'cli-progress', 'node:*'],
  },
  { unit: 'simulator', units: [...PURE, 'simulator/scaled'], packages: ['yaml', 'zod'] },
  // A second implementation: of the exact engine it knows what a scenario and a switch are.
  {
    unit: 'simulator/scaled',
    units: ['simulator/scaled/bgp', 'src/net', 'src/kernel', 'src/errors.ts', 'src/prng.ts'],
    files: ['simulator/scenario.ts', 'simulator/profiles.ts'],
  },
  {
    unit: 'simulator/scaled/bgp',
    units: ['simulator/scaled', 'src/net', 'src/errors.ts', 'src/prng.ts'],
    files: ['simulator/scenario.ts', 'simulator/scenario-routing.ts', 'simulator/bgp/daemons.ts'],
  },
  {
    unit: 'simulator/report',
    units: ['simulator', ...PURE],
    packages: ['echarts/charts', 'echarts/components', 'echarts/core', 'echarts/renderers'],
  },
  {
    unit: 'simulator/sweep',
    units: ['simulator', 'simulator/report', ...PURE],
    packages: ['yaml', 'zod'],
  },
  { unit: 'simulator/replay', units: ['simulator', ...PURE] },
  { unit: 'simulator/files.ts', units: ['simulator', ...PURE], packages: ['node:*'] },
  {
    unit: 'simulator/sweep-folder.ts',
    units: ['simulator', 'simulator/files.ts', 'simulator/sweep', ...PURE],
    packages: ['node:*'],
  },
  {
    unit: 'simulator/sweep.ts',
    units: [
      ...['simulator', 'simulator/files.ts', 'simulator/sweep-folder.ts'],
      ...['simulator/sweep', 'simulator/report', ...PURE],
    ],
    packages: ['yaml', 'node:*'],
  },
  {
    unit: 'simulator/incidents',
    units: ['simulator', 'simulator/report', 'simulator/sweep', ...PURE],
    packages: ['yaml', 'zod'],
  },
  {
    unit: 'simulator/incidents.ts',
    units: ['simulator', 'simulator/files.ts', 'simulator/incidents', ...PURE],
    packages: ['yaml', 'node:*'],
  },
  {
    unit: 'simulator/main.ts',
    units: [
      ...['simulator', 'simulator/files.ts', 'simulator/replay', 'simulator/report'],
      ...['simulator/sweep.ts', 'simulator/incidents.ts', ...PURE],
    ],
    packages: ['yaml', 'node:*'],
  },
  {
    unit: 'cni-bin',
    units: ['src/live', 'src/cli', 'src/cni', 'src/agent', 'src/net', 'ipam'],
    packages: ['esbuild', 'tsx/esm/api', 'node:*'],
  },
  { unit: 'deploy', units: [], packages: ['node:*'] },
  // What a bench makes of its figures: the one part of it that tests look at.
  {
    unit: 'bench/dataplane',
    units: ['simulator/report', 'src/cli', 'src/kernel-release.ts', 'src/words.ts'],
  },
  {
    unit: 'bench',
    units: ['*', 'test/runtimes', 'test/support/etcd.ts', 'test/bgp/differential'],
    packages: ['*'],
  },
  { unit: 'test', units: ['*'], packages: ['*'] },
  // These start real runtimes, a real etcd and BIRDs, for tests and benches.
  { unit: 'test/bgp/differential', units: ['*'], packages: ['tap', 'node:*'] },
  { unit: 'test/runtimes', units: ['*', 'test'], packages: ['*'] },
  { unit: 'test/support/etcd.ts', units: ['src/lab'], packages: ['node:*'] },
]

/** Ends of the graph: programs and what surrounds them. */
export const NOBODY_IMPORTS = ['cni-bin', 'deploy', 'bench', 'test'] as const

/** Folders whose subfolders know nothing of each other. */
export const STRANGERS = ['src/backend'] as const
