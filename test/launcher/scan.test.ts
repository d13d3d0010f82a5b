/**
 * The launcher's JSON scanner against JSON.parse, on configurations made for it
 * and then damaged, under the address and undefined-behavior sanitizers.
 */
import { execFileSync } from 'node:child_process'
import { rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import t from 'tap'
import { cannotCompile, compile, Installation, LAUNCHER_SOURCES, SANITIZED } from './support.ts'

const HARNESS = fileURLToPath(new URL('./scan-harness.c', import.meta.url))
const TEXT_BYTES_MAX = 107
const DEPTH_MAX = 64
const seedText = process.env['FC_SEED']
const seed = seedText === undefined ? Date.now() : Number(seedText)
const skip = cannotCompile(SANITIZED)

/** Text with all that JSON strings can hold: quotes, escapes, controls, pairs and lone surrogates. */
const text = fc.oneof(
  fc.string({ maxLength: 12 }),
  fc.string({ unit: 'binary', maxLength: 12 }),
  fc.constantFrom('/nowhere/agent.sock', '', '\0', '\ud800', '/x\ud83d\ude00y', '"\\/\b\f\n\r\t'),
  fc.integer({ min: 105, max: 109 }).map((length) => `/${'x'.repeat(length - 1)}`),
)
const key = fc.oneof(fc.constantFrom('socket', 'ipam', 'cniVersion', 'name', '__proto__'), text)

/** JSON text as unlike JSON.stringify's as is allowed: spaces, escapes, repeated keys. */
const { value: json, object } = fc.letrec<Record<'value' | 'object' | 'string' | 'member', string>>(
  (tie) => ({
    string: fc.tuple(text, fc.nat(3)).map(([value, style]) => spell(value, style)),
    value: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      fc.constantFrom('null', 'true', 'false', '0', '-0.5e+7', '12E-3', '1.0'),
      tie('string'),
      fc.array(tie('value'), { maxLength: 4 }).map((items) => `[ ${items.join(' ,')}]`),
      tie('object'),
    ),
    member: fc
      .tuple(
        fc.oneof(
          fc.tuple(key, tie('value')),
          fc.tuple(fc.constantFrom('socket', 'cniVersion'), tie('string')),
          fc.tuple(fc.constant('ipam'), tie('object')),
        ),
        fc.nat(3),
        fc.constantFrom('', ' ', '\n\t', '\r'),
      )
      .map(([[name, value], style, s]) => `${s}${spell(name, style)}${s}:${s}${value}${s}`),
    object: fc
      .array(tie('member'), { maxLength: 6, depthIdentifier: 'members' })
      .map((members) => `{${members.join(',')}}`),
  }),
)

/** Writes a string in one of four ways. */
function spell(value: string, style: number): string {
  const plain = JSON.stringify(value)
  if (style === 1) return plain.replaceAll('/', '\\/')
  if (style !== 2) return plain
  const units = Array.from({ length: value.length }, (_, i) => value.charCodeAt(i))
  return `"${units.map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`).join('')}"`
}

/** One edit: deletes some characters at a place and puts others there. */
const edit = fc.tuple(
  fc.nat(400),
  fc.nat(3),
  fc.constantFrom(
    '',
    '"',
    '\\',
    '{',
    '}',
    '[',
    ']',
    ',',
    ':',
    '\\u',
    '\\ud83d',
    '0',
    '-',
    'e',
    '.',
    ' ',
    '\u00a0',
    '\u0001',
    'null',
    '/',
  ),
)
const damaged = fc
  .tuple(fc.oneof({ arbitrary: object, weight: 9 }, json), fc.array(edit, { maxLength: 2 }))
  .map(([source, edits]) =>
    edits.reduce((found, [at, count, put]) => {
      const place = at % (found.length + 1)
      return found.slice(0, place) + put + found.slice(place + count)
    }, source),
  )

/** What the scanner should print for a configuration that JSON.parse accepts. */
function expected(config: string): string {
  let value: unknown
  try {
    value = JSON.parse(config)
  } catch {
    return '0'
  }
  if (!isObject(value)) return '0'
  const ipam = own(value, 'ipam')
  const socket = isObject(ipam) ? own(ipam, 'socket') : undefined
  return ['1', own(value, 'cniVersion'), own(value, 'socket'), socket].map(show).join(' ')
}

