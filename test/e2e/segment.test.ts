/**
 * VLAN mode on a segment with a stranger: an address that somebody answers for is set aside.
 *
 * ```
 *   pod --- trvb.100 --- stranger (has 10.42.0.1)
 * ```
 *
 * The stranger stands where the tagged uplink would: that needs a kernel with 802.1Q.
 */
import t from 'tap'
import { inNetns, must, run } from '../../src/lab/exec.ts'
import { createLab, type LabNode } from '../../src/lab/lab.ts'
import { ping } from '../../src/lab/reach.ts'
import { added, builtCli, errorOf, ip, ipJson, ipsOf, settle, skip } from '../support/e2e.ts'

const TAKEN = '10.42.0.1'
const MAC = '02:00:00:00:00:99'

t.test('a segment with a stranger', { skip }, async (t) => {
  const trivium = builtCli()
  const lab = await createLab({ nodes: 1, trivium, underlayMtuBytes: 1500 })
  t.teardown(() => lab.destroy())
  const node = lab.nodes[0] as LabNode
  const flags = ['--mode', 'vlan', '--vlan', '100', '--conflict-probe']
  await lab.install(node, '--name', 'pods', ...flags, '--pool', '10.42.0.0/24')
  await lab.startAgent(node)
  const bridge = async (): Promise<readonly string[]> => {
    const found = await run(['ip', '-n', node.netns, 'link', 'show', 'trvb.100'])
    return found.status === 0 && /state|UP/.test(found.stdout) ? [] : [found.stderr]
  }
  t.strictSame(await settle(bridge), [], 'there is a bridge, with or without 802.1Q')
  const stranger = await lab.addPod(node)
  await ip(node.netns, 'link', 'add', 'up0', 'type', 'veth', 'peer', 'name', 'eth9')
  await ip(node.netns, 'link', 'set', 'eth9', 'netns', stranger.netns)
  await ip(node.netns, 'link', 'set', 'up0', 'master', 'trvb.100', 'up')
  await ip(stranger.netns, 'link', 'set', 'eth9', 'address', MAC, 'up')
  await ip(stranger.netns, 'addr', 'add', `${TAKEN}/24`, 'dev', 'eth9')

  // What the stranger knows of an address is older than the pod that gets it.
  const stale = ['10.42.0.2', 'lladdr', '02:00:00:00:00:77', 'dev', 'eth9', 'nud', 'stale']
  await must(inNetns(stranger.netns, ['sysctl', '-qw', 'net.ipv4.neigh.eth9.locktime=0']))
  await ip(stranger.netns, 'neigh', 'add', ...stale)

  const pod = await lab.addPod(node)
  const result = await added(lab, pod)
  t.strictSame(ipsOf(result), ['10.42.0.2'], 'the next one')
  const mac = result.interfaces.find(({ sandbox }) => sandbox)?.mac
  const heard = async (): Promise<readonly string[]> => {
    const known = await ipJson(stranger.netns, '-4', 'neigh', 'show', '10.42.0.2', 'dev', 'eth9')
    return known[0]?.['lladdr'] === mac ? [] : [JSON.stringify(known)]
  }
  t.strictSame(await settle(heard, 3000), [], 'told to all, before the pod says anything')
  const why = await must([...trivium, 'ipam', 'why', TAKEN, '--store', lab.storeUrl])
  t.match(why, `no pod's, ${MAC} answered for it on the segment`)
  t.ok((await ping(stranger.netns, '10.42.0.2')).ok, 'the stranger reaches it')

  const fixed = await lab.addPod(node)
  const asked = { args: { cni: { ips: [TAKEN] } } }
  const refusal = errorOf(await lab.cni('ADD', fixed, asked))
  t.match(refusal, { code: 100, msg: `Cannot use address ${TAKEN}: ${MAC} answers for it` })
  const links = await ipJson(fixed.netns, 'link', 'show')
  t.notOk(JSON.stringify(links).includes('"eth0"'), 'and nothing of it stays')
})
