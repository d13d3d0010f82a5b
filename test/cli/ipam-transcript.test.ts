/**
 * docs/ipam.md is what the commands print: they run here, one after the other, on
 * one small store and under one clock. `UPDATE_GOLDEN=1` writes the page anew.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { openLmdbStore } from '../../ipam/lmdb-store.ts'
import {
  allocate,
  createNetwork,
  ensureBlocks,
  keys,
  parseNetworkSpec,
  registerNode,
  release,
  type Tx,
} from '../../ipam/mod.ts'
import { runCli } from '../../src/cli/program.ts'
import { readNodeFile } from '../../src/live/node-file.ts'
import { transact } from '../../src/live/transact.ts'
import { type Ip, macFromName } from '../../src/net/mod.ts'
import { ownFolder } from '../support/folder.ts'

const PAGE = join(import.meta.dirname, '..', '..', 'docs', 'ipam.md')
const DAY_MS = 86_400_000
const START = Date.UTC(2026, 2, 1, 12)
/** What the page calls the place of another store. */
const OTHER = 'lmdb:/var/lib/trivium/other'
const SOCKET = '/run/trivium/agent.sock'

const folder = ownFolder(t)
const storeUrl = `lmdb:${folder}/store`

/** Two nodes, three weeks of pods that come and go, and one leak. */
function inhabit(tx: Tx): void {
  const bornMs = START - 21 * DAY_MS
  const pools = [{ cidr: '10.42.0.0/24', blockLength: 28 }]
  createNetwork(tx, parseNetworkSpec({ name: 'pods', mode: 'route', pools }, bornMs))
  for (const [index, name] of ['n1', 'n2'].entries()) {
    registerNode(tx, {
      name,
      underlayLink: 'eth0',
      underlayIps: [`192.0.2.${index + 1}` as Ip],
      underlayMtuBytes: 1500,
      rack: 'r12',
      vtepMac: macFromName(name),
      registeredMs: bornMs,
    })
  }
  const come = (node: string, name: string, nowMs: number): void => {
    const [namespace = '', pod = ''] = name.split('/')
    allocate(tx, {
      key: { network: 'pods', containerId: `${pod}-c`, ifname: 'eth0' },
      node,
      pod: { namespace, name: pod, uid: '' },
      netns: `/run/netns/${pod}`,
      hostLink: `trv${pod}`,
      mayClaim: true,
      nowMs,
      bootId: 'b',
    })
  }
  const go = (node: string, name: string, nowMs: number): void => {
    const containerId = `${name.split('/')[1]}-c`
    release(tx, node, { network: 'pods', containerId, ifname: 'eth0' }, nowMs)
  }
  for (let step = 0; step < 40; step++) {
    const nowMs = bornMs + (step * DAY_MS) / 2 + 1000
    const node = step % 3 === 0 ? 'n2' : 'n1'
    come(node, `web/shop-${step}`, nowMs)
    if (step % 3 > 0) go('n1', `web/shop-${step - 1}`, nowMs + DAY_MS / 4)
  }
  come('n1', 'db/db-9', START - DAY_MS)
  go('n1', 'web/shop-38', START - 20_000)
  const network = tx.get(keys.network('pods'))
  if (network !== undefined) ensureBlocks(tx, network, 'n2', START - DAY_MS)
  tx.remove(keys.attachment('n2', { network: 'pods', containerId: 'shop-3-c', ifname: 'eth0' }))
}

/** As a shell splits them: no argument of the page has quotes. */
async function run(line: string): Promise<string> {
  const words = line.split(/\s+/).map((word) => (word === OTHER ? `lmdb:${folder}/other` : word))
  let printed = ''
  const write = (text: string | Uint8Array): boolean => {
    printed += String(text)
    return true
  }
  const [out, err] = [process.stdout.write, process.stderr.write]
  Object.assign(process.stdout, { write })
  Object.assign(process.stderr, { write })
  process.exitCode = 0
  try {
    const status = await runCli(['node', ...words])
    if (status !== 0) printed += `# echo $?\n${status}\n`
  } finally {
    Object.assign(process.stdout, { write: out })
    Object.assign(process.stderr, { write: err })
    process.exitCode = 0
  }
  return printed
}

/** The page with what its commands print now. */
async function played(page: string): Promise<string> {
  const lines: string[] = []
  let inside = false
  for (const line of page.split('\n')) {
    if (line.startsWith('```')) inside = line === '```console'
    const isCommand = line.startsWith('# trivium ')
    if (inside && !isCommand && !line.startsWith('```')) continue
    lines.push(line)
    if (inside && isCommand) lines.push(...(await run(line.slice(2))).trimEnd().split('\n'))
  }
  return lines.join('\n')
}

const skip = readNodeFile(SOCKET) === undefined ? false : 'an agent of this machine would be asked'

t.test('docs/ipam.md is true', { skip }, async (t) => {
  const [now, env, place] = [Date.now, { ...process.env }, process.cwd()]
  t.teardown(() => {
    Object.assign(Date, { now })
    process.env = env
    process.chdir(place)
    for (const file of ['store', 'other'])
      rmSync(join(folder, file), { recursive: true, force: true })
  })
  const store = openLmdbStore(`${folder}/store`)
  await transact(store, inhabit)
  store.close()
  let clockMs = START
  Object.assign(Date, { now: () => ++clockMs })
  process.env['TRIVIUM_STORE'] = storeUrl
  process.chdir(folder)
  mkdirSync('networks/cbr0', { recursive: true })
  writeFileSync('networks/cbr0/10.42.0.130', 'f00d\neth0\n')
  writeFileSync('networks/cbr0/10.42.0.1', 'beef\neth0\n')
  const page = readFileSync(PAGE, 'utf8')
  const text = await played(page)
  if (process.env['UPDATE_GOLDEN'] === '1') {
    writeFileSync(PAGE, text)
    t.pass('wrote docs/ipam.md')
    return
  }
  t.equal(text, page, 'every command prints what the page says')
})
