/**
 * The simulated side of a validation: nodes with the names, addresses and MACs
 * of real ones, on one store and one virtual clock, without switches between
 * them. What a fabric would carry is not what kernels hold.
 *
 * @module
 */
import { releaseNode } from '../ipam/allocator.ts'
import {
  allowNetwork,
  createNetwork,
  denyNetwork,
  parseNetworkSpec,
  setNetwork,
} from '../ipam/networks.ts'
import type { NodeRecord } from '../ipam/records.ts'
import type { Store, Tx } from '../ipam/store.ts'
import { DEFAULT_TIMES } from '../src/agent/agent.ts'
import { assertNever, invariant } from '../src/errors.ts'
import {
  DEFAULT_METRIC,
  identity,
  type KernelObject,
  type KernelOp,
  linkOf,
} from '../src/kernel/mod.ts'
import {
  type Ip,
  ipFamily,
  macFromName,
  parseIp,
  parseMac,
  parsePrefix,
  prefixOf,
} from '../src/net/mod.ts'
import { Engine, EVENT, TICKS_PER_MS } from './clock.ts'
import { type NodeEvents, SimNode } from './node.ts'
import { concernedBy, simStore } from './store.ts'
import { DEFAULT_RULES, rowsOfState, type ValidateRow } from './validate-rows.ts'
import type { ValidateStep } from './validate-steps.ts'

/** A node before anything of ours was on it, as a real one was found. */
export interface Ground {
  readonly name: string
  readonly underlayLink: string
  readonly mac: string
  readonly mtuBytes: number
  readonly kernelRelease: string
  readonly addresses: readonly { readonly ip: string; readonly prefixLength: number }[]
  /** Routes of an administrator. */
  readonly routes: readonly { readonly dst: string; readonly via: string }[]
}

/** A namespace of one side: `n1`, or `pod-3`. */
export interface Place {
  readonly place: string
  readonly rows: readonly ValidateRow[]
}

/** rtm_protocol of what an administrator configured. Source: rtnetlink.h, RTPROT_BOOT. */
const PROTOCOL_BOOT = 3
/** Time of a commit, and until others hear of it. */
const STORE_TICKS = TICKS_PER_MS
/** Longest time until everybody has followed; the repair timer (10 s) is not waited for. */
const QUIET_TICKS_MAX = 5_000 * TICKS_PER_MS
/** After the last change somebody may still have something to say. */
const CALM_TICKS = 1_000 * TICKS_PER_MS
/** Simulated agents hear nothing of a stranger's deeds: their timer looks. */
const REPAIR_TICKS = (DEFAULT_TIMES.repairMs + 1_000) * TICKS_PER_MS

export class SimulatedSide {
  /** What agents could not plan and kernels refused, in words. */
  readonly faults: string[] = []

  private readonly engine = new Engine()
  private readonly store: Store
  private readonly nodes: readonly SimNode[]
  private readonly running = new Set<SimNode>()
  private podsUnderWay = 0

  /** @param networks Names, in the order in which pods go round them. */
  constructor(grounds: readonly Ground[], networks: readonly string[]) {
    const { engine } = this
    const times = { commitTicks: STORE_TICKS, watchTicks: STORE_TICKS }
    this.store = simStore(engine, times, ({ written }) => this.tell(written))
    this.nodes = grounds.map(
      (ground, index) =>
        new SimNode(engine, this.store, this.events(), {
          index,
          rack: 0,
          record: recordOf(ground),
          initial: objectsOf(ground),
          networks,
          times: DEFAULT_TIMES,
          listener: () => {},
        }),
    )
    engine.on(EVENT.start, (index) => this.node(index).start())
  }

  /** Does one step and waits until everybody has followed. */
  perform(step: ValidateStep): void {
    this.begin(step)
    const { engine } = this
    engine.run(() => this.isQuiet, engine.tick + QUIET_TICKS_MAX)
    engine.run(() => false, engine.tick + (step.do === 'harm' ? REPAIR_TICKS : CALM_TICKS))
    if (!this.isQuiet) this.faults.push(`after ${step.do}: not quiet in time`)
  }

