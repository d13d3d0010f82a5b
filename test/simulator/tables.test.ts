/** Properties of tables and of the queue in front of them, against plain sums. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { Engine, EVENT } from '../../simulator/clock.ts'
import { type DeviceModel, SwitchDevice } from '../../simulator/fabric-device.ts'
import { HardwareTable, OVERFLOW_POLICIES, SharedBank } from '../../simulator/tables.ts'
import { mustIp, mustPrefix } from './support.ts'

interface Step {
  readonly add: boolean
  readonly entry: number
}

const steps = fc.array(fc.record({ add: fc.boolean(), entry: fc.integer({ min: 0, max: 11 }) }), {
  maxLength: 60,
})
/** Of an entry always the same. */
const costOf = (entry: number): number => 1 + (entry % 2)

function wantedAfter(history: readonly Step[]): ReadonlySet<number> {
  const wanted = new Set<number>()
  for (const { add, entry } of history) {
    if (add) wanted.add(entry)
    else wanted.delete(entry)
  }
  return wanted
}

const sumOf = (entries: Iterable<number>): number =>
  [...entries].reduce((sum, entry) => sum + costOf(entry), 0)

for (const policy of OVERFLOW_POLICIES) {
  t.test(`${policy}: never over capacity, demand is the sum, nothing is forgotten`, async () => {
    fc.assert(
      fc.property(steps, fc.integer({ min: 1, max: 12 }), (history, capacity) => {
        const table = new HardwareTable(capacity, policy)
        for (const [index, { add, entry }] of history.entries()) {
          if (add) table.add(`e${entry}`, costOf(entry), index, index)
          else table.remove(`e${entry}`)
          const wanted = wantedAfter(history.slice(0, index + 1))
          assert.equal(table.demand, sumOf(wanted))
          assert.ok(table.used <= capacity)
          const taken = [...wanted].filter((each) => table.ask(`e${each}`) === 'taken')
          assert.equal(table.used, sumOf(taken), 'what is taken is wanted, and nothing else is')
          const left = policy === 'software' ? 'software' : 'refused'
          for (const each of wanted) {
            if (!taken.includes(each)) assert.equal(table.ask(`e${each}`), left)
          }
          if (table.demandPeak <= capacity) assert.equal(table.firstOverflow, undefined)
          if (table.demand <= capacity && table.demandPeak <= capacity) {
            assert.equal(table.used, table.demand)
          }
        }
      }),
    )
  })
}

t.test('unknown capacity: no limit, no overflow', async (t) => {
  const table = new HardwareTable(undefined)
  for (let entry = 0; entry < 1000; entry++) t.ok(table.add(`e${entry}`, 1, 0, 0) || false)
  t.equal(table.used, 1000)
  t.equal(table.pressure, undefined)
})

t.test('evict: the oldest goes and comes back, the newest stays', async (t) => {
  const table = new HardwareTable(2, 'evict')
  for (const entry of ['a', 'b', 'c']) table.add(entry, 1, 7, 3)
  t.strictSame(
    ['a', 'b', 'c'].map((entry) => table.ask(entry)),
    ['refused', 'taken', 'taken'],
  )
  t.match(table.firstOverflow, { entry: 'c', atTick: 7 })
  t.equal(table.evictions, 1)
  table.remove('b')
  t.equal(table.ask('a'), 'taken')
  t.notOk(table.add('huge', 3, 8, 4), 'never fits, so nobody has to go')
  t.equal(table.ask('c'), 'taken')
})

t.test('shared memory: all of the one, or all of the other, or parts of both', async () => {
  fc.assert(
    fc.property(steps, steps, fc.constantFrom(...OVERFLOW_POLICIES), (four, six, policy) => {
      const bank = new SharedBank([8, 2])
      const lpm = new HardwareTable(8, policy, { bank, unit: 2 })
      const lpm6 = new HardwareTable(2, policy, { bank, unit: 8 })
      for (const [index, step] of [...four, ...six].entries()) {
        const table = index % 3 === 0 ? lpm6 : lpm
        if (step.add) table.add(`e${step.entry}`, 1, index, 0)
        else table.remove(`e${step.entry}`)
        assert.ok(lpm.used / 8 + lpm6.used / 2 <= 1)
        assert.equal(bank.used, lpm.used * 2 + lpm6.used * 8)
      }
    }),
  )
})

const PLACE = { name: 'tor-0', role: 'tor', rack: 0 } as const

function deviceOf(model: Partial<DeviceModel>): { engine: Engine; device: SwitchDevice } {
  const engine = new Engine()
  const device = new SwitchDevice(engine, 0, PLACE, { capacities: {}, ...model })
  engine.on(EVENT.program, () => device.drain())
  return { engine, device }
}

const entryAt = (index: number) => ({ table: 'lpm', entry: `e${index}`, cost: 1 }) as const

t.test('the queue drains at its rate: n writes take n / rate, to the tick', async () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 300 }),
      fc.integer({ min: 1, max: 100_000 }),
      (count, routesPerSecond) => {
        const { engine, device } = deviceOf({ routesPerSecond })
        for (let index = 0; index < count; index++) device.hear(entryAt(index), true, 0, 0)
        assert.equal(device.tables.lpm.demand, count, 'heard at once')
        assert.equal(device.tables.lpm.used, 0, 'and not yet programmed')
        assert.equal(device.queuePeak, count)
        while (engine.step()) assert.ok(device.tables.lpm.used <= count)
        assert.equal(device.tables.lpm.used, count)
        assert.equal(engine.tick, Math.floor((count * 1_000_000) / routesPerSecond))
        assert.equal(device.lagMaxTicks, engine.tick)
        assert.equal(device.queued, 0)
      },
    ),
  )
})

t.test('what was taken back before its turn costs no time', async (t) => {
  const { engine, device } = deviceOf({ routesPerSecond: 10 })
  device.hear(entryAt(0), true, 0, 0)
  device.hear(entryAt(1), true, 0, 0)
  device.hear(entryAt(1), false, 0, 0)
  device.hear(entryAt(2), true, 0, 0)
  t.equal(device.tables.lpm.ask('e2'), 'queued')
  t.equal(device.tables.lpm.ask('e1'), undefined)
  while (engine.step());
  t.strictSame([device.tables.lpm.used, engine.tick], [2, 200_000])
  device.hear(entryAt(0), false, engine.tick, 0)
  t.equal(device.tables.lpm.ask('e0'), 'taken', 'still in the hardware')
  while (engine.step());
  t.equal(device.tables.lpm.ask('e0'), undefined)
})

t.test('IPv6 hosts: half as many beside IPv4, or room of their own', async (t) => {
  const six = { table: 'host', entry: mustPrefix('fd42::1/128'), cost: 2 } as const
  const shared = deviceOf({ capacities: { host: 4 } }).device
  shared.hear(six, true, 0, 0)
  t.equal(shared.tables.host.used, 2)
  t.equal(shared.ask(mustIp('fd42::1'), 128), 'taken')
  const own = deviceOf({ capacities: { host: 4, host6: 1 } }).device
  own.hear(six, true, 0, 0)
  t.strictSame([own.tables.host.used, own.tables.host6.used], [0, 1])
  t.equal(own.ask(mustIp('fd42::1'), 128), 'taken')
  t.equal(own.ask(mustIp('fd42::2'), 128), undefined)
})
