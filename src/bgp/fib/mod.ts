/**
 * Routes for a kernel: what the decision wants of each prefix, what is installed, and
 * how next hops are reached. Pure; whoever has a kernel carries changes out.
 *
 * @module
 */
export * from './family-fib.ts'
export * from './forward-sets.ts'
export * from './next-hop-table.ts'
export * from './reserved.ts'
export * from './wanted-sets.ts'
