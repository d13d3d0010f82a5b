/** What `release` asks of this node before it gives an address back. */
import { join } from 'node:path'
import t from 'tap'
import { memoryStore } from '../../ipam/memory-store.ts'
import { allocate, createNetwork, keys, parseNetworkSpec } from '../../ipam/mod.ts'
import { bootId } from '../../src/live/boot.ts'
import { performRepairs } from '../../src/live/ipam-repair.ts'
import { transact } from '../../src/live/transact.ts'
import { ownFolder } from '../support/folder.ts'

const socketPath = join(ownFolder(t), 'agent.sock')
const HERE = '/proc/self/ns/net'

t.test('a pod that another plugin linked lives as long as its namespace is there', async (t) => {
  const store = memoryStore({ defer: setImmediate })
  const pools = [{ cidr: '10.1.0.0/24' }]
  await transact(store, (tx) => {
    createNetwork(tx, parseNetworkSpec({ name: 'lan', mode: 'ipam', pools }, 1))
  })
  const releases = async (
    containerId: string,
    netns: string,
    how: { readonly boot?: string; readonly force?: boolean } = {},
  ): Promise<string> => {
    const key = { network: 'lan', containerId, ifname: 'eth0' }
    const { boot = bootId(), force = false } = how
    const sequence = await transact(store, (tx) => {
      allocate(tx, { key, node: 'n1', netns, mayClaim: true, nowMs: 1, bootId: boot })
      return tx.get(keys.attachment('n1', key))?.sequence ?? 0
    })
    const repair = { kind: 'release', node: 'n1', key, sequence } as const
    const place = { store, node: 'n1', socketPath, force }
    const [result] = await performRepairs([repair], place)
    const left = store.read((reader) => reader.get(keys.attachment('n1', key)))
    t.equal(left === undefined, result?.outcome === 'done')
    return `${result?.outcome} ${result?.why ?? ''}`.trim()
  }
  t.equal(
    await releases('here', HERE),
    `refused namespace ${HERE} is there: its pod may live, end it, or use --force`,
  )
  t.equal(await releases('gone', '/run/trv-there-is-none'), 'done')
  t.match(await releases('unknown', '/proc/4194304/ns/net'), /^refused/, 'nobody can tell')
  t.equal(await releases('old', HERE, { boot: 'another boot' }), 'done', 'a path that came back')
  t.equal(await releases('forced', HERE, { force: true }), 'done')
})
