/**
 * A host's uplink is taken over and given back: the host is reached all the time, and what is away
 * afterwards is nothing.
 */
import t from 'tap'
import { inNetns, run } from '../../src/lab/exec.ts'
import { builtCli, ROOT, settle, skip } from '../support/e2e.ts'
import { pinging, talk, type UplinkHost, uplinkHost } from '../support/uplink-host.ts'

const uplink = (h: UplinkHost, ...args: readonly string[]) =>
  run(inNetns(h.host, [...builtCli(), 'uplink', ...args, '--socket', h.socketPath]))

const script = (h: UplinkHost, ...args: readonly string[]) =>
  run(
    inNetns(h.host, [
      process.execPath,
      '--conditions=trivium-source',
      '--import',
      'tsx',
      `${ROOT}/test/support/uplink-script.ts`,
      ...args,
    ]),
    {
      env: { ...process.env, TSX_TSCONFIG_PATH: `${ROOT}/tsconfig.json` } as Record<string, string>,
    },
  )

/** Lost of a hundred, rounded up: what a person would say. */
const lost = ({ sent, received }: { sent: number; received: number }): number => sent - received

/** What is about the uplink, the bridge in its place. */
const asTaken = (lines: readonly string[]): readonly string[] =>
  lines
    .filter(
      (line) =>
        /inet6? |default|via|nexthop|table|dev |^\d+:\tfrom/.test(line) &&
        !/^\d+: (?:lo|eth0|br-eth0)|ff00::|^ {4}bridge|\/proc/.test(line),
    )
    .map((line) => line.replaceAll('br-eth0', 'eth0'))

t.test('there and back', { skip }, async (t) => {
  const h = await uplinkHost(t)
  const before = await h.dump()
  const talks = [await talk(t, h, '192.0.2.1'), await talk(t, h, '2001:db8::1')]

  const plan = await uplink(h, 'take', 'eth0', '--plan')
  t.equal(plan.status, 0, plan.stderr)
  t.match(plan.stdout, 'ip link set dev eth0 master br-eth0')
  t.strictSame(await h.dump(), before, 'a plan changes nothing')

  const watched = <T>(work: () => Promise<T>) =>
    pinging(h.host, '192.0.2.1', () =>
      pinging(h.host, '2001:db8::1', () => pinging(h.gateway, '192.0.2.10', work)),
    )
  for (const [verb, lostMax] of [
    ['take', 1],
    ['give', 2],
  ] as const) {
    const counts = talks.map(({ count }) => count())
    const [[[done, inward], six], four] = await watched(() => uplink(h, verb, 'eth0'))
    t.equal(done.status, 0, done.stdout + done.stderr)
    for (const [name, pings] of Object.entries({ four, six, inward })) {
      t.comment(`${verb}, ${name}: ${lost(pings)} of ${pings.sent} pings lost`)
      t.ok(pings.sent > 20 && lost(pings) <= lostMax, `${verb}: ${name} goes on`, { pings })
    }
    const goesOn = (): readonly string[] =>
      talks.flatMap((each, index) =>
        !each.isOver() && each.count() > (counts[index] ?? 0) + 50
          ? []
          : [`connection ${index} stands`],
      )
    t.strictSame(await settle(goesOn), [], `${verb}: connections live`)
    const after = await h.dump()
    if (verb === 'take') {
      t.strictSame(asTaken(after), asTaken(before), 'all of it is on the bridge, and nothing else')
      t.strictSame(
        (await h.ip('-br', 'addr', 'show', 'eth0')).trim().split(/\s+/).slice(2),
        [],
        'none on the link',
      )
      const shown = await uplink(h, 'show', '-o', 'json')
      t.strictSame(JSON.parse(shown.stdout), [
        { link: 'eth0', bridge: 'br-eth0', state: 'taken', ports: [] },
      ])
      t.equal((await uplink(h, 'take', 'eth0')).status, 1, 'not twice')
    } else {
      t.strictSame(after, before, 'as it was')
    }
  }
})

