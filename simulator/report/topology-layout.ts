/**
 * Where each device of a fabric is drawn: a row of boxes a tier, from the core
 * down to the racks, and smaller boxes in more lines where a row is too short.
 *
 * @module
 */
import { SWITCH_ROLES, type SwitchRole } from '../fabric-device.ts'
import { WIDTH } from './draw.ts'

/** How much a box can say. */
export type Detail = 'named' | 'numbered' | 'dot'

export interface Box {
  /** Place in the topology. */
  readonly device: number
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
  readonly detail: Detail
}

/** One line of boxes of a tier that has several. */
export interface Line {
  readonly y: number
  readonly height: number
  readonly first: number
  readonly last: number
}

export interface Tier {
  readonly role: SwitchRole
  readonly detail: Detail
  readonly top: number
  readonly bottom: number
  readonly boxes: readonly Box[]
  readonly lines: readonly Line[]
}

export interface Layout {
  readonly tiers: readonly Tier[]
  readonly height: number
}

/** Left of the boxes stands what they are. */
export const LEFT = 104
const RIGHT = 12
const TIER_GAP = 74
/** From this many on a row says less a box. */
const NAMED_MAX = 10
const NUMBERED_MAX = 60
const SIZES: Readonly<
  Record<Detail, { readonly perLine: number; readonly height: number; readonly gap: number }>
> = {
  named: { perLine: NAMED_MAX, height: 44, gap: 8 },
  numbered: { perLine: 12, height: 36, gap: 6 },
  dot: { perLine: 40, height: 17, gap: 3 },
}
/** Wider boxes say nothing more. */
const BOX_WIDTH_MAX = 116

/** @param roles Of each device, in the order of the topology. */
export function layoutOf(roles: readonly SwitchRole[], top: number): Layout {
  const tiers: Tier[] = []
  let y = top
  for (const role of [...SWITCH_ROLES].reverse()) {
    const devices = roles.flatMap((each, device) => (each === role ? [device] : []))
    if (devices.length === 0) continue
    const tier = tierOf(role, devices, y)
    tiers.push(tier)
    y = tier.bottom + TIER_GAP
  }
  return { tiers, height: y - TIER_GAP + 12 }
}

function tierOf(role: SwitchRole, devices: readonly number[], top: number): Tier {
  const detail = detailOf(devices.length)
  const { perLine, height, gap } = SIZES[detail]
  const columns = Math.min(perLine, devices.length)
  const pitch = (WIDTH - LEFT - RIGHT) / columns
  const width = Math.min(BOX_WIDTH_MAX, pitch - gap)
  const boxes = devices.map((device, index): Box => {
    const x = LEFT + (index % columns) * pitch + (pitch - width) / 2
    const y = top + Math.floor(index / columns) * (height + gap)
    return { device, x, y, width, height, detail }
  })
  const count = Math.ceil(devices.length / columns)
  const lines = Array.from({ length: count }, (_, line): Line => {
    const last = Math.min(devices.length, (line + 1) * columns) - 1
    return { y: top + line * (height + gap), height, first: line * columns, last }
  })
  return { role, detail, top, bottom: top + count * (height + gap) - gap, boxes, lines }
}

function detailOf(count: number): Detail {
  if (count <= NAMED_MAX) return 'named'
  return count <= NUMBERED_MAX ? 'numbered' : 'dot'
}
