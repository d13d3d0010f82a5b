/** Addresses that the real host-local gave become ours: no pod is given one of them, and DEL frees only its own. */
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { type Finished, inNetns, run } from '../../src/lab/exec.ts'
import { createLab, type LabPod } from '../../src/lab/lab.ts'
import { builtCli, ipsOf, type Json, resultOf, skip, TRIVIUM } from '../support/e2e.ts'

const CNI = '/usr/lib/cni'
const POOL = '10.79.0.0/24,block=28,gateway=10.79.0.1'
const why = skip || (existsSync(join(CNI, 'host-local')) ? false : 'no containernetworking-plugins')

t.test('trivium ipam import --from host-local', { skip: why }, async (t) => {
  const lab = await createLab({ nodes: 1, trivium: builtCli() })
  t.teardown(() => lab.destroy())
  const [node] = lab.nodes
  if (node === undefined) throw new Error('there is a node')
  const dataDir = mkdtempSync(join(tmpdir(), 'trv-import-'))
  t.teardown(() => rmSync(dataDir, { recursive: true, force: true }))
  const place = ['--store', lab.storeUrl]
  await lab.trivium('network', 'create', 'lan', '--mode', 'ipam', '--pool', POOL, ...place)
  await lab.install(node, '--name', 'lan')
  await lab.startAgent(node)

  const call = (verb: string, pod: LabPod, ipam: Json): Promise<Finished> => {
    const config = { cniVersion: '1.0.0', name: 'lan', type: 'bridge', bridge: 'cni0', ipam }
    return run(inNetns(node.netns, [join(CNI, 'bridge')]), {
      input: JSON.stringify(config),
      env: {
        PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
        CNI_COMMAND: verb,
        CNI_PATH: `${node.binDir}:${CNI}`,
        CNI_CONTAINERID: pod.containerId,
        CNI_IFNAME: 'eth0',
        CNI_NETNS: pod.netnsPath,
      },
    })
  }
  const theirs = { type: 'host-local', dataDir, ranges: [[{ subnet: '10.79.0.0/24' }]] }
  const ours = { type: 'trivium-ipam', store: lab.storeUrl, socket: node.socketPath }
  const ipam = (...args: readonly string[]): Promise<Finished> => {
    const whose = ['--node', node.name, '--socket', node.socketPath]
    return run(inNetns(node.netns, [...TRIVIUM, 'ipam', ...args, ...place, ...whose]))
  }
  const holder = async (ip: string): Promise<string> =>
    lab.trivium('ipam', 'show', '--ip', ip, ...place)

  const [one, two] = [await lab.addPod(node), await lab.addPod(node)]
  const [first = ''] = ipsOf(resultOf(await call('ADD', one, theirs)))
  const [second = ''] = ipsOf(resultOf(await call('ADD', two, theirs)))
  t.strictSame([first, second], ['10.79.0.2', '10.79.0.3'])
  const folder = join(dataDir, 'lan')
  const from = ['import', '--from', 'host-local', folder, '--network', 'lan']
  const files = readdirSync(folder).sort()

  await t.test('a dry run changes nothing', async (t) => {
    const { status, stdout } = await ipam(...from, '--dry-run')
    t.equal(status, 0)
    for (const [pod, ip] of [
      [one, first],
      [two, second],
    ] as const) {
      t.match(
        stdout,
        new RegExp(
          `^attach +eth0 of container ${pod.containerId} +${ip.replaceAll('.', '\\.')}$`,
          'm',
        ),
      )
    }
    t.match(await holder(first), /is free/)
  })
  await t.test('the import', async (t) => {
    const done = await ipam(...from, '--yes')
    t.equal(done.status, 0, done.stdout + done.stderr)
    t.match(await holder(first), new RegExp(one.containerId))
    t.match(await holder(second), new RegExp(two.containerId))
    t.strictSame(readdirSync(folder).sort(), files, 'the source stays as it was')
    t.match(await ipam('check'), { status: 0, stdout: /nothing is wrong/ })
    t.match((await ipam(...from, '--yes')).stdout, /0 attachments, 0 conflicts, 2 here already/)
  })
  await t.test('no new pod is given one of them', async (t) => {
    const pods = await Promise.all(Array.from({ length: 3 }, () => lab.addPod(node)))
    const given = await Promise.all(
      pods.map(async (pod) => ipsOf(resultOf(await call('ADD', pod, ours)))[0]),
    )
    t.equal(new Set([...given, first, second]).size, 5, given.join(' '))
    const wanted = await lab.addPod(node)
    const refused = await run(inNetns(node.netns, [join(node.binDir, 'trivium-ipam')]), {
      input: JSON.stringify({ cniVersion: '1.0.0', name: 'lan', type: 'bridge', ipam: ours }),
      env: {
        PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
        CNI_COMMAND: 'ADD',
        CNI_PATH: node.binDir,
        CNI_CONTAINERID: wanted.containerId,
        CNI_IFNAME: 'eth0',
        CNI_NETNS: wanted.netnsPath,
        CNI_ARGS: `IP=${first}`,
      },
    })
    t.not(refused.status, 0)
    t.match(refused.stdout, new RegExp(`held by container ${one.containerId}`))
  })
  await t.test('DEL through ours frees its own address and no other', async (t) => {
    t.equal((await call('DEL', one, ours)).status, 0)
    t.match(await holder(first), /is free/)
    t.match(await holder(second), new RegExp(two.containerId))
    t.equal((await call('DEL', one, ours)).status, 0, 'and again')
    t.match(await holder(second), new RegExp(two.containerId))
  })
})
