/**
 * One node among many, in the namespace that this process is in: plans for a
 * cluster of a given size and programs the plan, by our own means and by the
 * programs of the field. One JSON line in, one out.
 */
import { spawnSync } from 'node:child_process'
import { createInterface } from 'node:readline'
import { keys } from '../ipam/keys.ts'
import { memoryStore } from '../ipam/memory-store.ts'
import { agentMachine } from '../src/agent/agent.ts'
import { agentPerform } from '../src/agent/perform.ts'
import { planNode } from '../src/backend/plan.ts'
import type { ClusterView, NetworkRecord, NodeRecord } from '../src/cluster/view.ts'
import { drive } from '../src/driver.ts'
import { diff, type KernelOp, renderOp, subjectOf } from '../src/kernel/mod.ts'
import { liveClock } from '../src/live/clock.ts'
import { openKernel } from '../src/live/kernel.ts'
import { transact } from '../src/live/transact.ts'
import { CLUSTERS, type Road } from './peers-cluster.ts'

export type Ask =
  | { readonly do: 'plan'; readonly road: Road; readonly peers: number }
  | { readonly do: 'ours' | 'theirs' | 'round' | 'live' | 'wipe' | 'count' }

/** Milliseconds by what was measured; of `plan` and `count`, objects. */
export type Told = Readonly<Record<string, number>>

const SYSCTLS = ['net.ipv4.ip_forward', 'net.ipv6.conf.all.forwarding'] as const
const kernel = openKernel()
let view: ClusterView | undefined
let desired: ReturnType<typeof planNode>['desired'] = new Map()

/** Programs of the field, each with its part of the operations, in order. */
let scripts: readonly { readonly command: readonly string[]; readonly text: string }[] = []

function plan(road: Road, peers: number): Told {
  const { self, nodes, network, claims } = CLUSTERS[road](peers)
  view = viewOf(self, nodes, network, claims)
  desired = planNode(view).desired
  const { ops } = diff(desired, new Map())
  scripts = scriptsOf(ops)
  return { objects: desired.size }
}

function viewOf(
  self: NodeRecord,
  nodes: readonly NodeRecord[],
  network: NetworkRecord,
  claims: ClusterView['networks'][number]['claims'],
): ClusterView {
  const byName = new Map([self, ...nodes].map((node) => [node.name, node]))
  return { self, nodes: byName, networks: [{ network, claims, attachments: [] }], allows: [] }
}

/** The VNI of a header has no name in nft: that one guard is ours alone. */
const isOurs = (op: KernelOp): boolean => /tunnels|chain inet trivium tunnel/.test(renderOp(op))

function scriptsOf(ops: readonly KernelOp[]): typeof scripts {
  const found: { command: string[]; lines: string[] }[] = []
  for (const op of ops) {
    const { kind } = subjectOf(op)
    if (kind === 'sysctl' || kind === 'offload-off' || isOurs(op)) continue
    // An alias is not taken at creation; a block of rules ends with a semicolon.
    const bare = renderOp(op).replace(/ alias "[^"]*"/, '')
    const line = kind === 'nft-chain' ? bare.replace(/ }$/, '; }') : bare
    const [program = '', ...words] = line.replace(/^ip -6/, 'ip').split(' ')
    const command = program === 'nft' ? ['nft', '-f', '-'] : [program, '-batch', '-']
    const last = found.at(-1)
    if (last?.command[0] === program) last.lines.push(words.join(' '))
    else found.push({ command, lines: [words.join(' ')] })
  }
  return found.map(({ command, lines }) => ({ command, text: `${lines.join('\n')}\n` }))
}

function exec(command: readonly string[], input = ''): string {
  const [program = '', ...args] = command
  const { status, stdout, stderr } = spawnSync(program, args, {
    input,
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  })
  if (status !== 0) throw new Error(`Cannot run ${command.join(' ')}: ${stderr.slice(0, 200)}`)
  return stdout
}

async function ours(): Promise<Told> {
  const { ops } = diff(desired, kernel.state(SYSCTLS))
  const started = performance.now()
  const failures = await new Promise<readonly unknown[]>((resolve) => kernel.apply(ops, resolve))
  const ms = performance.now() - started
  const failed = failures.find((failure) => failure !== undefined)
  if (failed !== undefined) throw new Error(`Cannot program: ${JSON.stringify(failed)}`)
  return { program: ms }
}

