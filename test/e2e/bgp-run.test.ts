/**
 * `trivium bgp run` beside BIRD: what one announces is in the other's table and in the
 * kernel, signed or not at all, and changes without ending the session.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { inNetns, must, run } from '../../src/lab/exec.ts'
import { bird } from '../bgp/interop/bird.ts'
import type { Place, Router, RouterSpec } from '../bgp/interop/spec.ts'
import { makeWorld, type Program, startProgram, type World } from '../bgp/interop/world.ts'
import { builtCli, ipJson, ROOT, settle, skip } from '../support/e2e.ts'

const PASSWORD = 'of 1 to 80 octets'

/** The file that docs/bgp.md shows, at the addresses of this world. */
function exampleFor(ours: Place, theirs: Place): string {
  const text = readFileSync(join(ROOT, 'docs', 'speaker.yaml'), 'utf8')
  return text
    .replaceAll('192.0.2.1', ours.ipv4)
    .replaceAll('2001:db8::1', ours.ipv6)
    .replaceAll('192.0.2.2', theirs.ipv4)
}

const routerAt = (theirs: Place, ours: Place, password: string): RouterSpec => ({
  asn: 65002,
  routerId: theirs.ipv4,
  peers: [
    { address: ours.ipv4, asn: 65001, families: ['ipv4', 'ipv6'], password, restartSeconds: 60 },
  ],
  routes: [{ prefix: '10.10.0.0/16' }, { prefix: '10.10.0.0/26' }, { prefix: '2001:db8:10::/48' }],
})

interface Meeting {
  readonly world: World
  readonly ours: Place
  readonly theirs: Place
  readonly file: string
  readonly socket: string
  start(): Program
  ask(...args: readonly string[]): Promise<readonly Record<string, unknown>[]>
}

async function meet(t: Test): Promise<Meeting> {
  const world = await makeWorld(3)
  t.teardown(() => world.destroy())
  const [ours, theirs] = world.places as [Place, Place]
  const file = join(ours.folder, 'speaker.yaml')
  const socket = join(ours.folder, 'bgp.sock')
  writeFileSync(file, exampleFor(ours, theirs))
  return {
    ...{ world, ours, theirs, file, socket },
    start: () => {
      const run = ['bgp', 'run', file, '--socket', socket, '--mrt', `${file}.mrt`]
      return startProgram(ours, [...builtCli(), ...run])
    },
    async ask(...args) {
      const { status, stdout } = await run([
        ...[...builtCli(), 'bgp', ...args, '--socket', socket],
        ...['-o', 'json'],
      ])
      return status === 0 ? JSON.parse(stdout || '[]') : []
    },
  }
}

/** Prefixes that BIRD learned, with their communities. */
const learned = async (router: Router): Promise<readonly string[]> =>
  (await router.routes())
    .map(({ prefix, asPath, communities }) =>
      `${prefix} ${asPath.join(' ')} ${communities.join(' ')}`.trim(),
    )
    .sort()

const differs = (found: readonly string[], wanted: readonly string[]): readonly string[] =>
  JSON.stringify(found) === JSON.stringify(wanted) ? [] : found.length > 0 ? found : ['nothing']

const inKernel = async ({ ours }: Meeting): Promise<readonly string[]> => {
  const four = await ipJson(ours.netns, 'route', 'show', 'proto', '85')
  const six = await ipJson(ours.netns, '-6', 'route', 'show', 'proto', '85')
  return [...four, ...six].map(({ dst }) => String(dst)).sort()
}

/** A counter of the namespace's TCP, e.g. of segments dropped because of their signature. */
const tcpCount = async ({ netns }: Place, name: string): Promise<number> => {
  const text = await must(inNetns(netns, ['cat', '/proc/net/netstat']))
  const [names = [], values = []] = text
    .split('\n')
    .filter((line) => line.startsWith('TcpExt:'))
    .map((line) => line.split(' '))
  return Number(values[names.indexOf(name)] ?? 0)
}

