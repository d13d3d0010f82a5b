/**
 * The chain that docs/chains.md shows: host ports and rate limits by traffic, and
 * whole dumps, those of iptables and tc among them, when all is deleted.
 */
import t, { type Test } from 'tap'
import { compareDumps } from '../../src/lab/dump.ts'
import { inNetns, must } from '../../src/lab/exec.ts'
import type { LabNode, LabPod } from '../../src/lab/lab.ts'
import { type CallOptions, type Cnitool, cnitoolOn, skipChains } from '../support/cnitool.ts'
import { shownConflist } from '../support/conflists.ts'
import {
  cluster,
  dumps,
  inUse,
  ipJson,
  ipsOf,
  type Result,
  resultOf,
  warm,
} from '../support/e2e.ts'
import { type Call, probe } from '../support/probe.ts'

const [HOST_PORT, POD_PORT] = [8080, 80]
const MAPPED: CallOptions = {
  capabilities: {
    portMappings: ['tcp', 'udp'].map((protocol) => ({
      hostPort: HOST_PORT,
      containerPort: POD_PORT,
      protocol,
    })),
  },
}

/** Low enough for a machine with much else to do, and quick to measure. */
const RATE = { ingressRate: 8_000_000, egressRate: 4_000_000 }
const LIMITED: CallOptions = {
  capabilities: { bandwidth: { ...RATE, ingressBurst: 400_000, egressBurst: 400_000 } },
}

/**
 * CHECK is called with limits and without ports: Debian's bandwidth 1.1.1
 * panics over a pod without limits, and its portmap looks for the IPv4 rules of
 * a dual-stack pod in ip6tables.
 */
const BOTH: CallOptions = { capabilities: { ...MAPPED.capabilities, ...LIMITED.capabilities } }

