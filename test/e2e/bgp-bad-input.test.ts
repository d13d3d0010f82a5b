/**
 * What a running speaker does about peers that are wrong, hostile or slow, read on the wire:
 * the NOTIFICATION, one line in the log, and a session to BIRD that is not harmed meanwhile.
 *
 * ```
 *   [ours] ---- switch ---- [BIRD]
 *                  |
 *          [script: an address a case]
 * ```
 */
import { existsSync } from 'node:fs'
import t, { type Test } from 'tap'
import { ASN, CASES, type Case } from '../bgp/interop/bad-input.ts'
import { bird } from '../bgp/interop/bird.ts'
import { base, exchanged, type Pair } from '../bgp/interop/meeting.ts'
import { call, good, greet, openOf, type ScriptPeer, update } from '../bgp/interop/script-peer.ts'
import type { PeerSpec, Place, Router } from '../bgp/interop/spec.ts'
import { trivium } from '../bgp/interop/trivium.ts'
import { makeWorld } from '../bgp/interop/world.ts'
import { builtCli, ip, settle, skip } from '../support/e2e.ts'

const isLong = process.env['TRIVIUM_LONG'] === '1'
const cases = CASES.filter((each) => isLong || each.isLong !== true)

const addressOf = (number: number): string => `192.0.2.${20 + number}`
/** Beside the cases: with a password, with a session already, and nobody's. */
const [SIGNED, TWICE, STRANGER] = [1, 2, 3].map((more) => addressOf(CASES.length + more)) as [
  string,
  string,
  string,
]
const STRANGE_CALLS = isLong ? 10_000 : 2000
const HOLD_SECONDS = 9
/** More than the large hold time of RFC 4271, 4 minutes. */
const LONG_MS_MAX = 300_000

const scripted = (address: string, terms: Partial<PeerSpec> = {}): PeerSpec => ({
  address,
  asn: ASN,
  families: ['ipv4'],
  passive: true,
  ...terms,
})

interface Scene {
  readonly us: Router
  readonly pair: Pair
  readonly script: Place
  callFrom(address: string, key?: string): Promise<ScriptPeer>
}

async function scene(t: Test): Promise<Scene> {
  const world = await makeWorld(3)
  t.teardown(() => world.destroy())
  const [one, two, script] = world.places as [Place, Place, Place]
  const wrong = cases.map(({ terms }, number) => scripted(addressOf(number), terms))
  const both = { families: ['ipv4', 'ipv6'], holdSeconds: HOLD_SECONDS } as const
  const toBird: PeerSpec = { address: two.ipv4, asn: 65002, ...both }
  const specs = {
    a: {
      ...base(1, 65001),
      peers: [toBird, ...wrong, scripted(SIGNED, { password: 'right' }), scripted(TWICE)],
    },
    b: { ...base(2, 65002), peers: [{ address: one.ipv4, asn: 65001, ...both }] },
  }
  for (const address of [...wrong.map((peer) => peer.address), SIGNED, TWICE, STRANGER]) {
    await ip(script.netns, 'address', 'add', `${address}/24`, 'dev', 'eth0')
  }
  const [a, b] = await Promise.all([
    world.start(0, trivium, specs.a),
    world.start(1, bird, specs.b),
  ])
  const address = { a: one.ipv4, b: two.ipv4 }
  const pair: Pair = { a, b, address, specs, startAgain: async () => {} }
  const callFrom = (from: string, key?: string): Promise<ScriptPeer> =>
    call(
      { netns: script.netns, from, to: one.ipv4, ...(key === undefined ? {} : { key }) },
      key === undefined ? undefined : 2500,
    )
  return { us: a, pair, script, callFrom }
}

/** Lines of the log about a peer that are warnings or worse. */
const warnings = (us: Router, peer: string): readonly string[] =>
  us
    .log()
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .filter((line) => {
      const said = JSON.parse(line) as Readonly<Record<string, unknown>>
      return (said['peer'] === peer || said['address'] === peer) && Number(said['level']) >= 40
    })

