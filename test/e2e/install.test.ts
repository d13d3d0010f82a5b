/**
 * Installing: what comes into place, that it needs nothing else afterwards,
 * and that it goes again without a trace.
 */
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  watch,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { pluginConfig } from '../../src/lab/cni.ts'
import { type Finished, inNetns, run } from '../../src/lab/exec.ts'
import { createLab, type Lab, type LabNode, type LabPod } from '../../src/lab/lab.ts'
import { ping } from '../../src/lab/reach.ts'
import {
  added,
  builtCli,
  callsLogged,
  cli,
  DIST,
  ipsOf,
  resultOf,
  skip,
  sleep,
} from '../support/e2e.ts'

interface Place {
  readonly lab: Lab
  readonly node: LabNode
  /** Runs an installation from another copy of dist. */
  install(dist: string, ...args: readonly string[]): Promise<Finished>
}

async function place(t: Test): Promise<Place> {
  const lab = await createLab({ nodes: 1, trivium: builtCli() })
  t.teardown(() => lab.destroy())
  const [node] = lab.nodes
  if (node === undefined) throw new Error('There is no node')
  const where = ['--bin-dir', node.binDir, '--conf-dir', node.confDir]
  const install: Place['install'] = (dist, ...args) => {
    const own = [...where, '--store', lab.storeUrl, '--socket', node.socketPath]
    return run([process.execPath, join(dist, 'cli.cjs'), 'install', ...own, ...args])
  }
  return { lab, node, install }
}

/** All files below a folder with their sizes, links not followed. */
const tree = (dir: string): readonly string[] =>
  readdirSync(dir, { recursive: true, encoding: 'utf8' })
    .map((path) => {
      const { size, mode } = statSync(join(dir, path))
      return `${path} ${mode.toString(8)} ${statSync(join(dir, path)).isDirectory() ? '' : size}`
    })
    .sort()

/** Calls the plugin with no PATH to search. */
function pathless(verb: string, pod: LabPod, more: readonly string[] = []): Promise<Finished> {
  const { node, containerId, netnsPath } = pod
  const variables = [
    'PATH=',
    `CNI_COMMAND=${verb}`,
    `CNI_CONTAINERID=${containerId}`,
    `CNI_NETNS=${netnsPath}`,
    'CNI_IFNAME=eth0',
    `CNI_PATH=${node.binDir}`,
    ...more,
  ]
  const input = JSON.stringify(pluginConfig(join(node.confDir, '10-pods.conflist')))
  const plugin = join(node.binDir, 'trivium')
  return run(inNetns(node.netns, ['env', '-i', ...variables, plugin]), { input })
}

t.test('the checkout goes away after the installation', { skip }, async (t) => {
  const { lab, node, install } = await place(t)
  const copy = join(lab.dir, 'checkout', 'dist')
  cpSync(DIST, copy, { recursive: true })
  const { status, stderr } = await install(copy, '--pool', '10.42.0.0/16')
  t.equal(status, 0, stderr)
  rmSync(join(lab.dir, 'checkout'), { recursive: true })

  const agent = await lab.startAgent(node)
  t.teardown(() => agent.stop())
  for (const [title, env] of [
    ['launcher and agent', []],
    ['Node entry', ['TRIVIUM_NO_AGENT=1']],
  ] as const) {
    const pod = await lab.addPod(node)
    const result = resultOf(await pathless('ADD', pod, env))
    t.ok((await ping(node.netns, ipsOf(result)[0] ?? '')).ok, `${title}: ADD with an empty PATH`)
    t.equal((await pathless('DEL', pod, env)).status, 0, `${title}: DEL`)
  }
  const show = await run(
    [join(node.binDir, 'trivium'), 'network', 'show', '--store', lab.storeUrl],
    {
      env: { PATH: '' },
    },
  )
  t.match(show.stdout, /pods +vxlan +10\.42\.0\.0\/16/, 'the command line is the same executable')
})

