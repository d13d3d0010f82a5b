/** Any history of requests on several nodes and networks gives what the model on paper gives. */
import assert from 'node:assert/strict'
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import t from 'tap'
import {
  allocate,
  claimBlock,
  createNetwork,
  drainPool,
  ensureBlocks,
  historyOf,
  keepBlocks,
  keys,
  type NetworkSpec,
  parseNetworkSpec,
  release,
  releaseNode,
  reserve,
  type Tx,
  unreserve,
} from '../../ipam/mod.ts'
import { isTriviumError } from '../../src/errors.ts'
import { ipFromInteger } from '../../src/net/mod.ts'
import { holds } from '../support/property.ts'
import { emptyTally, tell } from '../support/tally.ts'
import { ModelNetwork } from './allocator-model.ts'
import { bounds, checkInvariants } from './invariants.ts'
import { type SmallStore, smallStore } from './small-store.ts'

const NODES = ['n1', 'n2', 'n3']

// Small enough that pools run out, odd enough that every rule about edges matters.
const SPECS: readonly NetworkSpec[] = [
  {
    name: 'dual',
    mode: 'vxlan',
    pools: [
      { cidr: '10.1.0.0/28', blockLength: 30, gateway: '10.1.0.9' },
      { cidr: 'fd01::/124', blockLength: 126 },
    ],
    options: { idleSeconds: 30 },
  },
  {
    name: 'two',
    mode: 'route',
    pools: [
      { cidr: '10.2.0.0/29', blockLength: 31 },
      { cidr: '10.3.0.0/29', blockLength: 29 },
    ],
    options: { idleSeconds: 0 },
  },
  { name: 'ones', mode: 'route', pools: [{ cidr: 'fd02::/125', blockLength: 128 }] },
  {
    name: 'strict',
    mode: 'route',
    pools: [{ cidr: '10.4.0.0/28', blockLength: 30 }],
    options: { cooldownSeconds: 10, cooldownStrict: true, idleSeconds: 5 },
  },
  {
    name: 'hasty',
    mode: 'route',
    pools: [
      { cidr: '10.5.0.0/29', blockLength: 30 },
      { cidr: '10.6.0.0/28', blockLength: 30 },
    ],
    options: { cooldownSeconds: 0, idleSeconds: 20 },
  },
]

type Model = Map<string, ModelNetwork>

const nowOf = (model: Model): number => [...model.values()][0]!.nowMs

type Command = fc.Command<Model, SmallStore>

/** A command, named for the report, that checks the invariants when it is done. */
const tally = emptyTally()

function command(name: string, run: (model: Model, real: SmallStore) => void): Command {
  return {
    check: () => true,
    run: (model, real) => {
      tally.commands++
      run(model, real)
      real.run((tx) => checkInvariants(tx, NODES))
    },
    toString: () => name,
  }
}

const plain = (ip: string): string => `${ip.includes(':') ? 6 : 4}:${bounds(ip)[0]}`

// Most of it on one node, so that adds and removes meet the same containers.
const someNode = fc.constantFrom('n1', 'n1', 'n1', ...NODES)
const someNetwork = fc.constantFrom(...SPECS.map(({ name }) => name))
const container = fc.constantFrom(...Array.from({ length: 7 }, (_, n) => `c${n}`))

const add = (node: fc.Arbitrary<string>, network: fc.Arbitrary<string>) =>
  fc.tuple(node, network, container, fc.boolean()).map(([node, network, containerId, mayClaim]) =>
    command(`add ${node} ${network} ${containerId} ${mayClaim}`, (model, real) => {
      const key = { network, containerId, ifname: 'eth0' }
      const before = real.run(everything)
      const answer = real.run((tx) =>
        allocate(tx, {
          key,
          node,
          netns: '',
          mayClaim,
          pod: podOf(containerId),
          nowMs: nowOf(model),
          bootId: '',
        }),
      )
      const found = answer.kind === 'allocated' ? answer.attachment.ips.map(plain) : answer.reason
      assert.deepEqual(found, model.get(network)!.add(node, containerId, mayClaim))
      if (answer.kind === 'refused') assert.equal(real.run(everything), before)
    }),
  )

