/**
 * What a pod can ask for in its own definition, as it comes through a
 * container runtime: addresses and pools by annotation, DNS by its config.
 *
 * @module
 */
import type { Test } from 'tap'
import type { Lab } from '../../src/lab/lab.ts'
import { type Json, snapshot, usage } from '../support/e2e.ts'
import type { Containerd } from './containerd.ts'
import { listInFront } from './networks.ts'
import { changesSince, podConfig, removePod, runPod } from './pods.ts'

const DNS = {
  servers: ['10.42.0.10', 'fd42::10'],
  searches: ['shop.svc.test'],
  options: ['ndots:5'],
}

export async function asks(t: Test, lab: Lab, containerd: Containerd): Promise<void> {
  const before = await snapshot(lab)
  await t.test('a fixed address', (t) => fixedAddress(t, lab, containerd))
  await t.test('DNS', (t) => dns(t, containerd))
  t.strictSame(await changesSince(lab, before), [])
  await t.test('pools', (t) => pools(t, lab, containerd))
  t.strictSame(await changesSince(lab, before), [], 'as before the pools')
}

async function fixedAddress(t: Test, lab: Lab, containerd: Containerd): Promise<void> {
  const blocks = (await usage(lab)).filter(
    ({ grouping, node }) => grouping === 'Block' && node === containerd.node.name,
  )
  const wanted = [false, true].flatMap((six) => {
    const block = blocks.find(({ cidr }) => cidr.includes(':') === six)
    return block === undefined ? [] : [inside(block.cidr, 0x20)]
  })
  t.equal(wanted.length, 2, `one of each family: ${wanted.join(' ')}`)
  const asking = { annotations: { 'trivium.io/ip': wanted.join(',') } }
  const pod = await runPod(containerd, 'fixed', asking)
  t.strictSame([...pod.ips].sort(), [...wanted].sort())
  const refusal = await refused(containerd, 'too-late', asking.annotations)
  t.match(refusal, new RegExp(`${wanted[0]}.* shop/fixed`), 'who has it')
  await removePod(pod)
  t.match(
    await refused(containerd, 'misspelt', { 'trivium.io/ips': '10.42.0.7' }),
    /trivium\.io\/ips/,
  )
}

/** The result that libcni keeps holds what our plugin said. */
async function dns(t: Test, containerd: Containerd): Promise<void> {
  const pod = await runPod(containerd, 'resolving', { dnsConfig: DNS })
  const kept = `/var/lib/cni/results/pods-${pod.sandboxId}-eth0`
  const { stdout } = await containerd.inside(['cat', kept])
  const { result } = JSON.parse(stdout) as { readonly result: Json }
  const { servers: nameservers, searches: search, options } = DNS
  t.strictSame(result['dns'], { nameservers, search, options })
  await removePod(pod)
}

const POOLS = [
  '10.50.0.0/24,block=28',
  '10.51.0.0/24,block=28,namespaces=shop',
  '10.52.0.0/24,block=28,namespaces=till',
]

async function pools(t: Test, lab: Lab, containerd: Containerd): Promise<void> {
  const store = ['--store', lab.storeUrl]
  const flags = ['--mode', 'route', ...POOLS.flatMap((pool) => ['--pool', pool])]
  await lab.trivium('network', 'create', 'teams', ...flags, ...store)
  const takeAway = await listInFront(containerd, { list: { name: 'teams' } })
  for (const [name, annotations, first] of [
    ['by-namespace', {}, '10.51.'],
    ['by-choice', { 'trivium.io/pool': '10.50.0.0/24' }, '10.50.'],
  ] as const) {
    const pod = await runPod(containerd, name, { annotations })
    t.ok(pod.ips[0]?.startsWith(first), `${name}: ${pod.ips[0]}`)
    await removePod(pod)
  }
  const refusal = await refused(containerd, 'stranger', { 'trivium.io/pool': '10.52.0.0/24' })
  t.match(refusal, /10\.52\.0\.0\/24/, 'the pool is for another namespace')
  await takeAway()
  await lab.trivium('network', 'delete', 'teams', ...store)
}

/** What RunPodSandbox says of a pod that cannot be made. */
async function refused(
  containerd: Containerd,
  name: string,
  annotations: Readonly<Record<string, string>>,
): Promise<string> {
  const config = podConfig(containerd, name, { annotations })
  const { cri } = containerd
  return await cri.call('runPodSandbox', { config }).then(
    ({ podSandboxId }) => `it was made: ${podSandboxId}`,
    (thrown: Error) => thrown.message,
  )
}

/** The address this far from a block's first one. */
function inside(cidr: string, offset: number): string {
  const first = cidr.split('/')[0] ?? ''
  const six = first.includes(':')
  const at = Math.max(first.lastIndexOf('.'), first.lastIndexOf(':')) + 1
  const last = Number.parseInt(first.slice(at) || '0', six ? 16 : 10) + offset
  return `${first.slice(0, at)}${last.toString(six ? 16 : 10)}`
}
