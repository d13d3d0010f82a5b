/** A speaker's file: the documentation's example is one, and mistakes are told with their line. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { parseSpeakerFile, readSpeakerFile } from '../../src/cli/bgp/file.ts'
import { extendedCommunityValue } from '../../src/cli/bgp/values.ts'
import { ROOT } from '../support/e2e.ts'
import { ownFolder } from '../support/folder.ts'

const example = readFileSync(join(ROOT, 'docs', 'speaker.yaml'), 'utf8')

t.test('the example of docs/bgp.md', async (t) => {
  const page = readFileSync(join(ROOT, 'docs', 'bgp.md'), 'utf8')
  t.equal(/```yaml\n([^`]*)```/.exec(page)?.[1], example, 'is docs/speaker.yaml')
  const { config, listen, kernel } = parseSpeakerFile(example, 'speaker.yaml')
  const [peer] = config.peers
  t.strictSame(kernel, { table: 254 })
  t.strictSame(listen, [{ address: '192.0.2.1' }, { address: '2001:db8::1' }])
  t.strictSame(peer?.importPolicy?.rules[0]?.when?.prefixes, [
    { prefix: '0.0.0.0/0', le: 24 },
    { prefix: '::/0', le: 48 },
  ])
  t.strictSame(peer?.exportPolicy?.rules[0]?.set?.addCommunities, [65001 * 65536 + 100])
  t.strictSame(config.originate[1], { prefix: '2001:db8:42::/64', attributes: { med: 10 } })
})

t.test('extended communities as RFC 4360 and RFC 5668 have them', async (t) => {
  const read = (text: string): bigint | undefined => {
    const found = extendedCommunityValue.safeParse(text)
    return found.success ? found.data : undefined
  }
  t.equal(read('rt:65001:100'), 0x0002_fde9_0000_0064n)
  t.equal(read('ro:65001:4294967295'), 0x0003_fde9_ffff_ffffn)
  t.equal(read('rt:4200000000:100'), 0x0202_fa56_ea00_0064n)
  for (const wrong of [
    'rt:4200000000:65536',
    'rt:4294967296:1',
    'rt:1:4294967296',
    'xx:1:1',
    'rt:1',
  ]) {
    t.equal(read(wrong), undefined, wrong)
  }
})

t.test('every key of the table of peers is known', async (t) => {
  const page = readFileSync(join(ROOT, 'docs', 'bgp.md'), 'utf8')
  const rows = page.split('A peer:')[1]?.split('A policy is')[0] ?? ''
  const keys = [...rows.matchAll(/^\| ([^|]+) \|/gm)]
    .flatMap(([, cell = '']) => [...cell.matchAll(/`(\w+)`/g)].map(([, key = '']) => key))
    // These are in the example.
    .filter((key) => !example.includes(` ${key}: `))
  t.ok(keys.length > 15, 'the table was found')
  for (const key of keys) {
    const text = example.replace('description: top of rack', `${key}: [[]]`)
    t.throws(
      () => parseSpeakerFile(text, 'f'),
      { message: new RegExp(`^Cannot read f:\\d+: peers\\.0\\.${key}(\\.\\w+)*: (?!is no key)`) },
      key,
    )
  }
})

const WRONG: readonly (readonly [from: string, to: string, message: string])[] = [
  [
    'asn: 65001',
    'asn: 0',
    'Cannot read f:2: asn: found 0, wanted a whole number from 1 to 4294967295',
  ],
  [
    '192.0.2.1\n',
    '::1\n',
    'Cannot read f:3: routerId: found ::1, wanted an IPv4 address other than 0.0.0.0',
  ],
  [
    'importPolicy: from-fabric',
    'importPolicy: fabric',
    'Cannot read f:25: peers.0.importPolicy: no policy "fabric" under policies',
  ],
  ['asn: 65002', 'asnn: 65002', 'Cannot read f:22: peers.0.asnn: is no key that is known here'],
  [
    '65001:100',
    '65536:100',
    'Cannot read f:15: policies.to-fabric.rules.0.set.addCommunities.0: found "65536:100", wanted a community like 65001:100, or graceful-shutdown, no-export, no-advertise, no-export-subconfed',
  ],
  [
    'le 24',
    'le 33',
    'Cannot read f:9: policies.from-fabric.rules.0.when.prefixes.0: found "0.0.0.0/0 le 33", wanted a prefix like 10.42.0.0/16 ge 24 le 28',
  ],
  [
    'med: 10',
    'med: -1',
    'Cannot read f:19: originate.1.med: found -1, wanted a whole number from 0 to 4294967295',
  ],
  [
    'asn: 65002',
    'asn: 65001\n    transparent: true',
    'Cannot read f:23: peers.0.transparent: only peers of other AS numbers than 65001 are clients of a route server',
  ],
  [
    'peers:\n',
    'peers:\n  - { address: 192.0.2.2, asn: 1 }\n',
    'Cannot read f:22: peers.1.address: a second peer 192.0.2.2',
  ],
  [
    'description: top of rack',
    'isClient: true',
    'Cannot read f:23: peers.0.isClient: only peers of AS 65001 are clients',
  ],
  ['peers:', 'peers: [', 'Cannot read f:21: Nested mapping'],
]

t.test('a mistake is told with its line', async (t) => {
  for (const [from, to, message] of WRONG) {
    t.ok(example.includes(from), from)
    let found = ''
    try {
      parseSpeakerFile(example.replace(from, to), 'f')
    } catch (thrown) {
      found = (thrown as Error).message
    }
    t.equal(found.slice(0, message.length), message, to)
  }
})

t.test('a file that cannot be read is named', async (t) => {
  const path = join(ownFolder(t), 'speaker.yaml')
  t.throws(() => readSpeakerFile(path), {
    code: 'BAD_CONFIG',
    message: `Cannot read speaker file ${path}: there is none, wanted YAML or JSON as in docs/bgp.md`,
  })
})
