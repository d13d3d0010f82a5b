/** The stories of BGP over real sockets; over the simulated network: test/simulator/bgp-contract.test.ts. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { run } from '../../src/lab/exec.ts'
import { makeWorld, type Program, startProgram } from '../bgp/interop/world.ts'
import { bgpStories, linesOf, type RouteRow } from '../contract/bgp-stories.ts'
import { builtCli, settle, skip } from '../support/e2e.ts'

t.test('stories over sockets', { skip }, async (t) => {
  bgpStories(t, async (t, { actors, restarts }) => {
    const world = await makeWorld(actors.length)
    t.teardown(() => world.destroy())
    const indexOf = (name: string): number => actors.findIndex((actor) => actor.name === name)
    const placeOf = (name: string) => world.places[indexOf(name)]!
    const nameOf = (ip: string): string =>
      actors[world.places.findIndex(({ ipv4 }) => ipv4 === ip)]?.name ?? ip
    const programs = new Map<string, Program>()
    const socketOf = (name: string): string => join(placeOf(name).folder, 'bgp.sock')
    const fileOf = (name: string): string => {
      const actor = actors[indexOf(name)]!
      const file = join(placeOf(name).folder, 'speaker.yaml')
      const all = { rules: [], otherwise: 'accept' }
      const { ipv4 } = placeOf(name)
      const config = {
        asn: actor.asn,
        routerId: ipv4,
        listen: [ipv4],
        policies: { all },
        originate: actor.originates,
        peers: actor.peers.map((peer) => ({
          address: placeOf(peer.name).ipv4,
          asn: actors[indexOf(peer.name)]?.asn,
          localAddress: ipv4,
          families: ['ipv4'],
          importPolicy: 'all',
          exportPolicy: 'all',
          gracefulRestart: restarts ? { restartSeconds: 120 } : false,
          ...(peer.isClient && { isClient: true }),
        })),
      }
      writeFileSync(file, JSON.stringify(config))
      return file
    }
    const tableOf = async (name: string): Promise<readonly string[]> => {
      const words = ['bgp', 'routes', 'ipv4', '--socket', socketOf(name), '-o', 'json']
      const { status, stdout, stderr } = await run([...builtCli(), ...words])
      if (status !== 0) return [stderr]
      return linesOf(JSON.parse(stdout || '[]') as readonly RouteRow[], nameOf)
    }
    return {
      start(name, isRestart) {
        const mark = isRestart ? ['--restarting'] : []
        const words = ['bgp', 'run', fileOf(name), '--socket', socketOf(name), ...mark]
        programs.set(name, startProgram(placeOf(name), [...builtCli(), ...words]))
      },
      kill: async (name) => programs.get(name)?.kill(),
      async table(name, wanted) {
        let found: readonly string[] = []
        await settle(async () => {
          found = await tableOf(name)
          return JSON.stringify(found) === JSON.stringify(wanted) ? [] : ['not yet']
        }, 60_000)
        return found
      },
    }
  })
})
