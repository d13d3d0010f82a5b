/**
 * BIRD 2.0: its configuration, and its table by way of its control socket.
 *
 * @module
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  FAMILIES,
  type Implementation,
  type PeerSpec,
  type Place,
  type Router,
  type RouterSpec,
  type RouteSeen,
  type RouteSpec,
  some,
} from './spec.ts'
import { askSocket, insist, startProgram } from './world.ts'

const ADD_PATH = { send: 'tx', receive: 'rx', both: 'on' } as const

/** Names of protocols may hold no colon or dot. */
const nameOf = (address: string): string => `p_${address.replaceAll(/[.:]/g, '_')}`

function attributesOf({ prefix, ...route }: RouteSpec): string {
  const sets = [
    ...(route.communities ?? []).map((each) => `bgp_community.add((${pair(each)}));`),
    ...(route.extended ?? []).map((each) => `bgp_ext_community.add((${pair(each)}));`),
    ...(route.large ?? []).map((each) => `bgp_large_community.add((${pair(each)}));`),
    ...(route.med === undefined ? [] : [`bgp_med = ${route.med};`]),
  ]
  return `  if net = ${prefix} then { ${sets.join(' ')} }\n`
}

const pair = (text: string): string => text.replaceAll(':', ',')

function channelOf(family: 'ipv4' | 'ipv6', place: Place, peer: PeerSpec): string {
  const filter = `filter out_${family}`
  const options = [
    'import all',
    `export ${filter}`,
    `next hop address ${place[family]}`,
    ...(peer.addPath === undefined ? [] : [`add paths ${ADD_PATH[peer.addPath]}`]),
    ...(peer.prefixesMax === undefined ? [] : [`receive limit ${peer.prefixesMax} action disable`]),
    ...(peer.restartSeconds === undefined ? [] : ['graceful restart on']),
  ]
  return `  ${family} { ${options.join('; ')}; };\n`
}

function protocolOf(place: Place, spec: RouterSpec, peer: PeerSpec): string {
  const local = peer.address.includes(':') ? place.ipv6 : place.ipv4
  const hold = peer.holdSeconds ?? 90
  const options = [
    `local ${local} as ${spec.asn}`,
    `neighbor ${peer.address} as ${peer.asn}`,
    `hold time ${hold}; startup hold time ${hold}; keepalive time ${Math.max(1, Math.floor(hold / 3))}`,
    'direct; connect delay time 1; connect retry time 1; error wait time 1, 2; error forget time 1',
    'enable extended messages on',
    ...(peer.passive === true ? ['passive'] : []),
    ...(peer.password === undefined ? [] : [`password "${peer.password}"`]),
    ...(peer.isClient === true ? ['rr client'] : []),
    peer.restartSeconds === undefined
      ? 'graceful restart off'
      : `graceful restart on; graceful restart time ${peer.restartSeconds}`,
  ]
  const channels = peer.families.map((family) => channelOf(family, place, peer)).join('')
  return `protocol bgp ${nameOf(peer.address)} {\n  ${options.join(';\n  ')};\n${channels}}\n`
}

export function birdConfig(place: Place, spec: RouterSpec): string {
  const statics = FAMILIES.map((family) => {
    const routes = spec.routes.filter(({ prefix }) => prefix.includes(':') === (family === 'ipv6'))
    const listed = routes.map(({ prefix }) => `route ${prefix} blackhole;`).join(' ')
    return `protocol static s_${family} { ${family}; ${listed} }
filter out_${family} {
  if source != RTS_STATIC && source != RTS_BGP then reject;
${routes.map(attributesOf).join('')}  accept;
}
`
  })
  return `router id ${spec.routerId};
graceful restart wait 10;
protocol device {}
protocol direct { ipv4; ipv6; }
${statics.join('')}${spec.peers.map((peer) => protocolOf(place, spec, peer)).join('')}`
}