  /** Every node's and every pod's tables, sorted by nobody. */
  places(): readonly Place[] {
    return this.nodes.flatMap((node) => [
      { place: node.record.name, rows: [...DEFAULT_RULES, ...rowsOfState(node.kernel.snapshot())] },
      ...[...node.pods.values()].map(({ id, kernel }) => ({
        place: `pod-${id}`,
        rows: [...DEFAULT_RULES, ...rowsOfState(kernel.snapshot())],
      })),
    ])
  }

  private begin(step: ValidateStep): void {
    switch (step.do) {
      case 'create':
        this.transact((tx) => createNetwork(tx, parseNetworkSpec(step.network, 0)))
        break
      case 'set': {
        const { network, mode, options = {} } = step
        const settings = mode === undefined ? { options } : { mode, options }
        this.transact((tx) => setNetwork(tx, network, settings))
        break
      }
      case 'allow':
        this.transact((tx) => allowNetwork(tx, step.from, step.to, step.ports, 0))
        break
      case 'deny':
        this.transact((tx) => denyNetwork(tx, step.from, step.to))
        break
      case 'start':
        this.running.add(this.node(step.node))
        this.node(step.node).start()
        break
      case 'stop':
        this.running.delete(this.node(step.node))
        this.node(step.node).stop()
        break
      case 'forget':
        this.transact((tx) => releaseNode(tx, this.node(step.node).record.name))
        break
      case 'add':
        this.podsUnderWay++
        this.node(step.node).addPod(step.pod)
        break
      case 'del':
        this.podsUnderWay++
        this.node(step.node).removePod(step.pod)
        break
      case 'mtu':
        for (const node of this.nodes) setMtu(node, step.bytes)
        break
      case 'move':
        move(this.node(step.node), step.host)
        break
      case 'flap':
        flap(this.node(step.node))
        break
      case 'harm': {
        const { kernel } = this.node(step.node)
        const object = kernel.link(step.link)
        if (object === undefined) this.faults.push(`${step.link} is not there`)
        else apply(this.node(step.node), { kind: 'remove', object })
        break
      }
      default:
        assertNever(step)
    }
  }

  private get isQuiet(): boolean {
    return this.podsUnderWay === 0 && [...this.running].every((node) => node.isSettled)
  }

  private node(index: number): SimNode {
    const node = this.nodes[index]
    invariant(node !== undefined, `node ${index} exists`)
    return node
  }

  private transact(body: (tx: Tx) => unknown): void {
    this.store.transact(body, (outcome) => {
      if (outcome.kind === 'failed') this.faults.push(outcome.error.message)
    })
  }

  private tell(written: ReadonlyMap<string, number>): void {
    for (const node of this.running) {
      const concerns = [...written.keys()].some((key) => {
        const whom = concernedBy(key)
        return whom?.kind === 'all' || whom?.name === node.record.name
      })
      if (concerns) node.touch(STORE_TICKS)
    }
  }

  private events(): NodeEvents {
    const { faults } = this
    return {
      podAdded: (id, pod, refusal) => {
        this.podsUnderWay--
        if (pod === undefined) faults.push(`pod ${id}: ${refusal}`)
      },
      podRemoved: () => {
        this.podsUnderWay--
      },
      settled: () => {},
      refused: (node, message) => faults.push(`${node.record.name}: ${message}`),
      report: (node, report) => {
        const say = (message: string) => faults.push(`${node.record.name}: ${message}`)
        if (report.event === 'problem') say(report.problem)
        else if (report.event === 'failed') say(`${report.step}: ${report.reason}`)
        else if (report.event === 'conflict') say('a foreign object is in the way')
        else for (const { op, reason } of report.failures) say(`${op}: ${reason}`)
      },
    }
  }
}