const remove = (node: fc.Arbitrary<string>, network: fc.Arbitrary<string>) =>
  fc.tuple(node, network, container).map(([node, network, containerId]) =>
    command(`remove ${node} ${network} ${containerId}`, (model, real) => {
      const key = { network, containerId, ifname: 'eth0' }
      const released = real.run((tx) => release(tx, node, key, nowOf(model)))
      const paper = model.get(network)!
      assert.deepEqual(released?.ips.map(plain), paper.held.get(`${node}/${containerId}`))
      paper.remove(`${node}/${containerId}`)
    }),
  )

const podOf = (container: string) => ({ namespace: 'ns', name: container, uid: '' })

const keep = (network: fc.Arbitrary<string>) =>
  fc.tuple(network, container, fc.nat(1), fc.nat(17)).map(([network, name, index, offset]) =>
    command(`keep ${network} ${name} ${index} ${offset}`, (model, real) => {
      const paper = model.get(network)!
      const pool = paper.pools[index]
      if (pool === undefined) return
      const address = pool.first + BigInt(offset)
      const before = real.run(everything)
      const isKept = real.run((tx) => {
        const ip = ipFromInteger(pool.family === 6 ? 6 : 4, address)
        try {
          reserve(tx, { network, ip, pod: podOf(name), nowMs: nowOf(model) })
          return true
        } catch (thrown) {
          assert.ok(isTriviumError(thrown))
          return false
        }
      })
      assert.equal(isKept, paper.keep(name, pool.family, address))
      if (!isKept) assert.equal(real.run(everything), before)
    }),
  )

const recall = container.map((name) =>
  command(`recall ${name}`, (model, real) => {
    const found = real.run((tx) => historyOf(tx, { pod: podOf(name) }))
    const told = found.map(
      ({ ip, node, containerId, fromMs, toMs }) =>
        `${plain(ip)} ${node}/${containerId} ${fromMs} ${toMs}`,
    )
    const wanted = [...model.values()].flatMap((paper) => paper.holdings(name))
    assert.deepEqual(told.sort(), wanted.sort())
    for (const one of found) {
      const byAddress = real.run((tx) => historyOf(tx, { ip: one.ip, atMs: one.fromMs }))
      // Within one instant an address may have had several.
      if (one.toMs !== one.fromMs) assert.ok(byAddress.some((each) => isDeepStrictEqual(each, one)))
    }
  }),
)

const letGo = (network: fc.Arbitrary<string>) =>
  fc.tuple(network, container).map(([network, name]) =>
    command(`let go ${network} ${name}`, (model, real) => {
      const { kept } = model.get(network)!
      const own = [...kept].filter(([, owner]) => owner === name).map(([text]) => text)
      const ips = real.run((tx) => tx.get(keys.reservedFor(network, podOf(name))) ?? [])
      assert.deepEqual(ips.map(plain).sort(), own.sort())
      for (const ip of ips) real.run((tx) => unreserve(tx, network, ip))
      for (const text of own) kept.delete(text)
    }),
  )

const claim = (node: fc.Arbitrary<string>, network: fc.Arbitrary<string>) =>
  fc.tuple(node, network, fc.nat(1)).map(([node, network, index]) =>
    command(`claim ${node} ${network} ${index}`, (model, real) => {
      const found = real.run((tx) => {
        const record = tx.get(keys.network(network))!
        const pool = record.pools[index]
        return pool && claimBlock(tx, record, pool, node, 1)
      })
      const paper = model.get(network)!
      const pool = paper.pools[index]
      const block = pool && paper.freeBlock(node, [pool], 1)
      assert.equal(found && bounds(found.cidr)[0], block?.first)
      if (block !== undefined) paper.blocks.push(block)
    }),
  )

const ensure = (node: fc.Arbitrary<string>, network: fc.Arbitrary<string>) =>
  fc.tuple(node, network).map(([node, network]) =>
    command(`ensure ${node} ${network}`, (model, real) => {
      const claims = real.run((tx) =>
        ensureBlocks(tx, tx.get(keys.network(network))!, node, nowOf(model)),
      )
      const found = claims.map(({ cidr }) => plain(cidr))
      assert.deepEqual(found, model.get(network)!.ensure(node))
    }),
  )

