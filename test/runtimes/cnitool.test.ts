/**
 * libcni as a runtime: cnitool runs ADD, CHECK and DEL in every version it
 * speaks. Its words are libcni's, so what is compared here is what each
 * runtime built on libcni gets.
 */
import { rmSync } from 'node:fs'
import t, { type Test } from 'tap'
import { compareDumps } from '../../src/lab/dump.ts'
import type { Finished } from '../../src/lab/exec.ts'
import { ping } from '../../src/lab/reach.ts'
import {
  type Cnitool,
  cnitoolOn,
  containerIdOf,
  type Result,
  skipCnitool,
} from '../support/cnitool.ts'
import type { Conflist } from '../support/conflists.ts'
import { cluster, type Json, snapshot, warm } from '../support/e2e.ts'

/** What libcni 1.1 knows. Source: containernetworking/cni pkg/version, All. */
const VERSIONS = ['0.1.0', '0.2.0', '0.3.0', '0.3.1', '0.4.0', '1.0.0'] as const
const HAVE_CHECK: readonly string[] = ['0.4.0', '1.0.0']

t.test('cnitool', { skip: skipCnitool }, async (t) => {
  const { lab, nodes } = await cluster(t, { nodes: 1 })
  const [node] = nodes
  if (node === undefined) throw new Error('a cluster has a node')
  await warm(lab)
  const tool = cnitoolOn(node, lab)
  const plugin = { type: 'trivium', store: lab.storeUrl, socket: node.socketPath }
  const list = (cniVersion: string, name = 'pods'): Conflist => ({
    cniVersion,
    name,
    plugins: [plugin],
  })
  const changed = async (before: readonly string[]): Promise<readonly string[]> =>
    compareDumps(before, await snapshot(lab))

  for (const cniVersion of VERSIONS) {
    await t.test(`a pod's life in ${cniVersion}`, async (t) => {
      tool.put(list(cniVersion))
      const pod = await lab.addPod(node)
      const before = await snapshot(lab)
      const result = printed(await tool.call('add', 'pods', pod))
      checkShape(t, result, cniVersion)
      t.strictSame(remembered(tool, 'pods', containerIdOf(pod)), result, 'libcni remembers it')
      for (const ip of addressesOf(result)) {
        t.ok((await ping(node.netns, ip)).ok, `the node reaches ${ip}`)
      }
      const checked = await tool.call('check', 'pods', pod)
      if (HAVE_CHECK.includes(cniVersion)) t.strictSame(checked, QUIET, 'CHECK passes')
      else
        t.match(checked.stderr, /does not support the CHECK command/, 'libcni itself refuses CHECK')
      t.strictSame(await tool.call('del', 'pods', pod), QUIET)
      t.equal(tool.cached().size, 0, 'libcni forgot it')
      t.strictSame(await changed(before), [], 'nothing is left')
      t.strictSame(await tool.call('del', 'pods', pod), QUIET, 'a second DEL')
      await lab.removePod(pod)
    })
  }

  await t.test('DEL after libcni lost its results', async (t) => {
    tool.put(list('1.0.0'))
    const pod = await lab.addPod(node)
    const before = await snapshot(lab)
    printed(await tool.call('add', 'pods', pod))
    rmSync(tool.resultDir, { recursive: true })
    t.strictSame(await tool.call('del', 'pods', pod), QUIET)
    t.strictSame(await changed(before), [], 'nothing is left')
  })

  await t.test('an error reads well as libcni prints it', async (t) => {
    tool.put(list('1.0.0'))
    tool.put(list('1.0.0', 'nowhere'))
    const pod = await lab.addPod(node)
    const before = await snapshot(lab)
    const unknown = await tool.call('add', 'nowhere', pod)
    t.equal(unknown.status, 1)
    t.equal(
      unknown.stderr,
      'plugin type="trivium" failed (add): Cannot find network nowhere in the store; Create it: trivium network create\n',
    )
    t.strictSame(await changed(before), [], 'a failed ADD changes nothing')

    printed(await tool.call('add', 'pods', pod))
    const held = await snapshot(lab)
    const again = await tool.call('add', 'pods', pod)
    t.match(
      again.stderr,
      /^plugin type="trivium" failed \(add\): Cannot add eth0 of .* DEL first\n$/,
    )
    t.strictSame(await changed(held), [], 'the first one is left alone')
    t.strictSame(await tool.call('del', 'pods', pod), QUIET)
    t.strictSame(await changed(before), [], 'nothing is left')
  })
})

const QUIET: Finished = { status: 0, stdout: '', stderr: '' }

function printed({ status, stdout, stderr }: Finished): Result {
  if (status !== 0) throw new Error(`The call failed: ${stderr.trim()}`)
  return JSON.parse(stdout) as Result
}

/** The one result in libcni's cache. */
function remembered(tool: Cnitool, network: string, containerId: string): unknown {
  const [[file, entry] = []] = tool.cached()
  if (file !== `${network}-${containerId}-eth0`) return `a file named ${file}`
  return (entry as Json)['result']
}

const addressesOf = ({ ips, ip4, ip6 }: Result): readonly string[] =>
  (ips?.map(({ address }) => address) ?? [ip4?.ip ?? '', ip6?.ip ?? '']).map(
    (address) => address.split('/')[0] ?? '',
  )

/** The fields of each version. Source: CNI specification of that version, "Result". */
function checkShape(t: Test, result: Result, cniVersion: string): void {
  t.equal(result.cniVersion, cniVersion)
  if (cniVersion < '0.3.0') {
    t.match(result, {
      ip4: { ip: /^10\.42\.\d+\.\d+\/32$/, gateway: '169.254.1.1', routes: [{ dst: '0.0.0.0/0' }] },
      ip6: { ip: /^fd42::\w+\/128$/, gateway: 'fe80::1', routes: [{ dst: '::/0' }] },
    })
    t.notOk(result.interfaces, 'no interfaces')
    return
  }
  t.match(result.interfaces, [
    { name: /^trv/, mac: /^02:/, sandbox: undefined },
    { name: 'eth0', mac: /^02:/, sandbox: /^\/run\/netns\// },
  ])
  const version = cniVersion < '1.0.0'
  t.match(result.ips, [
    { interface: 1, address: /^10\.42\./, ...(version ? { version: '4' } : {}) },
    { interface: 1, address: /^fd42::/, ...(version ? { version: '6' } : {}) },
  ])
  t.match(result.routes, [{ dst: '0.0.0.0/0', gw: '169.254.1.1' }, { dst: '::/0' }])
}
