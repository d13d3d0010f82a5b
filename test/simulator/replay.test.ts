/**
 * Traces of real clusters as scenarios. recorded/lab.backup was written by `trivium ipam backup` on three nodes
 * with the real plugin, agents and kernel; what stands beside it here was read by `ip -j` there.
 */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { replayFile } from '../../simulator/main.ts'
import { type ReplayFlags, recordedFrom, replayScenario } from '../../simulator/replay/plan.ts'
import { peakOf, type Recorded } from '../../simulator/replay/recorded.ts'
import { isTriviumError } from '../../src/errors.ts'
import { ownFolder } from '../support/folder.ts'
import { holds } from '../support/property.ts'

const LAB = join(import.meta.dirname, 'recorded', 'lab.backup')
const PODS = join(import.meta.dirname, '../../simulator/scenarios/pods.json')
const lab = readFileSync(LAB, 'utf8')
const folder = ownFolder(t)

const read = (text: string, flags: ReplayFlags = {}): Recorded => recordedFrom(text, 'x', flags)
const scenarioOf = (text: string, flags: ReplayFlags = {}) =>
  replayScenario(read(text, flags), 'x', flags)

/** Pods of each node when the trace has ended. */
function left({ nodes, first, rows }: Recorded): readonly number[] {
  const where = new Map<string, number>(first.map(({ name, node }) => [name, node]))
  for (const { action, pod, node } of rows) {
    if (action === 'add') where.set(pod, node ?? -1)
    else where.delete(pod)
  }
  return nodes.map((_, index) => [...where.values()].filter((node) => node === index).length)
}

t.test(
  'the store of a lab: what came and went, and what its kernels held in the end',
  async (t) => {
    const whole = read(lab)
    t.strictSame(whole.nodes, ['n1', 'n2', 'n3'])
    t.strictSame(whole.pools, [{ cidr: '10.42.0.0/20', blockLength: 26 }])
    t.equal(whole.rows.length, 17 + 4, 'pods that the lab added and removed')
    // `ip -j route show` in each node: routes to single addresses, over links of pods.
    t.strictSame(left(whole), [4, 6, 3])
    t.equal(whole.rows[0]?.atTick, 0)
    const part = read(lab, { lastMs: 4000 })
    t.equal(part.first.length, 4, 'pods that were there four seconds before')
    t.strictSame(left(part), [4, 6, 3], 'it ends as the whole does')

    let json = ''
    const write = (text: string): void => {
      json += text
    }
    const options = { file: LAB, flags: {}, output: 'json', command: '', write } as const
    t.equal(await replayFile({ ...options, modes: ['vxlan'], seeds: 2 }), 0)
    const { largest, runs } = JSON.parse(json)
    const tables: readonly { role: string; table: string; demandPeak: number }[] =
      largest.modes[0].tables
    const links = tables.find(({ role, table }) => role === 'node' && table === 'links')
    // `ip -j link show` in n2, the fullest: nine with the loopback.
    t.equal(links?.demandPeak, 9 - 1)
    t.strictSame(runs[0].seeds.seeds, [1, 2])
    t.equal(largest.modes[0].timeline.workload.added, 17)
    t.equal(largest.modes[0].timeline.workload.removed, 4)
  },
)

t.test('pods that were there before are removed by name', async (t) => {
  let json = ''
  const write = (text: string): void => {
    json += text
  }
  const options = {
    file: LAB,
    flags: { lastMs: 4000 },
    output: 'json',
    command: '',
    write,
  } as const
  t.equal(await replayFile({ ...options, modes: ['blocks'] }), 0)
  const [mode] = JSON.parse(json).largest.modes
  t.equal(mode.podsAdded, 4 + 13)
  t.equal(mode.timeline.workload.removed, 4)
})

