/**
 * A pod that is a port of its node's bridge sends as itself only: frames that it injects
 * are listened for by a machine of the segment. Untagged, on an uplink that is taken, so
 * that it needs no 802.1Q.
 */
import t from 'tap'
import { inNetns, must, run } from '../../src/lab/exec.ts'
import { createLab, type LabNode } from '../../src/lab/lab.ts'
import type { Ip, Mac } from '../../src/net/mod.ts'
import { addedInTime, builtCli, errorOf, ipsOf, settle, skip } from '../support/e2e.ts'
import { frameEar } from '../support/frames.ts'
import { allHeard, foreignFrames, inject, ownAlone, ownFrames } from '../support/spoof.ts'

const TABLE = ['bridge', 'trivium-ports']

t.test('frames of a pod on a bridge', { skip, timeout: 120_000 }, async (t) => {
  const lab = await createLab({ nodes: 1, trivium: builtCli(), underlayMtuBytes: 1500 })
  t.teardown(() => lab.destroy())
  const node = lab.nodes[0] as LabNode
  const flags = ['--mode', 'vlan', '--vlan', '0', '--attachment', 'bridge', '--conflict-probe']
  const pools = ['10.60.0.0/24,gateway=10.60.0.254', 'fd60::/112,gateway=fd60::fe']
  const named = pools.flatMap((pool) => ['--pool', pool])
  await lab.install(node, '--name', 'pods', ...flags, ...named)
  const agent = await lab.startAgent(node)
  const machine = await lab.addHost()
  const onNode = (...argv: readonly string[]): readonly string[] => inNetns(node.netns, argv)
  const probe = ['--probe', machine.ips[0] ?? '', '--socket', node.socketPath]
  // Refused as long as an address of the uplink is tentative.
  const isTaken = async (): Promise<readonly string[]> => {
    const { status, stderr } = await run(onNode(...builtCli(), 'uplink', 'take', 'eth0', ...probe))
    return status === 0 ? [] : [stderr]
  }
  t.strictSame(await settle(isTaken), [], 'the uplink is taken')
  // The rounds of an agent that knows of the bridge.
  const isGuarded = async (): Promise<readonly string[]> => {
    const { status } = await run(onNode('nft', 'list', 'table', ...TABLE))
    return status === 0 ? [] : ['no table']
  }
  t.strictSame(await settle(isGuarded), [], 'the agent makes the table')

  const pod = await lab.addPod(node)
  const result = await addedInTime(lab, pod)
  const [four, six] = ipsOf(result) as unknown as readonly [Ip, Ip]
  const [host, eth0] = result.interfaces
  const mac = eth0?.mac as Mac
  const ear = await frameEar(machine.netns, 'eth0')
  t.teardown(() => ear.close())
  const send = inject.bind(undefined, pod.netns)
  const [foreign, own] = [foreignFrames(mac, four, six), ownFrames(mac, four, six)]
  const spoofing = { netns: pod.netns, foreign, own, ear }

  await t.test('its own arrive, no other does', (t) => ownAlone(t, spoofing))

  await t.test('CHECK tells of what is missing, the agent puts it back', async (t) => {
    const check = () => lab.cni('CHECK', pod, { prevResult: result })
    const isWhole = async (): Promise<readonly string[]> => {
      const { status, stdout } = await check()
      return status === 0 ? [] : [stdout]
    }
    t.strictSame(await settle(isWhole), [])
    const element = `{ "${host?.name}" . ${four} }`
    await must(onNode('nft', 'delete', 'element', ...TABLE, 'ports4', element))
    t.strictSame(await settle(isWhole), [], 'an element')
    await must(onNode('nft', 'flush', 'chain', ...TABLE, 'ports'))
    const rules = async (): Promise<readonly string[]> => {
      const { stdout: text } = await run(onNode('nft', 'list', 'table', ...TABLE))
      return /drop\n\t}\n/.test(text) && text.includes(`"${host?.name}" . ${four}`) ? [] : [text]
    }
    t.strictSame(await settle(rules), [], 'the rules')
    await must(onNode('nft', 'delete', 'table', ...TABLE))
    t.strictSame(await settle(rules), [], 'the table with the pod in it')
    await send(foreign['ARP as gateway']?.[0] as Uint8Array, 'ARP as gateway')
    await send(own['own ARP'] as Uint8Array, 'after')
    t.ok(await ear.hears('after'))
    t.notOk(ear.heard().has('ARP as gateway'))
  })

  await t.test('the same without the guard', async (t) => {
    await agent.stop()
    await must(
      onNode('nft', 'delete', 'element', ...TABLE, 'ports', `{ "${host?.name}" . ${mac} }`),
    )
    t.match(errorOf(await lab.cni('CHECK', pod, { prevResult: result })), { code: 103 })
    await must(onNode('nft', 'delete', 'table', ...TABLE))
    await allHeard(t, spoofing)
  })

  await t.test('DEL takes its elements along', async (t) => {
    const again = await lab.startAgent(node)
    t.strictSame(await settle(isGuarded), [])
    const elements = async (): Promise<string> => must(onNode('nft', 'list', 'table', ...TABLE))
    const other = await lab.addPod(node)
    const name = (await addedInTime(lab, other)).interfaces[0]?.name ?? '-'
    await again.stop()
    t.match(await elements(), name)
    t.equal((await lab.cni('DEL', other)).status, 0)
    t.notMatch(await elements(), name)
  })
})
