/**
 * How far a verb had come when it was cut short, told by what it left.
 *
 * @module
 */
import type { KernelObject, KernelState } from '../../../src/kernel/mod.ts'

/** What there is of one attachment. */
export interface Sight {
  readonly record: boolean
  /** The host's end; `bare`: without the alias that says whose it is. */
  readonly link: 'none' | 'bare' | 'named'
  /** Of the pod's end: with an address and a default route a family, and up; `born`: without address. */
  readonly pod: 'none' | 'born' | 'part' | 'whole'
  /** Addresses that the node lets through. */
  readonly guards: number
  /** Routes from the node to the pod. */
  readonly routes: number
}

/** Steps in the order in which a verb comes by them. */
export const STEPS = {
  ADD: ['nothing', 'unrecorded', 'record', 'pair', 'pod', 'guards', 'routes', 'answered'],
  DEL: ['untouched', 'link gone', 'guards gone', 'record gone'],
  GC: ['untouched', 'links', 'records', 'all gone'],
  /** What has been said between launcher and agent. */
  launcher: ['start', 'asked', 'accepted', 'half answer', 'answer'],
} as const

/** In a process of its own a record is always before the link. */
export const STEPS_OF_NODE = { ...STEPS, ADD: STEPS.ADD.filter((step) => step !== 'unrecorded') }

/** In an agent the link is made while the record is written: before it as a rule. */
export const STEPS_OF_AGENT = { ...STEPS, ADD: STEPS.ADD.filter((step) => step !== 'record') }

const FAMILIES = 2
/** The pod's end by name. */
export const IFNAME = 'eth0'

/** @param pod What the pod's namespace holds; undefined when there is none any more. */
export function sightOf(
  record: boolean,
  hostLink: string,
  node: KernelState,
  pod: KernelState | undefined,
): Sight {
  const found = node.get(`link ${hostLink}`)
  const named = found?.kind === 'link' && found.alias !== undefined && found.alias !== ''
  const count = (of: (object: KernelObject) => boolean): number =>
    [...node.values()].filter(of).length
  return {
    record,
    link: found === undefined ? 'none' : named ? 'named' : 'bare',
    pod: pod === undefined ? 'none' : podEnd(pod),
    guards: count(
      (each) => each.kind === 'nft-element' && each.key.split(' . ').includes(hostLink),
    ),
    routes: count(
      (each) => each.kind === 'route' && each.link === hostLink && each.protocol === 84,
    ),
  }
}

function podEnd(pod: KernelState): Sight['pod'] {
  const link = pod.get(`link ${IFNAME}`)
  if (link?.kind !== 'link') return 'none'
  const objects = [...pod.values()]
  const addresses = objects.filter(
    (each) => each.kind === 'addr' && each.link === IFNAME && !each.ip.startsWith('fe80:'),
  )
  const defaults = objects.filter(
    (each) => each.kind === 'route' && /^(0\.0\.0\.0|::)\/0$/.test(each.dst),
  )
  if (link.up && addresses.length === FAMILIES && defaults.length === FAMILIES) return 'whole'
  return addresses.length > 0 ? 'part' : 'born'
}

/**
 * Steps that nothing can tell apart are one: a batch is one system call, which a
 * signal does not cut.
 */
export function addStep(sight: Sight, answered: boolean): string {
  if (answered) return 'answered'
  if (sight.routes === FAMILIES) return 'routes'
  if (sight.guards > 0 && sight.pod === 'whole') return 'guards'
  if (sight.pod === 'whole') return 'pod'
  if (sight.link !== 'none') return sight.record ? 'pair' : 'unrecorded'
  return sight.record ? 'record' : 'nothing'
}

export function delStep(sight: Sight): string {
  if (!sight.record) return 'record gone'
  if (sight.link !== 'none') return 'untouched'
  return sight.guards > 0 ? 'link gone' : 'guards gone'
}

/** @param sights Of what was to be collected, all side by side. */
export function gcStep(sights: readonly Sight[]): string {
  if (sights.every(isVoid)) return 'all gone'
  if (sights.some(({ record }) => !record)) return 'records'
  return sights.some(({ link }) => link === 'none') ? 'links' : 'untouched'
}

/** Nothing is left. */
export const isVoid = ({ record, link, pod, guards, routes }: Sight): boolean =>
  !record && link === 'none' && pod === 'none' && guards === 0 && routes === 0

/** Everything is there. */
export const isWhole = ({ record, link, pod, guards, routes }: Sight): boolean =>
  record && link === 'named' && pod === 'whole' && guards === FAMILIES && routes === FAMILIES

/** What is in the kernel has a record, at every moment: otherwise nobody knows whose it is. */
export const isKept = ({ record, link, guards, routes }: Sight): boolean =>
  record || (link === 'none' && guards === 0 && routes === 0)

/** An agent may have made a link that leads nowhere while the record was on its way to the disk. */
export const isKeptOrBegun = (sight: Sight): boolean =>
  isKept({ ...sight, link: 'none' }) &&
  (sight.record || sight.pod === 'none' || sight.pod === 'born')
