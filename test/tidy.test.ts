/**
 * Style as a test: who may import whom, words that pure code must not know,
 * lengths, titles. Every rule is seen failing on a planted snippet first.
 */
import t from 'tap'
import { importOffenses, unitCycles } from './house/tidy/imports.ts'
import { deadLinks, missingTests } from './house/tidy/links.ts'
import { type Offense, offenseLine, readTree, type Source, sourceOf } from './house/tidy/source.ts'
import { CHECKS, FILE_LINES_SOFT } from './house/tidy/style.ts'

interface Exception {
  readonly path: string
  /** The start of the offense that is forgiven. */
  readonly reason: string
  /** Why this place is right and the rule is, too. */
  readonly because: string
}

/** Forgiven, each for a reason. An exception that nothing needs any more fails. */
const EXCEPTIONS: readonly Exception[] = [
  ...['test/netlink-ts/live-link.test.ts', 'test/netlink-ts/live-route.test.ts'].map((path) => ({
    path,
    reason: 'a function of',
    because: 'one object with every attribute there is, and the same list read back',
  })),
]

const tree = readTree()
const used = new Set<Exception>()

function remaining(offenses: readonly Offense[]): readonly string[] {
  return offenses.flatMap((offense) => {
    const exception = EXCEPTIONS.find(
      ({ path, reason }) => path === offense.path && offense.reason.startsWith(reason),
    )
    if (exception === undefined) return [offenseLine(offense)]
    used.add(exception)
    return []
  })
}

t.ok(tree.length > 150, 'the tree was found')
t.strictSame(remaining(importOffenses(tree)), [], 'imports')
t.strictSame(unitCycles(tree), [], 'no folder reaches itself through others')
t.strictSame(remaining(deadLinks(tree)), [], 'links')
t.strictSame(remaining(missingTests(tree)), [], 'tests that pages name')
for (const [name, check] of Object.entries(CHECKS)) {
  t.strictSame(remaining(tree.flatMap(check)), [], name)
}
t.strictSame(
  EXCEPTIONS.filter((exception) => !used.has(exception)),
  [],
  'every exception is needed',
)
for (const { path, ast, text } of tree) {
  const lines = text.split('\n').length - 1
  if (ast !== undefined && lines > FILE_LINES_SOFT) t.comment(`${path}: ${lines} lines`)
}

/** A file, its text, and the start of every complaint about it. */
type Plant = readonly [path: string, text: string, complaints: readonly string[]]

function sees(
  name: string,
  check: (source: Source) => readonly Offense[],
  plants: readonly Plant[],
): void {
  t.test(`planted: ${name}`, async (t) => {
    for (const [path, text, complaints] of plants) {
      const found = check(sourceOf(path, text)).map(({ reason }) => reason)
      const matches =
        found.length === complaints.length &&
        complaints.every((complaint, index) => found[index]?.startsWith(complaint))
      t.ok(matches, `${path}: ${text.slice(0, 60)}`, { found, complaints })
    }
  })
}

sees('imports', (source) => importOffenses([source]), [
  ['src/net/ip.ts', "import { Address4 } from 'ip-address'", []],
  [
    'src/cni/args.ts',
    "import { Address4 } from 'ip-address'",
    ['src/cni must not import the package'],
  ],
  ['src/kernel/diff.ts', "import * as nl from 'netlink-ts'", ['src/kernel must not']],
  ['src/kernel/netlink.ts', "import * as nl from 'netlink-ts'", []],
  [
    'src/kernel/netlink.ts',
    "import { inNetns } from 'netlink-ts/live'",
    ['src/kernel/netlink.ts must not'],
  ],
  ['src/live/x.ts', "import koffi from 'koffi'", ['src/live must not import the package koffi']],
  ['src/netlink-ts/attrs.ts', "import koffi from 'koffi'", ['src/netlink-ts must not']],
  ['src/netlink-ts/live/libc.ts', "import koffi from 'koffi'", []],
  ['src/netlink-ts/nft/rule.ts', "import koffi from 'koffi'", ['src/netlink-ts must not']],
  [
    'src/live/x.ts',
    "const koffi = await import('koffi')",
    ['src/live must not import the package'],
  ],
  ['src/netlink-ts/attrs.ts', "import { hash64 } from '../hash.ts'", ['src/netlink-ts must not']],
  ['ipam/blocks.ts', "import { open } from 'lmdb'", ['ipam must not import the package lmdb']],
  ['ipam/mod.ts', "export * from './lmdb-store.ts'", ['ipam must not import ipam/lmdb-store.ts']],
  ['src/agent/agent.ts', "import type { X } from '../live/kernel.ts'", ['src/agent must not']],
  ['src/agent/agent.ts', "type X = import('../live/kernel.ts').X", ['src/agent must not']],
  ['simulator/run.ts', "const x = await import('../src/live/cni.ts')", ['simulator must not']],
  ['simulator/run.ts', "import { readFileSync } from 'node:fs'", ['simulator must not']],
  ['simulator/scaled/x.ts', "import { SimKernel } from '../kernel.ts'", ['simulator/scaled must']],
  ['simulator/scaled/x.ts', "import type { Scenario } from '../scenario.ts'", []],
  ['src/live/x.ts', "import { Command } from 'commander'", ['src/live must not']],
  ['src/cli/x.ts', "import pino from 'pino'", ['src/cli must not']],
  ['src/cli/x.ts', "import '../../cni-bin/cli.ts'", ['src/cli must not import cni-bin']],
  ['test/x.test.ts', "import '../bench/run.ts'", ['test must not import bench']],
  ['test/x.test.ts', "import '../bench/dataplane/figures.ts'", []],
  ['bench/dataplane/x.ts', "import '../harness.ts'", ['bench/dataplane must not import bench']],
  ['src/backend/vxlan/plan.ts', "import '../route/plan.ts'", ['src/backend/vxlan must not know']],
  ['src/backend/vxlan/plan.ts', "import '../peers.ts'", []],
  ['src/nowhere/x.ts', "import '../errors.ts'", ['no import rule']],
])

