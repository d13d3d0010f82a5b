/**
 * What a kubelet waits for: RunPodSandbox and StopPodSandbox of a real
 * containerd over CRI, with trivium and with bridge + host-local. A containerd
 * and a node each, side by side, asked in turn.
 *
 * After each timed call the effect is looked at from outside: the pod answers
 * its node, and afterwards the node is as it was.
 */
import { existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { compareDumps, dumpNetns } from '../src/lab/dump.ts'
import { createLab, type Lab, type LabNode } from '../src/lab/lab.ts'
import { ping } from '../src/lab/reach.ts'
import {
  type Containerd,
  containerdSkip,
  PLUGIN_DIR,
  startContainerd,
} from '../test/runtimes/containerd.ts'
import { podConfig } from '../test/runtimes/pods.ts'
import { CLI } from './cni.bench.ts'
import { OURS, REFERENCE } from './cni-roads.ts'
import { type Bench, compare, interleave, type Report, type Variant } from './harness.ts'

/** A round of both takes more than a second. */
const ROUNDS_MAX = 40
const WARM_UP = 3
/** The kernel takes apart a removed pair after both ends are gone from sight. */
const SETTLE_MS = 100
const PLUGINS = ['loopback', 'bridge', 'host-local']
const REFERENCE_LIST = {
  cniVersion: '1.0.0',
  name: 'ref',
  plugins: [
    {
      type: 'bridge',
      bridge: 'cni0',
      isGateway: true,
      ipam: {
        type: 'host-local',
        ranges: [[{ subnet: '10.55.0.0/16' }]],
        routes: [{ dst: '0.0.0.0/0' }],
      },
    },
  ],
}

/** The reference's bridge changes MAC, state and IPv6 address with its ports. */
async function dump({ netns }: LabNode): Promise<readonly string[]> {
  return (await dumpNetns(netns)).map((line) =>
    line.includes('cni0') ? (line.split(' ')[0] ?? '') : line,
  )
}

function podsOf(name: string, containerd: Containerd): Variant {
  const { cri, node } = containerd
  return {
    name,
    async run(round) {
      const before = await dump(node)
      const config = podConfig(containerd, `round-${round}`)
      const started = performance.now()
      const { podSandboxId } = await cri.call('runPodSandbox', { config })
      const run = performance.now() - started
      const { status } = await cri.call('podSandboxStatus', { podSandboxId })
      const ip = status?.network?.ip ?? ''
      if (!(await ping(node.netns, ip)).ok) throw new Error(`${name}: pod ${ip} does not answer`)
      const stopping = performance.now()
      await cri.call('stopPodSandbox', { podSandboxId })
      const stop = performance.now() - stopping
      await cri.call('removePodSandbox', { podSandboxId })
      await sleep(SETTLE_MS)
      const left = compareDumps(before, await dump(node))
      // The first pod of a node makes what stays: a bridge, a block.
      if (round >= WARM_UP && left.length > 0) throw new Error(`${name}: left ${left.join('; ')}`)
      return { RunPodSandbox: run, StopPodSandbox: stop }
    },
  }
}

async function readyNodes(lab: Lab): Promise<readonly [LabNode, LabNode]> {
  const [ours, theirs] = lab.nodes
  if (ours === undefined || theirs === undefined) throw new Error('Cannot compare without nodes')
  await lab.install(ours, '--mode', 'route', '--pool', '10.42.0.0/16,block=20')
  await lab.startAgent(ours)
  for (const plugin of PLUGINS) symlinkSync(join(PLUGIN_DIR, plugin), join(ours.binDir, plugin))
  mkdirSync(theirs.confDir, { recursive: true })
  writeFileSync(join(theirs.confDir, '10-ref.conflist'), JSON.stringify(REFERENCE_LIST))
  return [ours, theirs]
}

async function run(samples: number, say: (text: string) => void): Promise<Report> {
  const ends: (() => unknown)[] = []
  const owner = { teardown: (end: () => unknown) => void ends.push(end) }
  try {
    const lab = await createLab({ nodes: 2, trivium: [process.execPath, CLI] })
    owner.teardown(() => lab.destroy())
    const [ours, theirs] = await readyNodes(lab)
    const variants = [
      podsOf(`trivium, ${OURS}`, await startContainerd(owner, lab, ours)),
      podsOf(REFERENCE, await startContainerd(owner, lab, theirs)),
    ]
    const rounds = Math.min(samples, ROUNDS_MAX)
    say(`${rounds} pods with each`)
    const all = await interleave(variants, { rounds, warmUp: WARM_UP })
    return {
      bench: 'A pod through containerd: what a kubelet waits for (IPv4, one pod at a time)',
      rows: compare(all, REFERENCE),
      notes: [
        'The rest of both is the same: the sandbox, its shim and runc. loopback is called with both.',
      ],
    }
  } finally {
    for (const end of ends.reverse()) await end()
  }
}

export const bench: Bench = {
  about: 'RunPodSandbox and StopPodSandbox of containerd, with trivium and with the reference',
  unable() {
    if (process.getuid?.() !== 0) return 'needs root: it makes network namespaces'
    if (!existsSync(CLI)) return 'dist/ is not built: npm run build'
    return containerdSkip() || undefined
  },
  run: ({ samples, say }) => run(samples, say),
}
