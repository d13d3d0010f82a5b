/**
 * What a person calls a pod, an address or a node, looked up in the store.
 *
 * @module
 */
import { keys } from '../../ipam/keys.ts'
import { showIp } from '../../ipam/mod.ts'
import type { AttachmentRecord } from '../../ipam/records.ts'
import type { Reader } from '../../ipam/store.ts'
import { TriviumError } from '../errors.ts'
import { type Ip, tryParseIp } from '../net/mod.ts'
import type { Endpoint } from './explain.ts'
import { podWords } from './world.ts'

/** Shortest beginning of a container id that is taken for one. */
const ID_CHARACTERS_MIN = 4

/**
 * Reads `NAMESPACE/NAME`, an address, a node's name, or a container id or the
 * beginning of one. Cost: one read of all attachments, but for an address.
 *
 * @throws {TriviumError} NOT_FOUND when nothing has that name; USAGE when several have.
 */
export function endpointOf(reader: Reader, text: string): Endpoint {
  const ip = tryParseIp(text)
  if (ip !== undefined) return endpointAt(reader, ip)
  const node = reader.get(keys.node(text))
  if (node !== undefined) return { kind: 'node', node: node.name, ips: node.underlayIps }
  const found = attachments(reader).filter((each) => isCalled(each, text))
  const [first, second] = found
  if (first === undefined) {
    throw new TriviumError(
      'NOT_FOUND',
      `Cannot find ${JSON.stringify(text)}: no pod, container or node has that name, and it is no address`,
      'Wanted NAMESPACE/NAME, an address, a node, or a container id; trivium ipam show --ip ADDRESS tells who has one',
    )
  }
  if (second === undefined) return podEnd(first)
  const names = found.slice(0, 5).map((each) => `${each.containerId} ${each.ifname}`)
  throw new TriviumError(
    'USAGE',
    `Cannot tell which pod ${JSON.stringify(text)} is: ${found.length} attachments fit (${names.join(', ')})`,
    'Use the address of one of them',
  )
}

const podEnd = (attachment: AttachmentRecord, ips = attachment.ips): Endpoint => ({
  kind: 'pod',
  attachment,
  ips,
})

function endpointAt(reader: Reader, ip: Ip): Endpoint {
  for (const [, node] of reader.range(keys.nodes)) {
    if (node.underlayIps.includes(ip)) return { kind: 'node', node: node.name, ips: [ip] }
  }
  const state = showIp(reader, ip)
  switch (state.kind) {
    case 'outside':
      return { kind: 'outside', ips: [ip] }
    case 'held':
      return podEnd(state.attachment, [ip])
    case 'reserved':
      return { kind: 'node', node: state.node, ips: [ip] }
    case 'free':
    case 'cooling':
    case 'kept':
      throw nobody(ip, `it is free, in block ${state.block} of node ${state.node}`)
    case 'unclaimed':
      throw nobody(
        ip,
        `it is in pool ${state.pool} of network ${state.network}, in no node's block`,
      )
  }
}

const nobody = (ip: Ip, found: string): TriviumError =>
  new TriviumError(
    'NOT_FOUND',
    `Cannot reach ${ip}: no pod has it, ${found}`,
    `Who had it last? trivium ipam show --ip ${ip}`,
  )

function attachments(reader: Reader): readonly AttachmentRecord[] {
  const found: AttachmentRecord[] = []
  for (const [, { name }] of reader.range(keys.nodes)) {
    for (const [, attachment] of reader.range(keys.attachments(name))) found.push(attachment)
  }
  return found
}

function isCalled(attachment: AttachmentRecord, text: string): boolean {
  const { pod, containerId } = attachment
  if (pod !== undefined && `${pod.namespace}/${pod.name}` === text) return true
  if (podWords(attachment) === `pod ${text}`) return true
  return text.length >= ID_CHARACTERS_MIN && containerId.startsWith(text)
}
