/**
 * The agent makes an ADD's link while its record is written. The disk stands
 * still here (test/ipam/held-sync.c), so that the moment lasts: nobody takes the
 * link for one that a crash left, and when there is no record in the end, there
 * is no link either.
 */
import { spawnSync } from 'node:child_process'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { compareDumps, dumpNetns } from '../../src/lab/dump.ts'
import type { LabNode, LabPod } from '../../src/lab/lab.ts'
import {
  added,
  builtCli,
  cluster,
  errorOf,
  ip,
  ipJson,
  ROOT,
  resultOf,
  settle,
  skip,
  sleep,
  warm,
} from '../support/e2e.ts'
import { ownFolder } from '../support/folder.ts'

const folder = ownFolder(t)
const library = join(folder, 'held-sync.so')
const log = join(folder, 'events')
const source = join(ROOT, 'test', 'ipam', 'held-sync.c')
const compiler = process.env['CC'] ?? 'gcc'
const compiled = spawnSync(compiler, ['-shared', '-fPIC', '-o', library, source, '-ldl'])
const whySkip = skip || (compiled.status !== 0 && 'no C compiler: CC or gcc')

const stop = (): void => {
  writeFileSync(log, '')
  writeFileSync(`${log}.hold`, '')
}
const go = (): void => rmSync(`${log}.hold`)
/** How long the agent pauses after the disk refused. */
const DISK_PAUSE_MS = 1100

interface PodLink {
  readonly ifname: string
  readonly ifindex: number
}

const podLinks = async ({ netns }: LabNode): Promise<readonly PodLink[]> =>
  ((await ipJson(netns, 'link')) as unknown as readonly PodLink[]).filter(({ ifname }) =>
    /^trv[0-9a-f]{11}$/.test(ifname),
  )

/** Neither an address, nor anything on the node that names the pod's. */
async function leadsNowhere(node: LabNode, pod: LabPod, before: readonly string[]) {
  const inPod = (await dumpNetns(pod.netns)).filter((line) => /^(addr|route)/.test(line))
  const news = compareDumps(before, await dumpNetns(node.netns))
  return [
    ...inPod.filter((line) => /10\.42\.|fd42:/.test(line)),
    ...news.filter((line) => /10\.42\.|fd42:/.test(line)),
  ]
}

t.test('a link before its record', { skip: whySkip }, async (t) => {
  const trivium = ['env', `LD_PRELOAD=${library}`, `HELD_SYNC=${log}`, ...builtCli()]
  const { lab, nodes, agents } = await cluster(t, { mode: 'route', nodes: 1, trivium })
  const [node] = nodes
  let [agent] = agents
  if (node === undefined || agent === undefined) throw new Error('There is no node')
  t.teardown(() => rmSync(`${log}.hold`, { force: true }))
  await warm(lab)
  const pod = await lab.addPod(node)
  const before = await dumpNetns(node.netns)
  const empty = await dumpNetns(pod.netns)
  const left = async (): Promise<readonly string[]> => [
    ...compareDumps(before, await dumpNetns(node.netns)),
    ...compareDumps(empty, await dumpNetns(pod.netns)),
  ]
  /** An ADD whose record cannot be written yet, once its link is there. */
  const begin = async (t: Test) => {
    stop()
    const ended = lab.cni('ADD', pod)
    const isHeld = (): boolean => readFileSync(log, 'utf8') !== ''
    const missing = async () =>
      (await podLinks(node)).length === 1 && isHeld() ? [] : ['the link']
    t.strictSame(await settle(missing), [], 'the link comes before the record')
    t.equal(readFileSync(log, 'utf8'), 'sync\n', 'nothing of the record is durable')
    return { ended }
  }

  await t.test('leads nowhere, and is left alone by rounds and GC', async (t) => {
    const { ended } = await begin(t)
    const links = await podLinks(node)
    t.strictSame(await leadsNowhere(node, pod, before), [])
    const [line = ''] = (await ip(node.netns, 'route', 'show', 'proto', '84')).split('\n')
    await ip(node.netns, 'route', 'del', ...line.trim().split(/\s+/))
    const repaired = async () =>
      (await ip(node.netns, 'route', 'show', 'proto', '84')).includes(line.trim()) ? [] : [line]
    t.strictSame(await settle(repaired), [], 'the agent has looked at the kernel')
    // A runtime names no container, so it does not wait for this one's ADD.
    const gc = await lab.cni(
      'GC',
      { ...pod, containerId: 'none' },
      {
        cniVersion: '1.1.0',
        'cni.dev/valid-attachments': [],
      },
    )
    t.equal(gc.status, 0)
    await sleep(100)
    t.strictSame(await podLinks(node), links, 'the same link')
    go()
    resultOf(await ended)
    t.strictSame(await podLinks(node), links)
    t.equal((await lab.cni('DEL', pod)).status, 0)
    t.strictSame(await left(), [])
  })

  await t.test('goes when the disk refuses', async (t) => {
    writeFileSync(`${log}.sync`, '')
    const { ended } = await begin(t)
    go()
    t.match(errorOf(await ended), { msg: /Cannot write store/ })
    t.strictSame(await left(), [])
    rmSync(`${log}.sync`)
    await sleep(DISK_PAUSE_MS)
  })

  await t.test('goes with the next round, or DEL, when the agent dies', async (t) => {
    for (const isRestarted of [true, false]) {
      const { ended } = await begin(t)
      await agent?.kill()
      t.equal(errorOf(await ended).code, 11)
      t.equal((await podLinks(node)).length, 1, 'it is left')
      go()
      if (isRestarted) agent = await lab.startAgent(node)
      else t.equal((await lab.cni('DEL', pod)).status, 0)
      t.strictSame(await settle(left), [])
    }
    agent = await lab.startAgent(node)
    await added(lab, pod)
    t.equal((await lab.cni('DEL', pod)).status, 0)
    t.strictSame(await settle(left), [])
  })
})
