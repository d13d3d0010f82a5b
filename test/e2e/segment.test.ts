/**
 * VLAN mode on a segment with a stranger: an address that somebody answers for is set aside.
 *
 * ```
 *   pod --- trvb.100 --- stranger (has 10.42.0.1 and fd42::1)
 * ```
 *
 * The stranger stands where the tagged uplink would: that needs a kernel with 802.1Q.
 */
import t from 'tap'
import { inNetns, must, run } from '../../src/lab/exec.ts'
import { createLab, type LabNode } from '../../src/lab/lab.ts'
import { ping } from '../../src/lab/reach.ts'
import { added, builtCli, errorOf, ip, ipJson, ipsOf, settle, skip } from '../support/e2e.ts'

const TAKEN = ['10.42.0.1', 'fd42::1'] as const
const MAC = '02:00:00:00:00:99'

t.test('a segment with a stranger', { skip }, async (t) => {
  const trivium = builtCli()
  const lab = await createLab({ nodes: 1, trivium, underlayMtuBytes: 1500 })
  t.teardown(() => lab.destroy())
  const node = lab.nodes[0] as LabNode
  const flags = ['--mode', 'vlan', '--vlan', '100', '--conflict-probe']
  await lab.install(
    node,
    '--name',
    'pods',
    ...flags,
    '--pool',
    '10.42.0.0/24',
    '--pool',
    'fd42::/112',
  )
  const agent = await lab.startAgent(node)
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
  await ip(stranger.netns, 'addr', 'add', `${TAKEN[0]}/24`, 'dev', 'eth9')
  await ip(stranger.netns, 'addr', 'add', `${TAKEN[1]}/112`, 'dev', 'eth9', 'nodad')

  // What the stranger knows of an address is older than the pod that gets it.
  const GIVEN = ['10.42.0.2', 'fd42::2'] as const
  const stale = ['lladdr', '02:00:00:00:00:77', 'dev', 'eth9', 'nud', 'stale']
  await must(inNetns(stranger.netns, ['sysctl', '-qw', 'net.ipv4.neigh.eth9.locktime=0']))
  for (const each of GIVEN) await ip(stranger.netns, 'neigh', 'add', each, ...stale)

  const pod = await lab.addPod(node)
  const result = await added(lab, pod)
  t.strictSame(ipsOf(result), GIVEN, 'the next ones')
  const mac = result.interfaces.find(({ sandbox }) => sandbox)?.mac
  for (const [index, each] of GIVEN.entries()) {
    const family = index === 0 ? '-4' : '-6'
    const heard = async (): Promise<readonly string[]> => {
      const known = await ipJson(stranger.netns, family, 'neigh', 'show', each, 'dev', 'eth9')
      return known[0]?.['lladdr'] === mac ? [] : [JSON.stringify(known)]
    }
    t.strictSame(await settle(heard, 3000), [], 'told to all, before the pod says anything')
    const taken = TAKEN[index] ?? ''
    const why = await must([...trivium, 'ipam', 'why', taken, '--store', lab.storeUrl])
    t.match(why, `no pod's, ${MAC} answered for it on the segment`)
    t.ok((await ping(stranger.netns, each)).ok, 'the stranger reaches it')
  }
  const lines = agent.log().split('\n')
  const line = JSON.parse(lines.find((each) => each.includes('"verb":"ADD"')) ?? '{}')
  const taken = TAKEN.map((each) => ({ ip: each, mac: MAC }))
  t.match(line, { level: 40, ips: GIVEN, taken }, 'a warning says who has them')

  const fixed = await lab.addPod(node)
  for (const each of TAKEN) {
    const asked = { args: { cni: { ips: [each] } } }
    const refusal = errorOf(await lab.cni('ADD', fixed, asked))
    t.match(refusal, { code: 100, msg: `Cannot use address ${each}: ${MAC} answers for it` })
  }
  const links = await ipJson(fixed.netns, 'link', 'show')
  t.notOk(JSON.stringify(links).includes('"eth0"'), 'and nothing of it stays')
})