t.test('the chain of docs/chains.md', { skip: skipChains }, async (t) => {
  const { lab, nodes } = await cluster(t)
  const [n1, n2] = nodes
  if (n1 === undefined || n2 === undefined) throw new Error('a cluster has two nodes')
  await warm(lab)
  const tool = cnitoolOn(n1, lab)
  tool.put(shownConflist('pods', { storeUrl: lab.storeUrl, socketPath: n1.socketPath }))
  const add = async (pod: LabPod, options: CallOptions): Promise<Result> =>
    resultOf(await tool.call('add', 'pods', pod, options))

  await t.test('what stays after the first pod is no part of a pod', async (t) => {
    const before = await everything(n1)
    const pod = await lab.addPod(n1)
    const result = await add(pod, MAPPED)
    await deleted(t, tool, pod, MAPPED)
    const left = compareDumps(before, await everything(n1))
    const [v4 = '', v6 = ''] = ipsOf(result)
    const traces = [v4, v6, 'trv', String(HOST_PORT), 'cnitool']
    t.strictSame(
      left.filter((line) => traces.some((trace) => line.includes(trace))),
      [],
      'base chains only',
    )
  })

  // From here on the plugins' base chains stand.
  const before = await everything(n1)
  const used = await inUse(lab)
  const [server, other, far] = [await lab.addPod(n1), await lab.addPod(n1), await lab.addPod(n2)]
  const result = await add(server, BOTH)
  const [v4 = '', v6 = ''] = ipsOf(result)

  await t.test('ADD: each plugin found what it needs in our result', async (t) => {
    t.match(result.interfaces, [{ name: /^trv/ }, { name: 'eth0', sandbox: server.netnsPath }])
    t.strictSame(await tool.call('check', 'pods', server, LIMITED), {
      status: 0,
      stdout: '',
      stderr: '',
    })
    const somaxconn = await must(inNetns(server.netns, ['sysctl', '-n', 'net.core.somaxconn']))
    t.equal(somaxconn.trim(), '512')
    const [eth0] = await ipJson(server.netns, 'link', 'show', 'eth0')
    t.equal(eth0?.['mtu'], 1400)
  })

  await t.test('hostPort', async (t) => {
    await add(other, {})
    resultOf(await lab.cni('ADD', far))
    const pod = probe(t, server.netns)
    await pod.serveTcp(POD_PORT)
    await pod.serveUdp(POD_PORT)
    const from = {
      'another node': probe(t, n2.netns),
      'a pod of another node': probe(t, far.netns),
      'a pod beside it': probe(t, other.netns),
      'the pod itself': pod,
      'its own node': probe(t, n1.netns),
    }
    const [n1v4 = '', n1v6 = ''] = n1.underlayIps
    const [n2v4 = '', n2v6 = ''] = n2.underlayIps
    for (const [who, caller] of Object.entries(from)) {
      for (const ip of [n1v4, n1v6]) {
        const calls = await Promise.all([
          caller.callTcp(ip, HOST_PORT),
          caller.callUdp(ip, HOST_PORT),
        ])
        t.strictSame(calls.map(kindOf), ['answered', 'answered'], `${who} to ${ip}: TCP and UDP`)
        if (who !== 'another node') continue
        const seen = ip === n1v4 ? n2v4 : n2v6
        t.match(calls, [{ line: seen }, { line: seen }], 'the pod sees the true address')
      }
    }
    const loopback = await from['its own node'].callTcp('127.0.0.1', HOST_PORT)
    t.equal(kindOf(loopback), 'answered', 'its own node to 127.0.0.1')

    await deleted(t, tool, server, BOTH)
    const after = await from['another node'].callTcp(n1v4, HOST_PORT)
    t.equal(kindOf(after), 'failed: ECONNREFUSED', 'closed with the pod')
    t.notSame(ipsOf(await add(server, MAPPED)), [v4, v6], 'another address')
    const again = await from['another node'].callTcp(n1v4, HOST_PORT)
    t.equal(kindOf(again), 'answered', 'and opened to it')
    await deleted(t, tool, server, MAPPED)
    await deleted(t, tool, other, {})
    resultOf({ ...(await lab.cni('DEL', far)), stdout: '{}' })
  })

  await t.test('rate limits', async (t) => {
    const [limited, free] = [await lab.addPod(n1), await lab.addPod(n1)]
    const [to = ''] = ipsOf(await add(limited, LIMITED))
    const [back = ''] = ipsOf(await add(free, {}))
    const [there, here] = [probe(t, limited.netns), probe(t, free.netns)]
    await there.measureTcp(POD_PORT)
    await here.measureTcp(POD_PORT)
    const flows = [
      ['ingress', RATE.ingressRate, await here.pourTcp(to, POD_PORT, 1_500_000)],
      ['egress', RATE.egressRate, await there.pourTcp(back, POD_PORT, 750_000)],
    ] as const
    for (const [direction, asked, { bytes, ms }] of flows) {
      const ratio = (bytes * 8) / (ms / 1000) / asked
      t.ok(ratio > 0.4 && ratio < 1.5, `${direction}: ${ratio.toFixed(2)} of ${asked} bit/s`)
    }
    const checked = await tool.call('check', 'pods', limited, LIMITED)
    t.equal(checked.stderr, '', 'CHECK passes')
    await deleted(t, tool, limited, LIMITED)
    await deleted(t, tool, free, {})
  })

  t.strictSame(compareDumps(before, await everything(n1)), [], 'nothing is left of any pod')
  t.equal(await inUse(lab), used, 'all addresses are back')
})

/** A node with what its firewall and its queues hold in the words of those who made them. */
async function everything(node: LabNode): Promise<readonly string[]> {
  const lines = async (...command: string[]): Promise<readonly string[]> => {
    const text = await must(inNetns(node.netns, command))
    // Comments hold the time of day, counters those of packets.
    const kept = text.split('\n').filter((line) => !line.startsWith('#'))
    return kept.map((line) => `${command[0]} ${line.replace(/\[\d+:\d+\]/, '')}`)
  }
  const each = await Promise.all([
    dumps({ nodes: [node] }),
    lines('iptables-save'),
    lines('ip6tables-save'),
    lines('tc', 'qdisc'),
    lines('tc', 'filter', 'show', 'dev', 'eth0'),
  ])
  return each.flat()
}

async function deleted(t: Test, tool: Cnitool, pod: LabPod, options: CallOptions): Promise<void> {
  t.strictSame(
    await tool.call('del', 'pods', pod, options),
    { status: 0, stdout: '', stderr: '' },
    'DEL',
  )
}

const kindOf = (call: Call): string =>
  call.kind === 'answered' ? 'answered' : `failed: ${call.error}`
