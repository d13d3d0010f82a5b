/**
 * Pods of a real cluster: what `kubectl get pods -A -o json` prints, a List (or
 * PodList) of Pod objects of the core/v1 API.
 *
 * Read of each pod: metadata.name, namespace, creationTimestamp, ownerReferences;
 * spec.nodeName, hostNetwork; status.phase, podIP. Left out, and counted: pods in their
 * host's network, those that have ended (their sandboxes are gone), those without a
 * node. Nodes become simulated ones in the order of their names.
 *
 * @module
 */
import { TriviumError } from '../../src/errors.ts'
import { show } from '../scenario-values.ts'
import { ACTIONS_MAX } from '../scenario-workload.ts'
import type { PodNature } from './control-plane.ts'

/** Of a file; 100 000 pods are about 600 MB with all their fields, and 150 MB without managedFields. */
export const POD_LIST_BYTES_MAX = 200 * 2 ** 20

/** A pod that needs a network, and where it is. */
export interface ClusterPod {
  /** E.g. `default/web-0`. */
  readonly name: string
  /** Index of the simulated node. */
  readonly node: number
  readonly nature: PodNature
}

export interface ClusterPods {
  /** By creation time, then by name. */
  readonly pods: readonly ClusterPod[]
  /** Names of the nodes, by index. */
  readonly nodes: readonly string[]
  /** When each was created and which address it has, as the API writes them; where it says. */
  readonly created: readonly string[]
  readonly addresses: readonly string[]
  readonly skipped: {
    readonly hostNetwork: number
    readonly ended: number
    readonly unscheduled: number
  }
}

export interface PodListOptions {
  /** Name for errors. */
  readonly file: string
  readonly nodes: number
}

interface Found {
  readonly name: string
  readonly nodeName: string
  readonly nature: PodNature
  readonly created: string
  readonly address: string
}

type Skipped = { -readonly [Reason in keyof ClusterPods['skipped']]: number }

/** @throws {TriviumError} BAD_CONFIG: `file: items[3].spec: found X, wanted Y`, for the first error. */
export function parsePodList(text: string, options: PodListOptions): ClusterPods {
  const { file } = options
  const items = itemsOf(text, file)
  const skipped: Skipped = { hostNetwork: 0, ended: 0, unscheduled: 0 }
  const found: Found[] = []
  const names = new Set<string>()
  for (const [index, item] of items.entries()) {
    const pod = podOf(item, skipped, new Place(file, `items[${index}]`))
    if (pod === undefined) continue
    if (names.has(pod.name)) throw bad(file, `items[${index}]: ${pod.name} is listed twice`)
    names.add(pod.name)
    found.push(pod)
  }
  const nodes = [...new Set(found.map(({ nodeName }) => nodeName))].sort(byCode)
  if (nodes.length > options.nodes) {
    throw bad(
      file,
      `pods are on ${nodes.length} nodes, wanted nodes: ${nodes.length} in the scenario (found ${options.nodes})`,
    )
  }
  if (found.length === 0) {
    throw bad(
      file,
      `found ${items.length} items and no pod with a network of its own, wanted one at least`,
    )
  }
  const indexes = new Map(nodes.map((name, index) => [name, index]))
  found.sort((left, right) => byCode(left.created, right.created) || byCode(left.name, right.name))
  const pods = found.map(({ name, nodeName, nature }): ClusterPod => {
    return { name, nature, node: indexes.get(nodeName) ?? 0 }
  })
  const told = (values: readonly string[]): readonly string[] =>
    values.filter((text) => text !== '')
  const created = told(found.map((pod) => pod.created))
  return { pods, nodes, created, addresses: told(found.map(({ address }) => address)), skipped }
}

/** Times of the API are all in UTC and of one length, so their text is their order. */
const byCode = (left: string, right: string): number => (left < right ? -1 : left > right ? 1 : 0)

