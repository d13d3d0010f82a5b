/**
 * Three nets under every frame: a property (nothing is lost, and no prefix is
 * taken for the whole), a list of malformed bytes (each check fires) and bytes
 * worked out by hand from the table in `src/wire/frame.ts`.
 */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import {
  ANSWER_BYTES_MAX,
  CONFIG_BYTES_MAX,
  decodeAccepted,
  decodeRequest,
  decodeResponse,
  ENV_BYTES_MAX,
  encodeAccepted,
  encodeRequest,
  encodeResponse,
  type RequestFrame,
  type ResponseFrame,
  type Verdict,
} from '../../src/wire/frame.ts'
import { hex, holds } from './support.ts'

/** A frame as the loops below see it. */
interface Kind<T> {
  readonly name: string
  readonly values: fc.Arbitrary<T>
  readonly encode: (value: T) => Uint8Array
  readonly decode: (bytes: Uint8Array) => { readonly kind: string }
  /** What decoding the encoded value gives, where that is not the value itself. */
  readonly decoded?: (value: T) => unknown
  /** Bytes by hand, and the value they stand for. */
  readonly fixed: readonly (readonly [string, T])[]
  /** What is wrong, the bytes, and the byte that the error must name. */
  readonly malformed: readonly (readonly [string, string, number])[]
}

const u64 = fc.bigInt(0n, 0xffff_ffff_ffff_ffffn)
const bytes = fc.uint8Array({ maxLength: 300 })
const text = fc.string({ unit: 'grapheme', maxLength: 20 })

const request: Kind<RequestFrame> = {
  name: 'request',
  values: fc.record(
    {
      plugin: fc.constantFrom('trivium', 'trivium-ipam'),
      callerPid: fc.nat(),
      netns: fc.option(
        fc
          .record({ dev: u64, ino: u64 }, { noNullPrototype: true })
          .filter(({ dev, ino }) => dev !== 0n || ino !== 0n),
        { nil: undefined },
      ),
      env: fc.dictionary(
        text.map((name) => `CNI_${name.replaceAll(/[=\0]/g, '')}`),
        text.map((value) => value.replaceAll('\0', '')),
        { noNullPrototype: true },
      ),
      config: bytes,
    },
    { noNullPrototype: true },
  ),
  encode: encodeRequest,
  decode: decodeRequest,
  fixed: [
    [
      '5452564d 0200 0200 04030201 00000000 0400000000000000 efcdab9078563412' +
        '08000000 02000000 434e495f413d6200 7b7d',
      {
        plugin: 'trivium-ipam',
        callerPid: 0x01020304,
        netns: { dev: 4n, ino: 0x1234567890abcdefn },
        env: { CNI_A: 'b' },
        config: hex('7b7d'),
      },
    ],
    [
      `5452564d 0200 0100 01000000 00000000 ${'00'.repeat(16)} 00000000 00000000`,
      { plugin: 'trivium', callerPid: 1, netns: undefined, env: {}, config: hex('') },
    ],
  ],
  malformed: [
    ['another magic', '5452564e', 3],
    ['HTTP', '474554202f', 0],
    ['an unknown plugin', requestBytes({ plugin: '0300' }), 6],
    ['plugin 0', requestBytes({ plugin: '0000' }), 6],
    ['a flag', requestBytes({ flags: '01000000' }), 12],
    ['an environment over the limit', requestBytes({ envBytes: '01001000' }), 32],
    ['a configuration over the limit', requestBytes({ configBytes: '01000001' }), 36],
    ['an entry without a NUL', requestBytes({ envBytes: '03000000', rest: '413d62' }), 40],
    [
      'a second entry without a NUL',
      requestBytes({ envBytes: '05000000', rest: '413d004142' }),
      43,
    ],
    ['an entry without "="', requestBytes({ envBytes: '02000000', rest: '4100' }), 40],
    ['an entry without a name', requestBytes({ envBytes: '03000000', rest: '3d4100' }), 40],
    ['an empty entry', requestBytes({ envBytes: '01000000', rest: '00' }), 40],
  ],
}