/** As a live node registers itself: the first address of each family. */
function recordOf(ground: Ground): NodeRecord {
  const { name, underlayLink, mtuBytes, kernelRelease, addresses } = ground
  const ips = addresses.map(({ ip }) => parseIp(ip))
  return {
    name,
    underlayLink,
    underlayIps: ips,
    underlayMtuBytes: mtuBytes,
    underlayPrefixes: addresses.map(({ ip, prefixLength }) => prefixOf(parseIp(ip), prefixLength)),
    kernelRelease,
    vtepMac: macFromName(name),
    registeredMs: 0,
  }
}

function objectsOf(ground: Ground): readonly KernelObject[] {
  const { underlayLink: link, mac, mtuBytes, addresses, routes } = ground
  return [
    {
      kind: 'link',
      name: link,
      link: { type: 'veth' },
      up: true,
      mac: parseMac(mac),
      mtuBytes,
    },
    ...addresses.map(({ ip, prefixLength }): KernelObject => {
      return { kind: 'addr', link, ip: parseIp(ip), prefixLength }
    }),
    ...routes.map(({ dst, via }): KernelObject => {
      const metric = DEFAULT_METRIC[ipFamily(parseIp(via))]
      return {
        kind: 'route',
        dst: parsePrefix(dst),
        type: 'unicast',
        link,
        via: parseIp(via),
        metric,
        protocol: PROTOCOL_BOOT,
      }
    }),
  ]
}

function setMtu(node: SimNode, mtuBytes: number): void {
  const from = node.kernel.link(node.record.underlayLink)
  invariant(from !== undefined, 'a node has its underlay link')
  apply(node, { kind: 'change', from, to: { ...from, mtuBytes } })
  node.changeUnderlay({ ...node.record, underlayMtuBytes: mtuBytes })
}

/** Down, up, and then whatever of the administrator's went with it. */
function flap(node: SimNode): void {
  const { kernel, record } = node
  const isOurs = (object: KernelObject): boolean =>
    object.kind === 'route' && object.protocol !== PROTOCOL_BOOT
  const before = [...kernel.objects()].filter(
    (object) => linkOf(object) === record.underlayLink && object.kind !== 'link' && !isOurs(object),
  )
  for (const up of [false, true]) {
    const from = kernel.link(record.underlayLink)
    invariant(from !== undefined, 'a node has its underlay link')
    apply(node, { kind: 'change', from, to: { ...from, up } })
  }
  for (const kind of ['addr', 'route'] as const) {
    for (const object of before) {
      const isGone = object.kind === kind && kernel.get(identity(object)) === undefined
      if (isGone) apply(node, { kind: 'add', object })
    }
  }
  node.changeUnderlay(record)
}

function move(node: SimNode, host: number): void {
  const { underlayLink: link, underlayIps } = node.record
  const ips = underlayIps.map((ip) => hostOf(ip, host))
  for (const object of [...node.kernel.objects()]) {
    const index = object.kind === 'addr' ? underlayIps.indexOf(object.ip) : -1
    const ip = ips[index]
    if (object.kind !== 'addr' || object.link !== link || ip === undefined) continue
    apply(node, { kind: 'remove', object })
    apply(node, { kind: 'add', object: { ...object, ip } })
  }
  node.changeUnderlay({ ...node.record, underlayIps: ips })
}

/** The same prefix, written as the lab writes addresses: 192.0.2.99, 2001:db8::63. */
export function hostOf(ip: string, host: number): Ip {
  const [separator, digits] = ip.includes(':') ? [':', host.toString(16)] : ['.', String(host)]
  return parseIp(`${ip.slice(0, ip.lastIndexOf(separator) + 1)}${digits}`)
}

function apply(node: SimNode, op: KernelOp): void {
  const failure = node.kernel.apply(op)
  invariant(failure === undefined, failure?.message ?? '')
}
