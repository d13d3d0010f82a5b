/** A backup comes back on a node where pods live: those that it does not know are a reason to stop. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { type Finished, inNetns, run } from '../../src/lab/exec.ts'
import { ping } from '../../src/lab/reach.ts'
import { added, cluster, inUse, ipJson, ipsOf, skip, TRIVIUM } from '../support/e2e.ts'

interface Row {
  readonly code?: string
  readonly what?: string
  readonly added?: number
}

t.test('trivium ipam backup and restore', { skip }, async (t) => {
  const { lab, agents } = await cluster(t, { nodes: 1, pools: ['10.42.0.0/16'] })
  const [node] = lab.nodes
  if (node === undefined) throw new Error('there is a node')
  const folder = mkdtempSync(join(tmpdir(), 'trv-restore-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const ipam = (store: string, verb: string, ...args: readonly string[]): Promise<Finished> => {
    const place = verb === 'restore' ? ['--socket', node.socketPath, '--node', node.name] : []
    return run(inNetns(node.netns, [...TRIVIUM, 'ipam', verb, ...args, '--store', store, ...place]))
  }
  const shown = async (store: string, ip: string): Promise<string> =>
    (await ipam(store, 'show', '--ip', ip)).stdout

  const [early, late] = [await lab.addPod(node), await lab.addPod(node)]
  const [first = ''] = ipsOf(await added(lab, early))
  const file = join(folder, 'early.backup')
  t.equal((await ipam(lab.storeUrl, 'backup', file)).status, 0)
  const [second = ''] = ipsOf(await added(lab, late))
  const kernel = JSON.stringify(await ipJson(node.netns, 'route', 'show'))
  await Promise.all(agents.map((agent) => agent.stop()))

  await t.test('where the store is well it changes nothing', async (t) => {
    const { status, stdout } = await ipam(lab.storeUrl, 'restore', file, '--yes', '-o', 'json')
    t.equal(status, 0)
    t.strictSame(
      (JSON.parse(stdout) as Row[]).filter(({ added }) => added !== 0),
      [],
    )
    t.equal(await inUse(lab), 2)
    t.match(await shown(lab.storeUrl, second), late.containerId)
  })
  const lost = `lmdb:${folder}/lost`
  await t.test('a lost store: a pod that lives and is not in the backup', async (t) => {
    const { status, stdout, stderr } = await ipam(lost, 'restore', file, '--yes', '-o', 'json')
    t.equal(status, 1)
    t.match(stderr, /nothing was changed: 1 finding/)
    t.match(JSON.parse(stdout), [{ code: 'link-without-record' }])
    t.match(stdout, new RegExp(late.containerId))
    t.match(await shown(lost, first), /is in no pool/)
  })
  await t.test('a lost store and a whole backup: every pod keeps its address', async (t) => {
    const whole = join(folder, 'whole.backup')
    await ipam(lab.storeUrl, 'backup', whole)
    const { status, stderr } = await ipam(lost, 'restore', whole, '--yes')
    t.equal(status, 0, stderr)
    t.match(await shown(lost, first), early.containerId)
    t.match(await shown(lost, second), late.containerId)
    const again = join(folder, 'again.backup')
    await ipam(lost, 'backup', again)
    const records = (path: string): readonly string[] =>
      readFileSync(path, 'utf8').split('\n').slice(1, -2).sort()
    t.strictSame(records(again), records(whole), 'record by record')
  })
  t.equal(
    JSON.stringify(await ipJson(node.netns, 'route', 'show')),
    kernel,
    'the kernel was only read',
  )
  for (const ip of [first, second]) t.ok((await ping(node.netns, ip)).ok, `${ip} answers`)
})
