/**
 * The `store` key of a scenario: where the cluster's store is and how nodes get there.
 *
 * @module
 */
import { z } from 'zod'
import { topologyOf } from './fabric-plan.ts'
import { dataCentersOf } from './fabric-topology.ts'
import type { Scenario } from './scenario.ts'
import type { Complaint } from './scenario-rules.ts'
import { decimal, HOUR_MS, lossPercent, whole } from './scenario-values.ts'

export const storeSchema = z
  .strictObject({
    /** In this rack, or in the first of this data centre; beside every node without either. */
    rack: whole(0, 999).optional(),
    dataCenter: whole(0, 15).optional(),
    /** One way, beside what the fabric adds. */
    latencyMs: decimal(0, 10_000, 3).default(0),
    /** Of the store's own port. */
    mbps: whole(1, 1_000_000).optional(),
    lossPercent: lossPercent.default(0),
    /** What `etcdctl` and clients made like it wait: `--command-timeout`, 5 s. */
    timeoutMs: whole(1, HOUR_MS).default(5000),
  })
  .prefault({})

/** What is wrong with the store's place. */
export function checkStore(scenario: Scenario): Complaint | undefined {
  const { store, racks } = scenario
  const { rack, dataCenter } = store
  if (rack !== undefined && dataCenter !== undefined) {
    return { path: ['store'], message: 'has a rack and a dataCenter, wanted one of them' }
  }
  if (rack !== undefined && rack >= racks) {
    const message = `found ${rack}, wanted a rack from 0 to ${racks - 1}`
    return { path: ['store', 'rack'], message }
  }
  if (dataCenter === undefined) return undefined
  const last = Math.max(...dataCentersOf(topologyOf(scenario)).slice(0, racks))
  if (dataCenter <= last) return undefined
  const message = `found ${dataCenter}, wanted a data centre from 0 to ${last}`
  return { path: ['store', 'dataCenter'], message }
}
