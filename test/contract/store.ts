/**
 * What every store promises, as one suite: run it on each implementation.
 *
 * @example
 * storeContract(t, 'memory', () => memoryStore({ defer: setImmediate }))
 */
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import {
  type Key,
  type KeyRange,
  type Outcome,
  type Pairs,
  type Reader,
  type Store,
  scan,
  type Tx,
  texts,
} from '../../ipam/store.ts'
import { prng } from '../../src/prng.ts'
import { emptyTally, tell, withTally } from '../support/tally.ts'

/** `transact` as a promise of its outcome. */
export function outcomeOf<T>(store: Store, body: (tx: Tx) => T): Promise<Outcome<T>> {
  return new Promise((resolve) => store.transact(body, resolve))
}

/** `transact` as a promise of the answer; rejects when it failed. */
export async function answerOf<T>(store: Store, body: (tx: Tx) => T): Promise<T> {
  const outcome = await outcomeOf(store, body)
  if (outcome.kind === 'failed') throw outcome.error
  return outcome.answer
}

const WATCH_MS_MAX = 1000

const counter: Key<number> = 'counter'
const rows: KeyRange<number> = 'row/'
const row = (name: string): Key<number> => `row/${name}`
const all = (store: Store): (readonly [string, number])[] => store.read((r) => [...r.range(rows)])

/** Runs the suite on fresh stores from `make`. */
export function storeContract(t: Test, name: string, make: () => Store | Promise<Store>): void {
  const tally = emptyTally()
  const check = (what: string, run: (t: Test, store: Store) => Promise<void>) =>
    t.test(`${name}: ${what}`, async (t) => {
      const store = withTally(await make(), tally)
      t.teardown(() => store.close())
      await run(t, store)
    })

  atomicity(check)
  deciding(check)
  reading(check)
  ordering(check)
  watching(check)
  closing(check)
  t.test(`${name}: all of it`, async (t) => tell(t, `contract, ${name}`, tally))
}

type Check = (what: string, run: (t: Test, store: Store) => Promise<void>) => unknown

function atomicity(check: Check): void {
  check('a body that throws writes nothing and fails with its error', async (t, store) => {
    await answerOf(store, (tx) => {
      tx.put(row('kept'), 1)
      tx.put(row('gone'), 1)
    })
    const error = new Error('no')
    const outcome = await outcomeOf(store, (tx) => {
      tx.put(row('kept'), 2)
      tx.put(row('kept'), 3)
      tx.put(row('new'), 1)
      tx.remove(row('gone'))
      throw error
    })
    t.equal(outcome.kind === 'failed' && outcome.error, error)
    t.strictSame(all(store), [
      ['row/gone', 1],
      ['row/kept', 1],
    ])
  })

  check('one that throws does not take its neighbors with it', async (t, store) => {
    const outcomes = await Promise.all(
      ['a', 'b', 'c', 'd'].map((name) =>
        outcomeOf(store, (tx) => {
          tx.put(row(name), 1)
          if (name === 'b' || name === 'd') throw new Error(name)
        }),
      ),
    )
    t.strictSame(
      outcomes.map(({ kind }) => kind),
      ['committed', 'failed', 'committed', 'failed'],
    )
    t.strictSame(
      all(store).map(([key]) => key),
      ['row/a', 'row/c'],
    )
  })

  check('one that throws takes back its own writes and no others', async (t, store) => {
    await answerOf(store, (tx) => tx.put(row('old'), 1))
    const step = (name: string, fails: boolean) =>
      outcomeOf(store, (tx) => {
        tx.put(row('shared'), (tx.get(row('shared')) ?? 0) + 1)
        tx.put(row(name), 1)
        tx.put(row(name), 2)
        tx.remove(row('old'))
        tx.remove(row('never was'))
        tx.put(row('old'), (tx.get(row('shared')) ?? 0) * 10)
        if (fails) throw new Error(name)
      })
    await Promise.all([step('a', true), step('b', false), step('c', true), step('d', false)])
    t.strictSame(all(store), [
      ['row/b', 2],
      ['row/d', 2],
      ['row/old', 20],
      ['row/shared', 2],
    ])
  })

  check('a thrown value that is no error becomes one', async (t, store) => {
    const outcome = await outcomeOf(store, () => {
      throw 'text'
    })
    t.ok(outcome.kind === 'failed' && outcome.error instanceof Error)
  })

  check('many at once are as if one after the other', async (t, store) => {
    const answers = await Promise.all(
      Array.from({ length: 500 }, () =>
        answerOf(store, (tx) => {
          const next = (tx.get(counter) ?? 0) + 1
          tx.put(counter, next)
          return next
        }),
      ),
    )
    t.equal(new Set(answers).size, 500, 'every answer is another')
    t.equal(
      store.read((r) => r.get(counter)),
      500,
    )
  })

  check('done is called once and never before transact returns', async (t, store) => {
    for (const body of [() => 1, () => assert.fail('planted')]) {
      let calls = 0
      let returned = false
      await new Promise<void>((resolve) => {
        store.transact(body, () => {
          calls++
          t.ok(returned, 'after the return')
          resolve()
        })
        returned = true
      })
      await sleep(5)
      t.equal(calls, 1)
    }
  })
}