async function check(t: Test, { us, callFrom }: Scene, each: Case, number: number): Promise<void> {
  const address = addressOf(number)
  const peer = await callFrom(address)
  if (each.isEarly !== true) await greet(peer, { asn: ASN })
  const net = [24, 10, 66, number] as const
  const nextHop = address.split('.').map(Number)
  await each.run(peer, net, nextHop)
  const paths = async (second: number): Promise<number> =>
    (await us.routes()).filter(({ prefix }) => prefix === `10.${second}.${number}.0/24`).length
  if (each.wanted === 'stays') {
    // What is said behind it is known: so it was read.
    peer.send(update(good(ASN, nextHop), [24, 10, 67, number]))
    const isRead = async (): Promise<readonly string[]> =>
      (await paths(67)) === 1 ? [] : ['what was said next is not used']
    t.strictSame(await settle(isRead), [], 'the session stays')
    t.equal(await paths(66), each.isUsed === true ? 1 : 0, 'paths of the case')
    t.notOk(peer.isClosed(), 'the connection is there')
  } else {
    const msMax = each.isLong === true ? LONG_MS_MAX : undefined
    t.equal(await peer.verdict(msMax), each.wanted, `NOTIFICATION ${each.wanted} (${each.rfc})`)
    t.equal(await paths(66), 0, 'nothing of it is used')
  }
  const said = async (): Promise<readonly string[]> => {
    const lines = warnings(us, address)
    const wanted = each.log === undefined ? 0 : 1
    const isRight = lines.length === wanted && lines.every((line) => each.log?.test(line))
    return isRight ? [] : [`${lines.length} lines: ${lines.join(' ')}`]
  }
  t.strictSame(await settle(said, 3000), [], 'the log says so once')
  peer.end()
}

/** Says that BIRD and we have had one session all the time. */
async function unharmed(t: Test, { us, pair }: Scene, since: string): Promise<void> {
  t.strictSame(await exchanged(pair, 'both'), [], 'tables are as before')
  t.equal(await sinceOf(pair), since, 'BIRD has had one session all the time')
  t.strictSame(warnings(us, pair.address.b), [], 'our log says nothing of it')
}

/** When BIRD's session began, in its own words. */
async function sinceOf({ b, address }: Pair): Promise<string> {
  const { isUp, told } = await b.session(address.a)
  return `${isUp} ${/ up +(\S+)/.exec(told)?.[1]}`
}

const why = skip || (existsSync(bird.program) ? false : 'no BIRD')

t.test('peers that are wrong', { skip: why }, async (t) => {
  builtCli()
  const made = await scene(t)
  const { us, pair, callFrom, script } = made
  t.strictSame(
    await settle(() => exchanged(pair, 'both'), 30_000),
    [],
    'BIRD and we know each other',
  )
  const since = await sinceOf(pair)

  for (const [number, each] of cases.entries()) {
    await t.test(each.name, (t) => check(t, made, each, number))
  }
  await t.test('not harmed by the cases', (t) => unharmed(t, made, since))

  await t.test('no signature, and another one', async (t) => {
    for (const key of [undefined, 'wrong']) {
      const from = { netns: script.netns, from: SIGNED, to: pair.address.a }
      const called = call({ ...from, ...(key === undefined ? {} : { key }) }, 2500)
      await t.rejects(called, `${key ?? 'none'}: nobody answers`)
    }
    const peer = await callFrom(SIGNED, 'right')
    await greet(peer, { asn: ASN })
    t.ok((await us.session(SIGNED)).isUp, 'the right one is answered')
    peer.end()
  })

  await t.test('a second connection of a peer with a session', async (t) => {
    const first = await callFrom(TWICE)
    await greet(first, { asn: ASN })
    const second = await callFrom(TWICE)
    second.send(openOf({ asn: ASN }))
    t.equal(await second.verdict(), '6/7', 'Connection Collision Resolution (RFC 4271 6.8)')
    t.ok((await us.session(TWICE)).isUp, 'the first one stays')
    t.notOk(first.isClosed())
    first.end()
  })

  await t.test(`${STRANGE_CALLS} connections of nobody's`, async (t) => {
    let [calls, answered] = [0, 0]
    const work = async (): Promise<void> => {
      while (calls < STRANGE_CALLS) {
        calls++
        const peer = await callFrom(STRANGER).catch(() => undefined)
        if (peer !== undefined && (await peer.verdict()) !== 'closed') answered++
      }
    }
    await Promise.all(Array.from({ length: 20 }, work))
    t.equal(answered, 0, 'each is closed without a word')
    t.equal(warnings(us, STRANGER).length, 1, 'the log says so once')
    await unharmed(t, made, since)
  })
})
