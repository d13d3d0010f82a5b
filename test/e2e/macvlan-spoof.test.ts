/**
 * A pod on a macvlan sends as itself only: frames that it injects, as any pod with
 * NET_RAW can, are listened for by a machine of the segment.
 */
import t from 'tap'
import { inNetns, must } from '../../src/lab/exec.ts'
import { createLab, type LabNode } from '../../src/lab/lab.ts'
import type { Ip, Mac } from '../../src/net/mod.ts'
import { addedInTime, builtCli, errorOf, ipsOf, skip } from '../support/e2e.ts'
import { frameEar } from '../support/frames.ts'
import { allHeard, foreignFrames, ownAlone, ownFrames } from '../support/spoof.ts'

t.test('frames of a pod on a macvlan', { skip, timeout: 120_000 }, async (t) => {
  const lab = await createLab({ nodes: 1, trivium: builtCli(), underlayMtuBytes: 1500 })
  t.teardown(() => lab.destroy())
  const node = lab.nodes[0] as LabNode
  const flags = ['--mode', 'vlan', '--vlan', '0', '--attachment', 'macvlan']
  const pools = [
    '--pool',
    '10.60.0.0/24,gateway=10.60.0.254',
    '--pool',
    'fd60::/112,gateway=fd60::fe',
  ]
  await lab.install(node, '--name', 'pods', ...flags, ...pools)
  await lab.startAgent(node)
  const machine = await lab.addHost()
  const pod = await lab.addPod(node)
  const result = await addedInTime(lab, pod)
  const [four, six] = ipsOf(result) as unknown as readonly [Ip, Ip]
  const mac = result.interfaces[0]?.mac as Mac
  const ear = await frameEar(machine.netns, 'eth0')
  t.teardown(() => ear.close())

  const [foreign, own] = [foreignFrames(mac, four, six), ownFrames(mac, four, six)]
  const spoofing = { netns: pod.netns, foreign, own, ear }

  await t.test('its own arrive, no other does', (t) => ownAlone(t, spoofing))

  await t.test('the same without the guard, of which CHECK tells', async (t) => {
    const asked = { prevResult: result }
    t.equal((await lab.cni('CHECK', pod, asked)).status, 0)
    const rules = await must(inNetns(pod.netns, ['nft', 'list', 'table', 'netdev', 'trivium-eth0']))
    t.match(rules, /hook egress device "eth0" priority .*; policy drop;/)
    await must(inNetns(pod.netns, ['nft', 'flush', 'chain', 'netdev', 'trivium-eth0', 'leaving']))
    t.match(errorOf(await lab.cni('CHECK', pod, asked)), { code: 103, msg: /its rules are others/ })
    await must(inNetns(pod.netns, ['nft', 'delete', 'table', 'netdev', 'trivium-eth0']))
    t.match(errorOf(await lab.cni('CHECK', pod, asked)), { code: 103, msg: /it is missing/ })
    await allHeard(t, spoofing)
  })

  await t.test('DEL takes it along', async (t) => {
    t.equal((await lab.cni('DEL', pod)).status, 0)
    const again = await addedInTime(lab, pod)
    t.equal((await lab.cni('CHECK', pod, { prevResult: again })).status, 0)
    t.equal((await lab.cni('DEL', pod)).status, 0)
    t.equal(await must(inNetns(pod.netns, ['nft', 'list', 'tables'])), '')
  })
})
