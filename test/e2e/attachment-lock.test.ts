/**
 * Every verb of an attachment waits for whoever holds its lock, by both roads;
 * other attachments do not. The test itself is the other process.
 */
import t, { type Test } from 'tap'
import { keys } from '../../ipam/mod.ts'
import type { Lab, LabNode, LabPod } from '../../src/lab/lab.ts'
import { attachmentLocks } from '../../src/live/attachment-locks.ts'
import { openStore } from '../../src/live/store-url.ts'
import { cluster, ipJson, type Json, ROADS, resultOf, skip, sleep } from '../support/e2e.ts'

/** Longer than any verb takes here. */
const WHILE_MS = 400

type Finished = Awaited<ReturnType<Lab['cni']>>
type Env = Readonly<Record<string, string>>

t.setTimeout(120_000)
t.test('verbs wait for the attachment', { skip }, async (t) => {
  const { lab } = await cluster(t, { nodes: 1, pools: ['10.42.0.0/16'] })
  for (const { road, env } of ROADS) {
    for (const node of lab.nodes) await t.test(road, (t) => verbs(t, lab, node, env))
  }
})

async function verbs(t: Test, lab: Lab, node: LabNode, env: Env): Promise<void> {
  const [pod, other] = [await lab.addPod(node), await lab.addPod(node)]
  const idle = await state(lab, node)
  const call =
    (verb: string, extra: Json = {}) =>
    () =>
      lab.cni(verb, pod, extra, env)

  const prevResult = resultOf(await held(t, lab, pod, 'ADD', call('ADD')))
  await held(t, lab, pod, 'CHECK', call('CHECK', { prevResult }))
  await held(t, lab, pod, 'DEL', call('DEL'))
  t.strictSame(await state(lab, node), idle, 'DEL left nothing')

  await call('ADD')()
  await held(
    t,
    lab,
    pod,
    'GC',
    call('GC', { cniVersion: '1.1.0', 'cni.dev/valid-attachments': [] }),
  )
  t.strictSame(await state(lab, node), idle, 'GC left nothing')

  await holding(pod, async () => {
    for (const verb of ['ADD', 'DEL']) {
      const { status, stdout } = await lab.cni(verb, other, {}, env)
      t.equal(status, 0, `${verb} of another container meanwhile ${status === 0 ? '' : stdout}`)
    }
  })
  for (const each of [pod, other]) await lab.removePod(each)
}

/** What a verb would change first and last: links and records. */
async function state(lab: Lab, node: LabNode): Promise<readonly unknown[]> {
  const links = (await ipJson(node.netns, 'link')).map(({ ifname }) => ifname)
  const store = openStore(lab.storeUrl, { mustExist: true })
  const records = store.read((reader) =>
    [...reader.range(keys.attachments(node.name))].map(([key]) => key),
  )
  store.close()
  return [links, records]
}

/** Runs `work` as another process that acts on the pod's attachment. */
function holding<T>({ node, containerId }: LabPod, work: () => Promise<T>): Promise<T> {
  const key = { network: 'pods', containerId, ifname: 'eth0' }
  return attachmentLocks(node.socketPath).hold(key, work)
}

/** The verb changes nothing and does not end while the attachment is held; then it succeeds. */
async function held(
  t: Test,
  lab: Lab,
  pod: LabPod,
  verb: string,
  start: () => Promise<Finished>,
): Promise<Finished> {
  const before = await state(lab, pod.node)
  let ended = false
  let running: Promise<Finished> | undefined
  await holding(pod, async () => {
    running = start().finally(() => {
      ended = true
    })
    await sleep(WHILE_MS)
    t.notOk(ended, `${verb} waits`)
    t.strictSame(await state(lab, pod.node), before, `${verb} has done nothing yet`)
  })
  const finished = await (running ?? start())
  t.equal(finished.status, 0, `${verb} succeeds ${finished.status === 0 ? '' : finished.stdout}`)
  return finished
}
