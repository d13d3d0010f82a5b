/** Values with hard-coded text, and small scenarios. */
import { parseScenario, type Scenario } from '../../simulator/scenario.ts'
import {
  type Ip,
  type Mac,
  type Prefix,
  parseIp,
  parseMac,
  parsePrefix,
} from '../../src/net/mod.ts'

export const mustIp = (text: string): Ip => parseIp(text)
export const mustPrefix = (text: string): Prefix => parsePrefix(text)
export const mustMac = (text: string): Mac => parseMac(text)

const SMALL = `nodes: 6
podsPerNode: 3
racks: 2
pools: [{ cidr: 10.42.0.0/20 }]
modes: [vxlan, route, { mode: route, announce: host }, vlan]
switch: { host: 100, lpm: 100, mac: 100 }
times: { settleMs: 20 }`

/** Six nodes with three pods each; `extra` is more YAML, in place of the keys `instead`. */
export function smallScenario(extra = '', instead: readonly string[] = []): Scenario {
  const lines = SMALL.split('\n').filter(
    (line) => !instead.some((key) => line.startsWith(`${key}:`)),
  )
  return parseScenario(`${lines.join('\n')}\n${extra}`, 'small.yaml')
}
