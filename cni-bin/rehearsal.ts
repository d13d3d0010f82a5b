/**
 * One pod comes and goes by the Node entry, so that V8's code of what an ADD and a
 * DEL run is kept beside it. Runs in a network namespace made for it: unshare --net.
 *
 *     rehearsal.ts ENTRY FOLDER    dist/plugin.cjs, and an empty folder
 */
import { spawn, spawnSync } from 'node:child_process'
import { readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { createNetwork, ensureBlocks, keys, registerNode } from '../ipam/mod.ts'
import { parseNetworkSpec } from '../ipam/network-spec.ts'
import { openStore } from '../src/live/store-url.ts'
import { transact } from '../src/live/transact.ts'
import { parseIp, parseMac } from '../src/net/mod.ts'

const WAIT_MS_MAX = 2000
const [entry = '', folder = ''] = process.argv.slice(2)
const storeUrl = `lmdb:${join(folder, 'store')}`

async function prepareStore(): Promise<void> {
  const pools = [{ cidr: '192.0.2.0/24' }, { cidr: '2001:db8::/112' }]
  const draft = parseNetworkSpec({ name: 'rehearsal', mode: 'route', pools }, 0)
  const store = openStore(storeUrl)
  await transact(store, (tx) => {
    createNetwork(tx, draft)
    registerNode(tx, {
      name: 'rehearsal',
      underlayLink: 'lo',
      underlayIps: [parseIp('198.51.100.1')],
      underlayMtuBytes: 1500,
      vtepMac: parseMac('02:00:00:00:00:01'),
      registeredMs: 0,
    })
    const network = tx.get(keys.network('rehearsal'))
    if (network !== undefined) ensureBlocks(tx, network, 'rehearsal', 0)
  })
  store.close()
}

/** Opens a second namespace, which lives until the returned function is called. */
async function openPod(): Promise<{ readonly netns: string; close(): void }> {
  const child = spawn('unshare', ['--net', 'cat'], { stdio: ['pipe', 'ignore', 'inherit'] })
  const netns = `/proc/${child.pid}/ns/net`
  const own = readlinkSync('/proc/self/ns/net')
  const endMs = Date.now() + WAIT_MS_MAX
  while (readlinkSync(netns) === own) {
    if (Date.now() > endMs) throw new Error('no second network namespace')
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  return { netns, close: () => child.stdin.end() }
}

function perform(verb: string, netns: string): void {
  const config = { cniVersion: '1.1.0', name: 'rehearsal', type: 'trivium' }
  const { status, stdout } = spawnSync(process.execPath, [entry], {
    encoding: 'utf8',
    input: JSON.stringify({
      ...config,
      store: storeUrl,
      socket: join(folder, 'agent.sock'),
    }),
    env: {
      TRIVIUM_CODE_CACHE: 'write',
      TRIVIUM_PLUGIN: 'trivium',
      TRIVIUM_NODE: 'rehearsal',
      CNI_COMMAND: verb,
      CNI_CONTAINERID: 'rehearsal',
      CNI_IFNAME: 'eth0',
      CNI_NETNS: netns,
      CNI_PATH: '/',
    },
  })
  if (status !== 0) throw new Error(`${verb}: ${stdout}`)
}

await prepareStore()
const pod = await openPod()
try {
  perform('ADD', pod.netns)
  perform('DEL', pod.netns)
} finally {
  pod.close()
}
