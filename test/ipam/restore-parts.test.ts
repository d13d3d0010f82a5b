/** What is too large for one transaction: the same end as at once, whatever comes between. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { type Image, wholeImage } from '../../ipam/backup/image.ts'
import { begin, finish, frozenUses, partsOf, refuseOther, thaw } from '../../ipam/backup/parts.ts'
import { type RestoreRun, restore, restoreRun } from '../../ipam/backup/restore.ts'
import { checkIpam } from '../../ipam/check.ts'
import { openLmdbStore } from '../../ipam/lmdb-store.ts'
import {
  allocate,
  ensureBlocks,
  keys,
  releaseNode,
  reserve,
  type Store,
  type Tx,
} from '../../ipam/mod.ts'
import { isTriviumError } from '../../src/errors.ts'
import { openImageFile, writeImageFile } from '../../src/live/backup-file.ts'
import { restoreParts, tryParts } from '../../src/live/restore-parts.ts'
import { transact } from '../../src/live/transact.ts'
import type { Ip } from '../../src/net/mod.ts'
import { ownFolder } from '../support/folder.ts'
import { holds } from '../support/property.ts'
import { checkInvariants } from './invariants.ts'
import { everything, LIFE_NODES, life, lifeStart, live } from './random-life.ts'
import { smallStore } from './small-store.ts'

const HEADER = { trivium: 'backup', version: 1, layout: 2, madeMs: 1 } as const
const MARK = { sha256: 'a'.repeat(64), madeMs: 1, startedMs: 2 }

type World = ReturnType<typeof smallStore>

const born = (): World => {
  const store = smallStore()
  store.run((tx) => lifeStart(tx))
  return store
}

const imageOf = (store: World): Image => ({
  header: HEADER,
  pairs: new Map(store.run((tx) => [...wholeImage(tx)])),
})

/** As the shell does it, stopped after `count` parts. @returns whether it came to its end. */
function inParts(store: World, image: Image, bytesMax: number, count = Infinity): boolean {
  let run: RestoreRun = restoreRun({ freezes: true })
  for (const [index, part] of [...partsOf(HEADER, image.pairs, bytesMax)].entries()) {
    if (index >= count) return false
    const report = store.run((tx) => {
      begin(tx, MARK, false)
      return restore(tx, part, run)
    })
    assert.deepEqual(report.conflicts, [])
    run = { ...run, skipped: new Set([...run.skipped, ...report.skipped]) }
  }
  store.run((tx) => thaw(tx, frozenUses(tx)))
  store.run(finish)
  return true
}

holds(
  t,
  'into an empty store in parts of any size, broken off and begun again: the same records',
  fc.tuple(life(40), fc.integer({ min: 1, max: 4000 }), fc.nat(12)),
  ([events, bytesMax, stop]) => {
    const store = born()
    store.run((tx) => live(tx, events, 1))
    const image = imageOf(store)
    const before = store.run(everything)
    const other = smallStore()
    if (!inParts(other, image, bytesMax, stop)) {
      // Half of it: nothing is wrong, and nobody gets an address of what waits.
      other.run((tx) => {
        if (tx.get(keys.network('pods')) !== undefined) checkInvariants(tx, LIFE_NODES)
      })
      assert.ok(inParts(other, image, bytesMax))
    }
    assert.equal(other.run(everything), before)
    assert.equal(
      other.run((tx) => tx.get(keys.restore)),
      undefined,
    )
  },
  { numRuns: 120 },
)

holds(
  t,
  'pods that come while it is half done get no address of the backup',
  fc.tuple(life(40), fc.integer({ min: 1, max: 3000 }), fc.integer({ min: 1, max: 9 })),
  ([events, bytesMax, stop]) => {
    const store = born()
    const nowMs = store.run((tx) => live(tx, events, 1))
    const image = imageOf(store)
    const other = smallStore()
    const done = inParts(other, image, bytesMax, stop)
    const claims = [...image.pairs.keys()].filter((key) => key.startsWith('claim/'))
    // From the last block on: before, a new block may be one of the backup's, which is then told.
    if (!done && !claims.every((key) => other.run((tx) => tx.get(key)) !== undefined)) return
    for (const node of LIFE_NODES) {
      try {
        const key = { network: 'pods', containerId: `new-${node}`, ifname: 'eth0' }
        other.run((tx) =>
          allocate(tx, { key, node, netns: '', mayClaim: true, nowMs, bootId: 'boot' }),
        )
      } catch (thrown) {
        if (!isTriviumError(thrown)) throw thrown
      }
    }
    if (done) return
    assert.ok(inParts(other, image, bytesMax))
    other.run((tx) => {
      checkInvariants(tx, LIFE_NODES)
      for (const [key] of image.pairs) {
        if (key.startsWith('attachment/')) assert.ok(tx.get(key) !== undefined, key)
      }
    })
  },
  { numRuns: 120 },
)

const come = (tx: Tx, node: string, name: string): void => {
  const key = { network: 'pods', containerId: name, ifname: 'eth0' }
  allocate(tx, { key, node, netns: '', mayClaim: true, nowMs: 1, bootId: 'boot' })
}

t.test('whatever part came last, who has a block has a tunnel endpoint', async (t) => {
  const store = born()
  store.run((tx) => {
    come(tx, 'n1', 'first')
    come(tx, 'n2', 'second')
    releaseNode(tx, 'n1')
    const network = tx.get(keys.network('pods'))
    if (network !== undefined) ensureBlocks(tx, network, 'n2', 1)
  })
  const claims = store.run((tx) => [...tx.range(keys.allClaims)].map(([, claim]) => claim.first))
  t.equal(claims[0], false, 'the first by its address is not the first that it got')
  const image = imageOf(store)
  for (let count = 1; count < image.pairs.size; count++) {
    const other = smallStore()
    inParts(other, image, 1, count)
    other.run((tx) => {
      if (tx.get(keys.network('pods')) !== undefined) checkInvariants(tx, LIFE_NODES)
    })
  }
})