t.test('the conflist', { skip }, async (t) => {
  const { lab, node, install } = await place(t)
  mkdirSync(node.confDir, { recursive: true })
  const seen: string[] = []
  const watcher = watch(node.confDir, (_event, name) => {
    if (!String(name).endsWith('.conflist')) return
    try {
      seen.push(readFileSync(join(node.confDir, String(name)), 'utf8'))
    } catch {
      // removed again by now
    }
  })
  t.teardown(() => watcher.close())
  for (const time of ['first', 'second']) {
    const { status, stderr } = await install(DIST, '--mode', 'route', '--pool', '10.42.0.0/16')
    t.equal(status, 0, `${time}: ${stderr}`)
  }
  const text = readFileSync(join(node.confDir, '10-pods.conflist'), 'utf8')
  t.match(JSON.parse(text), {
    cniVersion: '1.0.0',
    cniVersions: ['0.4.0', '1.0.0', '1.1.0'],
    name: 'pods',
    plugins: [{ type: 'trivium', store: lab.storeUrl, socket: node.socketPath }],
  })
  t.ok(seen.length > 0, `${seen.length} sightings`)
  t.ok(
    seen.every((each) => each === text),
    'nobody ever saw a part of it',
  )
  t.strictSame(readdirSync(node.confDir), ['10-pods.conflist'], 'nothing else is left there')
  const names = readdirSync(node.binDir).sort()
  t.strictSame(names.slice(-2), ['trivium', 'trivium-ipam'])
  const [link = '', ...trees] = names.slice(0, -2)
  t.equal(link, '.trivium')
  t.equal(trees.length, 2, 'the tree, and the one before for calls that load from it')
  t.ok(trees.includes(readlinkSync(join(node.binDir, link))))
})

t.test('a contradiction is refused', { skip }, async (t) => {
  const { lab, node, install } = await place(t)
  t.equal((await install(DIST, '--mode', 'route', '--pool', '10.42.0.0/16')).status, 0)
  writeFileSync(join(node.confDir, '10-pods.conflist'), '{"by": "hand"}')
  const state = async (): Promise<unknown> => [
    tree(node.binDir),
    tree(node.confDir),
    readFileSync(join(node.confDir, '10-pods.conflist'), 'utf8'),
    await lab.trivium('network', 'show', '-o', 'json', '--store', lab.storeUrl),
  ]
  const before = await state()
  for (const [args, says] of [
    [['--mode', 'vxlan'], /network pods.*mode route.*vxlan/],
    [['--pool', '10.43.0.0/16'], /network pods.*10\.42\.0\.0\/16.*10\.43\.0\.0\/16/],
    [['--pool', '10.42.0.0/16', '--pool', 'fd42::/112'], /network pods.*pools/],
    [['--mtu', '1400'], /network pods.*mtu/i],
    [['--vni', '7'], /network pods.*vni/i],
    [['--pool', '10.42.0.0/16,block=28'], /network pods.*(block|pools)/],
  ] as const) {
    const { status, stderr } = await install(DIST, ...args)
    t.equal(status, 1, args.join(' '))
    t.match(stderr, says)
    t.strictSame(await state(), before, `${args.join(' ')}: nothing has changed`)
  }
  const same = await install(DIST, '--mode', 'route', '--pool', '10.42.0.0/16')
  t.equal(same.status, 0, 'the same again is no contradiction')
})

t.test('an upgrade while a pod runs', { skip }, async (t) => {
  const { lab, node, install } = await place(t)
  t.equal((await install(DIST, '--pool', '10.42.0.0/16')).status, 0)
  let agent = await lab.startAgent(node)
  const pod = await lab.addPod(node)
  const result = await added(lab, pod)
  const address = ipsOf(result)[0] ?? ''
  const pinging = run(inNetns(node.netns, ['ping', '-nq', '-i', '0.02', '-c', '100', address]))
  // Calls go on while files are swapped under them.
  const calls = [1, 2, 3, 4].map(async () => {
    const other = await lab.addPod(node)
    await added(lab, other)
    return (await lab.cni('DEL', other)).status
  })
  // Without the agent each call loads Node and the bundle from the tree.
  const alone = [1, 2, 3, 4, 5, 6].map(async (nth) => {
    const other = await lab.addPod(node)
    await sleep(nth * 100)
    await added(lab, other, {}, { TRIVIUM_NO_AGENT: '1' })
    return (await lab.cni('DEL', other, {}, { TRIVIUM_NO_AGENT: '1' })).status
  })
  const [upgraded, ...statuses] = await Promise.all([install(DIST), ...calls, ...alone])
  t.equal(upgraded.status, 0)
  t.ok(statuses.length === 10 && statuses.every((status) => status === 0), 'calls meanwhile')
  await agent.stop()
  agent = await lab.startAgent(node)
  t.match((await pinging).stdout, /100 packets transmitted, 100 received/, 'the pod lost nothing')
  t.equal((await lab.cni('CHECK', pod, { prevResult: result })).status, 0)
  t.equal((await lab.cni('DEL', pod)).status, 0)
  await agent.stop()
})

