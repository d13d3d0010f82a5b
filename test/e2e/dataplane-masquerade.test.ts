/**
 * Whose address the others see: the node's where pods leave the networks, the
 * pod's everywhere else.
 */
import t from 'tap'
import { inNetns, must } from '../../src/lab/exec.ts'
import type { LabHost } from '../../src/lab/lab.ts'
import { poolsOf, type RunningPod, skipFor, type World, world } from '../support/dataplane.ts'
import { ip, settle, skip } from '../support/e2e.ts'
import { type Probe, probe } from '../support/probe.ts'

const PORT = 8080

for (const flags of [
  ['--mode', 'route'],
  ['--flavour', 'classic'],
  ['--flavour', 'lightweight'],
]) {
  t.test(`${flags.join(' ')}: whose address is seen`, { skip: skipFor(flags) }, async (t) => {
    const all = await world(t, { nodes: 2, networks: { pods: flags, others: flags } })
    const [pod, near, far] = [
      await all.pod(1, 'pods'),
      await all.pod(1, 'pods'),
      await all.pod(2, 'pods'),
    ]
    const other = await all.pod(2, 'others')
    await all.trivium('network', 'allow', 'pods', 'others')
    await all.settled()
    const outside = await all.lab.addHost()
    const [own, peer] = all.nodes
    if (own === undefined || peer === undefined) throw new Error('There are too few nodes')
    for (const { netns } of [near, far, other, outside, own, peer])
      await probe(t, netns).serveTcp(PORT)
    const client = probe(t, pod.netns)
    const seenBy = (ips: readonly string[]) => seen(client, ips)

    t.strictSame(
      await seenBy(outside.ips),
      own.underlayIps,
      "outside: the node's, answers come back",
    )
    t.strictSame(await seenBy(near.ips), pod.ips, "a pod of the same node: the pod's")
    t.strictSame(await seenBy(far.ips), pod.ips, "a pod of another node: the pod's")
    const open = await settle(async () =>
      (await seenBy(other.ips)).filter((each) => !pod.ips.includes(each)),
    )
    t.strictSame(open, [], "a pod of another network: the pod's")
    t.strictSame(await seenBy(own.underlayIps), pod.ips, "its own node: the pod's")
    t.strictSame(await seenBy(peer.underlayIps), own.underlayIps, "another node: the node's")

    await all.trivium('network', 'set', 'pods', '--no-masquerade')
    await routeBack(outside, all)
    const plain = await settle(async () =>
      (await seenBy(outside.ips)).filter((each) => !pod.ips.includes(each)),
    )
    t.strictSame(plain, [], "without masquerade, outside: the pod's")
    await all.trivium('network', 'set', 'pods', '--masquerade')
    const back = await settle(async () =>
      (await seenBy(outside.ips)).filter((each) => !own.underlayIps.includes(each)),
    )
    t.strictSame(back, [], "and again the node's")
  })
}

t.test('a pod meets itself through a translated address', { skip }, async (t) => {
  const all = await world(t, { nodes: 1, networks: { pods: [] } })
  const [pod, near] = [await all.pod(1, 'pods'), await all.pod(1, 'pods')]
  const [node] = all.nodes
  if (node === undefined) throw new Error('There is no node')
  await publish(node.netns, node.underlayIps, pod)
  await probe(t, pod.netns).serveTcp(PORT)
  const [self, other] = [probe(t, pod.netns), probe(t, near.netns)]
  const host = await all.lab.addHost()
  const outside = probe(t, host.netns)
  for (const address of node.underlayIps) {
    t.match(await self.callTcp(address, 80), { kind: 'answered' }, `itself by ${address}`)
    t.match(
      await other.callTcp(address, 80),
      { kind: 'answered', line: address.includes(':') ? near.v6 : near.v4 },
      `another pod by ${address}, untranslated`,
    )
    t.match(
      await outside.callTcp(address, 80),
      {
        kind: 'answered',
        line: host.ips.find((each) => each.includes(':') === address.includes(':')),
      },
      `a host by ${address}, untranslated`,
    )
  }
})

/** Whose address each server saw, or why it saw none. */
async function seen(client: Probe, ips: readonly string[]): Promise<readonly string[]> {
  const calls = await Promise.all(ips.map((to) => client.callTcp(to, PORT)))
  return calls.map((call) => (call.kind === 'answered' ? call.line : call.error))
}

/** The pools by way of the pods' node. */
async function routeBack({ netns }: LabHost, { nodes }: World): Promise<void> {
  for (const pool of poolsOf(0)) {
    const six = pool.includes(':')
    const via = nodes[0]?.underlayIps.find((each) => each.includes(':') === six) ?? ''
    await ip(netns, six ? '-6' : '-4', 'route', 'add', pool, 'via', via)
  }
}

/** Port 80 of the node is the pod's, by a table of somebody else's. */
async function publish(netns: string, ips: readonly string[], pod: RunningPod): Promise<void> {
  const rules = ips.map((address) =>
    address.includes(':')
      ? `ip6 daddr ${address} tcp dport 80 dnat ip6 to [${pod.v6}]:${PORT}`
      : `ip daddr ${address} tcp dport 80 dnat ip to ${pod.v4}:${PORT}`,
  )
  const chain = 'type nat hook prerouting priority dstnat; policy accept;'
  const table = ['table inet ports {', 'chain pre {', chain, ...rules, '}', '}', ''].join('\n')
  await must(inNetns(netns, ['nft', '-f', '-']), { input: table })
}