t.test('whoever claims a block meanwhile knows what the backup keeps in it', async (t) => {
  const store = born()
  store.run((tx) => {
    come(tx, 'n1', 'first')
    const pod = { namespace: 'db', name: 'db-0' }
    // The next block: of the first one, the pod's node has all.
    reserve(tx, { network: 'pods', ip: '10.1.0.10' as Ip, pod, nowMs: 1 })
  })
  const image = imageOf(store)
  const claims = [...image.pairs.keys()].filter((key) => key.startsWith('claim/'))
  for (let count = 1; count < image.pairs.size; count++) {
    const other = smallStore()
    inParts(other, image, 1, count)
    if (!claims.every((key) => other.run((tx) => tx.get(key)) !== undefined)) continue
    other.run((tx) => {
      for (let n = 0; n < 6; n++) come(tx, 'n2', `new-${n}`)
    })
    t.ok(inParts(other, image, 1), `after ${count} parts`)
  }
})

t.test('another backup while one is half done', async (t) => {
  const store = born()
  store.run((tx) => begin(tx, MARK, false))
  const other = { ...MARK, sha256: 'b'.repeat(64) }
  const refused = /one with sum aaaaaaaaaaaa… is restored half/
  t.throws(() => store.run((tx) => begin(tx, other, false)), { message: refused })
  t.throws(() => store.run((tx) => refuseOther(tx, other, false)), { message: refused })
  t.match(
    store.run((tx) => checkIpam(tx)),
    [{ code: 'restore-unfinished', found: new RegExp(MARK.sha256) }],
  )
  store.run((tx) => begin(tx, other, true))
  t.equal(store.run((tx) => tx.get(keys.restore))?.sha256, other.sha256)
})

t.test(
  'by the shell: the file of a living store, into none and into one that went on',
  async (t) => {
    const folder = ownFolder(t)
    const open = (name: string): Store => openLmdbStore(join(folder, name))
    const path = join(folder, 'backup')
    const source = open('source')
    await transact(source, (tx) => {
      lifeStart(tx)
      live(tx, fc.sample(life(60), { numRuns: 1, seed: 3 })[0] ?? [], 1)
    })
    source.read((reader) => writeImageFile(path, 'backup', 7, wholeImage(reader)))
    const records = (store: Store): string => store.read((reader) => everything(reader as Tx))
    const options = { look: undefined, nowMs: 9, partMax: 700, progress: () => {} }
    const file = openImageFile(path, 0)
    t.teardown(() => file.close())
    t.equal(file.image, undefined, 'it is not kept in memory')

    const none = { store: undefined, path: join(folder, 'none'), isCluster: false }
    const trial = await tryParts(none, file, options)
    t.throws(
      () => openLmdbStore(join(folder, 'none'), { mustExist: true }),
      'nobody sees it before it is whole',
    )
    trial.place()
    trial.drop()
    const made = open('none')
    t.equal(records(made), records(source))
    t.strictSame(
      readdirSync(join(folder, 'none')).filter((name) => name.startsWith('.')),
      [],
    )

    const target = { store: made, path: join(folder, 'none'), isCluster: false }
    const again = await tryParts(target, file, options)
    again.drop()
    t.ok(again.kept)
    t.equal((await restoreParts(target, file, options)).added.attachments, 0)
    t.equal(records(made), records(source), 'twice is once, and nothing is frozen')
    const bare = open('bare')
    await transact(bare, (tx) => lifeStart(tx))
    await restoreParts({ store: bare, path: undefined, isCluster: false }, file, options)
    t.equal(records(bare), records(source), 'in parts: nothing stays frozen')
    const mark = bare.read((reader) => reader.get(keys.restore))
    t.equal(mark, undefined, 'nor marked')
    bare.close()
    await transact(made, (tx) => {
      const [key, claim] = tx.range(keys.allClaims)[0]!
      tx.put(key, { ...claim, node: 'other' })
    })
    const before = records(made)
    const refused = await tryParts(target, file, options)
    refused.drop()
    t.match(refused.conflicts[0], { found: /is node other's/ })
    await t.rejects(restoreParts(target, file, { ...options, partMax: 1 }), {
      message: /has changed since it was tried/,
    })
    t.equal(records(made), before, 'what came before was there already')
    const codes = made.read((reader) => checkIpam(reader)).map(({ code }) => code)
    t.ok(codes.includes('restore-unfinished'), 'and it is known that something is left to do')
    for (const store of [source, made]) store.close()
  },
)

t.test('a file that changes is refused, also between two looks', async (t) => {
  const folder = ownFolder(t)
  const path = join(folder, 'backup')
  const store = born()
  store.run((tx) => live(tx, fc.sample(life(60), { numRuns: 1, seed: 3 })[0] ?? [], 1))
  writeImageFile(path, 'backup', 7, imageOf(store).pairs)
  const file = openImageFile(path, 0)
  t.teardown(() => file.close())
  t.equal([...file.pairs()].length, file.footer.records)
  const text = readFileSync(path, 'utf8')
  writeFileSync(path, text.replace('"sequence":1', '"sequence":2'))
  t.throws(() => [...file.pairs()], { message: /its sum is [0-9a-f]{64}, wanted/ })
  t.throws(() => openImageFile(path, 0), { message: /its sum is/ })
  t.throws(() => openImageFile(path, 1e9), { message: /its sum is/ })
  writeFileSync(path, text.slice(0, -20))
  t.throws(() => openImageFile(path, 0), { message: /^Cannot read the backup/ })
})