sees('pure words', CHECKS['pure code knows no clock, chance or world'] ?? (() => []), [
  ['src/cni/x.ts', 'export async function x() {}', ['async']],
  ['src/cni/x.ts', 'const t = Date.now() + performance.now()', ['Date', 'performance']],
  ['src/cni/x.ts', 'export const x = (): Promise<void> => y()', ['Promise']],
  ['src/prng.ts', 'export const x = Math.random()', ['Math.random']],
  [
    'ipam/blocks.ts',
    "setTimeout(() => console.log('x'), 1); setInterval(x, 1)",
    ['setTimeout', 'console', 'setInterval'],
  ],
  ['simulator/run.ts', "import x from 'node:fs'; process.exit()", ['node:fs', 'process']],
  ['bench/dataplane/x.ts', 'const t = Date.now()', ['Date']],
  ['bench/dataplane.bench.ts', 'const t = Date.now()', []],
  ['src/cni/x.ts', '// await a Date\nconst x = "process.env" + a.process + b.Date', []],
  ['src/cni/x.ts', 'const x = { process: 1 }', []],
  ['src/live/x.ts', 'export const x = async () => await Date.now()', []],
  ['ipam/lmdb-store.ts', 'setTimeout(x, 1)', []],
])

sees('exact arithmetic', CHECKS['a simulation computes exactly'] ?? (() => []), [
  ['simulator/x.ts', 'export const x = Math.log(y) + Math.exp(y)', ['Math.log', 'Math.exp']],
  ['simulator/report/x.ts', 'const { sin } = Math', ['Math.']],
  ['simulator/x.ts', "x = Math['pow'](y, z)", ['Math.']],
  ['simulator/x.ts', 'x = y ** 0.5; y **= 3', ['** may', '** may']],
  ['simulator/x.ts', 'x = 2 ** y + Math.floor(y) + Math.imul(x, y) + Math.sqrt(z)', []],
  ['simulator/math.ts', 'x = Math.log(y)', []],
  ['src/x.ts', 'x = Math.log(y)', []],
])

sees('everywhere', CHECKS['banned everywhere'] ?? (() => []), [
  ['src/x.ts', `// ${['FIX', 'ME'].join('')}: later`, ['FIX']],
  ['src/x.ts', 'enum X { a }', ['enum']],
  ['src/x.ts', 'export const x = y as any', ['as any']],
  ['src/x.ts', '// any: the table mixes types\nexport const x = y as any', []],
  ['src/x.ts', 'export default 1', ['default export']],
  ['src/x.ts', 'export default function x() {}', ['default export']],
  ['src/x.ts', 'switch (x) { default: y() }', []],
  ['src/x.ts', 'if (a == b || c != d) e()', ['==', '!=']],
  ['test/x.test.ts', "t.only('x', () => {})", ['.only(']],
  ['test/x.test.ts', 't.testdir()', ['testdir(']],
  ['cni-bin/build.mjs', 'export default 1', ['default export']],
])

