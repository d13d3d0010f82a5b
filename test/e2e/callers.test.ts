/**
 * How runtimes really call: DEL six times and two at once, DEL after a reboot,
 * a retry under another id, a caller that dies; and STATUS while something is
 * missing. One node, through the agent.
 */
import { spawn } from 'node:child_process'
import { readFileSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { keys } from '../../ipam/keys.ts'
import { pluginConfig } from '../../src/lab/cni.ts'
import { compareDumps } from '../../src/lab/dump.ts'
import { inNetns, must, run } from '../../src/lab/exec.ts'
import type { Lab, LabPod } from '../../src/lab/lab.ts'
import { openStore } from '../../src/live/store-url.ts'
import { transact } from '../../src/live/transact.ts'
import {
  added,
  cluster,
  errorOf,
  inUse,
  ip,
  ipsOf,
  type Json,
  type Result,
  resultOf,
  settle,
  skip,
  sleep,
  snapshot,
  warm,
} from '../support/e2e.ts'

const TRACE = {
  TRACEPARENT: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
  TRACESTATE: 'a=b',
  BAGGAGE: 'c=d',
}
const KUBE = {
  CNI_ARGS:
    'K8S_POD_UID=1;IgnoreUnknown=1;K8S_POD_NAME=cart-0;K8S_POD_NAMESPACE=shop;K8S_POD_INFRA_CONTAINER_ID=a',
  ...TRACE,
}

t.test('callers', { skip }, async (t) => {
  const { lab } = await cluster(t, { nodes: 1 })
  await warm(lab)
  const whole = async (name: string, body: (t: Test) => Promise<void>): Promise<void> => {
    await t.test(name, async (t) => {
      const before = await snapshot(lab)
      await body(t)
      const left = await settle(async () => compareDumps(before, await snapshot(lab)), 5000)
      t.strictSame(left, [], 'nothing is left')
    })
  }
  await whole('DEL-03 DEL-04 a kubelet deletes six times, and two at once', (t) => six(t, lab))
  await whole('DEL-04 three first DELs of one container at once', (t) => overlapping(t, lab))
  await whole('DEL-02 DEL-09 after a reboot', (t) => rebooted(t, lab))
  await whole('CFG-02 one line, sorted keys, escaped signs', (t) => oneLine(t, lab))
  await whole('DEL-05 ADD-03 a failed ADD, its DEL, and the retry under another id', (t) =>
    retried(t, lab),
  )
  await whole('DEL-05 a caller that dies in the middle', (t) => dying(t, lab))
  await whole('ST-02 ST-03 ST-05 STATUS while something is missing', (t) => unfit(t, lab))
  await t.test('DEL-08 ST-03 the underlay is gone', async (t) => {
    const pod = await podOn(lab)
    await added(lab, pod, {}, KUBE)
    const used = await inUse(lab)
    await ip(pod.node.netns, 'link', 'del', 'eth0')
    const error = errorOf(await lab.cni('STATUS', pod, { cniVersion: '1.1.0' }))
    t.match(error, { code: 51, msg: /underlay eth0: it is not there/ })
    await del(t, lab, pod, {}, 'DEL all the same')
    t.equal(await inUse(lab), used - 2, 'its addresses are free')
    await lab.removePod(pod)
  })
})

async function podOn(lab: Lab): Promise<LabPod> {
  const [node] = lab.nodes
  if (node === undefined) throw new Error('There is no node')
  return lab.addPod(node)
}

async function del(t: Test, lab: Lab, pod: LabPod, extra: Json, what: string): Promise<void> {
  const { status, stdout } = await lab.cni('DEL', pod, extra, KUBE)
  t.strictSame([status, stdout], [0, ''], what)
}

async function six(t: Test, lab: Lab): Promise<void> {
  const pod = await podOn(lab)
  const prevResult = await added(lab, pod, {}, KUBE)
  const bare = { ...pod, netnsPath: '' }
  await del(t, lab, pod, { prevResult }, 'first, with all that is known')
  await Promise.all([1, 2].map(() => del(t, lab, bare, {}, 'two at once, without anything')))
  await lab.removePod(pod)
  await del(t, lab, pod, { prevResult }, 'the namespace is gone')
  await del(t, lab, bare, { prevResult: null }, 'a result that could not be read')
  await del(t, lab, bare, {}, 'and again')
}

async function overlapping(t: Test, lab: Lab): Promise<void> {
  const pod = await podOn(lab)
  const prevResult = await added(lab, pod, {}, KUBE)
  const calls = [
    [pod, { prevResult }],
    [{ ...pod, netnsPath: '' }, {}],
    [pod, {}],
  ] as const
  await Promise.all(calls.map(([each, extra]) => del(t, lab, each, extra, 'at once')))
  await lab.removePod(pod)
}

/** As the kernel is after a reboot: no link, no guard; and the record is of another boot. */
async function reboot(lab: Lab, pod: LabPod, result: Result): Promise<void> {
  const { netns } = pod.node
  const hostLink = result.interfaces[0]?.name ?? ''
  await ip(netns, 'link', 'del', hostLink)
  for (const address of ipsOf(result)) {
    const set = address.includes(':') ? 'pods6' : 'pods4'
    const element = `{ ${hostLink} . ${address} }`
    await must(inNetns(netns, ['nft', 'delete', 'element', 'inet', 'trivium', set, element]))
  }
  await lab.removePod(pod)
  const store = openStore(lab.storeUrl)
  try {
    await transact(store, (tx) => {
      const { containerId, node } = pod
      const key = keys.attachment(node.name, { network: 'pods', containerId, ifname: 'eth0' })
      const record = tx.get(key)
      if (record !== undefined) tx.put(key, { ...record, bootId: 'the boot before' })
    })
  } finally {
    store.close()
  }
}

async function rebooted(t: Test, lab: Lab): Promise<void> {
  const pod = await podOn(lab)
  const prevResult = await added(lab, pod, {}, KUBE)
  await reboot(lab, pod, prevResult)
  await del(t, lab, { ...pod, netnsPath: '' }, { prevResult }, 'DEL with the old result')
  const next = await podOn(lab)
  t.equal(ipsOf(await added(lab, next, {}, KUBE)).length, 2, 'ADD under a new id')
  await del(t, lab, next, {}, 'DEL of it')
  await lab.removePod(next)

  // Others take the same id again, and never sent a DEL.
  const other = await podOn(lab)
  const first = await added(lab, other, {}, KUBE)
  await reboot(lab, other, first)
  const again = { ...(await podOn(lab)), containerId: other.containerId }
  const second = await added(lab, again, {}, KUBE)
  t.equal((await lab.cni('CHECK', again, { prevResult: second }, KUBE)).status, 0, 'ADD, same id')
  await del(t, lab, again, {}, 'DEL of it')
  await lab.removePod(again)
}

async function oneLine(t: Test, lab: Lab): Promise<void> {
  const pod = await podOn(lab)
  const { node, containerId, netnsPath } = pod
  const config: Json = {
    ...pluginConfig(join(node.confDir, '10-pods.conflist')),
    note: 'a<b>&c',
    'cni.dev/attachments': [],
    disableCheck: 'true',
    runtimeConfig: { dns: { Servers: ['10.0.0.10'] } },
  }
  const sorted = Object.fromEntries(Object.entries(config).sort(([a], [b]) => (a < b ? -1 : 1)))
  const escaped = JSON.stringify(sorted).replace(/[<>&]/g, (sign) => {
    return `\\u00${sign.charCodeAt(0).toString(16)}`
  })
  const input = escaped.replace(/}$/, ',"weight":18446744073709551616}')
  t.match(input, 'a\\u003cb\\u003e\\u0026c')
  for (const [verb, printed] of [
    ['ADD', /"nameservers":\["10\.0\.0\.10"\]/],
    ['DEL', /^$/],
  ] as const) {
    const env = {
      ...{ PATH: '/usr/sbin:/usr/bin', CNI_PATH: node.binDir, CNI_COMMAND: verb },
      ...{ CNI_CONTAINERID: containerId, CNI_NETNS: netnsPath, CNI_IFNAME: 'eth0' },
    }
    const command = inNetns(node.netns, [join(node.binDir, 'trivium')])
    const { status, stdout } = await run(command, { input, env })
    t.equal(status, 0, `${verb}: ${stdout}`)
    t.match(stdout, printed, verb)
  }
  await lab.removePod(pod)
}

