/**
 * What must be there: the containers that are alive, by the results that the
 * runtime was given, and the node as it is without them.
 *
 * @module
 */
import { keys } from '../../../ipam/keys.ts'
import { compareDumps, dumpAll, dumpNetns } from '../../../src/lab/dump.ts'
import { run } from '../../../src/lab/exec.ts'
import { checkInvariants } from '../../ipam/invariants.ts'
import { ipsOf, type Result, settle } from '../../support/e2e.ts'
import { IFNAME } from './steps.ts'
import { type Attachment, hostLinkOf, NETWORKS, type TortureNode, type World } from './world.ts'

const PARALLEL = 6

/** A container with the result of its ADD. */
export interface Alive extends Attachment {
  readonly result: Result
}

export interface Model {
  readonly alive: ReadonlySet<Alive>
  /** @throws {Error} One of its addresses is somebody else's. */
  born(one: Alive): void
  dead(one: Alive): void
  /** What differs from what must be there, once the agents have had their time. */
  differences(): Promise<readonly string[]>
  /** Pings that did not come back: each container to the next one and to its node. */
  unreachable(): Promise<readonly string[]>
}

/** @param elders Containers that stay: the patterns for all others. */
export async function createModel(world: World, elders: readonly Alive[]): Promise<Model> {
  const alive = new Set<Alive>(elders)
  const idle = new Map<TortureNode, readonly string[]>()
  for (const node of world.nodes) {
    const ours = elders.filter((elder) => elder.node === node).map(hostLinkOf)
    const lines = await dumpNetns(node.lab.netns)
    idle.set(
      node,
      lines.filter((line) => !ours.some((name) => line.includes(name))),
    )
  }
  const patterns = new Map<string, Pattern>()
  for (const elder of elders) {
    patterns.set(kindOf(elder), await patternOf(elder))
  }

  function nodeDifferences(node: TortureNode, dump: readonly string[]): readonly string[] {
    const wanted = [...(idle.get(node) ?? [])]
    for (const one of alive) {
      if (one.node === node)
        wanted.push(...(patterns.get(kindOf(one))?.onNode ?? []).map((line) => fill(line, one)))
    }
    return compareDumps(wanted, dump.map(withoutSequence)).map((line) => `${node.lab.name} ${line}`)
  }

  function podDifferences(one: Alive, dump: readonly string[]): readonly string[] {
    const wanted = (patterns.get(kindOf(one))?.inPod ?? []).map((line) => fill(line, one))
    return compareDumps(wanted, dump.map(withoutLinkLocal)).map(
      (line) => `${one.containerId} ${line}`,
    )
  }

  function freeDifferences(node: TortureNode): readonly string[] {
    return node.free.flatMap((slot) => {
      const links = [...(slot.state()?.values() ?? [])].filter((each) => each.kind === 'link')
      return links.length <= 1 ? [] : [`${slot.netns} holds ${JSON.stringify(links)}`]
    })
  }

  return {
    alive,
    born(one) {
      for (const other of alive) {
        if (other.network !== one.network) continue
        const twice = ipsOf(one.result).filter((ip) => ipsOf(other.result).includes(ip))
        if (twice.length === 0) continue
        throw new Error(`${twice} of ${other.containerId} was given to ${one.containerId}`)
      }
      alive.add(one)
    },
    dead: (one) => void alive.delete(one),
    differences: () =>
      settle(async () => {
        const { nodes } = world
        const pods = [...alive]
        const dumps = await dumpAll([
          ...nodes.map(({ lab }) => lab.netns),
          ...pods.map(({ slot }) => slot.netns),
        ])
        return [
          ...nodes.flatMap((node, index) => nodeDifferences(node, dumps[index] ?? [])),
          ...nodes.flatMap(freeDifferences),
          ...pods.flatMap((one, index) => podDifferences(one, dumps[nodes.length + index] ?? [])),
          ...storeDifferences(world, alive),
        ]
      }),
    unreachable: () => unreachable(alive),
  }
}

