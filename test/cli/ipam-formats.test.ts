/**
 * Every verb of `trivium ipam` with `--output`: a wide table has every column of the
 * normal one, and JSON and YAML are the same value. A verb without a line here fails.
 */
import { cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import type { Command } from 'commander'
import t from 'tap'
import { parse } from 'yaml'
import { openLmdbStore } from '../../ipam/lmdb-store.ts'
import {
  allocate,
  createNetwork,
  drainPool,
  parseNetworkSpec,
  registerNode,
  release,
  reserve,
  type Tx,
} from '../../ipam/mod.ts'
import { program, runCli } from '../../src/cli/program.ts'
import { readNodeFile } from '../../src/live/node-file.ts'
import { transact } from '../../src/live/transact.ts'
import { type Ip, macFromName, type Prefix } from '../../src/net/mod.ts'
import { ownFolder } from '../support/folder.ts'

/** What each verb is asked; several where its answers have several shapes. */
const LINES: Readonly<Record<string, readonly string[]>> = {
  show: ['', '--show-blocks', '--by node', '--by namespace', '--ip 10.42.0.2'],
  forecast: ['', '--stranded'],
  // What they find takes a second look a second later: here they find nothing.
  check: [''],
  repair: ['--yes'],
  release: ['--ip 10.42.0.2 --force --yes'],
  export: ['--network pods FOLDER/pods.export'],
  import: ['FOLDER/made.export --dry-run', '--from host-local FOLDER/lan --node n1 --dry-run'],
  backup: ['FOLDER/all.backup'],
  restore: ['FOLDER/made.backup --dry-run'],
  split: ['2 --cidr 10.42.0.0/24 --yes'],
  merge: ['10.44.0.0/25 10.44.0.128/25 --yes'],
  resize: ['10.42.0.0/24 --block-length 29 --yes', '10.42.0.0/24 10.42.0.0/28 --dry-run'],
  reserve: ['10.42.0.99 --pod db/db-1', '10.42.0.240/28'],
  unreserve: ['10.42.0.77'],
  history: ['10.42.0.2', 'web/shop-0'],
  why: ['10.42.0.2', '10.42.0.9', 'web/shop-1 --node n1', 'db/db-0 --node n1'],
  configure: ['', '--network pods --cooldown 120'],
  'pool create': ['10.45.0.0/24,rack=r1'],
  'pool edit': ['10.44.0.0/25,rack=r1'],
  'pool drain': ['10.44.0.0/25'],
  'pool delete': ['10.43.0.0/24 --yes'],
}

const folder = ownFolder(t)
const NOW = Date.UTC(2026, 2, 1, 12)

function inhabit(tx: Tx): void {
  const pools = ['10.42.0.0/24', '10.43.0.0/24', '10.44.0.0/25', '10.44.0.128/25']
  const spec = {
    name: 'pods',
    mode: 'route',
    pools: pools.map((cidr) => ({ cidr, blockLength: 28 })),
  }
  createNetwork(tx, parseNetworkSpec(spec, 1))
  const node = { underlayLink: 'eth0', underlayMtuBytes: 1500, registeredMs: 1, rack: 'r1' }
  const underlayIps = ['192.0.2.1' as Ip]
  registerNode(tx, { ...node, name: 'n1', underlayIps, vtepMac: macFromName('n1') })
  for (let number = 0; number < 4; number++) {
    const key = { network: 'pods', containerId: `shop-${number}-c`, ifname: 'eth0' }
    const pod = { namespace: 'web', name: `shop-${number}`, uid: '' }
    const when = { nowMs: NOW - 100_000 + number, bootId: 'b', mayClaim: true }
    allocate(tx, { key, node: 'n1', netns: '/n', hostLink: `trv${number}`, pod, ...when })
    if (number === 0) release(tx, 'n1', key, NOW - 1000)
  }
  const fixed = { network: 'pods', ip: '10.42.0.77' as Ip, nowMs: 1 }
  reserve(tx, { ...fixed, pod: { namespace: 'db', name: 'db-0' } })
  drainPool(tx, 'pods', '10.43.0.0/24' as Prefix, true)
}

interface Said {
  readonly status: number
  readonly out: string
  readonly err: string
}

/** On a store that nobody has changed. */
async function said(line: string): Promise<Said> {
  rmSync(`${folder}/store`, { recursive: true, force: true })
  cpSync(`${folder}/made`, `${folder}/store`, { recursive: true })
  return run(`trivium ipam ${line}`)
}

async function run(line: string): Promise<Said> {
  const told = { out: '', err: '' }
  const into = (key: 'out' | 'err') => ({
    write(text: string | Uint8Array): boolean {
      told[key] += String(text)
      return true
    },
  })
  const [out, err] = [process.stdout.write, process.stderr.write]
  Object.assign(process.stdout, into('out'))
  Object.assign(process.stderr, into('err'))
  process.exitCode = 0
  try {
    const words = line.replaceAll('FOLDER', folder).split(/\s+/).filter(Boolean)
    return { status: await runCli(['node', ...words]), ...told }
  } finally {
    Object.assign(process.stdout, { write: out })
    Object.assign(process.stderr, { write: err })
    process.exitCode = 0
  }
}

function verbsOf(command: Command, before = ''): readonly string[] {
  const name = `${before} ${command.name()}`.trim()
  const isIt = command.options.some(({ long }) => long === '--output')
  return [...(isIt ? [name] : []), ...command.commands.flatMap((each) => verbsOf(each, name))]
}

/** The titles of every table that was printed. */
const titles = (out: string): readonly (readonly string[])[] =>
  out
    .split('\n')
    .filter((line) => /^[A-Z][A-Z ]+(?: {2}|$)/.test(line))
    .map((line) => line.trim().split(/ {2,}/))

const skip = readNodeFile('/run/trivium/agent.sock') && 'an agent of this machine would be asked'

t.test('every verb, in every format', { skip: skip ?? false }, async (t) => {
  const [now, env] = [Date.now, { ...process.env }]
  t.teardown(() => {
    Object.assign(Date, { now })
    process.env = env
  })
  const store = openLmdbStore(`${folder}/made`)
  await transact(store, inhabit)
  store.close()
  process.env['TRIVIUM_STORE'] = `lmdb:${folder}/store`
  Object.assign(Date, { now: () => NOW })
  mkdirSync(`${folder}/lan`)
  writeFileSync(`${folder}/lan/10.42.0.130`, 'f00d\neth0\n')
  await said(`backup ${folder}/made.backup`)
  await said(`export --network pods ${folder}/made.export`)

  const ipam = program().commands.find((command) => command.name() === 'ipam')
  const verbs = (ipam?.commands ?? []).flatMap((command) => verbsOf(command))
  t.strictSame(verbs.toSorted(), Object.keys(LINES).toSorted(), 'each has a line')
  let tables = 0
  for (const [verb, lines] of Object.entries(LINES)) {
    for (const line of lines) {
      const asked = `${verb} ${line}`
      const inFormat = (format: string): Promise<Said> => said(`${asked} -o ${format}`)
      const [text, wide] = [await inFormat('text'), await inFormat('wide')]
      t.ok(text.status < 2 && text.out !== '', `${asked}: ${text.status} ${text.err}`)
      t.equal(wide.status, text.status)
      const shown = titles(wide.out)
      for (const [index, columns] of titles(text.out).entries()) {
        tables++
        const kept = shown[index]?.filter((title) => columns.includes(title))
        t.strictSame(kept, columns, `${asked}: no column goes`)
      }
      const [json, yaml] = [await inFormat('json'), await inFormat('yaml')]
      t.strictSame(parse(yaml.out), JSON.parse(json.out), `${asked}: the same value`)
    }
  }
  t.ok(tables > 20, `${tables} tables were compared`)
})