/** The control socket's answer ends with a line of a number and a space that begins with 0, 8 or 9. */
const isWhole = (answer: Buffer): boolean =>
  /^[089]\d{3} .*\n$/m.test(answer.toString().slice(-400))

async function ask(socket: string, question: string): Promise<string> {
  const answer = await askSocket(socket, `${question}\n`, (all) => {
    // The greeting is a whole answer, too: 0001.
    const rest = all.toString().replace(/^0001 .*\n/, '')
    return isWhole(Buffer.from(rest))
  })
  return answer
    .split('\n')
    .filter((line) => !line.startsWith('0001 '))
    .map((line) => line.replace(/^(\d{4}[- ]| )/, ''))
    .join('\n')
}

const pairs = (text: string | undefined): readonly string[] =>
  [...(text ?? '').matchAll(/\(([^)]*)\)/g)].map(([, inner = '']) =>
    inner.replaceAll(', ', ':').replaceAll(',', ':'),
  )

/** `show route all`: a line a path at the margin, its attributes behind a tab. */
export function parseRoutes(text: string, from: string): readonly RouteSeen[] {
  const seen: RouteSeen[] = []
  let prefix = ''
  for (const block of text.split(/\n(?=\S| +(?:unicast|blackhole|unreachable) )/)) {
    if (!/unicast|blackhole|unreachable/.test(block.split('\n')[0] ?? '')) continue
    prefix = /^([0-9a-f.:]+\/\d+)/.exec(block)?.[1] ?? prefix
    const attributes = new Map(
      [...block.matchAll(/^\s*BGP\.(\w+): ?(.*)$/gm)].map(([, key = '', value = '']) => [
        key,
        value,
      ]),
    )
    const numberOf = (key: string): number | undefined =>
      attributes.has(key) ? Number(attributes.get(key)) : undefined
    const clusters = attributes.get('cluster_list')?.trim()
    seen.push({
      prefix,
      from,
      nextHop: (attributes.get('next_hop') ?? '').split(' ')[0] ?? '',
      asPath: (attributes.get('as_path') ?? '').split(' ').filter(Boolean).map(Number),
      ...some({ med: numberOf('med'), localPref: numberOf('local_pref') }),
      communities: pairs(attributes.get('community')),
      extended: pairs(attributes.get('ext_community')),
      large: pairs(attributes.get('large_community')),
      ...some({
        originatorId: attributes.get('originator_id'),
        clusterList: clusters?.split(' '),
      }),
    })
  }
  return seen
}

export const bird: Implementation = {
  name: 'bird',
  program: '/usr/sbin/bird',
  enhancedRefresh: /Neighbor capabilities[\s\S]*Enhanced refresh/,
  lacks: {},
  async start(place, spec, isRestart = false): Promise<Router> {
    const file = join(place.folder, 'bird.conf')
    const socket = join(place.folder, 'bird.ctl')
    writeFileSync(file, birdConfig(place, spec))
    const command = ['bird', '-f', '-c', file, '-s', socket, ...(isRestart ? ['-R'] : [])]
    const program = startProgram(place, command)
    await insist(program, () => ask(socket, 'show status'))
    return {
      name: 'bird',
      place,
      pid: program.pid,
      async session(peer) {
        const told = await ask(socket, `show protocols all ${nameOf(peer)}`)
        const received = [...told.matchAll(/Import updates: +(\d+)/g)]
        const updates = received.reduce((sum, [, count]) => sum + Number(count), 0)
        return { isUp: /BGP state: +Established/.test(told), updates, told }
      },
      async routes() {
        const tables = spec.peers.map(async ({ address }) =>
          parseRoutes(await ask(socket, `show route all protocol ${nameOf(address)}`), address),
        )
        return (await Promise.all(tables)).flat()
      },
      refresh: async (peer) => void (await ask(socket, `reload in ${nameOf(peer)}`)),
      reset: async (peer) => void (await ask(socket, `restart ${nameOf(peer)}`)),
      signal: (signal) => program.signal(signal),
      kill: () => program.kill(),
      log: () => program.log(),
    }
  },
}