async function retried(t: Test, lab: Lab): Promise<void> {
  const failing = await podOn(lab)
  await ip(failing.netns, 'link', 'add', 'eth0', 'type', 'bridge')
  t.match(errorOf(await lab.cni('ADD', failing, {}, KUBE)), { code: 100, msg: /eth0/ })
  await del(t, lab, failing, {}, 'its DEL, without a result')
  const again = await podOn(lab)
  resultOf(await lab.cni('ADD', again, {}, KUBE))
  await del(t, lab, { ...failing, netnsPath: '' }, {}, 'a late DEL of the first one')
  t.equal((await lab.cni('CHECK', again, { prevResult: {} }, KUBE)).status, 1, 'a result of nobody')
  await del(t, lab, again, {}, 'DEL of the second')
  for (const pod of [failing, again]) await lab.removePod(pod)
}

/** SIGKILL of the plugin while it runs; the agent ends what it began, and DEL finds all of it. */
async function dying(t: Test, lab: Lab): Promise<void> {
  for (const waitMs of [0, 1, 2, 4, 8, 16]) {
    const pod = await podOn(lab)
    const { node, containerId, netnsPath } = pod
    const [program = '', ...args] = inNetns(node.netns, [join(node.binDir, 'trivium')])
    const env = {
      ...{ PATH: '/usr/sbin:/usr/bin', CNI_PATH: node.binDir, CNI_COMMAND: 'ADD' },
      ...{ CNI_CONTAINERID: containerId, CNI_NETNS: netnsPath, CNI_IFNAME: 'eth0' },
    }
    const child = spawn(program, args, { env, stdio: ['pipe', 'ignore', 'ignore'] })
    const end = new Promise((resolve) => child.once('exit', resolve))
    child.stdin.on('error', () => {}) // it may be dead before it has read
    child.stdin.end(JSON.stringify(pluginConfig(join(node.confDir, '10-pods.conflist'))))
    await sleep(waitMs)
    child.kill('SIGKILL')
    await end
    await del(t, lab, pod, {}, `killed after ${waitMs} ms: DEL`)
    await lab.removePod(pod)
  }
}

