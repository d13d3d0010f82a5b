/** `trivium ipam check`, `repair` and `release` on a living node, while pods come and go. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { type Finished, inNetns, run } from '../../src/lab/exec.ts'
import type { Lab, LabNode } from '../../src/lab/lab.ts'
import { ping } from '../../src/lab/reach.ts'
import { added, cluster, inUse, ip, ipJson, ipsOf, skip, TRIVIUM } from '../support/e2e.ts'

interface Found {
  readonly code: string
  readonly subject: string
}

t.test('trivium ipam check', { skip }, async (t) => {
  const { lab, agents } = await cluster(t, { nodes: 1, pools: ['10.42.0.0/16'] })
  const [node] = lab.nodes
  if (node === undefined) throw new Error('there is a node')
  const ipam = (...args: readonly string[]): Promise<Finished> => ipamOn(lab, node, args)
  const found = async (): Promise<readonly string[]> => {
    const { stdout } = await ipam('check', '-o', 'json')
    return (JSON.parse(stdout) as Found[]).map(({ code, subject }) => `${code} ${subject}`)
  }
  const [kept, cut, lost] = [await lab.addPod(node), await lab.addPod(node), await lab.addPod(node)]
  const living = await added(lab, kept)
  await added(lab, cut)
  await added(lab, lost)

  await t.test('a node that is well', async (t) => {
    const { status, stdout } = await ipam('check')
    t.strictSame([status, stdout], [0, 'nothing is wrong (node n1)\n'])
  })
  const folder = mkdtempSync(join(tmpdir(), 'trv-check-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const report = join(folder, 'report.json')
  const links = await hostLinks(node)
  await lab.removePod(lost)
  t.equal(links.length, 3, 'three pods have links')

  await t.test('a link deleted by hand, a pod that ended without DEL', async (t) => {
    await ip(node.netns, 'link', 'delete', await linkOf(node, cut.containerId))
    const expected = [
      `record-without-link eth0 of container ${cut.containerId}`,
      `namespace-gone eth0 of container ${lost.containerId}`,
    ].sort()
    t.strictSame([...(await found())].sort(), expected)
    const { status, stdout } = await ipam('check', '--report', report)
    t.equal(status, 1)
    aligned(t, stdout)
    t.equal((JSON.parse(readFileSync(report, 'utf8')) as { findings: [] }).findings.length, 2)
  })
  await t.test('in another namespace there is no answer', async (t) => {
    const mine = ipsOf(living)[0] ?? ''
    const release = ['release', '--ip', mine, '--yes']
    for (const [verb = '', ...more] of [['check'], ['repair', '--yes'], release]) {
      const place = ['--store', lab.storeUrl, '--node', node.name, '--socket', node.socketPath]
      const command = [...TRIVIUM, 'ipam', verb, ...more, ...place]
      const asked = await run(inNetns(kept.netns, command))
      t.equal(asked.status, verb === 'check' ? 2 : 1)
      t.match(asked.stderr, /Cannot look at node n1: none of .* is an address here/)
    }
    t.equal(await inUse(lab), 3)
  })
  await t.test('without --yes and a terminal nothing happens', async (t) => {
    const { status, stderr } = await ipam('repair')
    t.equal(status, 2)
    t.match(stderr, /DO +WITH[\s\S]*Cannot ask/)
    t.equal(await inUse(lab), 3)
  })
  await t.test('a living pod keeps its address', async (t) => {
    const { status, stdout } = await ipam('release', '--ip', ipsOf(living)[0] ?? '', '--yes')
    t.equal(status, 1)
    t.match(stdout, /^refused +release +.*may live/m)
    t.equal(await inUse(lab), 3)
  })
  await t.test('repair mends it while ADD and DEL go on', async (t) => {
    const others = await Promise.all(Array.from({ length: 4 }, () => lab.addPod(node)))
    const [mended] = await Promise.all([
      ipam('repair', '--yes', '-o', 'json'),
      ...others.map((pod) => added(lab, pod)),
    ])
    t.equal(mended.status, 0)
    t.equal((JSON.parse(mended.stdout) as []).length, 2, 'two leaks, no pod that was coming')
    t.equal(await inUse(lab), 5)
    t.strictSame(await found(), [])
    await Promise.all(others.map((pod) => lab.cni('DEL', pod)))
    t.equal(await inUse(lab), 1)
  })
  await t.test('the report is old by now', async (t) => {
    await lab.cni('DEL', cut)
    await added(lab, cut)
    const again = await inUse(lab)
    const { status, stdout } = await ipam('release', '--from-report', report, '--yes')
    t.equal(status, 1)
    t.match(stdout, /^stale .*made again, number/m)
    t.equal(await inUse(lab), again)
  })
  await t.test('a link without a record, and nobody to remove it', async (t) => {
    await Promise.all(agents.map((agent) => agent.stop()))
    const alias = 'trivium pods c0ffee eth0 7'
    await ip(node.netns, 'link', 'add', 'trv0123456789a', 'type', 'veth', 'peer', 'name', 'x0')
    await ip(node.netns, 'link', 'set', 'trv0123456789a', 'alias', alias)
    t.strictSame(await found(), ['link-without-record link trv0123456789a'])
    t.equal((await ipam('repair', '--yes')).status, 0)
    t.notOk((await hostLinks(node)).includes('trv0123456789a'))
  })
  t.ok((await ping(node.netns, ipsOf(living)[0] ?? '')).ok, 'the pod that stayed still answers')
})

function ipamOn(lab: Lab, node: LabNode, args: readonly string[]): Promise<Finished> {
  const place = args[0] === 'show' ? [] : ['--socket', node.socketPath, '--node', node.name]
  return run(inNetns(node.netns, [...TRIVIUM, 'ipam', ...args, '--store', lab.storeUrl, ...place]))
}

async function hostLinks({ netns }: LabNode): Promise<readonly string[]> {
  const links = await ipJson(netns, 'link', 'show')
  return links.map(({ ifname }) => String(ifname)).filter((name) => /^trv[0-9a-f]{11}$/.test(name))
}

async function linkOf({ netns }: LabNode, containerId: string): Promise<string> {
  const links = await ipJson(netns, 'link', 'show')
  const link = links.find(({ ifalias }) => String(ifalias).includes(` ${containerId} `))
  return String(link?.['ifname'])
}

/** Every column begins at one place in every line. */
function aligned(t: Test, table: string): void {
  const [title = '', ...lines] = table.trimEnd().split('\n')
  const starts = [...title.matchAll(/(?<=^| {2})[A-Z]/g)].map(({ index }) => index)
  t.equal(starts.length, 6, title)
  for (const line of lines) {
    for (const start of starts)
      t.match(line.slice(Math.max(0, start - 1), start + 1), /^ ?\S$/, line)
  }
}