t.test('kubectl get pods: nodes, pool and rate are the list’s', async (t) => {
  const list = JSON.parse(readFileSync(PODS, 'utf8'))
  const plain = read(JSON.stringify(list))
  t.equal(plain.first.length, 11)
  t.strictSame(plain.pools, [], 'it says no addresses')
  for (const [index, item] of list.items.entries()) {
    item.status = { ...item.status, podIP: `10.244.${index}.7` }
    item.metadata.creationTimestamp = `2026-11-22T20:0${index % 2}:${String(index + 10)}Z`
  }
  const { pools } = read(JSON.stringify(list))
  t.strictSame(pools, [{ cidr: '10.244.0.0/16' }])
  const [counted] = list.items.filter(
    ({ metadata }: { readonly metadata: { readonly name: string } }) =>
      plain.first[0]?.name.endsWith(`/${metadata.name}`),
  )
  counted.status.podIP = '10.250.0.9'
  t.strictSame(read(JSON.stringify(list)).pools, [{ cidr: '10.240.0.0/12' }])
  const many = (pods: number): string => {
    const items = Array.from({ length: pods }, (_, index) => ({
      metadata: { name: `p${index}`, creationTimestamp: '2026-11-22T20:00:01Z' },
      spec: { nodeName: 'a' },
    }))
    return JSON.stringify({ kind: 'List', items })
  }
  t.equal(scenarioOf(many(600)).times.podsPerSecond, 10, '600 in a minute')
  t.equal(scenarioOf(many(600), { rate: 77 }).times.podsPerSecond, 77)
})

const HEADER = 'at_ms,action,pod,node'

t.test('CSV: any names of nodes, networks, a length beyond an hour', async (t) => {
  const text = `${HEADER}\n0,add,a,zeta\n5,add,b,alpha\n7200000,remove,a,\n`
  const recorded = read(text)
  t.strictSame(recorded.nodes, ['alpha', 'zeta'])
  t.strictSame(left(recorded), [1, 0])
  const scenario = scenarioOf(text)
  t.match(scenario.about, /3 rows of CSV: 2 pods came, 1 went, 60.0 min at speed 2\./)
  t.equal(scenarioOf(text, { speed: 100 }).inputs?.get(0)?.kind, 'trace')
  t.strictSame(read(`${HEADER}\n0,add,a,node-0005\n0,add,b,2\n`).nodes.length, 6)
  const two = `${HEADER},network\n0,add,a,1,red\n0,add,b,1,blue\n`
  t.strictSame(
    scenarioOf(two).pools.map(({ cidr, network }) => [network, cidr]),
    [
      ['blue', '10.0.0.0/12'],
      ['red', '10.16.0.0/12'],
    ],
  )
  const larger = scenarioOf(text, { nodes: 90, racks: 3, pool: ['10.9.0.0/16:27'] })
  t.strictSame([larger.nodes, larger.racks, larger.pools[0]?.blockLength], [90, 3, 27])
  t.equal(scenarioOf(text, { nodes: 90 }).racks, 3, 'racks of 40')
})

const lines = lab.split('\n')
const swapped = (line: number, text: string): string => lines.with(line - 1, text).join('\n')
const MISTAKES: readonly (readonly [string, string, ReplayFlags, RegExp])[] = [
  ['nothing', '', {}, /trace x:1: found nothing, wanted at_ms,action,pod,node/],
  ['another verb', `${HEADER}\n0,add,a,n\n1,plus,b,n`, {}, /trace x:3: action: found "plus"/],
  ['removed before', `${HEADER}\n0,remove,a,n`, {}, /x:2: pod "a" is removed but not there/],
  ['a header alone', HEADER, {}, /trace x: found a header alone, wanted rows/],
  ['no node', `${HEADER}\n0,add,a,`, {}, /no row names a node, wanted how many .*--nodes 12/],
  ['fewer nodes', lab, { nodes: 2 }, /it has 3 nodes, wanted --nodes 3 or more \(found 2\)/],
  ['no pods', '{"kind":"List","items":[]}', {}, /found 0 items and no pod/],
  ['another JSON', '{"kind":"Pod"}', {}, /kind: found "Pod", wanted List or PodList/],
  ['a torn record', swapped(20, '["attachment/n1/'), {}, /trace x: line 20 is not JSON, wanted/],
  ['cut off', lines.slice(0, 9).join('\n'), {}, /trace x: line 9 is its last: it was cut off/],
  ['no such network', lab, { network: 'red' }, /no network red, there are pods/],
  ['not a store', `${HEADER}\n0,add,a,n`, { lastMs: 9 }, /Cannot replay x with --last/],
  ['a small pool', lab, { pool: ['10.0.0.0/29'] }, /pools\.0\.cidr: 10\.0\.0\.0\/29 has/],
  ['no pool', lab, { pool: ['nonsense'] }, /pools\.0\.cidr: found "nonsense", wanted a CIDR/],
  ['no profile', lab, { switch: 'foo' }, /switch: no profile "foo", there are/],
]
for (const [what, text, flags, message] of MISTAKES) {
  t.throws(() => scenarioOf(text, flags), { message }, what)
}

