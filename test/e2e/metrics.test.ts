/**
 * The agent's metrics as a scraper sees them, held against what happened.
 */
import { existsSync, statSync, writeFileSync } from 'node:fs'
import { createServer, get, type IncomingMessage, request } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { inNetns, run } from '../../src/lab/exec.ts'
import type { Lab, LabAgent, LabNode } from '../../src/lab/lab.ts'
import { parseMetricsAddress, serveMetrics } from '../../src/live/metrics-server.ts'
import { added, cli, cluster, ip, ownRoutes, settle, skip, usage } from '../support/e2e.ts'

interface Answer {
  readonly status: number
  readonly type: string
  readonly text: string
}

async function answerOf(response: IncomingMessage): Promise<Answer> {
  let text = ''
  for await (const chunk of response) text += chunk
  const { statusCode: status = 0, headers } = response
  return { status, type: headers['content-type'] ?? '', text }
}

function ask(socketPath: string, path = '/metrics', method = 'GET'): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asking = request({ socketPath, path, method }, (response) => resolve(answerOf(response)))
    asking.on('error', reject)
    asking.end()
  })
}

/** Samples by name and labels, as they are written. */
const samplesOf = (page: string): ReadonlyMap<string, number> =>
  new Map(
    page
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line) => {
        const at = line.lastIndexOf(' ')
        return [line.slice(0, at), Number(line.slice(at + 1))]
      }),
  )

interface Place {
  readonly lab: Lab
  readonly node: LabNode
  readonly agent: LabAgent
  readonly path: string
  /** The page's samples now. */
  scrape(): Promise<ReadonlyMap<string, number>>
}

async function place(t: Test): Promise<Place> {
  const { lab, nodes } = await cluster(t, { nodes: 1, agents: false })
  const [node] = nodes
  if (node === undefined) throw new Error('There is no node')
  const path = join(lab.dir, 'n1', 'run', 'metrics.sock')
  const agent = await lab.startAgent(node, '--metrics', `unix:${path}`)
  const scrape = async () => samplesOf((await ask(path)).text)
  return { lab, node, agent, path, scrape }
}

