/**
 * Packets put into the tunnel by hand: only those of known nodes, with a
 * network's own VNI and a source of that network, reach a pod.
 *
 * The positive control is sent last, by the same injector: once it has
 * arrived, whatever else had a way in would have arrived before it.
 */
import t, { type Test } from 'tap'
import type { LabNode } from '../../src/lab/lab.ts'
import { type RunningPod, skipFor, type World, world } from '../support/dataplane.ts'
import { ipJson } from '../support/e2e.ts'
import { type Probe, probe } from '../support/probe.ts'
import { vxlan, vxlanGpe } from '../support/vxlan-packet.ts'

const PORT = 7_000
const SPOOF_MAC = '02:00:00:00:00:99'
const FLAVOURS = {
  classic: { vxlanPort: 8472 },
  lightweight: { vxlanPort: 4790 },
} as const
type Flavour = keyof typeof FLAVOURS

/** Which network's VNI, and which source inside. */
interface Injection {
  readonly what: string
  readonly by: 'node' | 'stranger' | 'pod'
  readonly vni: number
  readonly from: (family: 4 | 6) => string
  readonly to?: (family: 4 | 6) => string
}

for (const flavour of ['classic', 'lightweight'] as const) {
  for (const underlayFamily of [4, 6] as const) {
    const title = `${flavour} over IPv${underlayFamily}: only what belongs there arrives`
    t.test(title, { skip: skipFor([flavour]) }, async (t) => {
      const flags = ['--flavour', flavour]
      const all = await world(t, {
        nodes: 2,
        underlayFamilies: [underlayFamily],
        networks: { a: [...flags, '--vni', '5'], b: [...flags, '--vni', '6'] },
      })
      const [target, other] = [await all.pod(1, 'a'), await all.pod(1, 'b')]
      const [friend, foreigner] = [await all.pod(2, 'a'), await all.pod(2, 'b')]
      await all.settled()
      const stranger = await all.lab.addHost()
      const ears = [target, other].map(({ netns }) => probe(t, netns))
      for (const ear of ears) await ear.listenUdp(PORT)

      const outsiders = { stranger: stranger.netns, pod: foreigner.netns }
      const inject = await injector(t, all, outsiders, flavour)
      for (const injection of injections({ target, other, friend, foreigner }))
        await inject(injection)
      const control = { by: 'node', vni: 5, from: addressOf(friend) } as const
      await inject({ ...control, what: 'control', to: addressOf(target) })
      await inject({
        ...control,
        vni: 6,
        what: 'control',
        from: addressOf(foreigner),
        to: addressOf(other),
      })
      await heardOnlyControls(t, ears)
    })
  }
}

interface Cast {
  readonly target: RunningPod
  readonly other: RunningPod
  readonly friend: RunningPod
  readonly foreigner: RunningPod
}

const addressOf =
  ({ v4, v6 }: RunningPod) =>
  (family: 4 | 6): string =>
    family === 4 ? v4 : v6

/** All to the pod of network a (VNI 5) on node 1, unless they say otherwise. */
function injections({ target, other, friend, foreigner }: Cast): readonly Injection[] {
  const to = addressOf(target)
  const rows: readonly Injection[] = [
    { what: 'a VNI of nobody', by: 'node', vni: 9, from: addressOf(friend) },
    { what: 'the VNI 0', by: 'node', vni: 0, from: addressOf(friend) },
    { what: 'a node that nobody knows', by: 'stranger', vni: 5, from: addressOf(friend) },
    // It leaves under its node's address, which everybody knows.
    { what: 'a pod of another network', by: 'pod', vni: 5, from: addressOf(friend) },
    { what: "another network's source", by: 'node', vni: 5, from: addressOf(foreigner) },
    { what: "another network's VNI", by: 'node', vni: 6, from: addressOf(friend) },
    {
      what: "another network's VNI and source",
      by: 'node',
      vni: 6,
      from: addressOf(foreigner),
    },
    {
      what: "another network's pod",
      by: 'node',
      vni: 5,
      from: addressOf(friend),
      to: addressOf(other),
    },
  ]
  return rows.map((row) => ({ to, ...row }))
}

/** Sends from the second node's address, as its kernel would, or from outsiders'. */
async function injector(
  t: Test,
  { nodes }: World,
  outsiders: Readonly<Record<'stranger' | 'pod', string>>,
  flavour: Flavour,
): Promise<(injection: Injection) => Promise<void>> {
  const [victim, node] = nodes
  if (victim === undefined || node === undefined) throw new Error('There are too few nodes')
  const senders = {
    node: probe(t, node.netns),
    stranger: probe(t, outsiders.stranger),
    pod: probe(t, outsiders.pod),
  }
  const macs = new Map([
    [5, await macOf(victim, 5, flavour)],
    [6, await macOf(victim, 6, flavour)],
  ])
  return async ({ what, by, vni, from, to = from }) => {
    for (const family of [4, 6] as const) {
      const text = `IPv${family}: ${what}`
      const inner = { from: from(family), to: to(family), port: PORT, text }
      // A frame for another's MAC would be dropped for that reason.
      const mac = macs.get(vni) ?? macs.get(5) ?? ''
      const payload =
        flavour === 'classic' ? vxlan(vni, mac, SPOOF_MAC, inner) : vxlanGpe(vni, inner)
      const outer = { to: victim.underlayIps[0] ?? '', port: FLAVOURS[flavour].vxlanPort }
      await senders[by].sendUdp({ ...outer, payload })
    }
  }
}

async function macOf({ netns }: LabNode, vni: number, flavour: Flavour): Promise<string> {
  if (flavour === 'lightweight') return ''
  const [link] = await ipJson(netns, 'link', 'show', 'dev', `trvx.${vni}`)
  return String(link?.['address'])
}

async function heardOnlyControls(t: Test, ears: readonly Probe[]): Promise<void> {
  const wanted = ['IPv4: control', 'IPv6: control']
  for (const ear of ears) {
    for (const text of wanted) t.ok(await ear.hears(text), `${text} arrived`)
    t.strictSame(ear.heard.map(({ text }) => text).sort(), wanted, 'and nothing else')
  }
}
