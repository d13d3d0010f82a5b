/**
 * The conflists that docs/chains.md shows, so that what is copied from there is
 * what was tested.
 *
 * @module
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from './e2e.ts'

export type PluginConf = Readonly<Record<string, unknown>> & { readonly type: string }

/** A network configuration list. Source: CNI specification, section 1. */
export interface Conflist {
  readonly cniVersion: string
  readonly name: string
  readonly plugins: readonly PluginConf[]
}

/** Where a store and an agent's socket are. */
export interface Place {
  readonly storeUrl: string
  readonly socketPath: string
}

/** A list of that page by its network's name, with another store and socket. */
export function shownConflist(name: string, place: Place): Conflist {
  const text = readFileSync(join(ROOT, 'docs', 'chains.md'), 'utf8')
  const blocks = [...text.matchAll(/^```json\n([\s\S]*?)^```$/gm)]
  const lists = blocks.map(([, json = '']) => JSON.parse(json) as Conflist)
  const found = lists.find((list) => list.name === name)
  if (found === undefined) throw new Error(`docs/chains.md shows no conflist of network ${name}`)
  return { ...found, plugins: found.plugins.map((plugin) => placed(plugin, place)) }
}

function placed(plugin: PluginConf, { storeUrl, socketPath }: Place): PluginConf {
  const own = { store: storeUrl, socket: socketPath }
  const { ipam } = plugin
  if (typeof ipam === 'object') return { ...plugin, ipam: { ...ipam, ...own } }
  return plugin.type === 'trivium' ? { ...plugin, ...own } : plugin
}
