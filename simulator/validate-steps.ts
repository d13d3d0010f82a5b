/**
 * What happens in a validation: events for nodes, in batches. The same are done
 * to simulated nodes and to real ones; after each batch both hold the same
 * tables, or one of the two is wrong.
 *
 * @module
 */
import type { NetworkSpec, OptionChanges } from '../ipam/networks.ts'
import type { AllowedPort } from '../ipam/records.ts'
import { prng } from '../src/prng.ts'
import { shuffled } from './shuffle.ts'

export type ValidateStep =
  | { readonly do: 'create'; readonly network: NetworkSpec }
  | {
      readonly do: 'set'
      readonly network: string
      readonly mode?: 'vxlan' | 'route'
      readonly options?: OptionChanges
    }
  /** No ports: all. */
  | {
      readonly do: 'allow'
      readonly from: string
      readonly to: string
      readonly ports: readonly AllowedPort[]
    }
  | { readonly do: 'deny'; readonly from: string; readonly to: string }
  /** An agent starts, ends; a node without one is taken out of the store. */
  | { readonly do: 'start' | 'stop' | 'forget'; readonly node: number }
  | { readonly do: 'add' | 'del'; readonly node: number; readonly pod: number }
  /** The MTU of the whole underlay. */
  | { readonly do: 'mtu'; readonly bytes: number }
  /** A node gets another underlay address of each family: the `host`-th of the prefix. */
  | { readonly do: 'move'; readonly node: number; readonly host: number }
  /** A node's underlay link goes down and comes back, with what an administrator put on it. */
  | { readonly do: 'flap'; readonly node: number }
  /** Somebody deletes a link of ours. */
  | { readonly do: 'harm'; readonly node: number; readonly link: string }

/** What a kernel may lack. */
export type ValidateFeature = '802.1Q' | 'lightweight'

export interface ValidateBatch {
  readonly title: string
  /** Left out where the kernel lacks it. */
  readonly needs?: ValidateFeature
  readonly steps: readonly ValidateStep[]
}

export interface ValidateMode {
  readonly name: string
  /** Underlay networks; node i is on the (i modulo these)th. */
  readonly subnets: number
  /** Of the underlay. @default both */
  readonly families?: readonly (4 | 6)[]
  /** Skipped where the kernel lacks it. */
  readonly needs?: ValidateFeature
  readonly networks: readonly NetworkSpec[]
  /** Changes of the living networks, a batch each. */
  readonly changes: readonly ValidateBatch[]
}

export interface ValidateSize {
  readonly nodes: number
  /** Pods a node, at first. */
  readonly pods: number
  readonly seed: number
}

/** Small blocks: a few pods need more than one. */
const POOLS = [
  { cidr: '10.42.0.0/16', blockLength: 30 },
  { cidr: 'fd42::/112', blockLength: 126 },
] as const
const OTHER_POOLS = [{ cidr: '10.43.0.0/16' }, { cidr: 'fd43::/112' }] as const

const pods = (mode: string, options: OptionChanges = {}): NetworkSpec => ({
  name: 'pods',
  mode,
  pools: POOLS,
  options,
})

const set = (
  title: string,
  options: OptionChanges,
  mode?: 'vxlan' | 'route',
  network = 'pods',
): ValidateBatch => ({
  title,
  ...(options.flavour === 'lightweight' ? { needs: 'lightweight' } : {}),
  steps: [{ do: 'set', network, options, ...(mode === undefined ? {} : { mode }) }],
})

const allow = (from: string, to: string, ports: readonly AllowedPort[]): ValidateBatch => ({
  title: `${from} may reach ${ports.length === 0 ? '' : 'a port of '}${to}`,
  steps: [{ do: 'allow', from, to, ports }],
})

const deny = (from: string, to: string): ValidateBatch => ({
  title: `${from} may not reach ${to} any more`,
  steps: [{ do: 'deny', from, to }],
})

const UNMASKED = set('masquerade off', { masquerade: false })
const MTU: ValidateBatch = { title: 'underlay MTU 1400', steps: [{ do: 'mtu', bytes: 1400 }] }
const MOVE: ValidateBatch = {
  title: 'a node gets other underlay addresses',
  steps: [{ do: 'move', node: 0, host: 99 }],
}

/** The default VNI's. */
const HARM: ValidateBatch = {
  title: 'somebody deletes the tunnel',
  steps: [{ do: 'harm', node: 0, link: 'trvx.1' }],
}