t.test('what is counted', { skip }, async (t) => {
  const { lab, node, agent, path, scrape } = await place(t)

  await t.test('calls', async (t) => {
    const pod = await lab.addPod(node)
    await added(lab, pod, {}, { CNI_ARGS: 'K8S_POD_NAMESPACE=shop;K8S_POD_NAME=cart-0' })
    t.equal((await lab.cni('ADD', pod)).status, 1)
    const wrong = await lab.cni('DANCE', pod)
    const other = await lab.addPod(node)
    await added(lab, other)
    t.equal((await lab.cni('DEL', other)).status, 0)
    const count = (samples: ReadonlyMap<string, number>): readonly unknown[] => [
      samples.get('trivium_cni_requests_total{verb="ADD",code="0"}'),
      samples.get('trivium_cni_requests_total{verb="ADD",code="100"}'),
      samples.get('trivium_cni_requests_total{verb="DEL",code="0"}'),
      samples.get(
        `trivium_cni_requests_total{verb="other",code="${JSON.parse(wrong.stdout).code}"}`,
      ),
      samples.get('trivium_cni_request_duration_seconds_count{verb="ADD"}'),
      samples.get('trivium_cni_step_duration_seconds_count{verb="ADD",step="pair"}'),
      samples.get('trivium_cni_step_duration_seconds_count{verb="DEL",step="unlink"}'),
    ]
    // Counted after the answer is on its way.
    const expected = [2, 1, 1, 1, 3, 2, 1]
    await settle(async () =>
      String(count(await scrape())) === String(expected) ? [] : ['not yet'],
    )
    t.strictSame(count(await scrape()), expected)
    const { text, type } = await ask(path)
    t.equal(type, 'text/plain; version=0.0.4; charset=utf-8')
    t.notMatch(text, /cart|shop|eth0|10\.42/, 'no label names a pod or an address')
    const inside = Number(
      samplesOf(text).get('trivium_cni_request_duration_seconds_sum{verb="ADD"}'),
    )
    const steps = [...samplesOf(text)].filter(([name]) =>
      name.startsWith('trivium_cni_step_duration_seconds_sum{verb="ADD"'),
    )
    const sum = steps.reduce((total, [, value]) => total + value, 0)
    t.ok(inside > 0 && Math.abs(sum - inside) < 1e-6, 'the steps make up the whole')
  })

  await t.test('addresses', async (t) => {
    const samples = await scrape()
    const rows = (await usage(lab)).filter(({ grouping }) => grouping === 'Block')
    for (const [family, isOurs, size] of [
      ['ipv4', (cidr: string) => !cidr.includes(':'), 64],
      ['ipv6', (cidr: string) => cidr.includes(':'), 64],
    ] as const) {
      const blocks = rows.filter(({ cidr }) => isOurs(cidr))
      const state = (name: string) =>
        Number(samples.get(`trivium_addresses{network="pods",family="${family}",state="${name}"}`))
      const inUse = blocks.reduce((total, { ipsInUse }) => total + ipsInUse, 0)
      t.equal(state('used'), inUse, `${family}: as ipam show has it`)
      t.equal(samples.get(`trivium_blocks{network="pods",family="${family}"}`), blocks.length)
      const whole = state('free') + state('used') + state('reserved')
      t.equal(whole, blocks.length * size, `${family}: every address is in one state`)
    }
  })

  await t.test('repairs and conflicts', async (t) => {
    const dst = (await ownRoutes(node)).map((route) => String(route['dst']))[0] ?? ''
    const repaired = 'trivium_kernel_operations_total{object="route",action="add",cause="repair"}'
    t.equal((await scrape()).get(repaired), undefined, 'nothing to put right so far')
    await ip(node.netns, 'route', 'del', 'blackhole', dst)
    await settle(async () => ((await scrape()).has(repaired) ? [] : ['no repair']))
    t.equal((await scrape()).get(repaired), 1)
    await ip(node.netns, 'route', 'replace', 'blackhole', dst, 'proto', 'static')
    const conflict = 'trivium_conflicts_total{object="route"}'
    await settle(async () => ((await scrape()).has(conflict) ? [] : ['no conflict']))
    t.equal((await scrape()).get(conflict), 1)
    await ip(node.netns, 'route', 'del', 'blackhole', dst)
  })

  await t.test('the agent itself', async (t) => {
    const look = 'trivium_round_duration_seconds_count{kind="look"}'
    // A pod of this node's own that comes alone leaves nothing to do.
    const pod = await lab.addPod(node)
    const left = await settle(async () => {
      await added(lab, pod)
      await lab.cni('DEL', pod)
      return (await scrape()).has(look) ? [] : ['no look']
    })
    t.strictSame(left, [])
    const samples = await scrape()
    const at = (name: string): number => samples.get(name) ?? Number.NaN
    t.ok(at('trivium_round_duration_seconds_count{kind="whole"}') > 0, 'whole rounds')
    t.ok(at('trivium_store_transaction_duration_seconds_count{outcome="committed"}') > 3)
    const stretch = at('trivium_event_loop_stretch_max_seconds')
    t.ok(stretch >= 0 && stretch < 60, `longest stretch ${stretch} s`)
    t.ok(at('process_resident_memory_bytes') > 1e6)
    t.ok(Math.abs(at('process_start_time_seconds') - Date.now() / 1000) < 600)
    t.ok([...samples.keys()].some((name) => name.startsWith('trivium_build_info{version="')))
  })

  await t.test('promtool agrees', { skip: promtoolMissing() }, async (t) => {
    const { text } = await ask(path)
    const { status, stderr } = await run(['promtool', 'check', 'metrics'], { input: text })
    t.equal(status, 0, stderr)
  })

  await t.test('who may ask, and what', async (t) => {
    t.equal(statSync(path).mode & 0o777, 0o600)
    t.equal((await ask(path, '/')).status, 404)
    t.equal((await ask(path, '/metrics/../x')).status, 404)
    t.equal((await ask(path, '/metrics', 'POST')).status, 405)
    t.equal((await ask(path, `/metrics?${'x'.repeat(10_000)}`)).status, 431)
    await agent.stop()
    t.notOk(existsSync(path), 'the socket goes with the agent')
  })
})