function show(value: unknown, index: number): unknown {
  if (index === 0) return value
  if (typeof value !== 'string') return '-'
  const bytes = Buffer.from(value)
  return bytes.length > TEXT_BYTES_MAX || bytes.includes(0) ? '!' : `=${bytes.toString('hex')}`
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function own(value: object, name: string): unknown {
  return Object.getOwnPropertyDescriptor(value, name)?.value
}

t.test('scanner', { skip }, async (t) => {
  const installed = new Installation(SANITIZED)
  t.teardown(() => installed.remove())
  const harness = installed.path('scan')
  const scanner = LAUNCHER_SOURCES.filter((path) => path.endsWith('scan.c'))
  t.ok(compile([HARNESS, ...scanner], harness, SANITIZED))

  /** Scans all of them in one process; a sanitizer's finding throws. */
  function scan(configs: readonly Uint8Array[]): readonly string[] {
    const input = configs.flatMap((config) => {
      const length = Buffer.alloc(4)
      length.writeUInt32LE(config.length)
      return [length, config]
    })
    const options = { input: Buffer.concat(input), encoding: 'utf8', maxBuffer: 2 ** 26 } as const
    return execFileSync(harness, options).trimEnd().split('\n')
  }

  t.test('agrees with JSON.parse', async (t) => {
    // As bytes and back: half of a surrogate pair cannot be written in UTF-8.
    const texts = fc.sample(damaged, { numRuns: 5000, seed })
    const configs = texts.map((text) => Buffer.from(text).toString())
    const lines = scan(configs.map((config) => Buffer.from(config)))
    const wanted = configs.map(expected)
    // Of a document that is not valid only that counts, not what was found on the way.
    const wrong = configs.flatMap((config, i) => {
      const got = wanted[i] === '0' ? lines[i]?.slice(0, 1) : lines[i]
      return got === wanted[i] ? [] : [{ config, want: wanted[i], got }]
    })
    t.strictSame(wrong.slice(0, 3), [], `seed ${seed}`)
    const valid = wanted.filter((line) => line !== '0')
    const found = valid.filter((line) => line !== '1 - - -')
    t.ok(valid.length > 1000 && valid.length < 4500, `${valid.length} of 5000 are valid`)
    t.ok(found.length > 500, `${found.length} name something`)
  })

  t.test('survives any bytes', async (t) => {
    const bytes = fc.tuple(object, fc.array(fc.tuple(fc.nat(400), fc.nat(255)), { maxLength: 6 }))
    const configs = fc.sample(bytes, { numRuns: 3000, seed }).map(([source, pokes]) => {
      const config = Buffer.from(source)
      for (const [at, byte] of pokes) config[at % (config.length || 1)] = byte
      return config
    })
    t.equal(scan(configs).length, configs.length, `seed ${seed}`)
  })

  t.test('every prefix of a configuration', async (t) => {
    const config = Buffer.from(
      '{"cniVersion":"1.0.0","socket":"\\/\\ud83d\\ude00","ipam":{"socket":"/i"},"n":[-1.5e+3,true,null]}',
    )
    const prefixes = Array.from({ length: config.length + 1 }, (_, length) =>
      config.subarray(0, length),
    )
    const valid = scan(prefixes).map((line) => line[0])
    t.strictSame(valid, [...prefixes.slice(1).map(() => '0'), '1'])
  })

  t.test('depth has a limit', async (t) => {
    const nested = (depth: number) => `{"a":${'['.repeat(depth)}${']'.repeat(depth)}}`
    const objects = (depth: number) => `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`
    const configs = [
      nested(DEPTH_MAX - 1),
      nested(DEPTH_MAX),
      objects(DEPTH_MAX),
      objects(DEPTH_MAX + 1),
      '['.repeat(1_000_000),
      '{"a":'.repeat(1_000_000),
    ]
    const valid = scan(configs.map((config) => Buffer.from(config))).map((line) => line[0])
    t.strictSame(valid, ['1', '0', '1', '0', '0', '0'])
  })

  t.test('the whole launcher on damaged configurations', async (t) => {
    // `true` in place of Node: the question is only whether the launcher gets that far.
    const node = join(installed.bin, '.trivium/node')
    rmSync(node)
    symlinkSync('/bin/true', node)
    const configs = fc.sample(damaged, { numRuns: 200, seed })
    const crashed: unknown[] = []
    for (let i = 0; i < configs.length; i += 10) {
      const runs = configs.slice(i, i + 10).map(async (config) => {
        const env = { CNI_COMMAND: 'ADD', TRIVIUM_ACCEPT_TIMEOUT_MS: '100' }
        const { status, signal, stderr } = await installed.run({
          name: 'trivium-ipam',
          env,
          stdin: config,
        })
        if (status !== 0) crashed.push({ config, status, signal, stderr })
      })
      await Promise.all(runs)
    }
    t.strictSame(crashed, [], `seed ${seed}`)
  })
})