t.test('a gateway that falls silent', { skip }, async (t) => {
  const h = await uplinkHost(t)
  const before = await h.dump()
  const [done, pings] = await pinging(h.host, '192.0.2.10', async () =>
    script(h, 'silent', h.socketPath, '20', 'take', h.gateway),
  )
  const outcome = JSON.parse(done.stdout || '{}')
  t.match(
    outcome,
    {
      state: 'rolled-back',
      reason: /192\.0\.2\.1, fe80::1 did not answer on br-eth0 within 1\.5 s/,
    },
    done.stderr,
  )
  t.notOk(outcome.failures, 'nothing was refused')
  t.equal(lost(pings), 0, 'the host has its own address all the time')
  await h.setGateway(true)
  t.strictSame(await h.dump(), before, 'as it was')
  const [, after] = await pinging(h.host, '192.0.2.1', () => settle(() => ['a while'], 500))
  t.ok(after.received > 10, 'and reaches its gateway', after)

  await h.setGateway(false)
  const refused = await uplink(h, 'take', 'eth0')
  t.equal(refused.status, 1, 'who does not answer before is no guard')
  t.match(refused.stderr, '192.0.2.1, fe80::1 does not answer on eth0')
  t.strictSame(await h.dump(), before, 'nothing was changed')
})

t.test('death at every step', { skip }, async (t) => {
  const h = await uplinkHost(t)
  const before = await h.dump()
  for (const verb of ['take', 'give'] as const) {
    // The first one ends by a take-over that comes through: that is what is given back then.
    const { stdout, stderr } = await script(
      h,
      'each',
      h.socketPath,
      String(Math.floor(Math.random() * (verb === 'take' ? 1 : 3))),
      verb,
    )
    const outcomes = JSON.parse(stdout || '[]') as readonly {
      ended: string
      dump: string
      recovered: readonly object[]
    }[]
    t.ok(outcomes.length > (verb === 'take' ? 25 : 8), `${verb}: ${outcomes.length} steps`, {
      stderr,
    })
    const dumps = new Set(outcomes.map(({ dump }) => dump))
    t.equal(dumps.size, 1, `${verb}: the same after each`, { dumps: [...dumps] })
    const bad = outcomes.filter(
      ({ ended, recovered }) =>
        ended !== 'died' || recovered.length !== 1 || 'failures' in (recovered[0] ?? {}),
    )
    t.strictSame(bad, [], `${verb}: each was recovered`)
  }
  t.strictSame(await h.dump(), before, 'as it was')
})

t.test('SIGKILL', { skip }, async (t) => {
  const h = await uplinkHost(t)
  const before = await h.dump()
  const isLong = process.env['TRIVIUM_LONG'] === '1'
  const steps = isLong ? Array.from({ length: 30 }, (_, at) => at) : [24]
  for (const at of steps) {
    const [killed, pings] = await pinging(h.host, '192.0.2.1', async () => {
      const killed = await script(h, 'kill', h.socketPath, String(at))
      const recovered = await uplink(h, 'recover', '-o', 'json')
      t.match(
        JSON.parse(recovered.stdout),
        [{ was: 'taking', state: 'rolled-back' }],
        recovered.stderr,
      )
      return killed
    })
    t.equal(killed.status, 137, `killed before request ${at}`)
    t.comment(`killed before request ${at}: ${lost(pings)} of ${pings.sent} pings lost`)
    t.strictSame(await h.dump(), before, 'as it was')
  }
  const killed = await script(h, 'guarded', h.socketPath, '20', 'take', '', builtCli()[1] ?? '')
  t.equal(killed.status, 137, 'killed')
  const isBack = async (): Promise<readonly string[]> => {
    const [now, wanted] = [await h.dump(), new Set(before)]
    return now.filter((line) => !wanted.has(line))
  }
  t.strictSame(await settle(isBack), [], 'and taken back, though nobody asked')
  t.strictSame(await h.dump(), before, 'as it was')
})
