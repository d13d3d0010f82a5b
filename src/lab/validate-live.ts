/**
 * The real side of a validation: a lab whose pods have the names that the
 * simulated ones have, so that MACs and names of links come out alike.
 *
 * @module
 */
import { release } from 'node:os'
import { inNetns, must, run } from './exec.ts'
import { type Json, parseIpJson } from './json.ts'
import { createLab, type Lab, type LabAgent, type LabNode, type LabPod } from './lab.ts'
import { readTables, type TableRow } from './validate-read.ts'

/** A node's underlay before any agent ran. */
export interface NodeGround {
  readonly name: string
  readonly underlayLink: string
  readonly mac: string
  readonly mtuBytes: number
  readonly kernelRelease: string
  readonly addresses: readonly { readonly ip: string; readonly prefixLength: number }[]
  readonly routes: readonly { readonly dst: string; readonly via: string }[]
}

export interface RealPlace {
  readonly place: string
  readonly rows: readonly TableRow[]
}

export interface RealSideOptions {
  readonly nodes: number
  readonly subnets: number
  /** Of the underlay. @default both */
  readonly families?: readonly (4 | 6)[] | undefined
  readonly trivium: readonly string[]
}

const UNDERLAY_LINK = 'eth0'

export class RealSide {
  readonly lab: Lab
  readonly #agents = new Map<LabNode, LabAgent>()
  readonly #pods = new Map<number, LabPod>()

  constructor(lab: Lab) {
    this.lab = lab
  }

  /** Nodes as machines are before Trivium comes; remove them with `destroy`. */
  static async create(options: RealSideOptions): Promise<RealSide> {
    const { nodes, subnets, trivium, families } = options
    const underlay = families === undefined ? {} : { underlayFamilies: families }
    return new RealSide(await createLab({ nodes, subnets, trivium, ...underlay }))
  }

  destroy(): Promise<void> {
    return this.lab.destroy()
  }

  grounds(): Promise<readonly NodeGround[]> {
    return Promise.all(this.lab.nodes.map(groundOf))
  }

  /** Whether the kernel makes 802.1Q links. */
  hasVlan(): Promise<boolean> {
    return this.#makes(['link', UNDERLAY_LINK, 'name', 'probe', 'type', 'vlan', 'id', '2'])
  }

  /** Whether the kernel makes VXLAN-GPE links with a VNI filter. */
  hasGpe(): Promise<boolean> {
    const kind = ['type', 'vxlan', 'external', 'gpe', 'vnifilter', 'dstport', '4790']
    return this.#makes(['name', 'probe', ...kind])
  }

  /** Tables that cannot be read here, for want of a program. */
  async unread(): Promise<readonly string[]> {
    const has = async (program: string): Promise<boolean> =>
      (await run(['sh', '-c', `command -v ${program}`])).status === 0
    return [
      ...((await has('nft')) ? [] : ['nft rules', 'nft elements']),
      ...((await has('ethtool')) ? [] : ['offloads']),
      // iproute2 before 6.0, or Linux before 5.19.
      ...((await run(['bridge', 'vni'])).status === 0 ? [] : ['vnis']),
    ]
  }

  /** Runs `trivium ARGS` on the lab's store. */
  trivium(...args: readonly string[]): Promise<string> {
    return this.lab.trivium(...args, '--store', this.lab.storeUrl)
  }

  /** Executables and network configuration on every node. */
  async install(network: string): Promise<void> {
    for (const node of this.lab.nodes) await this.lab.install(node, '--name', network)
  }

  async start(index: number): Promise<void> {
    const node = this.#node(index)
    this.#agents.set(node, await this.lab.startAgent(node))
  }

  async stop(index: number): Promise<void> {
    await this.#agents.get(this.#node(index))?.stop()
  }

