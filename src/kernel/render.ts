/**
 * Kernel objects and operations in the words of iproute2.
 *
 * @module
 */
import { assertNever } from '../errors.ts'
import { ipFamily } from '../net/mod.ts'
import { nftPlace } from './nft-ports.ts'
import { type KernelOp, linkChanges } from './op.ts'
import {
  DEFAULT_METRIC,
  type KernelObject,
  type KernelState,
  type Link,
  type NftObject,
  type Route,
} from './state.ts'

const VERBS = { add: 'add', change: 'replace', remove: 'del' } as const

/** One line an operation, e.g. `ip route replace 10.42.0.64/26 via 192.0.2.2 dev eth0 proto 84`. */
export function renderOp(op: KernelOp): string {
  if (op.kind === 'change' && op.to.kind === 'link') {
    return `ip link set dev ${op.to.name}${linkWords(linkChanges(op.from as Link, op.to))}`
  }
  const verb = VERBS[op.kind]
  return renderObject(op.kind === 'change' ? op.to : op.object, verb)
}

/**
 * Commands of one operation that a shell can run: what is about a pod's end of a
 * pair is a line of its own, inside the pod.
 */
export function commandsOf(op: KernelOp): readonly string[] {
  if (op.kind !== 'change' || op.to.kind !== 'link' || op.to.link.type !== 'veth')
    return [renderOp(op)]
  const { peerMtuBytes, ...here } = linkChanges(op.from as Link, op.to)
  const lines: string[] = []
  if (Object.keys(here).length > 0) lines.push(`ip link set dev ${op.to.name}${linkWords(here)}`)
  const { peer } = op.to.link
  if (peerMtuBytes !== undefined && peer?.netns !== undefined)
    lines.push(`${inNamespace(peer.netns)} link set dev ${peer.name} mtu ${peerMtuBytes}`)
  return lines
}

/** By name where iproute2 knows one. */
function inNamespace(path: string): string {
  const [, name] = /^(?:\/var)?\/run\/netns\/([^/]+)$/.exec(path) ?? []
  return name === undefined ? `nsenter --net=${path} ip` : `ip -n ${name}`
}

/** One line an object, as the command that would make it; sorted, for goldens. */
export function renderState(state: KernelState): string {
  const lines = [...state.values()].map((object) => renderObject(object, 'add'))
  return lines
    .sort()
    .map((line) => `${line}\n`)
    .join('')
}

function renderObject(object: KernelObject, verb: 'add' | 'replace' | 'del'): string {
  switch (object.kind) {
    case 'link': {
      if (verb === 'del') return `ip link del dev ${object.name}`
      // The other end is born with the same MTU.
      const { peerMtuBytes: _same, ...link } = object
      return `ip link add name ${object.name}${linkWords(link)}${kindWords(object)}`
    }
    case 'addr': {
      const duplicates = verb === 'del' || ipFamily(object.ip) === 4 ? '' : ' nodad'
      return `ip addr ${verb} ${object.ip}/${object.prefixLength} dev ${object.link}${duplicates}`
    }
    case 'route':
      return `${ip(object.dst)} route ${verb} ${routeWords(object)}`
    case 'neigh':
      return verb === 'del'
        ? `${ip(object.ip)} neigh del ${object.ip} dev ${object.link}`
        : `${ip(object.ip)} neigh ${verb} ${object.ip} lladdr ${object.mac} dev ${object.link} nud permanent`
    case 'fdb':
      return `bridge fdb ${verb} ${object.mac} dev ${object.link} dst ${object.dst} self${verb === 'del' ? '' : ' permanent'}`
    case 'vni':
      return `bridge vni ${verb === 'del' ? 'delete' : 'add'} vni ${object.vni} dev ${object.link}`
    case 'offload-off':
      return `ethtool -K ${object.link} ${object.feature} ${verb === 'del' ? 'on' : 'off'}`
    case 'nft-table':
    case 'nft-set':
    case 'nft-element':
    case 'nft-chain':
      return nftWords(object, verb)
    case 'sysctl':
      return `sysctl -w ${object.name}=${object.value}`
    default:
      return assertNever(object)
  }
}

function nftWords(object: NftObject, verb: 'add' | 'replace' | 'del'): string {
  const { family, table } = nftPlace(object)
  const head = (what: string) =>
    `nft ${verb === 'del' ? 'delete' : 'add'} ${what} ${family} ${table}`
  switch (object.kind) {
    case 'nft-table':
      return head('table')
    case 'nft-set':
      if (verb === 'del') return `${head('set')} ${object.name}`
      return `${head('set')} ${object.name} { type ${object.key};${object.interval ? ' flags interval;' : ''} }`
    case 'nft-element':
      return `${head('element')} ${object.set} { ${object.key} }`
    case 'nft-chain': {
      if (verb === 'del') return `${head('chain')} ${object.name}`
      const { name, type, hook, priority, rules } = object
      return `${head('chain')} ${name} { type ${type} hook ${hook} priority ${priority}; policy accept; ${rules.replaceAll('\n', '; ')} }`
    }
    default:
      return assertNever(object)
  }
}

const ip = (address: Parameters<typeof ipFamily>[0]): string =>
  ipFamily(address) === 6 ? 'ip -6' : 'ip'

function routeWords(route: Route): string {
  const words = [route.type === 'blackhole' ? `blackhole ${route.dst}` : String(route.dst)]
  if (route.encapVni !== undefined && route.encapDst !== undefined) {
    const [outer, checksum] = ipFamily(route.encapDst) === 6 ? ['ip6', ' csum'] : ['ip', '']
    words.push(`encap ${outer} id ${route.encapVni} dst ${route.encapDst}${checksum}`)
  }
  if (route.via !== undefined) words.push(`via ${route.via}`)
  if (route.link !== undefined) words.push(`dev ${route.link}`)
  words.push(`proto ${route.protocol}`)
  if (route.metric !== DEFAULT_METRIC[ipFamily(route.dst)]) words.push(`metric ${route.metric}`)
  if (route.onlink === true) words.push('onlink')
  return words.join(' ')
}

function linkWords(link: Partial<Link>): string {
  const words: string[] = []
  if (link.mac !== undefined) words.push(`address ${link.mac}`)
  if (link.mtuBytes !== undefined) words.push(`mtu ${link.mtuBytes}`)
  if (link.peerMtuBytes !== undefined) words.push(`peer mtu ${link.peerMtuBytes}`)
  if (link.master !== undefined)
    words.push(link.master === '' ? 'nomaster' : `master ${link.master}`)
  if (link.alias !== undefined) words.push(`alias "${link.alias}"`)
  if (link.up !== undefined) words.push(link.up ? 'up' : 'down')
  return words.map((word) => ` ${word}`).join('')
}

function kindWords({ link }: Link): string {
  switch (link.type) {
    case 'veth':
      return ` type veth${link.peer === undefined ? '' : ` peer name ${link.peer.name}`}`
    case 'vxlan':
      return ` type vxlan id ${link.vni} dstport ${link.port} local ${link.local} dev ${link.underlay} nolearning`
    case 'vxlan-gpe':
      return ` type vxlan external gpe vnifilter dstport ${link.port} nolearning`
    case 'bridge':
      return ' type bridge'
    case 'vlan':
      return ` link ${link.parent} type vlan id ${link.id}`
    case 'macvlan':
      return `${link.parent === undefined ? '' : ` link ${link.parent}`} type macvlan mode ${link.mode}`
    case 'other':
      return ` type ${link.name}`
    default:
      return assertNever(link)
  }
}
