import t from 'tap'
import { STEPS } from '../../../src/bgp/rib/decision.ts'
import { birdConfig } from './bird-config.ts'
import { generate } from './generate.ts'
import { differences } from './outcome.ts'
import { RibNetwork } from './rib-network.ts'
import { shrink } from './shrink.ts'
import type { Topology } from './topology.ts'

t.test('a fault is shown in a network of a few routers', async (t) => {
  const without = STEPS.filter((each) => each !== 'origin')
  const isBad = (topology: Topology): boolean => {
    const [ours, faulty] = [new RibNetwork(topology, 1), new RibNetwork(topology, 1, without)]
    if (!ours.begin() || !faulty.begin()) return false
    return differences(faulty.outcome(), ours.outcome()).length > 0
  }
  const whole = generate(8)
  t.ok(isBad(whole))
  const small = await shrink(whole, isBad)
  t.ok(isBad(small))
  t.ok(small.routers.length <= 4, `${small.routers.length} routers of ${whole.routers.length}`)
  t.ok(small.sessions.length <= 4)
  const prefixes = small.routers.flatMap(({ originate }) => originate.map(({ prefix }) => prefix))
  t.equal(new Set(prefixes).size, 1)
  t.match(birdConfig(small, small.routers[0]!.id), /^router id /)
})

t.test('a seed is a network, the same every time', async (t) => {
  t.same(generate(7), generate(7))
  t.notSame(generate(7), generate(8))
  const networks = Array.from({ length: 50 }, (_, index) => generate(index + 1))
  const isMeant = networks.map(({ routers, sessions }) => {
    const asns = new Set(routers.map(({ asn }) => asn))
    const isSized = routers.length >= 5 && routers.length <= 20 && asns.size >= 3
    return isSized && sessions.some(({ ends }) => ends[0].kind === 'ebgp')
  })
  t.notOk(isMeant.includes(false), '5 to 20 routers, 3 ASes at least')
})