const accepted: Kind<Verdict> = {
  name: 'accepted',
  values: fc.constantFrom('accepted', 'version-unsupported', 'malformed', 'shutting-down'),
  encode: encodeAccepted,
  decode: decodeAccepted,
  decoded: (verdict) => ({ version: 2, verdict }),
  fixed: [
    ['54525641 0200 0000', 'accepted'],
    ['54525641 0200 0100', 'version-unsupported'],
    ['54525641 0200 0200', 'malformed'],
    ['54525641 0200 0300', 'shutting-down'],
  ],
  malformed: [
    ['another magic', '54525652 0100 0000', 3],
    ['one wrong byte', '00', 0],
  ],
}

const response: Kind<ResponseFrame> = {
  name: 'response',
  values: fc.record(
    { exitStatus: fc.nat(255), stdout: bytes, stderr: bytes },
    { noNullPrototype: true },
  ),
  encode: encodeResponse,
  decode: decodeResponse,
  fixed: [
    [
      '54525652 07000000 02000000 01000000 6f6b 21',
      { exitStatus: 7, stdout: hex('6f6b'), stderr: hex('21') },
    ],
  ],
  malformed: [
    ['another magic', '54525647 00000000', 3],
    ['an exit status of nine bits', '54525652 00010000 00000000 00000000', 4],
    ['stdout over the limit', '54525652 00000000 01000001 00000000', 8],
    ['stderr over the limit', '54525652 00000000 00000000 01000001', 12],
  ],
}

/** A request with one part replaced by other bytes. */
function requestBytes(
  part: Partial<Record<'plugin' | 'flags' | 'envBytes' | 'configBytes' | 'rest', string>>,
): string {
  const none = '00000000'
  return [
    '5452564d0200',
    part.plugin ?? '0100',
    '01000000',
    part.flags ?? none,
    '00'.repeat(16),
    part.envBytes ?? none,
    part.configBytes ?? none,
    part.rest ?? '',
  ].join('')
}

function examine<T>(kind: Kind<T>): void {
  const { name, values, encode, decode, decoded = (value: T): unknown => value } = kind
  t.test(name, async (t) => {
    holds(t, 'decode(encode(x)) is x, and bytes behind it are left alone', values, (value) => {
      const frame = encode(value)
      const want = { kind: 'frame', value: decoded(value), bytes: frame.length }
      assert.deepEqual(decode(frame), want)
      assert.deepEqual(decode(Uint8Array.from([...frame, 0x54])), want)
    })
    holds(
      t,
      'every prefix asks for more, and never for too much',
      values,
      (value) => {
        const frame = encode(value)
        for (let length = 0; length < frame.length; length++) {
          const { bytes: wanted, ...rest } = decode(frame.subarray(0, length)) as {
            bytes: number
            kind: string
          }
          assert.deepEqual(rest, { kind: 'more' })
          assert.ok(wanted > length && wanted <= frame.length, `${length}: asks for ${wanted}`)
        }
      },
      30,
    )
    const magic = hex(kind.fixed[0]?.[0].slice(0, 8) ?? '')
    holds(t, 'any bytes get an answer', fc.uint8Array({ maxLength: 80 }), (noise) => {
      for (const bytes of [noise, Uint8Array.from([...magic, ...noise])]) {
        assert.match(decode(bytes).kind, /^(more|frame|malformed|version-unsupported)$/)
      }
    })
    for (const [digits, value] of kind.fixed) {
      t.strictSame(Buffer.from(encode(value)).toString('hex'), digits.replaceAll(' ', ''), digits)
      const want = { kind: 'frame', value: decoded(value), bytes: hex(digits).length }
      t.strictSame(decode(hex(digits)), want, `decodes ${digits}`)
    }
    for (const [what, digits, offset] of kind.malformed) {
      t.match(
        decode(hex(digits)),
        { kind: 'malformed', error: { code: 'WIRE_DECODE', offset } },
        what,
      )
    }
  })
}

