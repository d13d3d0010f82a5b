/**
 * The installed plugin on a host that has neither Node nor the checkout, nor a
 * shell: agent, both roads of a call, the command line, and the way off again.
 */
import { existsSync, mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { pluginConfig } from '../../src/lab/cni.ts'
import { type Finished, run } from '../../src/lab/exec.ts'
import { createLab, type LabPod, spawnAgent } from '../../src/lab/lab.ts'
import { ping } from '../../src/lab/reach.ts'
import { bareHost } from '../support/bare-host.ts'
import { builtCli, callsLogged, ipsOf, resultOf, skip } from '../support/e2e.ts'

const variablesOf = (verb: string, { containerId, netnsPath, node }: LabPod): readonly string[] => [
  `CNI_COMMAND=${verb}`,
  `CNI_CONTAINERID=${containerId}`,
  `CNI_NETNS=${netnsPath}`,
  'CNI_IFNAME=eth0',
  `CNI_PATH=${node.binDir}`,
]

t.test('a host without Node', { skip }, async (t) => {
  const lab = await createLab({ nodes: 1, trivium: builtCli() })
  t.teardown(() => lab.destroy())
  const [node] = lab.nodes
  if (node === undefined) throw new Error('There is no node')
  await lab.install(node, '--pool', '10.42.0.0/16', '--pool', 'fd42::/112')
  // The host sees what a host has: the plugin's folder, the node's own, the store.
  const root = join(lab.dir, 'host')
  mkdirSync(join(lab.dir, 'store'), { recursive: true })
  const home = join(lab.dir, 'n1')
  const host = await bareHost(root, node.binDir, [node.binDir, home, join(lab.dir, 'store')])
  t.teardown(() => host.destroy())
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' })
  t.notOk(
    files.some((file) => /(^|\/)(node|sh|bash)$/.test(file)),
    'no Node and no shell of its own',
  )
  t.notOk(existsSync(join(root, import.meta.dirname)), 'no checkout')

  const trivium = join(node.binDir, 'trivium')
  const onHost = (
    args: readonly string[],
    env: readonly string[] = [],
    input = '',
  ): Promise<Finished> =>
    run(['env', '-i', ...env, ...host.command(node.netns, [trivium, ...args])], { input })

  const help = await onHost(['--help'])
  t.equal(help.status, 0, help.stderr)
  t.match(help.stdout, /Usage: trivium/)

  const own = ['--node', 'n1', '--underlay', 'eth0', '--store', lab.storeUrl]
  const where = ['--state-dir', home, '--socket', node.socketPath]
  const agent = await spawnAgent(host.command(node.netns, [trivium, 'agent', ...own, ...where]))
  t.teardown(() => agent.kill())

  const call = (verb: string, pod: LabPod, env: readonly string[]): Promise<Finished> => {
    const config = JSON.stringify(pluginConfig(join(node.confDir, '10-pods.conflist')))
    return onHost([], [...variablesOf(verb, pod), ...env], config)
  }
  for (const [title, env] of [
    ['launcher and agent', []],
    ['Node entry', ['TRIVIUM_NO_AGENT=1']],
  ] as const) {
    // Made after the host's mounts: it arrives there by propagation.
    const pod = await lab.addPod(node)
    const ips = ipsOf(resultOf(await call('ADD', pod, env)))
    for (const address of ips)
      t.ok((await ping(node.netns, address)).ok, `${title}: ${address} answers`)
    t.equal((await call('DEL', pod, env)).status, 0, `${title}: DEL`)
    t.notOk((await ping(node.netns, ips[0] ?? '')).ok, `${title}: and it is gone`)
  }
  t.equal(await callsLogged(agent, 2), 2, 'the agent served the first')

  const show = await onHost(['ipam', 'show', '--store', lab.storeUrl])
  t.match(show.stdout, /10\.42\.0\.0\/16 +65536 +0 \(0%\)/)
  await agent.stop()
  const off = await onHost(['uninstall', '--bin-dir', node.binDir, '--conf-dir', node.confDir])
  t.equal(off.status, 0, off.stderr)
  t.strictSame(
    existsSync(node.binDir) ? readdirSync(node.binDir) : [],
    [],
    'it removes itself, too',
  )
})
