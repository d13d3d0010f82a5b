/** Each row of the switch profiles has a public source and numbers that can be. */
import t from 'tap'
import {
  PROGRAMMING_RATES,
  profileNamed,
  SWITCH_PROFILES,
  SWITCH_TABLES,
} from '../../simulator/profiles.ts'

/** The largest that any page claims is Jericho2's LPM; nothing real is smaller than a tunnel table. */
const PLAUSIBLE = { least: 250, most: 5_000_000 } as const

const names = SWITCH_PROFILES.map(({ name }) => name)
t.ok(SWITCH_PROFILES.length >= 15, `${SWITCH_PROFILES.length} profiles`)
t.equal(new Set(names).size, names.length, 'no name twice')

for (const { name, asic, source, capacities } of SWITCH_PROFILES) {
  t.match(source, /^https:\/\/\S+\.\S+\/\S+$/, `${name} has a public source`)
  t.ok(asic.length > 5, `${name} says what it is`)
  const sizes = SWITCH_TABLES.flatMap((table) => capacities[table] ?? [])
  t.ok(sizes.length > 0, `${name} has at least one number`)
  t.ok(
    sizes.every(
      (size) => Number.isInteger(size) && size >= PLAUSIBLE.least && size <= PLAUSIBLE.most,
    ),
    `${name}: ${sizes.join(', ')}`,
  )
  const { lpm = Number.POSITIVE_INFINITY, lpm6 = 0, host, host6 = 0 } = capacities
  t.ok(lpm6 <= lpm, `${name}: a long IPv6 prefix is never the smaller entry`)
  t.ok(host === undefined || host6 <= host, `${name}: nor is an IPv6 host`)
  if (capacities.sharedLpm) t.ok(lpm6 > 0, `${name}: what shares has both numbers`)
}

// As the sources print them.
t.match(profileNamed('trident3-default')?.capacities, { host: 16384, lpm: 131072, mac: 32768 })
t.match(profileNamed('helix4')?.capacities, { host: 12288, lpm: 7800, mac: 24576, sharedLpm: true })
t.match(profileNamed('spectrum2-default')?.capacities, { host: 41984, host6: 20480, lpm: 83968 })
t.match(profileNamed('qfx5100-l3-profile')?.capacities, { mac: 98304, host: 212992 })
t.equal(profileNamed('qfx5100-l3-profile')?.capacities.lpm, undefined, 'not on that page')
t.match(profileNamed('c9500-distribution')?.capacities, { mac: 64000, host: 48000, vtep: 500 })
t.equal(profileNamed('nobody'), undefined)

for (const { name, routesPerSecond, source } of PROGRAMMING_RATES) {
  t.match(source, /^https:\/\//, `${name} has a public source`)
  t.ok(Number.isInteger(routesPerSecond) && routesPerSecond >= 100, name)
}