/** The longest time that nothing else could have run, until asked. */
function stretches(): () => number {
  let [longest, last, isOver] = [0, performance.now(), false]
  const look = (): void => {
    const now = performance.now()
    longest = Math.max(longest, now - last)
    last = now
    if (!isOver) setImmediate(look)
  }
  setImmediate(look)
  return () => {
    isOver = true
    return Math.max(longest, performance.now() - last)
  }
}

/** The reconciler in this process, from empty to ready, and a round of its own after that. */
async function live(): Promise<Told> {
  if (view === undefined) throw new Error('Cannot run the agent: nothing is planned')
  const { self, nodes, networks } = view
  const store = memoryStore({ defer: setImmediate })
  await transact(store, (tx) => {
    for (const node of nodes.values()) tx.put(keys.node(node.name), node)
    for (const { network, claims } of networks) {
      tx.put(keys.network(network.name), network)
      for (const claim of claims) tx.put(keys.claim(network.name, claim.cidr), claim)
    }
  })
  let isReady = (): void => {}
  let hasRead = (): void => {}
  const perform = agentPerform({
    name: self.name,
    node: (done) => done(self),
    store,
    kernel,
    wallMs: Date.now,
    // The store is read last: a round that finds nothing to do ends in there.
    defer: (read) =>
      setImmediate(() => {
        read()
        hasRead()
      }),
    report: () => {},
    ready: () => isReady(),
  })
  const untilReady = stretches()
  const driven = drive(agentMachine(), liveClock, perform)
  await new Promise<void>((resolve) => {
    isReady = resolve
  })
  const first = untilReady()
  const untilIdle = stretches()
  driven.feed({ kind: 'kernel.changed' })
  await new Promise<void>((resolve) => {
    hasRead = resolve
  })
  driven.stop()
  return { 'longest stretch until ready': first, 'longest stretch of a round': untilIdle() }
}

function theirs(): Told {
  const started = performance.now()
  for (const { command, text } of scripts) exec(command, text)
  return { program: performance.now() - started }
}

/** What the timer's round costs when nothing is to be done. */
function round(): Told {
  const times: number[] = [performance.now()]
  const lap = (): number => times.push(performance.now())
  const actual = kernel.state(SYSCTLS)
  lap()
  if (view !== undefined) desired = planNode(view).desired
  lap()
  const { ops } = diff(desired, actual)
  lap()
  if (ops.length > 0) throw new Error(`Cannot time an idle round: ${ops.map(renderOp)[0]}`)
  const [from = 0, observed = 0, planned = 0, end = 0] = times
  return {
    'idle round': end - from,
    'idle round: observe': observed - from,
    'idle round: plan': planned - observed,
    'idle round: diff': end - planned,
  }
}

function wipe(): Told {
  const links = JSON.parse(exec(['ip', '-j', 'link', 'show', 'type', 'vxlan'])) as {
    ifname?: string
  }[]
  for (const { ifname } of links) if (ifname !== undefined) exec(['ip', 'link', 'del', ifname])
  exec(['ip', 'route', 'flush', 'proto', '84'])
  exec(['nft', 'flush', 'ruleset'])
  return {}
}

/** As the programs of the field count. */
function count(): Told {
  const json = (...command: string[]): readonly unknown[] => {
    const text = exec(command)
    return text.trim() === '' ? [] : (JSON.parse(text) as unknown[])
  }
  const fdb = json('bridge', '-j', 'fdb') as readonly { dst?: string }[]
  const routes = json('ip', '-j', 'route', 'show', 'proto', '84').length
  const neighbours = json('ip', '-j', 'neigh', 'show', 'nud', 'permanent').length
  const { nftables } = JSON.parse(exec(['nft', '-j', 'list', 'ruleset'])) as {
    nftables: { set?: { name: string; elem?: unknown[] } }[]
  }
  const nodes = nftables.find(({ set }) => set?.name === 'nodes4')?.set?.elem?.length ?? 0
  const entries = fdb.filter(({ dst }) => dst !== undefined).length
  return { routes, neighbours, entries, nodes }
}

async function answer(ask: Ask): Promise<Told> {
  switch (ask.do) {
    case 'plan':
      return plan(ask.road, ask.peers)
    case 'ours':
      return ours()
    case 'theirs':
      return theirs()
    case 'round':
      return round()
    case 'live':
      return live()
    case 'wipe':
      return wipe()
    case 'count':
      return count()
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(await answer(JSON.parse(line) as Ask))}\n`)
}
