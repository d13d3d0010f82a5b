/** What the agent asks of its store, and what it does not wait for. */
import t from 'tap'
import { memoryStore } from '../../ipam/memory-store.ts'
import { createNetwork, parseNetworkSpec } from '../../ipam/mod.ts'
import type { NodeRecord } from '../../ipam/records.ts'
import type { Store } from '../../ipam/store.ts'
import type { AgentInput } from '../../src/agent/agent.ts'
import { type AgentPorts, agentPerform } from '../../src/agent/perform.ts'
import { node as nodeNumber } from '../backend/views.ts'

const SPEC = { name: 'pods', mode: 'route', pools: [{ cidr: '10.42.0.0/16' }] }

/** A store on a disk that may stand still: what is written then is never answered. */
function stillStore() {
  const store = memoryStore({ defer: setImmediate })
  const disk = { isStill: false, commits: 0 }
  const transact: Store['transact'] = (body, done, decided) => {
    disk.commits += 1
    if (!disk.isStill) store.transact(body, done, decided)
  }
  return { disk, store: { ...store, transact } }
}

function preparing(store: Store, node: NodeRecord): Promise<AgentInput> {
  const none = (): never => {
    throw new Error('not asked for')
  }
  const ports: AgentPorts = {
    name: node.name,
    node: (done) => done(node),
    store,
    kernel: { observe: none, apply: none } as unknown as AgentPorts['kernel'],
    wallMs: () => 1,
    defer: setImmediate,
    report: none,
    ready: none,
  }
  return new Promise((done) => agentPerform(ports)({ kind: 'store.prepare' }, done))
}

t.test('a round that has nothing to write does not wait for the disk', async (t) => {
  const { disk, store } = stillStore()
  const spec = parseNetworkSpec(SPEC, 1)
  await new Promise((done) => store.transact((tx) => createNetwork(tx, spec), done))
  const node = nodeNumber(1)
  const prepared = { kind: 'store.prepared', failure: undefined } as const
  disk.commits = 0
  t.strictSame(await preparing(store, node), prepared)
  t.equal(disk.commits, 1, 'the node and its block are written')
  disk.isStill = true
  t.strictSame(await preparing(store, node), prepared)
  t.equal(disk.commits, 1, 'nothing is written again')
  void preparing(store, { ...node, underlayMtuBytes: 9000 })
  await new Promise((done) => setTimeout(done, 10))
  t.equal(disk.commits, 2, 'what changed is')
})

t.test('why it cannot be written is told by the transaction', async (t) => {
  const { disk, store } = stillStore()
  const [node, other] = [nodeNumber(1), nodeNumber(2)]
  await preparing(store, node)
  const input = await preparing(store, { ...other, underlayIps: node.underlayIps })
  t.match(input, { failure: /Cannot register node/ })
  store.close()
  t.match(await preparing(store, node), { failure: /closed/ })
  t.equal(disk.commits, 3)
})
