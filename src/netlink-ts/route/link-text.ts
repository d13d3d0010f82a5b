/**
 * Links in iproute2's words, for errors.
 *
 * @module
 */
import { word, words } from './body.ts'
import type { LinkChange, LinkRef, LinkSpec } from './link.ts'
import type { LinkKind } from './link-kind.ts'

/** The words after `ip`, e.g. `link add name vx0 type vxlan id 1 dstport 4789`. */
export function addText(spec: LinkSpec): string {
  return words(
    `link add name ${spec.name}`,
    word('link', spec.link ?? ('link' in spec.kind ? spec.kind.link : undefined)),
    word('mtu', spec.mtu),
    word('address', spec.mac),
    word('group', spec.group),
    word('master', spec.master),
    spec.netnsFd !== undefined && `netns fd ${spec.netnsFd}`,
    spec.up && 'up',
    `type ${spec.kind.type}`,
    kindText(spec.kind),
  )
}

/** The words of a change, e.g. `link set dev eth0 mtu 1450 up`. */
export function setText(ref: LinkRef, change: LinkChange): string {
  const { master, up, kind, bridgePort } = change
  return words(
    `link set ${refText(ref)}`,
    word('name', change.name),
    word('mtu', change.mtu),
    word('address', change.mac),
    master === 0 ? 'nomaster' : word('master', master),
    change.alias !== undefined && `alias "${change.alias}"`,
    word('group', change.group),
    word('txqueuelen', change.txQueueLen),
    change.netnsFd !== undefined && `netns fd ${change.netnsFd}`,
    up !== undefined && (up ? 'up' : 'down'),
    change.addrGenMode !== undefined &&
      `addrgenmode ${GEN_MODES[change.addrGenMode] ?? change.addrGenMode}`,
    bridgePort !== undefined && `type bridge_slave ${settings(bridgePort)}`,
    kind !== undefined && `type ${kind.type} ${kindText(kind)}`,
  )
}

const GEN_MODES = ['eui64', 'none', 'stable_secret', 'random']

/** A link as `dev eth0`, `dev if7` or `group 3`. */
export function refText(ref: LinkRef | { readonly group: number }): string {
  if ('name' in ref) return `dev ${ref.name}`
  return 'index' in ref ? `dev if${ref.index}` : `group ${ref.group}`
}

function kindText(kind: LinkKind): string {
  switch (kind.type) {
    case 'veth':
      return words(
        kind.peer !== undefined && 'peer',
        word('name', kind.peer?.name),
        kind.peer?.netnsFd !== undefined && `netns fd ${kind.peer.netnsFd}`,
      )
    case 'vxlan':
      return words(
        word('id', kind.vni),
        kind.external && 'external',
        word('dstport', kind.port),
        word('local', kind.local ?? kind.local6),
        word('dev', kind.link),
      )
    case 'vlan':
      return words(word('id', kind.id))
    case 'macvlan':
      return words(word('mode', kind.mode))
    case 'bridge':
      return settings(kind)
    case 'ipvlan':
      return words(word('mode', kind.mode), kind.flags?.join(' '))
    case 'dummy':
    case 'ifb':
      return ''
  }
}

/** Settings under this package's names: every one of them, in order. */
function settings(values: object): string {
  return Object.entries(values)
    .filter(([name, value]) => name !== 'type' && value !== undefined)
    .map(([name, value]) => `${name} ${value === true ? 'on' : value === false ? 'off' : value}`)
    .join(' ')
}