  async forget(index: number): Promise<void> {
    await this.trivium('node', 'delete', this.#node(index).name, '--force')
  }

  async addPod(index: number, pod: number, network: string): Promise<void> {
    const made = await this.lab.addPod(this.#node(index))
    const named = { ...made, containerId: `pod-${pod}` }
    this.#pods.set(pod, named)
    await this.#call('ADD', named, network)
  }

  async removePod(pod: number, network: string): Promise<void> {
    const found = this.#pods.get(pod)
    if (found === undefined) throw new Error(`Cannot delete pod ${pod}: there is none`)
    await this.#call('DEL', found, network)
    this.#pods.delete(pod)
    await this.lab.removePod(found)
  }

  setMtu(bytes: number): Promise<void> {
    return this.lab.setUnderlayMtu(bytes)
  }

  /** Gives a node other underlay addresses in place of those it has. */
  async move(index: number, renamed: (ip: string) => string): Promise<void> {
    const node = this.#node(index)
    const { addresses } = await groundOf(node)
    for (const { ip, prefixLength } of addresses) {
      const change = (what: string, address: string, ...words: readonly string[]) =>
        must([...inNode(node), 'addr', what, address, 'dev', UNDERLAY_LINK, ...words])
      await change('del', `${ip}/${prefixLength}`)
      await change('add', `${renamed(ip)}/${prefixLength}`, ...(ip.includes(':') ? ['nodad'] : []))
    }
  }

  /** Takes a node's underlay link down and up, and puts back what went with it. */
  async flap(index: number): Promise<void> {
    const node = this.#node(index)
    const before = await groundOf(node)
    for (const way of ['down', 'up']) {
      await must([...inNode(node), 'link', 'set', 'dev', UNDERLAY_LINK, way])
    }
    const after = await groundOf(node)
    for (const { ip, prefixLength } of before.addresses) {
      if (after.addresses.some((each) => each.ip === ip)) continue
      const words = [`${ip}/${prefixLength}`, 'dev', UNDERLAY_LINK, 'nodad']
      await must([...inNode(node), 'addr', 'add', ...words])
    }
    for (const { dst, via } of before.routes) {
      if (after.routes.some((each) => each.dst === dst)) continue
      await must([...inNode(node), 'route', 'add', dst, 'via', via, 'dev', UNDERLAY_LINK])
    }
  }

  /** As somebody would who does not know whose link it is. */
  async harm(index: number, link: string): Promise<void> {
    await must([...inNode(this.#node(index)), 'link', 'del', 'dev', link])
  }

  /** Every node's and every pod's tables. */
  async places(): Promise<readonly RealPlace[]> {
    const places = [
      ...this.lab.nodes.map(({ name, netns }) => ({ place: name, netns })),
      ...[...this.#pods].map(([pod, { netns }]) => ({ place: `pod-${pod}`, netns })),
    ]
    return Promise.all(
      places.map(async ({ place, netns }) => ({ place, rows: await readTables(netns) })),
    )
  }

  async #makes(link: readonly string[]): Promise<boolean> {
    const inNode = ['ip', '-n', this.#node(0).netns, 'link']
    const { status } = await run([...inNode, 'add', ...link])
    if (status === 0) await must([...inNode, 'del', 'probe'])
    return status === 0
  }

  async #call(verb: 'ADD' | 'DEL', pod: LabPod, network: string): Promise<void> {
    const { status, stdout } = await this.lab.cni(verb, pod, { name: network })
    if (status !== 0) throw new Error(`${verb} of ${pod.containerId} failed: ${stdout.trim()}`)
  }

  #node(index: number): LabNode {
    const node = this.lab.nodes[index]
    if (node === undefined) throw new Error(`There is no node ${index}`)
    return node
  }
}

const inNode = ({ netns }: LabNode): readonly string[] => ['ip', '-n', netns]

async function groundOf(node: LabNode): Promise<NodeGround> {
  const { name, netns } = node
  const read = async (...args: readonly string[]): Promise<readonly Json[]> =>
    parseIpJson(await must(inNetns(netns, ['ip', '-j', ...args])))
  const [link = {}] = await read('addr', 'show', 'dev', UNDERLAY_LINK)
  const routes = [
    ...(await read('-4', 'route', 'show', 'proto', 'boot')),
    ...(await read('-6', 'route', 'show', 'proto', 'boot')),
  ]
  return {
    name,
    underlayLink: UNDERLAY_LINK,
    mac: String(link['address']),
    mtuBytes: Number(link['mtu']),
    kernelRelease: release(),
    addresses: (link['addr_info'] as readonly Json[])
      .filter(({ scope }) => scope === 'global')
      .map(({ local, prefixlen }) => ({ ip: String(local), prefixLength: Number(prefixlen) })),
    routes: routes.map(({ dst, gateway }) => ({ dst: String(dst), via: String(gateway) })),
  }
}