examine(request)
examine(accepted)
examine(response)

t.test('another protocol version is told apart from garbage', async (t) => {
  t.strictSame(decodeRequest(hex('5452564d 0100')), { kind: 'version-unsupported', version: 1 })
  t.strictSame(decodeRequest(hex('5452564d 02')), { kind: 'more', bytes: 6 })
  t.strictSame(decodeAccepted(hex('54525641 0100 0100')), {
    kind: 'frame',
    value: { version: 1, verdict: 'version-unsupported' },
    bytes: 8,
  })
  t.match(decodeAccepted(hex('54525641 0200 6300')), { value: { verdict: 'malformed' } })
})

t.test('environment', async (t) => {
  const env = (digits: string) => {
    const entries = hex(digits).length.toString(16).padStart(2, '0')
    const found = decodeRequest(hex(requestBytes({ envBytes: `${entries}000000`, rest: digits })))
    return found.kind === 'frame' ? found.value.env : found
  }
  t.strictSame(
    env('413d31 00 413d32 00'),
    { A: '1' },
    'of equal names the first counts, as in getenv',
  )
  t.strictSame(env('413d 00'), { A: '' }, 'an empty value')
  t.strictSame(env('413d623d63 00'), { A: 'b=c' }, 'a value with "="')
  t.strictSame(env('413dff 00'), { A: '\ufffd' }, 'broken UTF-8 becomes U+FFFD')
  t.strictSame(env('efbbbf413d31 00'), { '\ufeffA': '1' }, 'a BOM stays')
  const proto = env(`${Buffer.from('__proto__=x').toString('hex')} 00`)
  t.strictSame(Object.entries(proto), [['__proto__', 'x']], '__proto__ is only a variable')
  t.equal(Object.getPrototypeOf(proto), Object.prototype)
})

t.test('what no frame can carry is refused when encoding', async (t) => {
  const base = {
    plugin: 'trivium',
    callerPid: 1,
    netns: undefined,
    env: {},
    config: hex(''),
  } as const
  const answer = { exitStatus: 0, stdout: hex(''), stderr: hex('') }
  const refused: readonly (readonly [string, () => unknown])[] = [
    ['a NUL in a value', () => encodeRequest({ ...base, env: { A: 'b\0c' } })],
    ['a NUL in a name', () => encodeRequest({ ...base, env: { 'A\0': 'b' } })],
    ['"=" in a name', () => encodeRequest({ ...base, env: { 'A=B': 'c' } })],
    ['an empty name', () => encodeRequest({ ...base, env: { '': 'c' } })],
    [
      'a large environment',
      () => encodeRequest({ ...base, env: { A: 'x'.repeat(ENV_BYTES_MAX) } }),
    ],
    [
      'a large configuration',
      () => encodeRequest({ ...base, config: new Uint8Array(CONFIG_BYTES_MAX + 1) }),
    ],
    ['a negative process id', () => encodeRequest({ ...base, callerPid: -1 })],
    ['exit status 256', () => encodeResponse({ ...answer, exitStatus: 256 })],
    ['exit status -1', () => encodeResponse({ ...answer, exitStatus: -1 })],
    [
      'a large stdout',
      () => encodeResponse({ ...answer, stdout: new Uint8Array(ANSWER_BYTES_MAX + 1) }),
    ],
    [
      'a large stderr',
      () => encodeResponse({ ...answer, stderr: new Uint8Array(ANSWER_BYTES_MAX + 1) }),
    ],
  ]
  for (const [what, encode] of refused) t.throws(encode, RangeError, what)
  const largest = encodeRequest({
    ...base,
    env: { A: 'x'.repeat(ENV_BYTES_MAX - 3) },
    config: new Uint8Array(CONFIG_BYTES_MAX),
  })
  t.equal(decodeRequest(largest).kind, 'frame', 'the limits themselves are allowed')
})
