/**
 * What every command shares: options, defaults, the store, exit statuses.
 *
 * @module
 */
import { InvalidArgumentError, Option } from 'commander'
import { keys } from '../../ipam/keys.ts'
import type { Store } from '../../ipam/store.ts'
import { openAnyStore } from '../live/cluster-store.ts'

/** Exit statuses of `trivium`; shown by `trivium --help`. */
export const EXIT = { ok: 0, failed: 1, usage: 2 } as const

export const DEFAULTS = {
  binDir: '/opt/cni/bin',
  confDir: '/etc/cni/net.d',
  stateDir: '/var/lib/trivium',
  storeUrl: 'lmdb:/var/lib/trivium/store',
  socketPath: '/run/trivium/agent.sock',
  networkName: 'pods',
  mode: 'vxlan',
  pool: '10.42.0.0/16',
  leaseSeconds: 3600,
} as const

/** `--store`, the same for every command; TRIVIUM_STORE where it is not given. */
export function storeOption(): Option {
  return new Option('--store <url>', 'where networks and addresses are kept')
    .env('TRIVIUM_STORE')
    .default(DEFAULTS.storeUrl)
}

/** Reads an option's whole number, at least `least` and at most `most`. */
export function whole(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (/^\d+$/.test(text) && value >= least && value <= most) return value
    throw new InvalidArgumentError(`found ${text}, wanted a whole number from ${least} to ${most}`)
  }
}

/** For options that may be given several times. */
export const collect = (value: string, earlier: readonly string[] = []): readonly string[] => [
  ...earlier,
  value,
]

/** Runs `work` on an open store and closes it. */
export async function withStore<T>(
  url: string,
  work: (store: Store) => T | Promise<T>,
  options: { readonly mustExist?: boolean } = { mustExist: true },
): Promise<T> {
  const store = await openAnyStore(url, options)
  try {
    return await work(store)
  } finally {
    store.close()
  }
}

/**
 * As `withStore`, for what all nodes of a cluster share: on one of its nodes, whose own
 * store has only a copy, `work` gets the cluster's.
 */
export function withShared<T>(
  url: string,
  work: (store: Store) => T | Promise<T>,
  options: { readonly mustExist?: boolean } = { mustExist: true },
): Promise<T> {
  return withStore(
    url,
    (store) => {
      const cluster = clusterUrlOf(store)
      return cluster === undefined ? work(store) : withStore(cluster, work)
    },
    options,
  )
}

/** Where the cluster is that the store's node belongs to; undefined: in none, or the store is a cluster's. */
export const clusterUrlOf = (store: Store): string | undefined =>
  store.read((reader) => reader.get(keys.membership))?.url

export const print = (text: string): void => {
  process.stdout.write(text)
}
