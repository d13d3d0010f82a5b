/**
 * The comparison of a validation can fail: what a look at a real kernel could
 * find differently is found. And the events are the same for the same seed.
 */
import t from 'tap'
import {
  compareRows,
  type Ground,
  SimulatedSide,
  VALIDATE_MODES,
  type ValidateRow,
  validateBatches,
} from '../../simulator/validate.ts'

const GROUNDS: readonly Ground[] = [1, 2, 3].map((number) => ({
  name: `n${number}`,
  underlayLink: 'eth0',
  mac: `02:00:00:00:00:0${number}`,
  mtuBytes: 1500,
  kernelRelease: '6.12.0',
  addresses: [
    { ip: `192.0.2.${number}`, prefixLength: 24 },
    { ip: `2001:db8::${number}`, prefixLength: 64 },
  ],
  routes: [],
}))
const SIZE = { nodes: 3, pods: 2, seed: 5 } as const

for (const mode of VALIDATE_MODES.filter(({ subnets }) => subnets === 1)) {
  t.test(`${mode.name}: the simulated side goes through without a fault`, async (t) => {
    const side = new SimulatedSide(
      GROUNDS,
      mode.networks.map(({ name }) => name),
    )
    const twin = new SimulatedSide(
      GROUNDS,
      mode.networks.map(({ name }) => name),
    )
    for (const { title, steps } of validateBatches(mode, SIZE)) {
      for (const step of steps) {
        side.perform(step)
        twin.perform(step)
      }
      t.strictSame(side.faults, [], title)
      t.strictSame(side.places(), twin.places(), `${title}: again the same`)
    }
    const pods = side.places().filter(({ place }) => place.startsWith('pod-'))
    t.equal(pods.length, 6, 'six pods, two deleted, one that was missed, one more at the end')
  })
}

t.test('each row that is missing, changed or there twice is a difference', async (t) => {
  const rows: readonly ValidateRow[] = [
    { table: 'routes', text: 'unicast 10.42.0.0/26 via 192.0.2.2 dev eth0 metric 0 proto 84' },
    { table: 'routes', text: 'unicast fe80::/64 dev eth0 metric 256 proto 2' },
    { table: 'fdb', text: '02:00:00:00:00:02 dev trvx.1 dst 192.0.2.2' },
  ]
  const [first, second, third] = rows
  if (first === undefined || second === undefined || third === undefined) throw new Error()
  t.strictSame(compareRows(rows, [third, first, second]), { rows: 3, surplus: [], missing: [] })
  t.strictSame(compareRows(rows, [first, second]), { rows: 3, surplus: [third], missing: [] })
  t.strictSame(compareRows([first], rows), { rows: 3, surplus: [], missing: [second, third] })
  t.strictSame(compareRows([first, first], [first]), { rows: 2, surplus: [first], missing: [] })
  const changed = { ...third, text: third.text.replace('192.0.2.2', '192.0.2.3') }
  const { surplus, missing } = compareRows([third], [changed])
  t.strictSame({ surplus, missing }, { surplus: [third], missing: [changed] })
  const moved = { ...third, table: 'routes' }
  t.equal(compareRows([third], [moved]).missing.length, 1, 'the same words in another table')
})