const giveBack = (node: fc.Arbitrary<string>, network: fc.Arbitrary<string>) =>
  fc.tuple(node, network).map(([node, network]) =>
    command(`give back ${node} ${network}`, (model, real) => {
      const record = real.run((tx) => tx.get(keys.network(network))!)
      const paper = model.get(network)!
      paper.moveEndpoint(node)
      paper.ensure(node)
      paper.giveBack(node)
      real.run((tx) => keepBlocks(tx, record, node, nowOf(model)))
      const own = real.run((tx) => [...tx.range(keys.uses(node, network))].map(([, use]) => use))
      assert.deepEqual(
        own.map(({ cidr, first }) => `${plain(cidr)} ${first}`),
        paper.families.flatMap((family) =>
          paper.own(node, family).map(({ first, endpoint }) => `${family}:${first} ${endpoint}`),
        ),
      )
      const before = real.run(everything)
      real.run((tx) => keepBlocks(tx, record, node, nowOf(model)))
      assert.equal(real.run(everything), before, 'what is given back is not claimed again')
    }),
  )

const drain = (network: fc.Arbitrary<string>) =>
  fc.tuple(network, fc.nat(1), fc.boolean()).map(([network, index, draining]) =>
    command(`drain ${network} ${index} ${draining}`, (model, real) => {
      const paper = model.get(network)!
      const pool = paper.pools[index]
      if (pool === undefined) return
      const before = real.run(everything)
      const isDraining = real.run((tx) => {
        const { cidr } = tx.get(keys.network(network))!.pools[index]!
        try {
          drainPool(tx, network, cidr, draining)
        } catch (thrown) {
          assert.ok(isTriviumError(thrown))
        }
        return tx.get(keys.network(network))!.pools[index]!.draining === true
      })
      if (!draining) pool.draining = false
      assert.equal(isDraining, draining && paper.drain(index))
      assert.equal(real.run(everything), before)
    }),
  )

const forget = someNode.map((node) =>
  command(`forget ${node}`, (model, real) => {
    real.run((tx) => releaseNode(tx, node, nowOf(model)))
    for (const paper of model.values()) paper.forget(node)
  }),
)

const wait = fc.constantFrom(0, 1, 4_999, 5_000, 30_000, 59_999, 60_000).map((ms) =>
  command(`wait ${ms}`, (model) => {
    for (const paper of model.values()) paper.nowMs += ms
  }),
)

type Names = fc.Arbitrary<string>

/** On any nodes and networks: whatever meets whatever. */
const histories = (node: Names, network: Names): fc.Arbitrary<Iterable<Command>> => {
  const adds = Array.from({ length: 4 }, () => add(node, network))
  const removes = Array.from({ length: 3 }, () => remove(node, network))
  const rare = [
    giveBack(node, network),
    drain(network),
    recall,
    keep(network),
    letGo(network),
    wait,
    claim(node, network),
    ensure(node, network),
    forget,
  ]
  return fc.commands([...adds, ...removes, ...rare] as fc.Arbitrary<Command>[], {
    maxCommands: 100,
    size: 'max',
  })
}

/** On one network, most of it on one node: blocks fill up, and what was given up is needed soon. */
const crowded = someNetwork.chain((name) => {
  const [node, network] = [fc.constantFrom('n1', 'n1', 'n1', 'n1', 'n2'), fc.constant(name)]
  const adds = Array.from({ length: 6 }, () => add(node, network))
  const removes = Array.from({ length: 4 }, () => remove(node, network))
  const often = [
    giveBack(node, network),
    giveBack(node, network),
    drain(network),
    recall,
    keep(network),
    keep(network),
    letGo(network),
    wait,
    wait,
    ensure(node, network),
  ]
  return fc.commands([...adds, ...removes, ...often] as fc.Arbitrary<Command>[], {
    maxCommands: 60,
    size: 'max',
  })
})

function givesWhatTheModelGives(commands: Iterable<Command>): void {
  fc.modelRun(() => {
    const real = smallStore()
    const model: Model = new Map()
    for (const spec of SPECS) {
      real.run((tx) => createNetwork(tx, parseNetworkSpec(spec, 1)))
      model.set(spec.name, new ModelNetwork(spec))
    }
    return { model, real }
  }, commands)
}

const anywhere = histories(someNode, someNetwork)
const runs = { numRuns: 60 }
holds(t, 'any history gives what the model gives', anywhere, givesWhatTheModelGives, runs)
holds(t, 'so does a crowded network', crowded, givesWhatTheModelGives, { numRuns: 150 })
tell(t, 'allocator against its model', tally)

/** The whole store as text. */
function everything(tx: Tx): string {
  const ranges = [
    'claim/',
    'use/',
    'address/',
    'attachment/',
    'sequence/',
    'reservation/',
    'reserved-for/',
    'history/',
  ]
  return JSON.stringify(ranges.flatMap((range) => [...tx.range(range)]))
}
