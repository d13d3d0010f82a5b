/** A clock that jumps, back and forth: nothing is given twice, nothing is lost, and numbers grow. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import {
  allocate,
  createNetwork,
  ensureBlocks,
  giveBackIdle,
  keys,
  memoryStore,
  parseNetworkSpec,
  release,
  type Tx,
} from '../../ipam/mod.ts'
import { holds } from '../support/property.ts'
import { checkInvariants } from './invariants.ts'

const NODES = ['n1', 'n2']
const SPEC = { name: 'pods', mode: 'route', pools: [{ cidr: '10.42.0.0/25', blockLength: 28 }] }

/** From before the epoch's second year to beyond any date. */
const moment = fc.oneof(fc.constant(0), fc.nat(100_000), fc.integer({ min: 0, max: 2 ** 45 }))
const step = fc.record({
  nowMs: moment,
  node: fc.constantFrom(...NODES),
  pod: fc.nat(30),
  deed: fc.nat(5),
})

holds(
  t,
  'any times',
  fc.array(step, { maxLength: 80 }),
  (steps) => {
    const store = memoryStore({ defer: (work) => work() })
    const write = (body: (tx: Tx) => void): void => {
      store.transact(body, (outcome) => {
        if (outcome.kind === 'failed') throw outcome.error
      })
    }
    write((tx) => createNetwork(tx, parseNetworkSpec(SPEC, 1)))
    const held = new Map<string, string>()
    const last = new Map<string, number>()
    for (const { nowMs, node, pod, deed } of steps) {
      const key = { network: 'pods', containerId: `c${pod}`, ifname: 'eth0' }
      const name = `${node} ${pod}`
      write((tx) => {
        const network = tx.get(keys.network('pods'))
        if (network === undefined) throw new Error('there is a network')
        if (deed === 0) giveBackIdle(tx, network, node, nowMs)
        else if (deed < 3) {
          const gone = release(tx, node, key, nowMs)
          assert.equal(gone?.ips.join(), held.get(name), 'what was given is given back')
          held.delete(name)
        } else {
          const request = { key, node, netns: '', mayClaim: true, nowMs, bootId: 'b' }
          const answer = allocate(tx, request)
          if (answer.kind === 'refused') return
          const { ips, sequence } = answer.attachment
          assert.ok(![...held.values()].includes(ips.join()), `${ips} was free`)
          assert.ok(sequence > (last.get(node) ?? 0), 'numbers grow')
          held.set(name, ips.join())
          last.set(node, sequence)
          ensureBlocks(tx, network, node, nowMs)
        }
      })
      store.read((reader) => checkInvariants(reader, NODES))
    }
  },
  { numRuns: 40 },
)
