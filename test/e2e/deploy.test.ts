/**
 * The systemd unit and the DaemonSet: their own commands, on a root made of the
 * image, with the paths they mount. A pod is added and deleted with each.
 */
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { parseAllDocuments } from 'yaml'
import { callPlugin, pluginConfig } from '../../src/lab/cni.ts'
import { must, run } from '../../src/lab/exec.ts'
import { createLab, type Lab, type LabAgent, type LabNode, spawnAgent } from '../../src/lab/lab.ts'
import { ping } from '../../src/lab/reach.ts'
import { type BareHost, mountedRoot } from '../support/bare-host.ts'
import { builtCli, callsLogged, ipsOf, type Json, ROOT, resultOf, skip } from '../support/e2e.ts'
import { ownFolder } from '../support/folder.ts'

const DEPLOY = join(ROOT, 'deploy')
const UNIT = join(DEPLOY, 'systemd', 'trivium-agent.service')
const MANIFEST = join(DEPLOY, 'kubernetes', 'trivium.yaml')

interface Container {
  readonly name: string
  readonly command: readonly string[]
  readonly args: readonly string[]
  readonly env?: readonly Json[]
  readonly securityContext: Json
  readonly livenessProbe?: { readonly httpGet: Json }
  readonly volumeMounts: readonly { name: string; mountPath: string; mountPropagation?: string }[]
}

interface PodSpec {
  readonly hostNetwork: boolean
  readonly hostPID: boolean
  readonly priorityClassName: string
  readonly tolerations: readonly Json[]
  readonly initContainers: readonly Container[]
  readonly containers: readonly Container[]
  readonly volumes: readonly { name: string; hostPath: { path: string } }[]
}

function readManifest(): PodSpec {
  const documents = parseAllDocuments(readFileSync(MANIFEST, 'utf8'))
  const [document] = documents
  if (documents.length !== 1 || document === undefined) throw new Error('wanted one document')
  if (document.errors.length > 0) throw document.errors[0]
  const { kind, spec } = document.toJS() as Json & {
    spec: { selector: { matchLabels: Json }; template: { metadata: Json; spec: PodSpec } }
  }
  if (kind !== 'DaemonSet') throw new Error(`it is a ${kind}`)
  t.strictSame(spec.template.metadata['labels'], spec.selector.matchLabels, 'it selects itself')
  return spec.template.spec
}

/** Values of `Key=` in a unit, in order. */
const unitValues = (key: string): readonly string[] =>
  readFileSync(UNIT, 'utf8')
    .split('\n')
    .filter((line) => line.startsWith(`${key}=`))
    .map((line) => line.slice(key.length + 1))

/** What the kubelet and systemd put in the place of variables. */
const substituted = (word: string): string =>
  word.replace(/\$[({]NODE(_NAME)?[)}]/, 'n1').replace(/\$[({]UNDERLAY[)}]/, 'eth0')

t.test('the manifest', async (t) => {
  const pod = readManifest()
  t.match(pod, { hostNetwork: true, hostPID: true, priorityClassName: 'system-node-critical' })
  t.strictSame(pod.tolerations, [{ operator: 'Exists' }], 'every node')
  const [agent] = pod.containers
  const volumes = new Set(pod.volumes.map(({ name }) => name))
  for (const { name, volumeMounts } of [...pod.initContainers, ...pod.containers]) {
    for (const mount of volumeMounts) t.ok(volumes.has(mount.name), `${name}: ${mount.name}`)
  }
  for (const { name, hostPath } of pod.volumes) {
    const mounted = [...pod.initContainers, ...pod.containers].flatMap(({ volumeMounts }) =>
      volumeMounts.filter((mount) => mount.name === name),
    )
    t.ok(mounted.length > 0, `${name} is used`)
    // What install writes into configurations has to be the same path on the host.
    t.ok(
      mounted.every(({ mountPath }) => mountPath === hostPath.path),
      `${name}: the same path`,
    )
  }
  const netns = agent?.volumeMounts.find(({ mountPath }) => mountPath === '/run/netns')
  t.equal(netns?.mountPropagation, 'HostToContainer')
  const { host, port } = agent?.livenessProbe?.httpGet ?? {}
  t.ok(agent?.args.includes(`--metrics=${host}:${port}`), 'the probe asks where the page is')
})

t.test('the unit', async (t) => {
  t.strictSame(unitValues('RuntimeDirectoryMode'), ['0700'])
  t.strictSame(unitValues('RuntimeDirectoryPreserve'), ['yes'], 'node.json stays')
  const missing = existsSync('/usr/bin/systemd-analyze') ? false : 'no systemd-analyze'
  await t.test('systemd-analyze agrees', { skip: missing }, async (t) => {
    const dir = ownFolder(t)
    const program = join(dir, 'trivium')
    writeFileSync(program, '#!/bin/sh\n')
    chmodSync(program, 0o755)
    const copy = join(dir, 'trivium-agent.service')
    writeFileSync(copy, readFileSync(UNIT, 'utf8').replace('/opt/cni/bin/trivium', program))
    const { status, stderr } = await run(['systemd-analyze', 'verify', '--man=no', copy])
    const own = stderr.split('\n').filter((line) => line.includes('trivium-agent'))
    t.strictSame([status, own], [0, []])
  })
})