sees('namespaces', CHECKS['nothing waits inside another namespace'] ?? (() => []), [
  ['src/live/x.ts', 'inNetns(fd, () => read())', []],
  ['src/live/x.ts', 'inNetns(fd, async () => read())', ['waits']],
  ['src/live/x.ts', 'live.inNetns(fd, () => { other(async () => { await read() }) })', ['waits']],
  ['src/netlink-ts/live/x.ts', 'async function open() {}\nvisit(fd, open)', ['waits']],
  ['src/netlink-ts/live/x.ts', 'const open = () => new Promise(x)\nvisit(fd, open)', ['waits']],
  ['src/live/x.ts', 'inNetns(fd, () => setTimeout(x, 1))', ['waits']],
  ['src/live/x.ts', 'inNetns(fd, () => socket.executeAsync(x))', ['waits']],
  ['src/live/x.ts', 'inNetns(fd, () => getpid.async(x))', ['waits']],
  [
    'src/live/x.ts',
    'inNetns(fd, () => a())\nfunction a() { b() }\nconst b = async () => {}',
    ['waits'],
  ],
  ['src/live/x.ts', 'inNetns(fd, () => a())\nfunction a() { a() }', []],
  ['src/live/x.ts', 'setns(fd, 1)', ['setns: only']],
  ['src/netlink-ts/live/socket.ts', 'libc.setns(fd, 1)', ['setns: only']],
  ['src/netlink-ts/live/netns.ts', 'setns(fd, 1)', []],
])

const long = (lines: number): string => `${'  x()\n'.repeat(lines)}`
sees('lengths', CHECKS['lengths of functions and files'] ?? (() => []), [
  ['src/x.ts', `function x() {\n${long(68)}}\n`, []],
  ['src/x.ts', `function x() {\n${long(69)}}\n`, ['a function of 71 lines']],
  ['src/x.ts', `const x = () => {\n${long(69)}}\n`, ['a function of 71 lines']],
  ['src/x.ts', `function x() {\n${long(40)}function y() {\n${long(40)}}\n}\n`, []],
  ['src/x.ts', `t(() => {\n${long(40)}y(() => {\n${long(40)}})\n})\n`, ['a function of 84 lines']],
  ['test/x.ts', `t.test('x', () => {\n${long(40)}t.test('y', () => {\n${long(40)}})\n})\n`, []],
  ['src/x.ts', long(501), ['501 lines']],
  ['src/x.ts', long(500), []],
])

sees('module comments', CHECKS['library files start with @module'] ?? (() => []), [
  ['src/x.ts', '/**\n * X.\n *\n * @module\n */\n', []],
  ['src/x.ts', '/** X. */\n/** @module */\n', ['does not start']],
  ['ipam/x.ts', "import 'y'\n/** @module */\n", ['does not start']],
  ['test/x.ts', '', []],
])

sees('titles', CHECKS['one title a page'] ?? (() => []), [
  ['README.md', '# X\n\n## Y\n\n```sh\n# a comment\n```\n', []],
  ['README.md', '# X\n# Y\n', ['2 titles']],
  ['README.md', 'X\n', ['0 titles']],
])

const [home, scratch] = [['', 'home', 'me'].join('/'), ['', 'tmp', 'x'].join('/')]
sees('machine paths', CHECKS['no path of one machine'] ?? (() => []), [
  ['src/x.ts', `open('${home}/x')`, ['names']],
  ['README.md', `see ${home}`, ['names']],
  ['src/x.ts', `open('${scratch}')`, ['names']],
  ['test/x.ts', `open('${scratch}')`, []],
  ['src/x.ts', 'open(`/proc/1/root/etc`)', []],
])

t.test('planted: links to nowhere', async (t) => {
  const pages = [
    sourceOf('README.md', '# X\n[a](docs/a.md#one-two) [b](b.md) [c](#x) [d](https://e/f.md#g)\n'),
    sourceOf('docs/a.md', '# One `two`\n[r](../README.md#y) [f](#z)\n'),
  ]
  const found = deadLinks(pages, (path) => path === 'docs/a.md' || path === 'README.md')
  t.strictSame(
    found.map(({ reason }) => reason),
    ['no b.md', 'no heading #y in README.md', 'no heading #z in docs/a.md'],
  )
})

t.test('planted: a cycle between folders', async (t) => {
  const cycle = [
    sourceOf('src/net/a.ts', "import '../kernel/b.ts'"),
    sourceOf('src/kernel/b.ts', "import '../backend/c.ts'"),
    sourceOf('src/backend/c.ts', "import '../net/a.ts'"),
  ]
  t.strictSame(unitCycles(cycle), ['src/net -> src/kernel -> src/backend -> src/net'])
  t.strictSame(unitCycles(cycle.slice(0, 2)), [])
})
