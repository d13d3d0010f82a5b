/**
 * IPAM: which pod has which address, on one store, as pure functions over a transaction.
 *
 * @example
 * const store = memoryStore({ defer: queueMicrotask })
 * const draft = parseNetworkSpec(
 *   { name: 'pods', mode: 'vxlan', pools: [{ cidr: '10.42.0.0/16' }] },
 *   nowMs,
 * )
 * store.transact(
 *   (tx) => {
 *     createNetwork(tx, draft)
 *     return allocate(tx, {
 *       key: { network: 'pods', containerId: 'c0ffee', ifname: 'eth0' },
 *       node: 'n1',
 *       netns: '/run/netns/c0ffee',
 *       mayClaim: true,
 *       nowMs,
 *       bootId,
 *     })
 *   },
 *   (outcome) => {
 *     // committed: kind 'allocated' with 10.42.0.1, or 'refused' with a message
 *   },
 * )
 *
 * The store on disk is not here, because it loads native code: import
 * `openLmdbStore` from `./lmdb-store.ts`.
 *
 * @module
 */
export * from './allocator.ts'
export * from './history.ts'
export * from './idle.ts'
export { keys, SCHEMA_VERSION } from './keys.ts'
export * from './memory-store.ts'
export * from './networks.ts'
export * from './pools.ts'
export * from './records.ts'
export * from './reservations.ts'
export * from './show.ts'
export * from './store.ts'
export * from './why.ts'