/** Taken when the agent has done what the store asks for, 20 ms after its last change. */
async function restingSnapshot(lab: Lab): Promise<readonly string[]> {
  let last = await snapshot(lab)
  await settle(async () => {
    await sleep(100)
    const before = last
    last = await snapshot(lab)
    return compareDumps(before, last)
  })
  return last
}

async function unfit(t: Test, lab: Lab): Promise<void> {
  const { storeUrl, nodes } = lab
  const [node] = nodes
  if (node === undefined) throw new Error('There is no node')
  const probe = await podOn(lab)
  const ask = async (network: string): Promise<readonly unknown[]> => {
    const finished = await lab.cni('STATUS', probe, { cniVersion: '1.1.0', name: network })
    if (finished.status === 0) return [0, finished.stdout]
    const { code, msg } = errorOf(finished)
    return [code, msg]
  }
  const becomes = async (network: string, code: number, msg: RegExp | string): Promise<void> => {
    await settle(async () => ((await ask(network))[0] === code ? [] : ['not yet']), 5000)
    const before = await restingSnapshot(lab)
    t.match(await ask(network), [code, msg], `${network}: ${code}`)
    t.strictSame(compareDumps(before, await snapshot(lab)), [], 'ST-05 no side effect')
  }
  t.strictSame(await ask('pods'), [0, ''], 'all is well')

  const tiny = ['tiny', '--mode', 'route', '--pool', '10.45.0.0/30']
  await lab.trivium('network', 'create', ...tiny, '--store', storeUrl)
  const pods = [await podOn(lab), await podOn(lab)]
  for (const pod of pods) await added(lab, pod, { name: 'tiny' })
  await becomes(
    'tiny',
    50,
    /^Cannot allocate an IPv4 address in network tiny: every block .* 2 of 2/,
  )
  t.strictSame(await ask('pods'), [0, ''], "another network's addresses are its own")
  t.equal(errorOf(await lab.cni('ADD', probe, { name: 'tiny' })).code, 11, 'as ADD finds it')
  for (const pod of pods) {
    t.equal((await lab.cni('DEL', pod, { name: 'tiny' })).status, 0, 'DEL works all the same')
    await becomes('tiny', 0, '')
    await lab.removePod(pod)
  }
  await lab.trivium('network', 'delete', 'tiny', '--store', storeUrl)
  t.match(await ask('tiny'), [50, /^Cannot find network tiny/])

  const path = storeUrl.replace('lmdb:', '')
  renameSync(path, `${path}.away`)
  t.match(await ask('pods'), [50, /^Cannot keep records: store .* is gone/], 'the store is gone')
  renameSync(`${path}.away`, path)
  t.strictSame(await ask('pods'), [0, ''], 'and back')

  const conf = readFileSync(join(node.confDir, '10-pods.conflist'), 'utf8')
  t.match(conf, '1.1.0', 'ST-01 the list speaks the version that has STATUS')
  await lab.setUnderlayMtu(1300)
  await becomes('pods', 51, /^Cannot run vxlan over an underlay of 1300 bytes/)
  await lab.setUnderlayMtu(1500)
  await becomes('pods', 0, '')
  await lab.removePod(probe)
}
