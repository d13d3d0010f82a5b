/**
 * A pod sends from its own addresses only. And a pod's link on the node is an
 * ordinary one: no proxy, no setting of its own.
 */
import t, { type Test } from 'tap'
import { inNetns, must } from '../../src/lab/exec.ts'
import { type RunningPod, reaches, skipFor, world } from '../support/dataplane.ts'
import { ip, skip } from '../support/e2e.ts'
import { type Probe, probe } from '../support/probe.ts'

const PORT = 7_000

interface Ear {
  readonly name: string
  readonly ips: readonly string[]
  readonly probe: Probe
}

for (const flags of [
  ['--flavour', 'classic'],
  ['--flavour', 'lightweight'],
  ['--mode', 'route'],
]) {
  t.test(
    `${flags.join(' ')}: a pod cannot send as another`,
    { skip: skipFor(flags) },
    async (t) => {
      const all = await world(t, { nodes: 2, networks: { pods: flags, others: flags } })
      const [villain, near] = [await all.pod(1, 'pods'), await all.pod(1, 'pods')]
      const [far, alien] = [await all.pod(2, 'pods'), await all.pod(2, 'others')]
      await all.settled()
      const host = await all.lab.addHost()
      const places = [
        ...[near, far].map(({ name, netns, ips }) => ({ name, netns, ips })),
        ...all.nodes.map(({ name, netns, underlayIps }) => ({ name, netns, ips: underlayIps })),
        { name: 'outside', ...host },
      ]
      const ears = await Promise.all(
        places.map(async ({ name, netns, ips }): Promise<Ear> => {
          const ear = probe(t, netns)
          await ear.listenUdp(PORT)
          return { name, ips, probe: ear }
        }),
      )

      const mouth = probe(t, villain.netns)
      const stolen = [
        ...[near, far, alien].flatMap(({ ips }) => ips),
        ...['10.42.200.200', 'fd42::c8c8'], // in the pool, nobody's
        ...['203.0.113.9', '2001:db8:9::9'], // of no pool
        ...host.ips,
        ...(all.nodes[1]?.underlayIps ?? []),
      ]
      for (const from of stolen) {
        const name = [lengthened(from), 'dev', 'eth0']
        await ip(villain.netns, 'addr', 'add', ...name, ...(from.includes(':') ? ['nodad'] : []))
        await sendAll(mouth, ears, from, `as ${from}`)
        await ip(villain.netns, 'addr', 'del', ...name)
      }
      for (const from of villain.ips) await sendAll(mouth, ears, from, `as itself ${from}`)
      for (const ear of ears) await heardOnlyItself(t, ear, villain)
      const pods = [villain, near, far]
      t.strictSame(await reaches(pods, pods, true), [], 'and everybody reaches everybody')
    },
  )
}

t.test("a pod's link has no setting that an ordinary link has not", { skip }, async (t) => {
  const all = await world(t, { nodes: 1, networks: { pods: [] } })
  const [node] = all.nodes
  const pod = await all.pod(1, 'pods')
  const link = pod.result.interfaces[0]?.name ?? ''
  const pair = ['plain', 'mtu', '1450', 'type', 'veth', 'peer', 'name', 'plain2']
  await ip(node?.netns ?? '', 'link', 'add', ...pair)
  await ip(node?.netns ?? '', 'link', 'set', 'plain', 'up')
  const settings = await sysctls(node?.netns ?? '', link)
  t.ok(settings.length > 50, `${settings.length} settings were read`)
  t.strictSame(settings, await sysctls(node?.netns ?? '', 'plain'))
  for (const proxy of ['ipv4.conf.LINK.proxy_arp', 'ipv6.conf.LINK.proxy_ndp'])
    t.ok(settings.includes(`net.${proxy} = 0`), `net.${proxy} is off`)
})

const lengthened = (address: string): string => `${address}/${address.includes(':') ? 128 : 32}`

/** One datagram to every ear, by the source's family. */
async function sendAll(
  mouth: Probe,
  ears: readonly Ear[],
  from: string,
  text: string,
): Promise<void> {
  for (const { ips } of ears) {
    for (const to of ips.filter(
      (each) => each.includes(':') === from.includes(':') && each !== from,
    ))
      await mouth.sendUdp({ from, to, port: PORT, payload: text })
  }
}

/** Its own came last: what else had a way in would have arrived before. */
async function heardOnlyItself(t: Test, ear: Ear, { ips }: RunningPod): Promise<void> {
  const wanted = ips.map((address) => `as itself ${address}`)
  for (const text of wanted) t.ok(await ear.probe.hears(text), `${ear.name} heard it ${text}`)
  t.strictSame(
    ear.probe.heard.map(({ text }) => text).sort(),
    [...wanted].sort(),
    `${ear.name} heard nothing else`,
  )
}

/** Every setting of a link that can be read; the link's name as LINK. */
async function sysctls(netns: string, link: string): Promise<readonly string[]> {
  const pattern = `^net\\.(ipv4|ipv6|mpls)\\.(conf|neigh)\\.${link}\\.`
  const text = await must(inNetns(netns, ['sysctl', '-a', '--ignore', '-r', pattern]))
  return text.replaceAll(`.${link}.`, '.LINK.').trim().split('\n').sort()
}
