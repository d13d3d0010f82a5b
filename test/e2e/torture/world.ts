/**
 * Where the torture happens: two nodes on one store, two networks by two roads,
 * agents that are started again after their death, and pods' namespaces that
 * containers come to and go from.
 *
 * @module
 */
import { closeSync } from 'node:fs'
import { openNetns } from 'netlink-ts/live'
import type { Test } from 'tap'
import { keys } from '../../../ipam/keys.ts'
import type { Store } from '../../../ipam/store.ts'
import { type KernelState, podLinkName } from '../../../src/kernel/mod.ts'
import { createLab, type Lab, type LabAgent, type LabNode } from '../../../src/lab/lab.ts'
import { type LiveKernel, openKernel } from '../../../src/live/kernel.ts'
import { openStore } from '../../../src/live/store-url.ts'
import { builtCli, converged } from '../../support/e2e.ts'
import { IFNAME, isKept, type Sight, sightOf } from './steps.ts'
import { type SuddenDeath, suddenDeath } from './sudden-death.ts'

export const NETWORKS = ['pods', 'flat'] as const
export type Network = (typeof NETWORKS)[number]

const FLAGS: Readonly<Record<Network, readonly string[]>> = {
  pods: ['--mode', 'vxlan', '--pool', '10.42.0.0/16', '--pool', 'fd42::/112'],
  flat: ['--mode', 'route', '--pool', '10.43.0.0/16', '--pool', 'fd43::/112'],
}

/** A sandbox's namespace. */
export interface Slot {
  readonly netns: string
  readonly path: string
  /** undefined once it is gone. */
  state(): KernelState | undefined
  isOpen(): boolean
  close(): void
  /** The sandbox goes, and what was in it. */
  remove(): Promise<void>
}

/** One interface of one container in one network on one node. */
export interface Attachment {
  readonly node: TortureNode
  readonly network: Network
  readonly containerId: string
  readonly slot: Slot
}

export interface TortureNode {
  readonly lab: LabNode
  readonly kernel: LiveKernel
  /** Namespaces that nobody uses. */
  readonly free: Slot[]
  agent: LabAgent
}

export interface World {
  readonly lab: Lab
  readonly nodes: readonly TortureNode[]
  readonly store: Store
  readonly death: SuddenDeath | undefined
  /** A namespace in which nothing is. */
  slotOn(node: TortureNode): Promise<Slot>
  /** What there is of attachments of one node, now. */
  look(attachments: readonly Attachment[]): readonly Sight[]
  hasRecord(attachment: Attachment): boolean
  hasLink(attachment: Attachment): boolean
  /** SIGKILL for what still runs of the agent, and another one, as systemd does. */
  restart(node: TortureNode): Promise<void>
}

export async function createWorld(t: Test): Promise<World> {
  const death = suddenDeath(t)
  const lab = await createLab({ nodes: 2, trivium: mortal(builtCli(), death) })
  t.teardown(() => lab.destroy())
  for (const [index, node] of lab.nodes.entries()) {
    await lab.install(node, '--name', 'pods', ...(index === 0 ? FLAGS.pods : []))
  }
  await lab.trivium('network', 'create', 'flat', ...FLAGS.flat, '--store', lab.storeUrl)
  const nodes = await Promise.all(lab.nodes.map((node) => tortureNode(t, lab, node)))
  await converged(lab)
  const store = openStore(lab.storeUrl, { mustExist: true })
  t.teardown(() => store.close())
  const slots = new Set<Slot>()
  t.teardown(() => {
    for (const slot of slots) slot.close()
  })
  return {
    lab,
    nodes,
    store,
    death,
    async slotOn(node) {
      const slot = node.free.pop() ?? (await newSlot(lab, node))
      slots.add(slot)
      return slot
    },
    look: (attachments) => look(store, attachments),
    hasRecord: (attachment) => hasRecord(store, attachment),
    hasLink: (attachment) => attachment.node.kernel.link(hostLinkOf(attachment)) !== undefined,
    async restart(node) {
      await node.agent.kill()
      node.agent = await lab.startAgent(node.lab)
    },
  }
}

function mortal(command: readonly string[], death: SuddenDeath | undefined): readonly string[] {
  const variables = Object.entries(death?.environment() ?? {})
  return ['env', ...variables.map(([name, value]) => `${name}=${value}`), ...command]
}

async function tortureNode(t: Test, lab: Lab, node: LabNode): Promise<TortureNode> {
  const netnsFd = openNetns(`/run/netns/${node.netns}`)
  const kernel = openKernel(netnsFd, true)
  t.teardown(() => {
    kernel.close()
    closeSync(netnsFd)
  })
  return { lab: node, kernel, free: [], agent: await lab.startAgent(node) }
}

async function newSlot(lab: Lab, node: TortureNode): Promise<Slot> {
  const pod = await lab.addPod(node.lab)
  const fd = openNetns(pod.netnsPath)
  const kernel = openKernel(fd)
  let open = true
  const close = (): void => {
    if (!open) return
    open = false
    kernel.close()
    closeSync(fd)
  }
  return {
    netns: pod.netns,
    path: pod.netnsPath,
    state: () => (open ? kernel.state() : undefined),
    isOpen: () => open,
    close,
    async remove() {
      // What is held open does not go away.
      close()
      await lab.removePod(pod)
    },
  }
}

export const hostLinkOf = ({ network, containerId }: Attachment): string =>
  podLinkName(network, containerId, IFNAME)

function hasRecord(store: Store, { node, network, containerId }: Attachment): boolean {
  const key = keys.attachment(node.lab.name, { network, containerId, ifname: IFNAME })
  return store.read((reader) => reader.get(key)) !== undefined
}

/**
 * The kernel before the store: what is made between the two looks has its record
 * before. What a DEL removes between them has none any more, and is gone as well:
 * a launcher that was not accepted has it done by Node while the agent is dead.
 */
function look(store: Store, attachments: readonly Attachment[]): readonly Sight[] {
  const sights = lookOnce(store, attachments)
  return sights.every(isKept) ? sights : lookOnce(store, attachments)
}

function lookOnce(store: Store, attachments: readonly Attachment[]): readonly Sight[] {
  const [first] = attachments
  if (first === undefined) return []
  const state = first.node.kernel.state()
  const pods = attachments.map(({ slot }) => slot.state())
  return attachments.map((attachment, index) =>
    sightOf(hasRecord(store, attachment), hostLinkOf(attachment), state, pods[index]),
  )
}