async function tryPolicies(t: Test, meeting: Meeting): Promise<void> {
  const { ours, theirs } = meeting
  const [tried] = await meeting.ask('policy', 'test', '10.10.0.0/16', '--peer', theirs.ipv4)
  t.match(
    tried,
    { verdict: 'accepted', by: 'policy from-fabric, rule 1', after: { localPref: 200 } },
    'a trial at the running policy is what has become of the route',
  )
  const outwards = ['policy', 'test', '10.42.0.0/26', '--peer', theirs.ipv4, '--out']
  t.match(await meeting.ask(...outwards), [{ after: { nextHop: ours.ipv4, asPath: '65001' } }])
  const file = join(ours.folder, 'rib.mrt')
  await must([...builtCli(), 'bgp', 'dump', file, '--socket', meeting.socket])
  const dumped = (await must(['bgpdump', '-m', file])).trim().split('\n')
  t.strictSame(
    dumped.map((line) => line.split('|').slice(3, 8).join(' ')).sort(),
    [
      '0.0.0.0 65001 10.42.0.0/26  IGP',
      '0.0.0.0 65001 2001:db8:42::/64  IGP',
      `${theirs.ipv4} 65002 10.10.0.0/16 65002 IGP`,
      `${theirs.ipv4} 65002 2001:db8:10::/48 65002 IGP`,
    ],
    'another program reads the dump of the table',
  )
  const around = await run([
    ...builtCli(),
    'bgp',
    'show',
    '10.10.0.0/28',
    '--socket',
    meeting.socket,
  ])
  t.match(
    around.stdout,
    'around it is 10.10.0.0/26',
    'a prefix without a path is covered by another',
  )
}

/** RFC 8326: the same routes, about to go; and back. */
async function goAndComeBack(
  t: Test,
  { file, ask }: Meeting,
  program: Program,
  router: Router,
  moved: readonly string[],
): Promise<void> {
  writeFileSync(file, `gracefulShutdown: true\n${readFileSync(file, 'utf8')}`)
  program.signal('SIGHUP')
  const going = moved.map((line) => `${line} 65535:0`)
  t.strictSame(await settle(async () => differs(await learned(router), going)), [])
  writeFileSync(file, readFileSync(file, 'utf8').replace('gracefulShutdown: true', ''))
  program.signal('SIGHUP')
  t.strictSame(await settle(async () => differs(await learned(router), moved)), [])
  t.equal((await ask('peers'))[0]?.['established'], 1, 'graceful shutdown ends no session')
}

/** What the speaker wrote of what it heard. */
async function readUpdates(t: Test, { file }: Meeting): Promise<void> {
  const said = (await must(['bgpdump', '-m', `${file}.mrt`]))
    .split('\n')
    .map((line) => line.split('|'))
  const announced = said.filter(([, , what]) => what === 'A').map(([, , , , , prefix]) => prefix)
  t.strictSame(
    [...new Set(announced)].sort(),
    ['10.10.0.0/16', '10.10.0.0/26', '2001:db8:10::/48'],
    'all that BIRD said, policy or not, of both runs',
  )
  const ups = said.filter(([, , what, , , , to]) => what === 'STATE' && to === '6')
  t.equal(ups.length, 2, 'a session in each run')
}

t.test('the example of the documentation, beside BIRD', { skip }, async (t) => {
  const meeting = await meet(t)
  const { world, ours, theirs, file } = meeting
  const router = await world.start(1, bird, routerAt(theirs, ours, PASSWORD))
  let program = meeting.start()
  const told = ['10.42.0.0/26 65001 65001:100', '2001:db8:42::/64 65001 65001:100']
  t.strictSame(
    await settle(async () => differs(await learned(router), told), 60_000),
    [],
    'BIRD has ours',
  )
  const kernel = ['10.10.0.0/16', '2001:db8:10::/48']
  t.strictSame(
    await settle(async () => differs(await inKernel(meeting), kernel)),
    [],
    'our kernel has what the import policy takes: not the /26',
  )
  const [shown] = await meeting.ask('show', '10.10.0.0/26')
  t.equal(shown?.['standing'], 'rejected: policy from-fabric, no rule', 'and it says why')
  const [exported] = await meeting.ask('show', '10.10.0.0/16', '--to', theirs.ipv4)
  t.match(exported?.['standing'], /^not told: .*the peer/, 'nobody is told what it taught')
  const [own] = await meeting.ask('show', '10.42.0.0/26', '--to', theirs.ipv4)
  t.match(own, { standing: 'told by rule 1', communities: ['65001:100'] })
  await tryPolicies(t, meeting)

  writeFileSync(file, exampleFor(ours, theirs).replace('10.42.0.0/26', '10.42.0.64/26'))
  program.signal('SIGHUP')
  const moved = ['10.42.0.64/26 65001 65001:100', told[1] ?? '']
  t.strictSame(
    await settle(async () => differs(await learned(router), moved)),
    [],
    'a reload moves a route',
  )
  const [peer] = await meeting.ask('peers')
  t.equal(peer?.['established'], 1, 'without ending the session')

  await goAndComeBack(t, meeting, program, router, moved)

  program.signal('SIGUSR1')
  await settle(() => (program.hasEnded() ? [] : ['it runs']))
  t.strictSame(await learned(router), moved, 'a graceful end: BIRD keeps the routes')
  t.strictSame(await inKernel(meeting), kernel, 'and our kernel, too')
  program = meeting.start()
  t.strictSame(
    await settle(async () =>
      (await meeting.ask('peers'))[0]?.['state'] === 'established' ? [] : ['no'],
    ),
    [],
    'back',
  )
  t.strictSame(await learned(router), moved)

  program.signal('SIGTERM')
  t.strictSame(
    await settle(async () => await learned(router)),
    [],
    'an end with a Cease takes all back',
  )
  t.match((await router.session(ours.ipv4)).told, /Administrative shutdown/i, 'and says so')
  await readUpdates(t, meeting)
  t.strictSame(await settle(() => inKernel(meeting)), [], 'nothing is left in the kernel')
})

