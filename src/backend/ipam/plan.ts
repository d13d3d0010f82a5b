/**
 * No road at all: the network hands out addresses, and other people's plugins
 * make the links. So there are no tunnels, no routes and no blackholes, which
 * would lie across a bridge's or a physical network's own.
 *
 * @module
 */
import { TriviumError } from '../../errors.ts'
import type { Backend, Desired } from '../backend.ts'

const NOTHING: Desired = { objects: [], problems: [] }

export const ipam: Backend = {
  own: () => NOTHING,
  pods: () => [],
  hasPeers: false,
  peer: () => NOTHING,
  pod(_attachment, { network }) {
    throw noLink(network.name)
  },
}

/** What somebody is told who asks such a network for a link. */
export const noLink = (name: string): TriviumError =>
  new TriviumError(
    'BAD_CONFIG',
    `Cannot make a link in network ${name}: its mode is ipam, which hands out addresses only`,
    'Name trivium-ipam in the "ipam" of another plugin, or take a network of mode vxlan, route or vlan',
  )