interface Pattern {
  readonly onNode: readonly string[]
  readonly inPod: readonly string[]
}

const kindOf = ({ node, network }: Attachment): string => `${node.lab.name} ${network}`

async function patternOf(elder: Alive): Promise<Pattern> {
  const link = hostLinkOf(elder)
  const node = await dumpNetns(elder.node.lab.netns)
  const pod = await dumpNetns(elder.slot.netns)
  return {
    onNode: node
      .filter((line) => line.includes(link))
      .map((line) => blank(withoutSequence(line), elder)),
    inPod: pod.map((line) => blank(withoutLinkLocal(line), elder)),
  }
}

/** What is one container's own, and a word for it. */
function wordsOf(one: Alive): readonly (readonly [word: string, text: string])[] {
  const inside = one.result.interfaces.find(({ name }) => name === IFNAME)
  return [
    ['LINK', hostLinkOf(one)],
    ['ID', ` ${one.containerId} `],
    ['MAC', `"${inside?.mac}"`],
    ...ipsOf(one.result).map((ip, index) => [`IP${index}`, `"${ip}"`] as const),
  ]
}

const blank = (line: string, one: Alive): string =>
  wordsOf(one).reduce((text, [word, own]) => text.replaceAll(own, `<${word}>`), line)

const fill = (line: string, one: Alive): string =>
  wordsOf(one).reduce((text, [word, own]) => text.replaceAll(`<${word}>`, own), line)

/** The last word of an alias counts up with every ADD. */
const withoutSequence = (line: string): string => line.replace(/(ifalias="[^"]*eth0) \d+"/, '$1"')

/** Made by the kernel from the MAC, which is looked at as such. */
const withoutLinkLocal = (line: string): string =>
  line.replace(/local="fe80:[^"]*"/, 'local="fe80:"')

/** Who is in the store, and whether it is sound. */
function storeDifferences({ store, nodes }: World, alive: ReadonlySet<Alive>): readonly string[] {
  const names = nodes.map(({ lab }) => lab.name)
  return store.read((reader) => {
    const broken: string[] = []
    try {
      checkInvariants(reader, names)
    } catch (thrown) {
      broken.push(`the store: ${(thrown as Error).message}`)
    }
    const found = names.flatMap((name) =>
      NETWORKS.flatMap((network) =>
        [...reader.range(keys.networkAttachments(name, network))].map(
          ([, { containerId, ips }]) => `record ${name} ${network} ${containerId} ${ips.join(' ')}`,
        ),
      ),
    )
    const wanted = [...alive].map(
      ({ node, network, containerId, result }) =>
        `record ${node.lab.name} ${network} ${containerId} ${ipsOf(result).join(' ')}`,
    )
    return [...broken, ...compareDumps(wanted, found)]
  })
}

/** In a ring a network: everybody is asked by one and by its node. */
async function unreachable(alive: ReadonlySet<Alive>): Promise<readonly string[]> {
  const asks = NETWORKS.flatMap((network) => {
    const ring = [...alive].filter((one) => one.network === network)
    return ring.flatMap((one, index) => {
      const next = ring[(index + 1) % ring.length] ?? one
      const from = [next.slot.netns, one.node.lab.netns]
      return ipsOf(one.result).flatMap((ip) => from.map((netns) => ({ netns, ip })))
    })
  })
  const { stdout } = await run(['sh', '-c', PINGS], {
    input: asks.map(({ netns, ip }) => `${netns} ${ip}\n`).join(''),
    timeoutMs: 120_000,
  })
  return stdout.split('\n').filter((line) => line !== '')
}

/** A few at a time, by one process of ours; tells which did not come back. */
const PINGS = `
ask() { nsenter --net="/run/netns/$1" -- ping -n -c 1 -w 3 "$2" >/dev/null || echo "$1 does not reach $2"; }
count=0
while read -r netns ip; do
  ask "$netns" "$ip" &
  count=$((count + 1))
  [ $((count % ${PARALLEL})) -ne 0 ] || wait
done
wait
`
