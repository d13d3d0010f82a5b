/**
 * The order of test files: one that takes two minutes must not be the last to begin.
 *
 * @module
 */

/** Those that take longest, longest first, as a run prints them; the others in between by name. */
const LONGEST = [
  'test/house/guest.test.ts',
  'test/e2e/repair.test.ts',
  'test/e2e/explain.test.ts',
  'test/simulator/capacity/',
  'test/e2e/torture.test.ts',
  'test/e2e/switch.test.ts',
  'test/e2e/bgp-interop.test.ts',
  'test/e2e/dataplane-',
  'test/e2e/cluster.test.ts',
  'test/conformance/',
  'test/house/newer-node.test.ts',
  'test/simulator/report.live.test.ts',
  'test/e2e/',
  'test/runtimes/',
  'test/ipam/etcd-',
]

/**
 * @param members The files that one of `files` stands for, where it stands for others.
 */
export function longestFirst(
  files: readonly string[],
  members: ReadonlyMap<string, readonly string[]>,
): string[] {
  const rank = (file: string): number => {
    const [name = file] = members.get(file) ?? []
    const found = LONGEST.findIndex((start) => name.startsWith(start))
    return found === -1 ? LONGEST.length : found
  }
  const ranked = files.map((file) => ({ file, rank: rank(file) }))
  return ranked.sort((left, right) => left.rank - right.rank).map(({ file }) => file)
}