function deciding(check: Check): void {
  check('decided hears the answer once, after the return and before done', async (t, store) => {
    const order: string[] = []
    await new Promise<void>((resolve) => {
      store.transact(
        (tx) => {
          order.push('body')
          tx.put(counter, 1)
          return 'one'
        },
        ({ kind }) => {
          order.push(`done: ${kind}`)
          resolve()
        },
        (answer) => order.push(`decided: ${answer}`),
      )
      order.push('returned')
    })
    t.strictSame(order, ['returned', 'body', 'decided: one', 'done: committed'])
  })

  check('what was decided by one is seen by those after it', async (t, store) => {
    const answers: number[] = []
    const next = () =>
      new Promise<void>((resolve) => {
        const body = (tx: Tx): number => {
          const value = (tx.get(counter) ?? 0) + 1
          tx.put(counter, value)
          return value
        }
        store.transact(
          body,
          () => resolve(),
          (answer) => answers.push(answer),
        )
      })
    let more: Promise<void> | undefined
    const first = new Promise<void>((resolve) => {
      store.transact(
        (tx) => tx.put(counter, 10),
        () => resolve(),
        () => {
          more = next()
        },
      )
    })
    await Promise.all([first, next(), next()])
    await more
    t.strictSame(answers.sort(), [11, 12, 13])
  })

  check('a body that throws decides nothing', async (t, store) => {
    await new Promise<void>((resolve) => {
      store.transact(
        () => assert.fail('planted'),
        () => resolve(),
        () => t.fail('decided'),
      )
    })
  })
}

function reading(check: Check): void {
  check('a body sees its own writes', async (t, store) => {
    await answerOf(store, (tx) => {
      tx.put(row('a'), 1)
      tx.put(row('b'), 1)
    })
    const seen = await answerOf(store, (tx) => {
      tx.put(row('a'), 2)
      tx.remove(row('b'))
      tx.put(row('c'), 3)
      return { a: tx.get(row('a')), b: tx.get(row('b')), all: [...tx.range(rows)] }
    })
    t.strictSame(seen, {
      a: 2,
      b: undefined,
      all: [
        ['row/a', 2],
        ['row/c', 3],
      ],
    })
  })

  check('a range is of the moment it was asked for', async (t, store) => {
    await answerOf(store, (tx) => {
      for (let n = 0; n < 50; n++) tx.put(row(String(n).padStart(2, '0')), n)
    })
    const visited = await answerOf(store, (tx) => {
      let visits = 0
      for (const [key, value] of tx.range(rows)) {
        visits++
        tx.remove(key)
        tx.put(row(`z${value}`), value)
      }
      return visits
    })
    t.equal(visited, 50)
    t.equal(all(store).length, 50)
  })

  check('a read sees what is committed, whole', async (t, store) => {
    const pending = answerOf(store, (tx) => {
      tx.put(row('a'), 1)
      tx.put(row('b'), 1)
    })
    const early = all(store).length
    t.ok(early === 0 || early === 2, 'both or none')
    await pending
    t.equal(all(store).length, 2, 'at once after done')
  })

  check('values are copies of what was written, as JSON', async (t, store) => {
    const key: Key<{ list: number[]; absent?: undefined }> = 'value'
    const value = { list: [1], absent: undefined }
    await answerOf(store, (tx) => tx.put(key, value))
    value.list.push(2)
    t.strictSame(
      store.read((r) => r.get(key)),
      { list: [1] },
    )
  })

  check('an error in a read comes out', async (t, store) => {
    t.throws(
      () =>
        store.read(() => {
          throw new Error('mine')
        }),
      { message: 'mine' },
    )
  })
}