const nodes = fc.constantFrom('a', 'b', 'c')
const event = fc.tuple(fc.nat(9), nodes, fc.nat(5000))
holds(
  t,
  'every pod of a store is where its records say',
  fc.array(event, { minLength: 1 }),
  (list) => {
    // A model of its own: pod i comes at the sum of the times so far, and goes when it is named again.
    const [network = '', madeMs] = [lines[1], 1_795_382_840_541]
    const living = new Map<number, { node: string; fromMs: number; id: string }>()
    const records: string[] = []
    let nowMs = madeMs - 50 * 5000
    const where = { network: 'pods', ifname: 'eth0' }
    for (const [index, [pod, node, ms]] of list.slice(0, 50).entries()) {
      nowMs += ms
      const known = living.get(pod)
      if (known === undefined) {
        living.set(pod, { node, fromMs: nowMs, id: `c${index}` })
        continue
      }
      const body = { ...where, ip: '10.42.0.1', node: known.node, containerId: known.id }
      const place = String(records.length).padStart(3, '0')
      const value = { ...body, fromMs: known.fromMs, toMs: nowMs }
      records.push(JSON.stringify([`history/pods/4/0a2a0000/${place}`, value]))
      living.delete(pod)
    }
    const pattern = JSON.parse(lines.find((line) => line.startsWith('["attachment/n1'))!)[1]
    for (const { node, fromMs, id } of living.values()) {
      const value = { ...pattern, ...where, node, containerId: id, addedMs: fromMs }
      records.push(JSON.stringify([`attachment/${node}/pods/${id}/eth0`, value]))
    }
    const footer = JSON.stringify({ records: records.length + 1, sha256: '0'.repeat(64) })
    const text = [lines[0], network, ...records, footer, ''].join('\n')
    for (const lastMs of [1000, 60_000, 3_600_000]) {
      const recorded = read(text, { lastMs })
      const found = left(recorded)
      for (const [place, name] of recorded.nodes.entries()) {
        const wanted = [...living.values()].filter(({ node }) => node === name).length
        assert.equal(found[place], wanted, `${name}, the last ${lastMs} ms`)
      }
      assert.ok(peakOf(recorded).pods >= living.size)
    }
  },
)

holds(t, 'garbage is refused, never wrong', fc.string({ maxLength: 300 }), (garbage) => {
  for (const text of [garbage, `{${garbage}`, `${HEADER}\n${garbage}`, swapped(10, garbage)]) {
    try {
      scenarioOf(text)
    } catch (thrown) {
      assert.ok(isTriviumError(thrown) && thrown.code !== 'INTERNAL', String(thrown))
    }
  }
})

t.test('a file of too many megabytes is not opened, one that is not there is named', async (t) => {
  const file = join(folder, 'x.csv')
  writeFileSync(file, 'at_ms\n')
  const options = { flags: {}, output: 'text', command: '', write: () => {} } as const
  await t.rejects(replayFile({ ...options, file }), {
    message: /x\.csv:1: found the header "at_ms"/,
  })
  await t.rejects(replayFile({ ...options, file: join(folder, 'no') }), { message: /ENOENT/ })
  await t.rejects(replayFile({ ...options, file: LAB, engine: 'scaled' }), {
    message: /by the scaled engine: it knows no pods that come and go/,
  })
})