function itemsOf(text: string, file: string): readonly unknown[] {
  let list: unknown
  try {
    list = JSON.parse(text.startsWith('\ufeff') ? text.slice(1) : text)
  } catch (thrown) {
    const reason = thrown instanceof Error ? thrown.message.slice(0, 120) : String(thrown)
    throw bad(file, `found no JSON (${reason}), wanted the output of kubectl get pods -A -o json`)
  }
  const place = new Place(file, '')
  const { kind, items } = place.map(list)
  if (kind !== 'List' && kind !== 'PodList') {
    throw place
      .below('kind')
      .wrong(kind, 'List or PodList: the output of kubectl get pods -A -o json')
  }
  if (!Array.isArray(items)) throw place.below('items').wrong(items, 'a list of pods')
  if (items.length > ACTIONS_MAX) {
    throw bad(file, `found ${items.length} items, wanted at most ${ACTIONS_MAX}`)
  }
  return items
}

/** @returns undefined for a pod that takes no address. */
function podOf(item: unknown, skipped: Skipped, place: Place): Found | undefined {
  const pod = place.map(item)
  const kind = place.below('kind').text(pod['kind'] ?? 'Pod')
  if (kind !== 'Pod') throw place.below('kind').wrong(kind, 'Pod')
  const [at, metadata] = place.in(pod, 'metadata')
  const [specAt, spec] = place.in(pod, 'spec')
  const [statusAt, status] = place.in({ status: pod['status'] ?? {} }, 'status')
  const namespace = at.below('namespace').text(metadata['namespace'] ?? 'default')
  const name = `${namespace}/${at.below('name').text(metadata['name'])}`
  const created = at.below('creationTimestamp').text(metadata['creationTimestamp'] ?? '')
  const phase = statusAt.below('phase').text(status['phase'] ?? 'Pending')
  const address = statusAt.below('podIP').text(status['podIP'] ?? '')
  const nodeName = specAt.below('nodeName').text(spec['nodeName'] ?? '')
  const nature = natureOf(metadata['ownerReferences'] ?? [], at.below('ownerReferences'))
  if (phase === 'Succeeded' || phase === 'Failed') skipped.ended++
  else if (spec['hostNetwork'] === true) skipped.hostNetwork++
  else if (nodeName === '') skipped.unscheduled++
  else return { name, nodeName, nature, created, address }
  return undefined
}

function natureOf(owners: unknown, place: Place): PodNature {
  if (!Array.isArray(owners)) throw place.wrong(owners, 'a list')
  const kinds = owners.map((owner: unknown, index) => place.below(`[${index}]`).map(owner)['kind'])
  if (kinds.includes('StatefulSet')) return 'replica'
  return kinds.includes('DaemonSet') ? 'daemon' : 'free'
}

/** A place in the file, for errors. */
class Place {
  private readonly file: string
  private readonly path: string

  constructor(file: string, path: string) {
    this.file = file
    this.path = path
  }

  below(key: string): Place {
    const dot = this.path === '' || key.startsWith('[') ? '' : '.'
    return new Place(this.file, `${this.path}${dot}${key}`)
  }

  map(value: unknown): Readonly<Record<string, unknown>> {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw this.wrong(value, 'an object')
    }
    return value as Readonly<Record<string, unknown>>
  }

  in(
    parent: Readonly<Record<string, unknown>>,
    key: string,
  ): readonly [Place, Readonly<Record<string, unknown>>] {
    const place = this.below(key)
    return [place, place.map(parent[key])]
  }

  text(value: unknown): string {
    if (typeof value !== 'string') throw this.wrong(value, 'text')
    if (value.length > 1000) throw this.wrong(value, 'at most 1000 characters')
    return value
  }

  wrong(found: unknown, wanted: string): TriviumError {
    const where = this.path === '' ? '' : `${this.path}: `
    const what = typeof found === 'object' && found !== null ? kindOf(found) : show(found)
    return bad(this.file, `${where}found ${what}, wanted ${wanted}`)
  }
}

/** Not its contents, which may be a whole file. */
const kindOf = (value: object): string => (Array.isArray(value) ? 'a list' : 'an object')

const bad = (file: string, message: string): TriviumError =>
  new TriviumError('BAD_CONFIG', `Cannot read pods ${file}: ${message}`)