/** The image's root with every volume of the manifest, each a folder of the lab's. */
async function imageHost(t: Test, lab: Lab, pod: PodSpec): Promise<BareHost> {
  const root = join(lab.dir, 'image')
  await must([process.execPath, join(DEPLOY, 'image', 'rootfs.mjs'), root])
  const binds = pod.volumes
    .filter(({ hostPath }) => hostPath.path !== '/run/netns')
    .map(({ hostPath }) => [volume(lab, hostPath.path), hostPath.path] as const)
  // As DirectoryOrCreate leaves them.
  for (const [from] of binds) mkdirSync(from, { recursive: true, mode: 0o755 })
  const host = await mountedRoot(root, binds)
  t.teardown(() => host.destroy())
  return host
}

const volume = (lab: Lab, path: string): string => join(lab.dir, 'host', path)

async function addAndDelete(t: Test, lab: Lab, node: LabNode, agent: LabAgent): Promise<void> {
  const pod = await lab.addPod(node)
  const call = (verb: string) =>
    callPlugin({
      verb,
      nodeNetns: node.netns,
      binDir: volume(lab, '/opt/cni/bin'),
      config: pluginConfig(join(volume(lab, '/etc/cni/net.d'), '10-pods.conflist')),
      containerId: pod.containerId,
      netnsPath: pod.netnsPath,
      ifname: 'eth0',
      // The configuration's path is the host's own, which the lab only plays.
      env: { TRIVIUM_SOCKET: volume(lab, '/run/trivium/agent.sock') },
    })
  const [address = ''] = ipsOf(resultOf(await call('ADD')))
  t.ok((await ping(node.netns, address)).ok, 'the pod answers')
  t.equal((await call('DEL')).status, 0)
  t.equal(await callsLogged(agent, 2), 2, 'the agent served both')
}

t.test('their commands', { skip }, async (t) => {
  const lab = await createLab({ nodes: 1, trivium: builtCli() })
  t.teardown(() => lab.destroy())
  const [node] = lab.nodes
  if (node === undefined) throw new Error('There is no node')
  const pod = readManifest()
  const host = await imageHost(t, lab, pod)

  await t.test('the DaemonSet', async (t) => {
    const [[install], [container]] = [pod.initContainers, pod.containers]
    if (install === undefined || container === undefined) throw new Error('No containers')
    const command = [...install.command, ...install.args]
    const { status, stdout, stderr } = await run(host.command(node.netns, command))
    t.equal(status, 0, stderr)
    t.match(stdout, 'installed /etc/cni/net.d/10-pods.conflist')
    const words = [...container.command, ...container.args].map(substituted)
    const agent = await spawnAgent(host.command(node.netns, words))
    t.teardown(() => agent.kill())
    t.equal(statSync(volume(lab, '/run/trivium')).mode & 0o777, 0o700, 'tightened')
    await addAndDelete(t, lab, node, agent)
    const [, mode = ''] = /"metrics":"([^"]+)"/.exec(agent.log()) ?? []
    t.equal(mode, '127.0.0.1:9478')
    await agent.stop()
  })

  await t.test('the unit, with no more capabilities than it asks for', async (t) => {
    const [line = ''] = unitValues('ExecStart')
    const [granted = ''] = unitValues('CapabilityBoundingSet')
    const names = granted.split(' ').map((name) => `+${name.toLowerCase().replace('cap_', '')}`)
    const bounded = ['setpriv', `--bounding-set=-all,${names.join(',')},+sys_chroot`]
    const words = line.split(' ').map(substituted)
    const [nsenter, net, mnt, ...rest] = host.command(node.netns, words)
    const agent = await spawnAgent([nsenter ?? '', net ?? '', mnt ?? '', ...bounded, ...rest])
    t.teardown(() => agent.kill())
    const bounding = /CapBnd:\s+(\w+)/.exec(readFileSync(`/proc/${agent.pid}/status`, 'utf8'))?.[1]
    t.equal(BigInt(`0x${bounding}`).toString(2).replaceAll('0', '').length, names.length + 1)
    await addAndDelete(t, lab, node, agent)
    t.ok(existsSync(volume(lab, '/run/trivium/metrics.sock')))
    await agent.stop()
    t.ok(existsSync(volume(lab, '/run/trivium/node.json')), 'for calls without an agent')
  })
})
