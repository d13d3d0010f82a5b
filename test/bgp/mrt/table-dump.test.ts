/** MRT: Debian's `bgpdump` reads what was written, and octets of RFC 6396 by hand. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import type { Attributes } from '../../../src/bgp/attributes.ts'
import { peersRecord, prefixRecord } from '../../../src/bgp/mrt/table-dump.ts'
import { run } from '../../../src/lab/exec.ts'
import { parseIp, parsePrefix } from '../../../src/net/mod.ts'

const SECONDS = 1_700_000_000
const ip = (text: string) => parseIp(text)
const four: Attributes = {
  origin: 'igp',
  asPath: [{ kind: 'sequence', asns: [65002, 4_200_000_000] }],
  nextHop: ip('192.0.2.2'),
  med: 7,
  localPref: 200,
  communities: [65001 * 65536 + 100],
}
const six: Attributes = {
  ...four,
  asPath: [
    { kind: 'sequence', asns: [65003] },
    { kind: 'set', asns: [1, 2] },
  ],
  nextHop: ip('2001:db8::3'),
  linkLocal: ip('fe80::3'),
  origin: 'incomplete',
}
const peers = [
  { address: ip('192.0.2.2'), asn: 65002, routerId: ip('192.0.2.2') },
  { address: ip('2001:db8::3'), asn: 4_200_000_000, routerId: ip('192.0.2.3') },
]
const dump = (): Uint8Array =>
  Buffer.concat([
    peersRecord(ip('192.0.2.1'), peers, SECONDS),
    prefixRecord(parsePrefix('10.0.0.0/9'), [{ peer: 0, attributes: four }], 0, SECONDS),
    prefixRecord(parsePrefix('2001:db8::/33'), [{ peer: 1, attributes: six }], 1, SECONDS),
  ])

t.test('octets', async (t) => {
  const [head = ''] = [
    Buffer.from(peersRecord(ip('192.0.2.1'), peers.slice(0, 1), 1)).toString('hex'),
  ]
  t.equal(
    head,
    '00000001000d000100000015' + 'c0000201' + '0000' + '0001' + '02c0000202c00002020000fdea',
    'RFC 6396 section 4.3.1',
  )
})

t.test('octets of a prefix with two paths', async (t) => {
  const plain: Attributes = { origin: 'igp', asPath: [], nextHop: ip('192.0.2.2') }
  const far: Attributes = { ...plain, nextHop: ip('2001:db8::3'), linkLocal: ip('fe80::3') }
  const paths = [
    { peer: 1, attributes: plain },
    { peer: 258, attributes: far },
  ]
  const found = prefixRecord(parsePrefix('10.128.0.0/9'), paths, 7, SECONDS)
  const [time, empty] = [SECONDS.toString(16), '40010100' + '400200']
  const hop = '20010db8000000000000000000000003' + 'fe800000000000000000000000000003'
  const entries = [`0001${time}000e${empty}400304c0000202`, `0102${time}002b${empty}800e2120${hop}`]
  t.equal(
    Buffer.from(found).toString('hex'),
    `${time}000d00020000005200000007090a800002${entries.join('')}`,
    'RFC 6396 sections 4.3.2 and 4.3.4: of MP_REACH_NLRI the next hop with its length',
  )
})

t.test('what has no place in two octets is left out', async (t) => {
  const many = <T>(each: T): readonly T[] => new Array<T>(65_537).fill(each)
  const at = (octets: Uint8Array, place: number): string =>
    Buffer.from(octets.subarray(place, place + 2)).toString('hex')
  const [peer] = peers
  if (peer === undefined) throw new Error('there is a peer')
  const head = peersRecord(ip('192.0.2.1'), many(peer), 1)
  t.strictSame([at(head, 18), head.length], ['ffff', 20 + 65_535 * 13])
  const prefix = prefixRecord(parsePrefix('0.0.0.0/0'), many({ peer: 0, attributes: four }), 0, 1)
  const one = prefixRecord(parsePrefix('0.0.0.0/0'), [{ peer: 0, attributes: four }], 0, 1)
  t.strictSame([at(prefix, 17), prefix.length], ['ffff', 19 + 65_535 * (one.length - 19)])
})

const lacks = (await run(['bgpdump', '-T']).catch(() => undefined)) === undefined
t.test('bgpdump reads it', { skip: lacks && 'bgpdump is not installed' }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'mrt-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const file = join(folder, 'rib.mrt')
  writeFileSync(file, dump())
  const { stdout } = await run(['bgpdump', '-m', file])
  t.strictSame(stdout.trim().split('\n'), [
    `TABLE_DUMP2|${SECONDS}|B|192.0.2.2|65002|10.0.0.0/9|65002 4200000000|IGP|192.0.2.2|200|7|65001:100|NAG||`,
    `TABLE_DUMP2|${SECONDS}|B|2001:db8::3|4200000000|2001:db8::/33|65003 {1,2}|INCOMPLETE|2001:db8::3|200|7|65001:100|NAG||`,
  ])
})
