/**
 * The modes that the question is asked of, when nobody names one.
 *
 * @module
 */
import { labelOf } from '../network.ts'
import type { RunMode, ScenarioMode } from '../scenario.ts'

const PLAIN: ScenarioMode = {
  mode: 'vxlan',
  announce: 'block',
  flavour: 'classic',
  crossSubnet: false,
  masquerade: true,
}

/** Everything the exact engine can run, so that every answer can be held to a run. */
export const CAPACITY_MODES: readonly ScenarioMode[] = [
  PLAIN,
  { ...PLAIN, flavour: 'lightweight' },
  { ...PLAIN, crossSubnet: true },
  { ...PLAIN, mode: 'route' },
  { ...PLAIN, mode: 'route', announce: 'rack' },
  { ...PLAIN, mode: 'route', announce: 'rack', placement: 'rack' },
  { ...PLAIN, mode: 'route', announce: 'static' },
  { ...PLAIN, mode: 'route', announce: 'host' },
  { ...PLAIN, mode: 'vlan' },
]

/** Whether this counts a mode: of static summaries and of several modes at once nothing is said rather than something wrong. */
export const isCounted = (mode: RunMode): mode is ScenarioMode =>
  mode.mode !== 'mixed' && mode.announce !== 'static'

/** How `--mode` writes what reports call a mode: `route-32` is `route /32`. */
export const modeNames = (): readonly string[] => CAPACITY_MODES.map(nameOf)

export const modeOfName = (name: string): ScenarioMode | undefined =>
  CAPACITY_MODES.find((mode) => nameOf(mode) === name)

const nameOf = (mode: ScenarioMode): string => labelOf(mode).replaceAll(/[ /]+/g, '-')
