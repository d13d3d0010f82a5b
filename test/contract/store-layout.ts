/** What every store that outlives its process does about the layout of what it finds. */
import type { Test } from 'tap'
import {
  allocate,
  createNetwork,
  historyOf,
  keys,
  parseNetworkSpec,
  release,
  reserve,
  SCHEMA_VERSION,
  type Store,
} from '../../ipam/mod.ts'
import type { Ip } from '../../src/net/mod.ts'
import { answerOf } from './store.ts'

/** One store, at a place of its own, opened again and again. */
export interface Reopened {
  open(): Promise<Store>
  /** Resolves when nothing of the store that was opened is left in this process. */
  close(store: Store): Promise<void>
}

const NEWER = `layout ${SCHEMA_VERSION + 1}, wanted 1 to ${SCHEMA_VERSION}`
const KEY = { network: 'pods', containerId: 'c0ffee', ifname: 'eth0' }

/** Runs the suite; each of `make` is a new place without a store. */
export function layoutContract(t: Test, name: string, make: () => Reopened): void {
  t.test(`${name}: a new store is of this layout, a newer one is refused`, async (t) => {
    const place = make()
    const store = await place.open()
    t.equal(
      store.read((r) => r.get(keys.schema)),
      SCHEMA_VERSION,
    )
    await answerOf(store, (tx) => tx.put(keys.schema, SCHEMA_VERSION + 1)).catch(() => {})
    await place.close(store)
    await t.rejects(place.open(), { code: 'STORE', message: new RegExp(NEWER) })
  })

  t.test(`${name}: what is no layout is refused`, async (t) => {
    for (const wrong of [0, -1, 1.5]) {
      const place = make()
      const store = await place.open()
      await answerOf(store, (tx) => tx.put(keys.schema, wrong)).catch(() => {})
      await place.close(store)
      await t.rejects(place.open(), { code: 'STORE' }, `${wrong}`)
    }
  })

  t.test(`${name}: layout 1 becomes ${SCHEMA_VERSION}, with everything in it`, async (t) => {
    const place = make()
    const old = await place.open()
    const pools = [{ cidr: '10.1.0.0/24', blockLength: 26 }]
    const spec = { name: 'pods', mode: 'route', pools } as const
    await answerOf(old, (tx) => {
      createNetwork(tx, parseNetworkSpec(spec, 1))
      allocate(tx, { key: KEY, node: 'n1', netns: '', mayClaim: true, nowMs: 1, bootId: 'b' })
      tx.put(keys.schema, 1)
    })
    const before = old.read((r) => [...r.range(keys.attachments('n1'))])
    await place.close(old)
    const store = await place.open()
    t.equal(
      store.read((r) => r.get(keys.schema)),
      SCHEMA_VERSION,
    )
    t.equal(before.length, 1)
    t.strictSame(
      store.read((r) => [...r.range(keys.attachments('n1'))]),
      before,
    )
    const pod = { namespace: 'db', name: 'db-0' }
    await answerOf(store, (tx) => {
      reserve(tx, { network: 'pods', ip: '10.1.0.9' as Ip, pod, nowMs: 2 })
      release(tx, 'n1', KEY, 3)
    })
    const past = store.read((r) => historyOf(r, { ip: '10.1.0.1' as Ip }))
    t.match(past, [{ containerId: 'c0ffee', fromMs: 1, toMs: 3 }], 'it remembers from now on')
    await place.close(store)
    const again = await place.open()
    t.strictSame(
      again.read((r) => r.get(keys.reservedFor('pods', pod))),
      ['10.1.0.9'],
    )
    await place.close(again)
  })
}