t.test('another password, and a stranger', { skip }, async (t) => {
  const meeting = await meet(t)
  const { world, ours, theirs } = meeting
  const router = await world.start(1, bird, routerAt(theirs, ours, 'another'))
  const program = meeting.start()
  t.strictSame(
    await settle(
      async () => ((await meeting.ask('peers')).length === 1 ? [] : ['no answer']),
      60_000,
    ),
    [],
  )
  const connect = `require('net').connect({ port: 179, host: '${ours.ipv4}' }).on('error', (e) => console.log(e.code)).on('connect', () => console.log('in')).on('close', () => console.log('closed'))`
  const stranger = world.places[2]!
  const heard = await must(inNetns(stranger.netns, [process.execPath, '-e', connect]))
  t.match(heard, /closed/, 'a host that is no peer is shown the door')
  t.match(program.log(), new RegExp(`"event":"stranger","address":"${stranger.ipv4}"`))
  const refused = await settle(async () =>
    (await tcpCount(ours, 'TCPMD5Failure')) > 2 ? [] : ['none yet'],
  )
  t.strictSame(refused, [], 'our kernel drops segments for their signature')
  const [failing] = await meeting.ask('peers')
  t.not(failing?.['state'], 'established')
  t.notOk((await router.session(ours.ipv4)).isUp, 'nor does BIRD think so')
})

t.test('packets from farther than they should be (RFC 5082)', { skip }, async (t) => {
  const world = await makeWorld(2)
  t.teardown(() => world.destroy())
  const [left, right] = world.places as [Place, Place]
  const start = (here: Place, there: Place, asn: number, more: string): Program => {
    const file = join(here.folder, 'speaker.yaml')
    const peer = `{ address: ${there.ipv4}, asn: ${130_003 - asn}, ${more} }`
    const head = `asn: ${asn}\nrouterId: ${here.ipv4}\nlisten: [${here.ipv4}]\n`
    writeFileSync(file, `${head}peers: [${peer}]\n`)
    const socket = join(here.folder, 'bgp.sock')
    return startProgram(here, [...builtCli(), 'bgp', 'run', file, '--socket', socket])
  }
  const up = (program: Program): boolean => program.log().includes('"event":"bgp.up"')
  const first = start(left, right, 65001, 'ttlSecurityHops: 1')
  const second = start(right, left, 65002, 'ttlSecurityHops: 1')
  t.strictSame(await settle(() => (up(first) ? [] : ['down']), 60_000), [], 'both at 255')
  second.signal('SIGTERM')
  await settle(() => (second.hasEnded() ? [] : ['it runs']))
  const before = await tcpCount(left, 'TCPMinTTLDrop')
  start(right, left, 65002, 'multihop: 1')
  const dropped = await settle(async () =>
    (await tcpCount(left, 'TCPMinTTLDrop')) > before + 2 ? [] : ['none'],
  )
  t.strictSame(dropped, [], 'one that sends less is not heard')
  t.equal(first.log().split('"event":"bgp.up"').length, 2, 'and no second session came up')
})
