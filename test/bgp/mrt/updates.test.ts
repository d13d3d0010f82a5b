/** BGP4MP: what a speaker heard of its peers, as Debian's `bgpdump` reads it; and octets of RFC 6396 by hand. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { PeerConfig } from '../../../src/bgp/config.ts'
import { messageRecord, stateRecord } from '../../../src/bgp/mrt/updates.ts'
import { community } from '../../../src/bgp/policy/policy.ts'
import { SpeakerNetwork } from '../../../src/bgp/speaker/in-memory.ts'
import { withUpdateLog } from '../../../src/bgp/speaker/update-log.ts'
import { createSpeaker, type Speaker, type SpeakerInput } from '../../../src/bgp/speaker.ts'
import { run } from '../../../src/lab/exec.ts'
import type { Instant } from '../../../src/machine.ts'
import { parsePrefix } from '../../../src/net/mod.ts'
import { at, ip, own, peer, speaker } from '../speaker/support.ts'

const SECONDS = 1_700_000_000
const OLD_AS = 70_000

t.test('octets', async (t) => {
  const four = { peer: ip('192.0.2.2'), peerAs: 65002, local: ip('192.0.2.1'), localAs: OLD_AS }
  const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
  t.equal(
    hex(stateRecord({ ...four, local: undefined }, 'open-confirm', 'established', 1)),
    '00000001' +
      '00100005' +
      '00000018' +
      '0000fdea00011170' +
      '00000001' +
      'c0000202' +
      '00000000' +
      '00050006',
    'RFC 6396 section 4.4.4; this end is not known',
  )
  const plain = { fourOctetAs: false, hasPathIds: false }
  const head = '00000001' + '00100001' + '00000011' + 'fdea5ba0' + '00000001' + 'c0000202c0000201'
  t.equal(
    hex(messageRecord(four, Uint8Array.of(7), plain, 1)),
    `${head}07`,
    'section 4.4.2, AS_TRANS',
  )
  const subtypes = [false, true].flatMap((fourOctetAs) =>
    [false, true].map((hasPathIds) =>
      messageRecord(four, Uint8Array.of(7), { fourOctetAs, hasPathIds }, 1).at(7),
    ),
  )
  t.strictSame(subtypes, [1, 8, 4, 9], 'RFC 6396 section 4.4, RFC 8050 section 3')
})

/** As sockets may read it: every chunk in two. */
function inPieces(speaker: Speaker): Speaker {
  const handle = (input: SpeakerInput, now: Instant) => {
    if (input.kind !== 'session' || input.input.kind !== 'received')
      return speaker.handle(input, now)
    const { bytes } = input.input
    const part = (piece: Uint8Array) =>
      speaker.handle({ ...input, input: { ...input.input, bytes: piece } as never }, now)
    return [...part(bytes.slice(0, 21)), ...part(bytes.slice(21))]
  }
  return Object.assign(Object.create(speaker) as Speaker, { handle })
}

/** What `a` wrote of its peer, to be said by bgpdump. */
async function heard(t: Test, ours: Partial<PeerConfig>, theirs: Partial<PeerConfig>) {
  const records: Uint8Array[] = []
  const logged = withUpdateLog(
    createSpeaker(),
    (bytes) => void records.push(bytes),
    () => SECONDS,
  )
  const net = new SpeakerNetwork()
  net.add('a', at(1), speaker(1, OLD_AS, [peer('192.0.2.2', 65002, ours)]), inPieces(logged))
  net.add('b', at(2), {
    ...speaker(2, 65002, [peer('192.0.2.1', OLD_AS, theirs)]),
    originate: [
      own('10.2.0.0/16', { med: 7, communities: [community(65002, 1)] }),
      own('2001:db8:2::/48'),
    ],
  })
  net.settle()
  const moved = { kind: 'originate', add: [own('10.3.0.0/16')], remove: [] } as const
  net.feed('b', moved)
  net.settle()
  net.feed('b', { ...moved, add: [], remove: [parsePrefix('10.3.0.0/16')] })
  net.settle()
  net.feed('b', { kind: 'stop', isGraceful: false })
  net.settle()
  const folder = mkdtempSync(join(tmpdir(), 'mrt-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const file = join(folder, 'updates.mrt')
  writeFileSync(file, Buffer.concat(records))
  return async (...flags: readonly string[]): Promise<readonly string[]> =>
    (await run(['bgpdump', ...flags, file])).stdout.trim().split('\n')
}

const SAID = [
  'A|10.2.0.0/16|65002|IGP|192.0.2.2|0|7|65002:1|NAG||',
  'A|2001:db8:2::/48|65002|IGP|2001:db8::2|0|0||NAG||',
  'A|10.3.0.0/16|65002|IGP|192.0.2.2|0|0||NAG||',
  'W|10.3.0.0/16',
]

const lacks = (await run(['bgpdump', '-T']).catch(() => undefined)) === undefined
t.test('bgpdump reads it', { skip: lacks && 'bgpdump is not installed' }, async (t) => {
  const lines = (await (await heard(t, {}, {}))('-m')).map((line) =>
    line.replace(`BGP4MP|${SECONDS}|`, '').replace('192.0.2.2|65002|', ''),
  )
  t.strictSame(
    lines.filter((line) => /^[AW]/.test(line)),
    SAID,
  )
  const states = lines.flatMap((line) => (line.startsWith('STATE|') ? [line.slice(6)] : []))
  t.match(states.join(' '), /4\|5 5\|6 6\|1/, 'OpenSent to Established, and back to Idle')
  const after = lines.indexOf('STATE|6|1')
  t.ok(after > lines.indexOf('W|10.3.0.0/16'), 'in their order')
})

t.test(
  '… with path identifiers of one family',
  { skip: lacks && 'bgpdump is not installed' },
  async (t) => {
    const say = await heard(t, { addPath: { ipv4: 'receive' } }, { addPath: { ipv4: 'send' } })
    const prefixes = (await say())
      .filter((line) => line.startsWith('  '))
      .map((line) => line.trim())
    t.strictSame(prefixes, [
      '10.2.0.0/16 PATH_ID: 1',
      '2001:db8:2::/48',
      '10.3.0.0/16 PATH_ID: 2',
      '10.3.0.0/16 PATH_ID: 2',
    ])
  },
)

t.test('an UPDATE with the end of the session behind it in one chunk', async (t) => {
  const records: Uint8Array[] = []
  let last: Extract<SpeakerInput, { kind: 'session' }> | undefined
  const logged = withUpdateLog(
    createSpeaker(),
    (bytes) => void records.push(bytes),
    () => SECONDS,
  )
  const net = new SpeakerNetwork({
    onInput({ name }, input) {
      const isHeard = input.kind === 'session' && input.input.kind === 'received'
      if (name === 'a' && isHeard && input.input.bytes.at(18) === 2) last ??= input
    },
  })
  net.add('a', at(1), speaker(1, OLD_AS, [peer('192.0.2.2', 65002)]), logged)
  net.add('b', at(2), speaker(2, 65002, [peer('192.0.2.1', OLD_AS)], ['10.2.0.0/16']))
  net.settle()
  if (last?.input.kind !== 'received') throw new Error('no UPDATE came')
  const cease = Buffer.from(`${'ff'.repeat(16)}00150306${'02'}`, 'hex')
  const bytes = Buffer.concat([last.input.bytes, cease])
  records.length = 0
  logged.handle({ ...last, input: { ...last.input, bytes } }, net.now)
  t.strictSame([...new Set(records.map((record) => record[7]))], [4, 5], 'first it, then the state')
})
