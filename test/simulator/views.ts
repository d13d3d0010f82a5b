/**
 * Cluster views for tests: a fixed three-node one for goldens, random ones for
 * properties.
 */
import fc from 'fast-check'
import { FLAVOURS } from '../../ipam/network-spec.ts'
import { parseNetworkSpec } from '../../ipam/networks.ts'
import type {
  AllowRecord,
  AttachmentRecord,
  BlockClaim,
  Flavour,
  Mode,
  NodeRecord,
} from '../../ipam/records.ts'
import type { ClusterView } from '../../src/cluster/view.ts'
import { type KernelObject, podLinkName } from '../../src/kernel/mod.ts'
import { addressAt, macFromName, type Prefix, parsePrefix, subPrefixAt } from '../../src/net/mod.ts'
import { mustIp } from './support.ts'

const POOL = { 4: parsePrefix('10.42.0.0/20'), 6: parsePrefix('fd42::/112') } as const
/** Always node 0's where it must have one. In the middle, so that its first block may change. */
const OWN_BLOCK = 6
const BLOCK = { 4: 26, 6: 122 } as const

/** The nodes 0 to 2. */
const NEAR = [parsePrefix('192.0.2.0/30'), parsePrefix('2001:db8::/126')]

/** What a view is made from; small numbers, so that two of them overlap. */
export interface ViewSeed {
  readonly mode: Mode
  readonly dualStack: boolean
  /** Blocks of each node; node 0 is the one that plans. */
  readonly blocks: readonly (readonly number[])[]
  /** Offsets of pods' addresses in the first block of node 0. */
  readonly pods: readonly number[]
  readonly mtuBytes: number | undefined
  /** @default 'classic' */
  readonly flavour?: Flavour
  /** Nodes 1 and 2 are on node 0's own network, 3 and 4 behind a router. @default false */
  readonly crossSubnet?: boolean
  /** @default true */
  readonly masquerade?: boolean
  /** Another network beside it. @default none */
  readonly second?: SecondSeed | undefined
}

/** The other network, `red`: no pods of node 0, a block for nodes 0 to 2. */
export interface SecondSeed {
  readonly mode: 'vxlan' | 'route'
  readonly flavour: Flavour
  /** Length of its pool: networks come and go, and the next one's pool may overlap the last one's. */
  readonly poolLength: 18 | 20
  readonly allow: 'nothing' | 'everything' | 'a port'
}

/**
 * A random view of one mode; `blocks` are distinct over all nodes.
 *
 * @param settled Whether node 0 has at least one block, as it has from its first round on.
 */
export function viewSeed(mode: Mode, settled = true, flavour?: Flavour): fc.Arbitrary<ViewSeed> {
  return fc
    .record({
      flavour: flavour === undefined ? fc.constantFrom(...FLAVOURS) : fc.constant(flavour),
      crossSubnet: fc.boolean(),
      masquerade: fc.boolean(),
      second: fc.option(secondSeed, { nil: undefined }),
      dualStack: fc.boolean(),
      owners: fc.array(fc.integer({ min: -1, max: 4 }), { minLength: 12, maxLength: 12 }),
      pods: fc.uniqueArray(fc.integer({ min: 1, max: 6 }), { maxLength: 4 }),
      mtuBytes: fc.constantFrom(undefined, 1400, 1420),
    })
    .map(({ owners, ...rest }) => ({
      ...rest,
      mode,
      blocks: [0, 1, 2, 3, 4].map((node) =>
        owners.flatMap((owner, block) =>
          (settled && block === OWN_BLOCK ? 0 : owner) === node ? [block] : [],
        ),
      ),
    }))
}

const secondSeed: fc.Arbitrary<SecondSeed> = fc.record({
  mode: fc.constantFrom('vxlan', 'route'),
  flavour: fc.constantFrom(...FLAVOURS),
  poolLength: fc.constantFrom(18, 20),
  allow: fc.constantFrom('nothing', 'everything', 'a port'),
})

