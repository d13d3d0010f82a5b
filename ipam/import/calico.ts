/**
 * Calico's blocks: `kubectl get ipamblocks -o json` (crd.projectcalico.org/v1).
 *
 * `spec.allocations[offset]` is null or an index into `spec.attributes`, which
 * hold `handle_id` (`NETWORK.CONTAINER` for a pod) and `secondary` with pod,
 * namespace and node. Handles name no interface: Calico has one a container.
 * Tunnel addresses of nodes are no pod's. Pools and handles add nothing.
 * Source: projectcalico/calico, libcalico-go/lib/backend/model/block.go.
 *
 * @module
 */
import { addressAt, type Prefix, prefixSize, tryParsePrefix } from '../../src/net/mod.ts'
import {
  asList,
  asName,
  asObject,
  type Foreign,
  type Gathering,
  gathering,
  itemsOf,
  told,
} from './foreign.ts'

export function readCalico(value: unknown): Foreign {
  const found = gathering()
  const blocks = itemsOf(value, 'IPAMBlock')
  if (blocks.length === 0) found.ignored.push('there is no IPAMBlock')
  for (const block of blocks) readBlock(asObject(block['spec']), found)
  return found
}

function readBlock(spec: Readonly<Record<string, unknown>>, found: Gathering): void {
  const { cidr: text, affinity } = spec
  const cidr = typeof text === 'string' ? tryParsePrefix(text) : undefined
  if (cidr === undefined) {
    found.ignored.push(`block ${told(text)}: wanted a range such as 10.244.0.0/26`)
    return
  }
  const owner = asName(typeof affinity === 'string' ? affinity.replace(/^host:/, '') : undefined)
  found.blocks.push({ cidr, node: owner ?? '' })
  const attributes = asList(spec['attributes']).map(asObject)
  const size = prefixSize(cidr)
  for (const [offset, index] of asList(spec['allocations']).entries()) {
    if (index === null || BigInt(offset) >= size) continue
    const attribute = typeof index === 'number' ? attributes[index] : undefined
    readAllocation(cidr, offset, attribute, owner, found)
  }
}

function readAllocation(
  cidr: Prefix,
  offset: number,
  attribute: Readonly<Record<string, unknown>> | undefined,
  owner: string | undefined,
  found: Gathering,
): void {
  const ip = addressAt(cidr, BigInt(offset))
  const { type, pod, namespace, node } = asObject(attribute?.['secondary'])
  if (typeof type === 'string' && type !== '') {
    found.ignored.push(`${ip}: ${told(type)} of node ${told(node)}, no pod's`)
    return
  }
  const handle = attribute?.['handle_id']
  // Some versions wrote a line break and the interface behind the container.
  const [first = '', second] = typeof handle === 'string' ? handle.split(/[\r\n]+/) : []
  const containerId = asName(first.slice(first.lastIndexOf('.') + 1).trim())
  if (containerId === undefined) {
    found.ignored.push(`${ip}: its handle is ${told(handle)}, wanted NETWORK.CONTAINER`)
    return
  }
  const [podName, podNamespace, host] = [asName(pod), asName(namespace), asName(node) ?? owner]
  const ifname = asName(second?.trim())
  found.addresses.push({
    ip,
    containerId,
    ifname: ifname ?? 'eth0',
    ...(podName && podNamespace ? { pod: { namespace: podNamespace, name: podName } } : {}),
    ...(host === undefined ? {} : { node: host }),
  })
}