export const VALIDATE_MODES: readonly ValidateMode[] = [
  {
    name: 'vxlan',
    subnets: 1,
    networks: [pods('vxlan')],
    changes: [
      UNMASKED,
      set('checksum offload off', { checksumOffload: false }),
      MTU,
      MOVE,
      HARM,
      set('flavour lightweight', { flavour: 'lightweight' }),
    ],
  },
  {
    name: 'lightweight',
    subnets: 1,
    needs: 'lightweight',
    networks: [pods('vxlan', { flavour: 'lightweight' })],
    changes: [
      MTU,
      MOVE,
      HARM,
      set('flavour classic', { flavour: 'classic' }),
      set('mode route', {}, 'route'),
    ],
  },
  {
    name: 'crosssubnet',
    subnets: 2,
    networks: [pods('vxlan', { crossSubnet: true })],
    changes: [
      set('flavour lightweight', { flavour: 'lightweight' }),
      set('crossSubnet off', { crossSubnet: false }),
      set('crossSubnet on, classic', { crossSubnet: true, flavour: 'classic' }),
    ],
  },
  {
    name: 'underlay6',
    subnets: 1,
    families: [6],
    networks: [pods('vxlan')],
    changes: [MTU, MOVE, set('flavour lightweight', { flavour: 'lightweight' })],
  },
  {
    name: 'route',
    subnets: 1,
    networks: [pods('route')],
    changes: [UNMASKED, MTU, MOVE, set('mode vxlan', {}, 'vxlan')],
  },
  {
    name: 'mixed',
    subnets: 1,
    networks: [pods('vxlan'), { name: 'guests', mode: 'route', pools: OTHER_POOLS }],
    changes: [
      allow('guests', 'pods', []),
      MTU,
      MOVE,
      set('flavour lightweight', { flavour: 'lightweight' }),
    ],
  },
  {
    name: 'vlan',
    subnets: 1,
    needs: '802.1Q',
    networks: [pods('vlan', { vlanId: 100 })],
    changes: [MTU],
  },
  {
    name: 'networks',
    subnets: 1,
    networks: [pods('vxlan'), { name: 'guests', mode: 'vxlan', pools: OTHER_POOLS }],
    changes: [
      allow('guests', 'pods', []),
      allow('pods', 'guests', [{ protocol: 'tcp', port: 443 }]),
      set(
        'guests lightweight',
        { flavour: 'lightweight', checksumOffload: false },
        undefined,
        'guests',
      ),
      deny('guests', 'pods'),
      set('guests by routes', {}, 'route', 'guests'),
    ],
  },
]

/** Every mode's life: nodes, pods, a node that leaves and comes back, and the mode's own changes. */
export function validateBatches(mode: ValidateMode, size: ValidateSize): readonly ValidateBatch[] {
  const { nodes } = size
  const chance = prng(`validate/${size.seed}/${mode.name}`)
  const places = Array.from({ length: nodes * size.pods }, (_, pod) => ({ pod, node: pod % nodes }))
  const gone = Math.min(1, nodes - 1)
  const leaving = shuffled(places, chance).slice(0, Math.ceil(places.length / 3))
  const later = { pod: places.length, node: gone }
  const unheard = { pod: places.length + 1, node: gone }
  const all = Array.from({ length: nodes }, (_, node) => node)
  return [
    {
      title: 'networks, agents',
      steps: [
        ...mode.networks.map((network) => ({ do: 'create', network }) as const),
        ...all.map((node) => ({ do: 'start', node }) as const),
      ],
    },
    {
      title: `${places.length} pods`,
      steps: shuffled(places, chance).map((place) => ({ do: 'add', ...place })),
    },
    {
      title: `${leaving.length} pods deleted`,
      steps: leaving.map((place) => ({ do: 'del', ...place })),
    },
    {
      title: 'the agent of node 1 restarts, and missed a pod',
      steps: [
        { do: 'stop', node: 0 },
        { do: 'add', ...unheard },
        { do: 'start', node: 0 },
      ],
    },
    {
      title: 'the underlay of node 1 goes down and comes back',
      steps: [{ do: 'flap', node: 0 }],
    },
    ...mode.changes,
    {
      title: `node ${gone + 1} is deleted`,
      steps: [
        { do: 'stop', node: gone },
        { do: 'forget', node: gone },
      ],
    },
    {
      title: `node ${gone + 1} comes back`,
      steps: [
        { do: 'start', node: gone },
        { do: 'add', ...later },
      ],
    },
  ]
}