export function viewOf(seed: ViewSeed): ClusterView {
  const { mode, dualStack, blocks, pods, mtuBytes, flavour, crossSubnet, second } = seed
  const families = dualStack ? ([4, 6] as const) : ([4] as const)
  const divided = crossSubnet === true && mode === 'vxlan' && second?.mode !== 'route'
  const nodes = blocks.map((_, index) => nodeRecord(index, divided))
  const network = parseNetworkSpec(
    {
      name: 'pods',
      mode,
      pools: families.map((family) => ({ cidr: POOL[family], blockLength: BLOCK[family] })),
      options: {
        ...(mode === 'vlan' ? { vlanId: 7 } : {}),
        ...(mtuBytes ? { mtuBytes } : {}),
        ...(flavour === undefined ? {} : { flavour }),
        ...(divided ? { crossSubnet } : {}),
        ...(seed.masquerade === undefined ? {} : { masquerade: seed.masquerade }),
      },
    },
    0,
  )
  const blockAt = (family: 4 | 6, block: number): Prefix =>
    subPrefixAt(POOL[family], BLOCK[family], BigInt(block))
  const claims = families.flatMap((family) =>
    blocks.flatMap((own, node) =>
      own.map((block, place): BlockClaim => {
        const cidr = blockAt(family, block)
        const name = `n${node}`
        return {
          network: 'pods',
          cidr,
          pool: POOL[family],
          node: name,
          first: place === 0,
          claimedMs: 0,
        }
      }),
    ),
  )
  const [home] = blocks[0] ?? []
  const attachments = (home === undefined ? [] : pods).map((offset): AttachmentRecord => {
    const containerId = `c${offset}`
    return {
      network: 'pods',
      containerId,
      ifname: 'eth0',
      node: 'n0',
      ips: families.map((family) => addressAt(blockAt(family, home ?? 0), BigInt(offset))),
      hostLink: podLinkName('pods', containerId, 'eth0'),
      netns: `/run/netns/${containerId}`,
      sequence: offset,
      bootId: 'boot',
      addedMs: 0,
    }
  })
  return {
    self: nodes[0] ?? nodeRecord(0),
    nodes: new Map(nodes.map((node) => [node.name, node])),
    networks: [
      { network: { ...network, options: { vni: 1, ...network.options } }, claims, attachments },
      ...(second === undefined ? [] : [redNetwork(second, families)]),
    ],
    allows: second === undefined ? [] : openings(second),
  }
}

const RED = { 4: '10.44.0.0', 6: 'fd44::' } as const

function redNetwork({ mode, flavour, poolLength }: SecondSeed, families: readonly (4 | 6)[]) {
  const pools = families.map((family) =>
    parsePrefix(`${RED[family]}/${family === 4 ? poolLength : poolLength + 92}`),
  )
  const draft = parseNetworkSpec(
    {
      name: 'red',
      mode,
      pools: pools.map((cidr, index) => ({ cidr, blockLength: BLOCK[families[index] ?? 4] })),
      options: { vni: 2, flavour },
    },
    0,
  )
  const claims = pools.flatMap((pool, index) =>
    [0, 1, 2].map((node): BlockClaim => {
      const cidr = subPrefixAt(pool, BLOCK[families[index] ?? 4], BigInt(node))
      return { network: 'red', cidr, pool, node: `n${node}`, first: true, claimedMs: 0 }
    }),
  )
  return { network: { ...draft, options: { vni: 2, ...draft.options } }, claims, attachments: [] }
}

function openings({ allow }: SecondSeed): readonly AllowRecord[] {
  if (allow === 'nothing') return []
  const ports = allow === 'a port' ? [{ protocol: 'tcp', port: 443 } as const] : []
  return [{ from: 'pods', to: 'red', ports, createdMs: 0 }]
}

function nodeRecord(index: number, divided = false): NodeRecord {
  return {
    ...(divided ? { underlayPrefixes: NEAR } : {}),
    name: `n${index}`,
    underlayLink: 'eth0',
    underlayIps: [mustIp(`192.0.2.${index + 1}`), mustIp(`2001:db8::${index + 1}`)],
    underlayMtuBytes: 1500,
    vtepMac: macFromName(`n${index}`),
    registeredMs: 0,
  }
}

/** What stands in node 0's kernel before us, and must stand there after us. */
export const FOREIGN: readonly KernelObject[] = [
  { kind: 'link', name: 'eth0', link: { type: 'other', name: 'ether' }, up: true, mtuBytes: 1500 },
  { kind: 'addr', link: 'eth0', ip: mustIp('192.0.2.1'), prefixLength: 24 },
  { kind: 'addr', link: 'eth0', ip: mustIp('2001:db8::1'), prefixLength: 64 },
  { kind: 'link', name: 'cni0', link: { type: 'bridge' }, up: true, mtuBytes: 1500 },
  { kind: 'addr', link: 'cni0', ip: mustIp('10.244.0.1'), prefixLength: 24 },
  {
    kind: 'route',
    dst: parsePrefix('10.42.15.0/26'),
    type: 'unicast',
    link: 'eth0',
    via: mustIp('192.0.2.9'),
    metric: 50,
    protocol: 4,
  },
  // Named almost as ours.
  { kind: 'link', name: 'trvx.abc', link: { type: 'bridge' }, up: false, alias: 'somebody' },
]
