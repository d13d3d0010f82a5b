/**
 * Flannel's subnets: `/run/flannel/subnet.env` of a node, `kubectl get nodes -o
 * json`, or the keys of its etcd folder. Addresses are host-local's, below it.
 *
 * @module
 */
import { ipFamily, prefixOf, tryParseIp, tryParsePrefix } from '../../src/net/mod.ts'
import { asList, asName, asObject, type Foreign, gathering, itemsOf, told } from './foreign.ts'

/** `FLANNEL_SUBNET=10.244.1.1/24` and `FLANNEL_IPV6_SUBNET`: the node's end, not the range's start. */
export function readSubnetEnv(text: string): Foreign {
  const found = gathering()
  for (const line of text.slice(0, 65_536).split('\n')) {
    const [, value] = /^FLANNEL_(?:IPV6_)?SUBNET=(.*)$/.exec(line.trim()) ?? []
    if (value === undefined) continue
    const [address = '', length = ''] = value.split('/')
    const ip = tryParseIp(address)
    const bits = /^\d{1,3}$/.test(length) ? Number(length) : -1
    if (ip === undefined || bits < 0 || bits > (ipFamily(ip) === 4 ? 32 : 128)) {
      found.ignored.push(`${told(line)}: wanted an address with a length`)
    } else found.blocks.push({ cidr: prefixOf(ip, bits) })
  }
  if (found.blocks.length === 0) found.ignored.push('there is no FLANNEL_SUBNET')
  return found
}

/** `spec.podCIDRs` of nodes, which flannel's subnet manager takes. */
export function readKubeSubnets(value: unknown): Foreign {
  const found = gathering()
  for (const item of itemsOf(value, 'Node')) {
    const node = asName(asObject(item['metadata'])['name'])
    const { podCIDR, podCIDRs } = asObject(item['spec'])
    for (const text of Array.isArray(podCIDRs) ? asList(podCIDRs) : [podCIDR]) {
      const cidr = typeof text === 'string' ? tryParsePrefix(text) : undefined
      if (cidr === undefined || node === undefined)
        found.ignored.push(`node ${told(node)}: ${told(text)}`)
      else found.blocks.push({ cidr, node })
    }
  }
  return found
}

/** Keys such as `/coreos.com/network/subnets/10.5.34.0-24`; with IPv6 `10.5.34.0-24&fc00:2::-64`. */
export function readEtcdSubnets(etcdKeys: readonly string[]): Foreign {
  const found = gathering()
  for (const key of etcdKeys) {
    for (const part of key.slice(key.lastIndexOf('/') + 1).split('&', 2)) {
      const cidr = tryParsePrefix(part.replace(/-(\d{1,3})$/, '/$1'))
      if (cidr === undefined)
        found.ignored.push(`${told(key)}: wanted a subnet such as 10.5.34.0-24`)
      else found.blocks.push({ cidr, node: '' })
    }
  }
  return found
}
