/**
 * Which test files run in a guest too, because this kernel may lack what they
 * need. To add one, add a line.
 */
export interface GuestFile {
  readonly file: string
  /** Names of its tests that run in the slice; with the full counts all do. @default all */
  readonly only?: RegExp
  /** Not in the slice at all. @default false */
  readonly long?: boolean
}

export const GUEST_FILES: readonly GuestFile[] = [
  {
    file: 'test/live/kernel-contract.test.ts',
    only: /VLAN|joins and leaves|whole table$|prefixes/,
  },
  { file: 'test/netlink-ts/live-policy.test.ts', only: /VLAN|ipvlan/ },
  { file: 'test/e2e/segment.test.ts' },
  { file: 'test/e2e/validate.test.ts', long: true },
  { file: 'test/e2e/ipam-delegate.test.ts', long: true },
]
