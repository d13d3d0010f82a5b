/** Which pods a kernel leads to, each link made by iproute2. */
import { execFileSync } from 'node:child_process'
import { closeSync } from 'node:fs'
import { openNetns } from 'netlink-ts/live'
import t from 'tap'
import { podAlias, podLinkName } from '../../src/kernel/mod.ts'
import { openKernel } from '../../src/live/kernel.ts'
import { livingHere } from '../../src/live/living.ts'

const skip = process.getuid?.() === 0 ? false : 'needs root'
const MAC = '02:00:00:00:00:07'

t.test('pods that a kernel leads to', { skip }, async (t) => {
  const [host, pod] = [`trvlh${process.pid}`, `trvlp${process.pid}`]
  const ip = (...args: readonly string[]): string => execFileSync('ip', args, { encoding: 'utf8' })
  for (const name of [host, pod]) ip('netns', 'add', name)
  const netnsFd = openNetns(`/run/netns/${host}`)
  const kernel = openKernel(netnsFd, false)
  t.teardown(() => {
    kernel.close()
    closeSync(netnsFd)
    for (const name of [host, pod]) ip('netns', 'del', name)
  })
  const on = (words: string): string => ip('-n', host, ...words.split(' '))
  const within = (words: string): string => ip('-n', pod, ...words.split(' '))
  /** A pair as ADD makes it. */
  const pair = (network: string, containerId: string, sequence: number, peer: string): string => {
    const name = podLinkName(network, containerId, 'eth0')
    on(`link add ${name} type veth peer name ${peer} address ${MAC} netns ${pod}`)
    const alias = podAlias(network, containerId, 'eth0', sequence)
    ip('-n', host, 'link', 'set', name, 'alias', alias, 'up')
    within(`link set ${peer} up`)
    return name
  }
  on('link set lo up')
  on('link add trvb.7 type bridge')
  on('link set trvb.7 up')
  const routed = pair('pods', 'c1', 3, 'p1')
  on(`route add 10.42.0.9/32 dev ${routed} proto 84`)
  on(`route add fd42::9/128 dev ${routed} proto 84`)
  on(`route add 10.42.0.77/32 dev ${routed}`) // somebody else's
  on('route add blackhole 10.42.0.0/26 proto 84')
  const bridged = pair('lan', 'c2', 5, 'p2')
  on(`link set ${bridged} master trvb.7`)
  within('addr add 10.7.0.5/24 dev p2')
  within('addr add fd07::5/64 dev p2 nodad')
  // What crashes leave: links that lead nowhere.
  pair('pods', 'c3', 8, 'p3')
  const began = pair('lan', 'c4', 9, 'p4')
  on(`link set ${began} master trvb.7`)
  const long = 'c'.repeat(250)
  const unnamed = pair('pods', long, 10, 'p5')
  on(`route add 10.42.0.10/32 dev ${unnamed} proto 84`)

  const found = livingHere(kernel, netnsFd)
  const key = { ifname: 'eth0', mac: MAC }
  t.strictSame(
    [...found.pods].sort((left, right) => left.sequence - right.sequence),
    [
      {
        ...key,
        ...{ network: 'pods', containerId: 'c1', sequence: 3, hostLink: routed },
        ips: ['10.42.0.9', 'fd42::9'],
      },
      {
        ...key,
        ...{ network: 'lan', containerId: 'c2', sequence: 5, hostLink: bridged },
        ips: ['10.7.0.5', 'fd07::5'],
      },
    ],
  )
  t.strictSame(found.blocks, ['10.42.0.0/26'])
  t.strictSame(found.endpoints, [])
  t.strictSame(found.unnamed, [unnamed])
})
