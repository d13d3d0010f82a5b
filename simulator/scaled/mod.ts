/**
 * The scaled engine: the tables of very large clusters on one core, by columns and
 * shared lists instead of a simulated kernel a node. A second implementation, which
 * knows nothing of the exact engine's code; where both can run they agree to the last
 * entry, event and microsecond (`test/simulator/scaled.test.ts`), but for the order of
 * what one speaker says in one tick, and for what follows from that order.
 *
 * It answers from the first agent's start until every kernel shows the store and every
 * switch has written what it heard, first without pods, then with all first pods there.
 * What a scenario says about later (workload, faults, probes) is not looked at. It takes
 *
 * - modes `vxlan` (both flavours; `crossSubnet` with the classic one), `route` (`announce:
 *   block`, `host` or `static`, lowest free block) and `vlan` (bridge, tagged), one a run;
 * - one IPv4 pool with a block for every node;
 * - `fabric.kind: leaf-spine`, switches with any table sizes, overflow and rate;
 * - announcements by timers (`times.protocol`), or in mode `route` by BGP inside of one AS
 *   (`bgp/`: `sessions: reflectors` or `mesh`); a store beside every node;
 * - every other time of `times`, jitter and repairs included; `talk`;
 *
 * and refuses everything else by its word. Nothing is ever taken back in such a run,
 * so all that happens is that lists grow: claims of blocks, in the order in which the
 * store committed them, pods of each node, and announcements, in the order in which
 * switches heard them. A node's tables are the first so many claims and its own pods, a
 * switch's the first so many announcements. Where speakers tell them, each switch has a
 * list of its own order, which it shares with all that are told the same.
 *
 * Pure: no clock, no files. The same scenario and seed give the same answer.
 *
 * @module
 */
export { refusalOf } from './accept.ts'
export { contentsOf } from './contents.ts'
export { NODE_TABLES } from './counts.ts'
export { type RunOptions, ScaledRun, type ScaledStep } from './run.ts'
export { type Learned, learnedBy } from './talk.ts'