const promtoolMissing = (): string | false =>
  existsSync('/usr/bin/promtool') ? false : 'no promtool (Debian: prometheus)'

t.test('on a port', { skip }, async (t) => {
  const { lab, nodes } = await cluster(t, { nodes: 1, agents: false })
  const [node] = nodes
  if (node === undefined) throw new Error('There is no node')
  const agent = await lab.startAgent(node, '--metrics', '127.0.0.1:0')
  const [, address = ''] = /"metrics":"([^"]+)"/.exec(agent.log()) ?? []
  const script = `require('http').get('http://${address}/metrics', (r) => r.pipe(process.stdout))`
  const page = await run(inNetns(node.netns, [process.execPath, '-e', script]))
  t.match(page.stdout, /^trivium_build_info\{/m, `at ${address}`)
  const listening = await run(inNetns(node.netns, ['ss', '-Hltn']))
  t.match(listening.stdout.trim().split('\n'), [address], 'and nowhere else')
  await agent.stop()

  const taken = join(lab.dir, 'taken')
  writeFileSync(taken, '')
  const without = await lab.startAgent(node, '--metrics', `unix:${taken}`)
  t.match(without.log(), /"event":"metrics","reason":"Cannot serve on .*no socket/)
  await added(lab, await lab.addPod(node))
  await without.stop()
  t.ok(statSync(taken).isFile(), 'an agent that cannot serve the page serves pods')

  const wrong = await cli('agent', '--node', 'n1', '--underlay', 'eth0', '--metrics', 'eth0:9478')
  t.equal(wrong.status, 2)
  t.match(wrong.stderr, 'wanted ADDRESS:PORT, [IPV6]:PORT or unix:/PATH')
})

t.test('a slow reader is shown the door', async (t) => {
  const server = await serveMetrics(
    { kind: 'tcp', host: '127.0.0.1', port: 0 },
    () => 'x'.repeat(50_000_000),
    { exchangeMs: 300 },
  )
  t.teardown(() => server.close())
  const [host = '', port = ''] = server.address.split(':')
  const silent = connect(Number(port), host)
  const slow = connect(Number(port), host, () =>
    slow.write('GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n'),
  )
  slow.pause()
  const ended = (socket: typeof slow): Promise<void> =>
    new Promise((resolve) => {
      socket.on('error', () => {})
      socket.once('close', () => resolve())
      // A paused socket hears of the end only once it reads.
      setTimeout(() => socket.resume(), 1500)
    })
  await Promise.all([ended(silent), ended(slow)])
  t.pass('both are closed')
  const page = await new Promise<IncomingMessage>((resolve) => {
    get(`http://${server.address}/metrics`, resolve)
  })
  t.equal(page.statusCode, 200, 'the next one is served')
  page.destroy()
})

t.test('addresses', async (t) => {
  const unix = { kind: 'unix', path: '/run/trivium/metrics.sock' }
  t.strictSame(parseMetricsAddress('unix:/run/trivium/metrics.sock'), unix)
  t.strictSame(parseMetricsAddress('[::1]:9478'), { kind: 'tcp', host: '::1', port: 9478 })
  for (const text of [
    '9478',
    ':9478',
    'localhost:9478',
    '::1:9478',
    '[127.0.0.1]:1',
    '1.2.3.4:65536',
    'unix:x',
    '',
  ]) {
    t.throws(() => parseMetricsAddress(text), { code: 'USAGE' }, JSON.stringify(text))
  }
  const blocker = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => blocker.once('listening', resolve))
  const { port } = blocker.address() as { port: number }
  const where = { kind: 'tcp', host: '127.0.0.1', port } as const
  const message = new RegExp(`Cannot serve metrics on 127.0.0.1:${port}: .*EADDRINUSE`)
  await t.rejects(
    serveMetrics(where, () => ''),
    { message },
  )
  blocker.close()
})
