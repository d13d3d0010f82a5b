/**
 * Every table is what it should be: each node's kernel what its planner wants
 * from the store as it is now, each switch what the kernels say, counted anew.
 *
 * @module
 */
import { planNode } from '../../src/backend/plan.ts'
import { readView } from '../../src/cluster/read-view.ts'
import { diff, type Link, renderOp } from '../../src/kernel/mod.ts'
import { entryOn } from '../carriage.ts'
import type { SimPod } from '../node.ts'
import { SWITCH_TABLES } from '../profiles.ts'
import type { Scenario } from '../scenario.ts'
import { planRacks } from '../underlay.ts'
import { type Cluster, familiesOf } from '../world.ts'
import { type CheckResult, checkResult } from './check.ts'
import { checkRoutingTables, type FromNode, RoutingWish } from './routing.ts'

export function checkConverged(cluster: Cluster, scenario: Scenario): CheckResult {
  const wish = wishOf(cluster, scenario)
  const findings = [...kernelFindings(cluster), ...switchFindings(cluster, wish)]
  const scope = `${cluster.nodes.length} kernels, ${cluster.fabric.devices.length} switches`
  return checkResult('tables as desired', scope, findings)
}

/** Every speaker's table is what the sessions that can be up should have brought it; nothing without BGP. */
export function checkSpeakers(cluster: Cluster, scenario: Scenario): readonly CheckResult[] {
  const { bgp } = cluster.fabric
  return bgp === undefined ? [] : [checkRoutingTables(bgp, wishOf(cluster, scenario))]
}

function wishOf(cluster: Cluster, scenario: Scenario): RoutingWish {
  const racks = planRacks(scenario.nodes, scenario.racks, familiesOf(scenario))
  return new RoutingWish(cluster.fabric, racks, announcedBy(cluster))
}

function kernelFindings({ nodes, store, broken }: Cluster): readonly string[] {
  return nodes.flatMap((node) => {
    if (broken.has(node)) return []
    const { record, kernel } = node
    const view = store.read((reader) => readView(reader, record.name))
    if (view === undefined) return [`${record.name} is not in the store`]
    const plan = planNode(view)
    const { ops, conflicts } = diff(plan.desired, kernel.snapshot())
    const left = ops.map((op) => `${record.name} lacks: ${renderOp(op)}`)
    const unplanned = plan.problems.map((problem) => `${record.name}: ${problem}`)
    const missing = [...plan.desired.keys()].filter((key) => kernel.get(key) === undefined)
    return [
      ...left,
      ...unplanned,
      ...conflicts.map(({ desired }) => `${record.name}: conflict at a ${desired.kind}`),
      ...missing.map((key) => `${record.name} lacks ${key}`),
    ]
  })
}

/** Of pods: they are in their namespaces alone. */
const macvlansOf = (pods: Iterable<SimPod>): readonly Link[] =>
  [...pods].flatMap(({ plan: { link } }) => link ?? [])

/** What the kernels hold that switches are to know. */
const announcedBy = ({ fabric, nodes }: Cluster): readonly FromNode[] =>
  nodes.flatMap(({ kernel, rack, pods, index }) =>
    [...kernel.objects(), ...macvlansOf(pods.values())].flatMap((object) => {
      const entry = entryOn(fabric.roads, object)
      return entry === undefined ? [] : [{ node: index, rack, entry }]
    }),
  )

function switchFindings({ fabric }: Cluster, wish: RoutingWish): readonly string[] {
  return fabric.devices.flatMap((device) => {
    if (!wish.concerns(device)) return []
    const entries = [
      ...wish.racks.flatMap((rack) => fabric.underlayOf(device, rack)),
      ...wish.told(device),
      ...fabric.linkEntries(device),
    ]
    return SWITCH_TABLES.flatMap((table) => {
      const wanted = new Set(
        entries
          .flatMap((entry) => device.placed(entry) ?? [])
          .filter((entry) => entry.table === table)
          .map(({ entry }) => entry),
      )
      const found = device.tables[table].entries()
      const extra = found.filter((entry) => !wanted.has(entry))
      const absent = wanted.size - (found.length - extra.length)
      if (extra.length === 0 && absent === 0) return []
      return [`${device.name} ${table}: ${extra.length} entries too many, ${absent} too few`]
    })
  })
}