function ordering(check: Check): void {
  check('a range is in the order of UTF-8 bytes and holds its prefix only', async (t, store) => {
    const names = ['b', 'a', 'a/x', 'ab', '~', '0', 'Z', 'é', '\uffee', '😀', 'a.b', 'a-b']
    await answerOf(store, (tx) => {
      for (const name of names) tx.put(row(name), 1)
      for (const key of ['row', 'row.', 'row0', 'rox/a', 'ro/a']) tx.put(key as Key<number>, 1)
    })
    const sorted = names.map(row).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
    t.strictSame(
      all(store).map(([key]) => key),
      sorted,
    )
  })

  check('a scan is its range, in a body with what it wrote', async (t, store) => {
    await answerOf(store, (tx) => {
      for (let n = 0; n < 2500; n++) tx.put(row(String(n)), n)
      tx.put('rox/a' as Key<number>, 1)
    })
    const both = (reader: Reader): readonly Pairs<number>[] => [
      [...scan(reader, rows)],
      [...reader.range(rows)],
    ]
    for (const [scanned, ranged] of [
      store.read(both),
      await answerOf(store, both),
      await answerOf(store, (tx) => {
        tx.put(row('more'), 1)
        tx.remove(row('7'))
        return both(tx)
      }),
    ]) {
      t.ok(scanned !== undefined && scanned.length > 2499)
      t.strictSame(scanned, ranged)
    }
    const found: string[] = []
    store.read((reader) => texts(reader, rows, (text) => found.push(text)))
    t.strictSame(
      found,
      all(store).map(([, value]) => JSON.stringify(value)),
    )
    const none = 'no/' as KeyRange<number>
    t.strictSame(
      store.read((reader) => [...scan(reader, none)]),
      [],
    )
  })

  check('any puts and removes leave what a plain map would hold', async (t, store) => {
    const random = prng('puts and removes')
    const model = new Map<string, number>()
    const name = () => random.below(20_000).toString().padStart(5, '0')
    for (let round = 0; round < 8; round++) {
      const emptied = String(round % 2)
      await answerOf(store, (tx) => {
        for (let n = 0; n < 3000; n++) {
          const key = row(name())
          if (random.below(4) === 0) {
            tx.remove(key)
            model.delete(key)
          } else {
            tx.put(key, n)
            model.set(key, n)
          }
        }
        // Whole stretches go, too.
        for (const key of [...model.keys()]) {
          if (!key.startsWith(`row/${emptied}`)) continue
          tx.remove(key as Key<number>)
          model.delete(key)
        }
      })
      t.strictSame(all(store), [...model].sort(), `round ${round}: ${model.size} keys`)
    }
  })
}

function watching(check: Check): void {
  check('watch calls after a commit, until it is stopped', async (t, store) => {
    let calls = 0
    const stop = store.watch(() => calls++)
    const writes = answerOf(store, (tx) => tx.put(counter, 1))
    await writes
    await until(() => calls > 0)
    t.ok(calls > 0, 'called')
    stop()
    const before = calls
    await answerOf(store, (tx) => tx.put(counter, 2))
    await sleep(30)
    t.equal(calls, before, 'not called any more')
  })

  check('a watcher that is called finds the commit', async (t, store) => {
    let seen: number | undefined
    store.watch(() => {
      seen = store.read((r) => r.get(counter))
    })
    await answerOf(store, (tx) => tx.put(counter, 7))
    await until(() => seen !== undefined)
    t.equal(seen, 7)
  })

  check('watch is silent when nothing was written', async (t, store) => {
    let calls = 0
    store.watch(() => calls++)
    await answerOf(store, (tx) => tx.get(counter))
    await outcomeOf(store, (tx) => {
      tx.put(counter, 1)
      throw new Error('no')
    })
    await sleep(30)
    t.equal(calls, 0)
  })
}

function closing(check: Check): void {
  check('close lets transactions under way finish', async (t, store) => {
    const pending = Array.from({ length: 20 }, (_, n) =>
      outcomeOf(store, (tx) => tx.put(row(`${n}`), n)),
    )
    store.close()
    store.close()
    const outcomes = await Promise.all(pending)
    t.ok(outcomes.every(({ kind }) => kind === 'committed'))
  })

  check('a closed store refuses', async (t, store) => {
    store.close()
    const outcome = await outcomeOf(store, () => 1)
    t.match(outcome, { kind: 'failed', error: { code: 'STORE' } })
    t.throws(() => store.read(() => 1), { code: 'STORE' })
  })
}

/** Waits for `condition`, at most a second. A watch alone keeps no process alive; this does. */
export async function until(condition: () => boolean, msMax = WATCH_MS_MAX): Promise<void> {
  for (let ms = 0; ms < msMax && !condition(); ms += 2) await sleep(2)
}
