/** Our rules against tunnel packets that pods make, on Linux: three namespaces and datagrams. */
import { execFileSync } from 'node:child_process'
import { closeSync } from 'node:fs'
import { openNetns, warmPool } from 'netlink-ts/live'
import t, { type Test } from 'tap'
import { FIREWALL } from '../../src/kernel/firewall.ts'
import type { KernelObject } from '../../src/kernel/mod.ts'
import { openKernel } from '../../src/live/kernel.ts'
import { type Injection, injectionContract } from '../contract/injected.ts'
import { probe } from '../support/probe.ts'

const [TUNNEL_PORT, OTHER_PORT] = [8472, 8473]
const [TUNNEL_VNI, OTHER_VNI] = [5, 6]
const POD_LINK = 'trv0123456789a'
const POD = { 4: '10.42.0.5', 6: 'fd42::5' } as const
const NODES = {
  own: { 4: '192.0.2.1', 6: '2001:db8::1' },
  other: { 4: '192.0.2.2', 6: '2001:db8::2' },
} as const

let count = 0

const ip = (...args: readonly string[]): void => {
  execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] })
}

/** A pod behind its node, and another node beside it. */
function ground(t: Test): Readonly<Record<'pod' | 'own' | 'other', string>> {
  count += 1
  const name = (what: string): string => `trvi-${process.pid}-${count}-${what}`
  const names = { pod: name('p'), own: name('a'), other: name('b') }
  for (const each of Object.values(names)) {
    ip('netns', 'add', each)
    t.teardown(() => ip('netns', 'del', each))
  }
  const { pod, own, other } = names
  const on = (where: string, words: string): void => ip('-n', where, ...words.split(' '))
  on(own, `link add eth0 type veth peer name eth0 netns ${other}`)
  on(own, `link add ${POD_LINK} type veth peer name eth0 netns ${pod}`)
  on(own, `link set ${POD_LINK} up`)
  for (const [where, node] of [
    [own, NODES.own],
    [other, NODES.other],
  ] as const) {
    on(where, 'link set lo up')
    on(where, 'link set eth0 up')
    on(where, `addr add ${node[4]}/24 dev eth0`)
    on(where, `addr add ${node[6]}/64 dev eth0 nodad`)
  }
  on(pod, 'link set eth0 up')
  on(pod, `addr add ${POD[4]}/32 dev eth0`)
  on(pod, `addr add ${POD[6]}/128 dev eth0 nodad`)
  on(own, 'addr add 10.42.0.1/32 dev lo')
  on(own, `addr add fd42::1/128 dev ${POD_LINK} nodad`)
  on(pod, 'route add 10.42.0.1/32 dev eth0')
  on(pod, 'route add default via 10.42.0.1 dev eth0')
  on(pod, 'route add fd42::1/128 dev eth0')
  on(pod, 'route add default via fd42::1 dev eth0')
  on(own, `route add ${POD[4]}/32 dev ${POD_LINK}`)
  on(own, `route add ${POD[6]}/128 dev ${POD_LINK}`)
  for (const setting of ['net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1']) {
    ip('netns', 'exec', own, 'sysctl', '-qw', setting)
  }
  return names
}

const element = (set: string, ...key: readonly (string | number)[]): KernelObject => ({
  kind: 'nft-element',
  set,
  key: key.join(' . '),
})

function elements(peer: Readonly<Record<4 | 6, string>>): readonly KernelObject[] {
  const families = ([4, 6] as const).flatMap((family) => {
    const pool = family === 4 ? '10.42.0.0/16' : 'fd42::/112'
    const sets = ['pools', 'inside', 'masquerade'].map((set) => element(`${set}${family}`, pool))
    return [
      ...sets,
      element(`nodes${family}`, peer[family]),
      element(`pods${family}`, POD_LINK, POD[family]),
    ]
  })
  return [element('tunnels', TUNNEL_PORT, TUNNEL_VNI), ...families]
}

/** Our table; the pod's node may lack a chain. */
function guard(netns: string, peer: Readonly<Record<4 | 6, string>>, without = ''): void {
  const fd = openNetns(`/run/netns/${netns}`)
  const kernel = openKernel(fd, true)
  try {
    const rules = FIREWALL.filter((each) => each.kind !== 'nft-chain' || each.name !== without)
    const objects = [...rules, ...elements(peer)]
    const failures = kernel.applyNow(objects.map((object) => ({ kind: 'add', object })))
    const [failure] = failures.filter((each) => each !== undefined)
    if (failure !== undefined) throw new Error(failure.message)
  } finally {
    kernel.close()
    closeSync(fd)
  }
}

function payloadOf(vni: Injection['vni'], text: string): Buffer {
  if (vni === undefined) return Buffer.from(text)
  const header = Buffer.alloc(8)
  header[0] = 0x08
  header.writeUIntBE(vni === 'tunnel' ? TUNNEL_VNI : OTHER_VNI, 4, 3)
  return Buffer.concat([header, Buffer.from(text)])
}

async function send(injection: Injection, t: Test): Promise<readonly boolean[]> {
  await warmPool()
  const names = ground(t)
  guard(names.own, NODES.other, injection.without)
  guard(names.other, NODES.own)
  const ear = probe(t, names[injection.to])
  for (const port of [TUNNEL_PORT, OTHER_PORT]) await ear.listenUdp(port)
  const mouth = probe(t, names.pod)
  const arrived: boolean[] = []
  for (const family of [4, 6] as const) {
    const to = NODES[injection.to][family]
    const port = injection.port === 'tunnel' ? TUNNEL_PORT : OTHER_PORT
    const payload = payloadOf(injection.vni, `IPv${family}`)
    await mouth.sendUdp({ to, port, payload })
    // What comes after it on the same way has overtaken it only if it is lost.
    await mouth.sendUdp({ to, port: OTHER_PORT, payload: `control ${family}` })
    t.ok(await ear.hears(`control ${family}`), `IPv${family}: the way is there`)
    arrived.push(ear.heard.some(({ text }) => text === payload.toString()))
  }
  return arrived
}

if (process.getuid?.() !== 0) t.pass('skipped', { skip: 'needs root for network namespaces' })
else injectionContract(t, 'Linux', send)
