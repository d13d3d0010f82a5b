/**
 * What this kernel can do, found by trying in a namespace of its own.
 *
 * @module
 */
import { spawnSync } from 'node:child_process'

/** Whether it makes 802.1Q links: `CONFIG_VLAN_8021Q`. Needs root. */
export function hasVlan(): boolean {
  const netns = `trv-parts-${process.pid}`
  const ip = (...args: readonly string[]): boolean =>
    spawnSync('ip', args, { stdio: 'ignore' }).status === 0
  if (!ip('netns', 'add', netns)) return false
  try {
    // Not on the loopback: no kernel stacks a VLAN there.
    return (
      ip('-n', netns, 'link', 'add', 'v0', 'type', 'veth', 'peer', 'name', 'v1') &&
      ip('-n', netns, 'link', 'add', 'link', 'v0', 'name', 'probe', 'type', 'vlan', 'id', '2')
    )
  } finally {
    ip('netns', 'del', netns)
  }
}
