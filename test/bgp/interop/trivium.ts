/**
 * `trivium bgp run`: its file, and its table by way of its control socket.
 *
 * @module
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { PathJson, PeerJson, RouteJson } from '../../../src/bgp/speaker/json.ts'
import { builtCli } from '../../support/e2e.ts'
import {
  FAMILIES,
  type Implementation,
  type PeerSpec,
  type Place,
  type Router,
  type RouterSpec,
  type RouteSeen,
  some,
} from './spec.ts'
import { askSocket, insist, startProgram } from './world.ts'

const perFamily = <T>(peer: PeerSpec, value: T): Record<string, T> =>
  Object.fromEntries(peer.families.map((family) => [family, value]))

function peerOf(place: Place, peer: PeerSpec): object {
  return {
    address: peer.address,
    asn: peer.asn,
    families: peer.families,
    connectRetrySeconds: 1,
    nextHops: { ipv4: place.ipv4, ipv6: place.ipv6 },
    importPolicy: 'all',
    exportPolicy: 'all',
    gracefulRestart:
      peer.restartSeconds === undefined ? false : { restartSeconds: peer.restartSeconds },
    ...some({
      passive: peer.passive,
      password: peer.password,
      holdSeconds: peer.holdSeconds,
      isClient: peer.isClient,
      addPath: peer.addPath === undefined ? undefined : perFamily(peer, peer.addPath),
      prefixesMax:
        peer.prefixesMax === undefined
          ? undefined
          : perFamily(peer, { count: peer.prefixesMax, action: 'down' }),
    }),
  }
}

export const triviumFile = (place: Place, spec: RouterSpec): string =>
  JSON.stringify({
    asn: spec.asn,
    routerId: spec.routerId,
    kernel: { table: 254 },
    policies: { all: { otherwise: 'accept' } },
    originate: spec.routes.map(({ prefix, communities, extended, large, med }) => ({
      prefix,
      ...some({ communities, extendedCommunities: extended, largeCommunities: large, med }),
    })),
    peers: spec.peers.map((peer) => peerOf(place, peer)),
  })

async function ask<Row>(socket: string, question: object): Promise<readonly Row[]> {
  const text = await askSocket(socket, `${JSON.stringify(question)}\n`, (answer) =>
    /\{"(end|error)":.*\}\n$/.test(answer.toString().slice(-2000)),
  )
  const rows = text.trim().split('\n')
  const last = JSON.parse(rows.pop() ?? '{}') as { readonly error?: string }
  if (last.error !== undefined) throw new Error(`${JSON.stringify(question)}: ${last.error}`)
  return rows.map((row) => JSON.parse(row) as Row)
}

/** `(rt, 65001, 100)` as `rt:65001:100`. */
const colons = (texts: readonly string[] = []): readonly string[] =>
  texts.map((text) => text.replace(/[()]/g, '').replaceAll(/, ?/g, ':'))

const seenOf = (prefix: string, path: PathJson): RouteSeen => ({
  prefix,
  from: path.from,
  nextHop: path.nextHop,
  asPath: path.asPath.split(' ').filter(Boolean).map(Number),
  ...some({ med: path.med, localPref: path.localPref }),
  communities: colons(path.communities),
  extended: colons(path.extendedCommunities),
  large: colons(path.largeCommunities),
  ...some({ originatorId: path.originatorId, clusterList: path.clusterList }),
})

/** Every path of every prefix that peers taught. */
async function routesOf(socket: string): Promise<readonly RouteSeen[]> {
  const seen: RouteSeen[] = []
  for (const family of FAMILIES) {
    for (const { prefix } of await ask<RouteJson>(socket, { ask: 'routes', family })) {
      const paths = await ask<PathJson>(socket, { ask: 'show', prefix })
      const used = paths.filter(
        ({ from, standing }) => from !== 'own' && !standing.startsWith('rejected'),
      )
      seen.push(...used.map((path) => seenOf(prefix, path)))
    }
  }
  return seen
}

export const trivium: Implementation = {
  name: 'trivium',
  program: process.execPath,
  lacks: {},
  async start(place, spec, isRestart = false): Promise<Router> {
    const file = join(place.folder, 'speaker.json')
    const socket = join(place.folder, 'bgp.sock')
    writeFileSync(file, triviumFile(place, spec))
    const flags = [
      '--socket',
      socket,
      '--log-level',
      'debug',
      ...(isRestart ? ['--restarting'] : []),
    ]
    const program = startProgram(place, [...builtCli(), 'bgp', 'run', file, ...flags])
    await insist(program, () => ask(socket, { ask: 'peers' }))
    return {
      name: 'trivium',
      place,
      pid: program.pid,
      async session(peer) {
        const peers = await ask<PeerJson>(socket, { ask: 'peers' })
        const found = peers.find(({ address }) => address === peer)
        const told = JSON.stringify(found)
        return { isUp: found?.state === 'established', updates: found?.updatesIn ?? 0, told }
      },
      routes: () => routesOf(socket),
      refresh: async (peer) => void (await ask(socket, { ask: 'reset', peer, how: 'refresh' })),
      reset: async (peer) => void (await ask(socket, { ask: 'reset', peer, how: 'hard' })),
      signal: (signal) => program.signal(signal),
      kill: () => program.kill(),
      log: () => program.log(),
    }
  },
}
