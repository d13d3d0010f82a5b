/**
 * `trivium-ipam` under other people's plugins: Debian's bridge asks it for
 * addresses and gives them back through it.
 */
import { existsSync } from 'node:fs'
import t from 'tap'
import { callPlugin } from '../../src/lab/cni.ts'
import { inNetns, must } from '../../src/lab/exec.ts'
import { createLab, type LabPod } from '../../src/lab/lab.ts'
import { ping } from '../../src/lab/reach.ts'

const REFERENCE = '/usr/lib/cni'

const reason =
  process.getuid?.() !== 0
    ? 'needs root for network namespaces'
    : !existsSync(`${REFERENCE}/bridge`)
      ? 'needs the reference plugins (containernetworking-plugins)'
      : false

t.test('bridge with trivium-ipam', { skip: reason }, async (t) => {
  const lab = await createLab({ nodes: 1, trivium: [process.execPath, 'dist/cli.cjs'] })
  t.teardown(() => lab.destroy())
  const [node] = lab.nodes
  if (node === undefined) throw new Error('a lab has a node')
  await lab.install(node, '--pool', '10.77.0.0/16,gateway=10.77.0.1')
  const agent = await lab.startAgent(node)

  const config = {
    cniVersion: '1.0.0',
    name: 'pods',
    type: 'bridge',
    bridge: 'br-test',
    // The main plugin's own key of that name must not be taken for ours.
    socket: '/nonexistent',
    ipam: { type: 'trivium-ipam', store: lab.storeUrl, socket: node.socketPath },
  }
  const call = (verb: string, pod: LabPod) =>
    callPlugin({
      verb,
      nodeNetns: node.netns,
      binDir: REFERENCE,
      config,
      containerId: pod.containerId,
      netnsPath: pod.netnsPath,
      ifname: 'eth0',
      env: { CNI_PATH: `${node.binDir}:${REFERENCE}` },
    })
  const inUse = async (): Promise<number> => {
    const shown = await lab.trivium('ipam', 'show', '-o', 'json', '--store', lab.storeUrl)
    const rows = JSON.parse(shown) as { ipsInUse: number }[]
    return rows.reduce((sum, row) => sum + row.ipsInUse, 0)
  }

  const pods = [await lab.addPod(node), await lab.addPod(node)] as const
  const addresses: string[] = []
  for (const [index, pod] of pods.entries()) {
    if (index === 1) await agent.stop() // the second one finds no agent
    const { status, stdout } = await call('ADD', pod)
    t.equal(status, 0, stdout)
    const [ip] = JSON.parse(stdout).ips
    t.match(ip.address, /^10\.77\.\d+\.\d+\/16$/, "an address on the pool's prefix")
    t.equal(ip.gateway, '10.77.0.1')
    addresses.push(ip.address.split('/')[0])
  }
  t.notOk(addresses.includes('10.77.0.1'), 'the gateway is no pod')
  const shown = await must(inNetns(pods[0].netns, ['ip', '-4', '-br', 'addr', 'show', 'eth0']))
  t.match(shown, addresses[0], 'the bridge plugin put it into the pod')
  t.ok((await ping(pods[0].netns, addresses[1] ?? '')).ok, 'one pod pings the other')
  t.equal(await inUse(), 2)

  for (const pod of pods) t.equal((await call('DEL', pod)).status, 0)
  t.equal((await call('DEL', pods[0])).status, 0, 'a second time')
  t.equal(await inUse(), 0, 'all addresses are back')
})
