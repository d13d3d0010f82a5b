/** The heap of alarms says what a list of all of them says. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { type Alarmed, Alarms } from '../../../src/bgp/speaker/alarms.ts'
import type { Instant } from '../../../src/machine.ts'
import { holds } from '../../support/property.ts'

const OWNERS = 12
const due = fc.option(fc.nat(30), { nil: undefined })
const changes = fc.array(fc.tuple(fc.nat(OWNERS - 1), due), { maxLength: 60 })

holds(t, 'the next one is the earliest', changes, (all) => {
  const alarms = new Alarms<Alarmed>()
  const owners = Array.from({ length: OWNERS }, (): Alarmed => ({ due: undefined, place: -1 }))
  for (const [index, at] of all) {
    alarms.set(owners[index]!, at as Instant | undefined)
    const times = owners.flatMap((owner) => owner.due ?? [])
    assert.equal(alarms.next, times.length === 0 ? undefined : Math.min(...times))
  }
  let last = -1
  for (let owner = alarms.dueAt(15 as Instant); owner; owner = alarms.dueAt(15 as Instant)) {
    assert.ok(owner.due! >= last && owner.due! <= 15, 'in order')
    last = owner.due!
    alarms.set(owner, undefined)
  }
  assert.ok(
    owners.every((owner) => owner.due === undefined || owner.due > 15),
    'none is left out',
  )
})
