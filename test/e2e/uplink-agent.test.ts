/**
 * A node's uplink is taken over and given back under its agent and its pods: the roads go on by the
 * bridge, and the agent puts back what leaves it.
 */
import t from 'tap'
import { inNetns, run } from '../../src/lab/exec.ts'
import { ping } from '../../src/lab/reach.ts'
import {
  added,
  addedInTime,
  builtCli,
  cluster,
  ip,
  ipJson,
  ipsOf,
  settle,
  skip,
  warm,
} from '../support/e2e.ts'
import { pinging } from '../support/uplink-host.ts'

/** Once no address of the uplink is looked for on the wire any more: until then it is not taken. */
const whenFound = (netns: string): Promise<readonly string[]> =>
  settle(async () => {
    const left = await ip(netns, '-6', 'addr', 'show', 'dev', 'eth0', 'tentative')
    return left.trim() === '' ? [] : [left]
  })

for (const mode of ['vxlan', 'route'] as const) {
  t.test(mode, { skip }, async (t) => {
    const { lab, nodes, agents } = await cluster(t, { mode })
    await warm(lab)
    const [near, far] = nodes as [(typeof nodes)[0], (typeof nodes)[0]]
    const pods = [await lab.addPod(near), await lab.addPod(far)] as const
    const [, there] = [await added(lab, pods[0]), await added(lab, pods[1])]
    const [four = '', six = ''] = ipsOf(there)
    const uplink = (...args: readonly string[]) =>
      run(inNetns(near.netns, [...builtCli(), 'uplink', ...args, '--socket', near.socketPath]))
    const node = async (): Promise<string> =>
      JSON.parse(await lab.trivium('node', 'show', '-o', 'json', '--store', lab.storeUrl)).find(
        ({ name }: { name: string }) => name === near.name,
      ).underlayLink
    const probe = near.underlayIps[0]?.replace(/\.\d+$/, '.2') ?? ''

    await whenFound(near.netns)
    t.ok((await ping(pods[0].netns, four)).ok, 'before')
    for (const verb of ['take', 'give'] as const) {
      const [[done, sixes], fours] = await pinging(pods[0].netns, four, () =>
        pinging(pods[0].netns, six, () => uplink(verb, 'eth0', '--probe', probe)),
      )
      t.equal(done.status, 0, done.stdout + done.stderr)
      const wanted = verb === 'take' ? 'br-eth0' : 'eth0'
      const follows = async (): Promise<readonly string[]> =>
        (await node()) === wanted ? [] : [await node()]
      t.strictSame(await settle(follows), [], `${verb}: the node says ${wanted}`)
      for (const { sent, received } of [fours, sixes]) {
        t.comment(`${mode}, ${verb}: ${sent - received} of ${sent} pings between pods lost`)
        t.ok(sent - received <= 5, 'pods go on', { sent, received })
      }
      t.ok((await ping(pods[0].netns, four)).ok && (await ping(pods[0].netns, six)).ok, 'after')
      const own = await ipJson(near.netns, 'route', 'show', 'proto', '84')
      const devs = new Set(own.map(({ dev }) => dev).filter((dev) => dev !== undefined))
      t.notOk(devs.has(verb === 'take' ? 'eth0' : 'br-eth0'), 'no route by the other one')
      if (verb === 'give') break
      await ip(near.netns, 'link', 'set', 'eth0', 'nomaster')
      const back = async (): Promise<readonly string[]> =>
        (await ipJson(near.netns, 'link', 'show', 'eth0'))[0]?.['master'] === 'br-eth0'
          ? []
          : ['out']
      t.strictSame(await settle(back), [], 'a port that left is put back')
      const said = () => (agents[0]?.log().includes('"what":"rejoined"') === true ? [] : ['silent'])
      t.strictSame(await settle(said), [], 'and the log says so')
      await addedInTime(lab, await lab.addPod(near))
    }
    // A round that looked before an ADD asks for what ADD has made by then.
    const refused = agents[0]
      ?.log()
      .split('\n')
      .filter((line) => line.includes('apply-failed') && !line.includes('EEXIST'))
    t.strictSame(refused, [], 'the kernel refused nothing')
  })
}

t.test('untagged pods beside the host', { skip }, async (t) => {
  const flags = ['--mode', 'vlan', '--vlan', '0', '--attachment', 'bridge']
  const { lab, nodes } = await cluster(t, { network: flags, nodes: 1, agents: false })
  const [node] = nodes as [(typeof nodes)[0]]
  const agent = await lab.startAgent(node)
  const machine = await lab.addHost()
  await ip(machine.netns, 'addr', 'add', '10.42.255.1/16', 'dev', 'eth0')
  const uplink = (...args: readonly string[]) =>
    run(inNetns(node.netns, [...builtCli(), 'uplink', ...args, '--socket', node.socketPath]))
  await whenFound(node.netns)
  t.match(agent.log(), 'is not taken over', 'the agent says what is missing')

  const taken = await uplink('take', 'eth0', '--probe', machine.ips[0] ?? '')
  t.equal(taken.status, 0, taken.stderr)
  const pod = await lab.addPod(node)
  const isIn = async (): Promise<readonly string[]> => {
    const { status, stdout } = await lab.cni('ADD', pod)
    return status === 0 ? [] : [stdout]
  }
  t.strictSame(await settle(isIn), [], 'a pod comes in once the agent knows')
  t.ok((await ping(pod.netns, '10.42.255.1')).ok, 'it reaches a machine of the segment, untagged')
  const refused = await uplink('give', 'eth0', '--probe', machine.ips[0] ?? '')
  t.equal(refused.status, 1, 'not given back under pods')
  t.match(refused.stderr, /link trv[0-9a-f]{11} is a port of br-eth0/)
  t.equal((await lab.cni('DEL', pod)).status, 0)
  const given = await uplink('give', 'eth0', '--probe', machine.ips[0] ?? '')
  t.equal(given.status, 0, given.stderr)
})