t.test('uninstall', { skip }, async (t) => {
  const { lab, node, install } = await place(t)
  mkdirSync(node.binDir, { recursive: true })
  mkdirSync(node.confDir, { recursive: true })
  writeFileSync(join(node.binDir, 'bridge'), 'another plugin', { mode: 0o755 })
  writeFileSync(join(node.confDir, '99-other.conflist'), '{}')
  const before = [tree(node.binDir), tree(node.confDir)]
  t.equal((await install(DIST, '--pool', '10.42.0.0/16')).status, 0)
  const where = ['--bin-dir', node.binDir, '--conf-dir', node.confDir]
  const printed = await lab.trivium('uninstall', ...where)
  t.match(printed, join(node.binDir, 'trivium'), 'says what it removed')
  t.strictSame([tree(node.binDir), tree(node.confDir)], before, 'all of ours, nothing else')
  t.match(await lab.trivium('network', 'show', '--store', lab.storeUrl), 'pods', 'the store stays')
  t.match(await lab.trivium('uninstall', ...where), 'nothing to remove', 'twice is fine')
})

t.test('uninstall where nothing was before', { skip }, async (t) => {
  const { lab, node } = await place(t)
  const root = join(lab.dir, 'host')
  const [binDir, confDir] = [join(root, 'opt', 'cni', 'bin'), join(root, 'etc', 'cni', 'net.d')]
  mkdirSync(join(root, 'etc'), { recursive: true })
  const before = tree(root)
  const where = ['--bin-dir', binDir, '--conf-dir', confDir]
  const more = ['--store', lab.storeUrl, '--socket', node.socketPath]
  for (const name of ['pods', 'others', 'others']) {
    await lab.trivium(
      'install',
      ...where,
      ...more,
      '--name',
      name,
      '--pool',
      `10.4${name.length}.0.0/16`,
    )
  }
  t.strictSame(readdirSync(confDir), ['10-others.conflist', '10-pods.conflist'])
  t.equal(readdirSync(binDir).length, 5, 'the tree before, but not the one before that')
  await lab.trivium('uninstall', ...where)
  t.strictSame(tree(root), before, 'both networks and the directories are gone')
})

t.test('uninstall while pods are attached', { skip }, async (t) => {
  const { lab, node, install } = await place(t)
  t.equal((await install(DIST, '--pool', '10.42.0.0/16')).status, 0)
  const agent = await lab.startAgent(node)
  const pod = await lab.addPod(node)
  await added(lab, pod, {}, { CNI_ARGS: 'K8S_POD_NAMESPACE=shop;K8S_POD_NAME=cart-0' })
  await agent.stop()
  const before = [tree(node.binDir), tree(node.confDir)]
  const where = ['--bin-dir', node.binDir, '--conf-dir', node.confDir]
  const refused = await cli('uninstall', ...where)
  t.equal(refused.status, 1)
  t.match(refused.stderr, /1 pod of node n1 attached, e\.g\. shop\/cart-0 to network pods/)
  t.match(refused.stderr, '--force')
  t.strictSame([tree(node.binDir), tree(node.confDir)], before, 'nothing is removed')
  const forced = await cli('uninstall', ...where, '--force')
  t.equal(forced.status, 0, forced.stderr)
  t.notOk(existsSync(node.confDir))

  t.equal((await install(DIST)).status, 0)
  t.equal((await lab.cni('DEL', pod)).status, 0, 'installed again, DEL finds it')
  t.equal((await cli('uninstall', ...where)).status, 0, 'no pods, no refusal')
})

t.test('built without a compiler', { skip }, async (t) => {
  const { lab, node, install } = await place(t)
  const copy = join(lab.dir, 'dist')
  cpSync(DIST, copy, { recursive: true })
  rmSync(join(copy, 'launcher'), { force: true })
  t.equal((await install(copy, '--pool', '10.42.0.0/16')).status, 0)
  rmSync(copy, { recursive: true })
  t.match(readFileSync(join(node.binDir, 'trivium'), 'latin1').slice(0, 2), '#!', 'a script')
  let agent = await lab.startAgent(node)

  const pod = await lab.addPod(node)
  const result = resultOf(await pathless('ADD', pod))
  t.equal(await callsLogged(agent, 1), 1, 'it asks the agent')
  t.ok((await ping(node.netns, ipsOf(result)[0] ?? '')).ok)
  const version = await lab.cni('VERSION', pod)
  t.match(resultOf(version), { cniVersion: '1.0.0' })
  await agent.stop()
  t.notOk(existsSync(node.socketPath))
  const alone = await lab.addPod(node)
  await added(lab, alone)
  t.pass('ADD without the agent')
  for (const each of [pod, alone]) t.equal((await lab.cni('DEL', each)).status, 0)
  const ipam = await run([join(node.binDir, 'trivium'), 'ipam', 'show', '--store', lab.storeUrl])
  t.match(ipam.stdout, /10\.42\.0\.0\/16/, 'with arguments it is the command line')
  agent = await lab.startAgent(node)
  await agent.stop()
})
