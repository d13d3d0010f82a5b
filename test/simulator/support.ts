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

/** Six nodes with three pods each; `extra` is more YAML. */
export function smallScenario(extra = ''): Scenario {
  return parseScenario(
    `
nodes: 6
podsPerNode: 3
racks: 2
pools: [{ cidr: 10.42.0.0/20 }]
modes: [vxlan, route, { mode: route, announce: host }, vlan]
switch: { host: 100, lpm: 100, mac: 100 }
times: { settleMs: 20 }
${extra}`,
    'small.yaml',
  )
}
