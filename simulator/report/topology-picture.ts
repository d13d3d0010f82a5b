/**
 * The fabric as a picture: switches by tier, colored by the pressure of their
 * fullest table, with their links; what is down is crossed out.
 *
 * No color alone carries a meaning: boxes say their percentage, a full one has a
 * thick frame and an exclamation mark, one that is down a cross.
 *
 * @module
 */
import type { DeviceFigure, FabricFigure } from '../device-figures.ts'
import { linkName, type Topology, type TopologyLink } from '../fabric-topology.ts'
import { FONT, WIDTH } from './draw.ts'
import { escaped, quoted } from './page.ts'
import { type Box, type Layout, LEFT, layoutOf, type Tier } from './topology-layout.ts'
import { count, percent, SHORT_ROLES, TABLE_NAMES } from './words.ts'

/** A step of the scale: up to this share, its fill, and what is legible on it. */
interface Step {
  readonly below: number
  readonly fill: string
  readonly ink: string
  readonly name: string
}

/** Light to dark in brightness too, so that it can be read without color. */
const SCALE: readonly Step[] = [
  { below: 0.25, fill: '#dcebf7', ink: '#12202e', name: 'below 25 %' },
  { below: 0.5, fill: '#a6cdea', ink: '#12202e', name: '25 to 50 %' },
  { below: 0.8, fill: '#5aa2d6', ink: '#0b1520', name: '50 to 80 %' },
  { below: 1.000001, fill: '#f0b43c', ink: '#231800', name: 'from 80 %: tight' },
  { below: Number.POSITIVE_INFINITY, fill: '#b5321f', ink: '#ffffff', name: '! overflow' },
]
const UNKNOWN = { fill: '#c9ced4', ink: '#20262c', name: 'size unknown' } as const
/** From here on links between two tiers are one band. */
const LINKS_MAX = 120
const TOP = 52

/** A link's ends and whether it was down. */
interface Drawn {
  readonly link: TopologyLink
  readonly name: string
  readonly isDown: boolean
}

/** @param name Prefix of ids. @param failed Names of devices and links that were down for a while. */
export function topologyPicture(
  topology: Topology,
  { devices, downLinks }: FabricFigure,
  failed: ReadonlySet<string>,
): string {
  const layout = layoutOf(
    devices.map(({ role }) => role),
    TOP,
  )
  const down = new Set(downLinks)
  const links = topology.links.map((link, index): Drawn => {
    return { link, name: linkName(topology, link), isDown: down.has(index) }
  })
  const body = [
    legendRow(),
    ...linkLines(layout, links, failed),
    ...layout.tiers.flatMap((tier) => tierLabels(tier)),
    ...layout.tiers.flatMap(({ boxes }) =>
      boxes.map((box) => deviceBox(box, devices[box.device]!, failed)),
    ),
  ]
  const height = Math.ceil(layout.height)
  return `<svg role="img" viewBox="0 0 ${WIDTH} ${height}" xmlns="http://www.w3.org/2000/svg" font-family="${FONT}" font-size="12">\n${body.join('\n')}\n</svg>`
}

/** `link tor-0--spine-1 down`, `spine-0 down`: the name of what failed. */
export function failedNames(words: readonly { readonly what: string }[]): ReadonlySet<string> {
  return new Set(words.map(({ what }) => what.replace(/^link /, '').replace(/ (down|up)$/, '')))
}

function legendRow(): string {
  let x = 0
  const items = [...SCALE, UNKNOWN].map(({ fill, name }) => {
    const at = x
    x += 30 + name.length * 7
    return `<rect x="${at}" y="4" width="16" height="14" rx="3" fill="${fill}" stroke="var(--faint)" stroke-width="0.6"/><text x="${at + 21}" y="15.5" fill="var(--ink)">${name}</text>`
  })
  const cross = `${crossOf(x, 4, 16, 14)}<text x="${x + 21}" y="15.5" fill="var(--ink)">down at the end</text>`
  x += 28 + 15 * 7
  const dashed = `<rect x="${x}" y="4" width="16" height="14" rx="3" fill="none" stroke="var(--limit)" stroke-width="2" stroke-dasharray="4 2"/><text x="${x + 21}" y="15.5" fill="var(--ink)">was down</text>`
  return `<g>${items.join('')}${cross}${dashed}</g>`
}

function tierLabels({ role, boxes, lines, detail }: Tier): readonly string[] {
  const middle = ((lines[0]?.y ?? 0) + (lines.at(-1)?.y ?? 0) + (lines[0]?.height ?? 0)) / 2
  const title = `<text x="0" y="${middle - 3}" fill="var(--ink)" font-size="14" font-weight="600">${SHORT_ROLES[role]}</text><text x="0" y="${middle + 13}" fill="var(--faint)">${count(boxes.length)} ${boxes.length === 1 ? 'device' : 'devices'}</text>`
  if (detail !== 'dot') return [title]
  const ranges = lines.map(
    ({ y, height, first }) =>
      `<text x="${LEFT - 6}" y="${y + height / 2 + 4}" text-anchor="end" fill="var(--faint)" font-size="11">${first}</text>`,
  )
  return [title, ...ranges]
}

function deviceBox(box: Box, figure: DeviceFigure, failed: ReadonlySet<string>): string {
  const { x, y, width, height, detail } = box
  const { fill, ink } = stepOf(figure)
  const isFull = (figure.pressure ?? 0) > 1
  const wasDown = failed.has(figure.name) && !figure.isDown
  const frame =
    isFull || wasDown
      ? ' stroke="var(--limit)" stroke-width="2.5"'
      : ' stroke="var(--faint)" stroke-width="0.6"'
  const dash = wasDown ? ' stroke-dasharray="5 3"' : ''
  const rect = `<rect x="${at(x)}" y="${at(y)}" width="${at(width)}" height="${height}" rx="${detail === 'dot' ? 2 : 6}" fill="${fill}"${frame}${dash}/>`
  const cross = figure.isDown ? crossOf(x, y, width, height) : ''
  return `<g><title>${escaped(titleOf(figure))}</title>${rect}${boxWords(box, figure, ink)}${cross}</g>`
}

function boxWords({ x, y, width, height, detail }: Box, figure: DeviceFigure, ink: string): string {
  const middle = at(x + width / 2)
  const mark = (figure.pressure ?? 0) > 1 ? '! ' : ''
  const line = (words: string, down: number, size: number, weight = 400): string =>
    `<text x="${middle}" y="${at(y + down)}" text-anchor="middle" fill="${ink}" font-size="${size}" font-weight="${weight}">${escaped(words)}</text>`
  if (detail === 'dot') return mark === '' ? '' : line('!', height / 2 + 4.5, 12, 700)
  const share = figure.pressure === undefined ? '-' : percent(figure.pressure)
  if (detail === 'numbered') {
    return line(fitting(figure.name, width, 11), 15, 11) + line(mark + share, 29, 12, 600)
  }
  const table = figure.table === undefined ? '' : ` ${TABLE_NAMES[figure.table]}`
  return line(fitting(figure.name, width, 12), 18, 12) + line(mark + share + table, 35, 12, 600)
}

/** The end of a name tells more than its start. */
function fitting(whole: string, width: number, fontSize: number): string {
  const name = whole.replace('aggregation', 'agg')
  const most = Math.max(4, Math.floor((width - 4) / (fontSize * 0.6)))
  return name.length <= most ? name : `…${name.slice(1 - most)}`
}

function titleOf({
  name,
  role,
  rack,
  nodes,
  table,
  demandPeak,
  capacity,
  pressure,
  isDown,
}: DeviceFigure): string {
  const place = rack === -1 ? SHORT_ROLES[role] : `rack ${rack} with ${count(nodes)} nodes`
  const full =
    table === undefined || pressure === undefined || capacity === undefined
      ? 'no table of known size'
      : `${TABLE_NAMES[table]} at ${percent(pressure)}: ${count(demandPeak)} entries of ${count(capacity)}`
  return `${name} (${place}): ${full}${isDown ? ', down' : ''}`
}

function stepOf({ pressure }: DeviceFigure): Pick<Step, 'fill' | 'ink'> {
  if (pressure === undefined) return UNKNOWN
  return SCALE.find(({ below }) => pressure < below) ?? UNKNOWN
}

function crossOf(x: number, y: number, width: number, height: number): string {
  const [right, bottom] = [at(x + width), at(y + height)]
  return `<path d="M${at(x)} ${at(y)}L${right} ${bottom}M${right} ${at(y)}L${at(x)} ${bottom}" stroke="var(--limit)" stroke-width="2.5" fill="none"/>`
}

/** Lines between boxes where there are few; otherwise a band between two tiers, with the number. */
function linkLines(
  { tiers }: Layout,
  links: readonly Drawn[],
  failed: ReadonlySet<string>,
): readonly string[] {
  const place = new Map<number, { readonly box: Box; readonly tier: number }>()
  for (const [tier, { boxes }] of tiers.entries()) {
    for (const box of boxes) place.set(box.device, { box, tier })
  }
  const bundles = new Map<string, { upper: number; lower: number; links: Drawn[] }>()
  for (const drawn of links) {
    const [a, b] = drawn.link.ends.map((end) => place.get(end)?.tier ?? 0) as [number, number]
    const [upper, lower] = [Math.min(a, b), Math.max(a, b)]
    const key = `${upper} ${lower}`
    const bundle = bundles.get(key) ?? { upper, lower, links: [] }
    bundle.links.push(drawn)
    bundles.set(key, bundle)
  }
  return [...bundles.values()].flatMap(({ upper, lower, links: own }) => {
    const [above, below] = [tiers[upper]!, tiers[lower]!]
    const isLegible =
      own.length <= LINKS_MAX && above.lines.length === 1 && below.lines.length === 1
    if (!isLegible && upper !== lower) return band(above, below, own, failed)
    return own.map((drawn) => {
      const [a, b] = drawn.link.ends.map((end) => place.get(end)!.box) as [Box, Box]
      return linkLine(drawn, a, b, failed.has(drawn.name))
    })
  })
}

function linkLine({ link, name, isDown }: Drawn, a: Box, b: Box, failed: boolean): string {
  const [upper, lower] = a.y <= b.y ? [a, b] : [b, a]
  const [fromX, toX] = [at(upper.x + upper.width / 2), at(lower.x + lower.width / 2)]
  const path =
    upper.y === lower.y
      ? `M${fromX} ${at(upper.y)}C${fromX} ${at(upper.y - 26)} ${toX} ${at(lower.y - 26)} ${toX} ${at(lower.y)}`
      : `M${fromX} ${at(upper.y + upper.height)}L${toX} ${at(lower.y)}`
  const style = isDown
    ? 'stroke="var(--limit)" stroke-width="2.5" stroke-dasharray="2 5"'
    : failed
      ? 'stroke="var(--limit)" stroke-width="1.8" stroke-dasharray="7 4"'
      : 'stroke="var(--faint)" stroke-width="1" opacity="0.7"'
  const state = isDown ? ', down' : failed ? ', was down' : ''
  const title = `${quoted(name)}: ${latency(link.latencyTicks)}${state}`
  return `<path d="${path}" fill="none" ${style}><title>${title}</title></path>`
}

function band(
  above: Tier,
  below: Tier,
  links: readonly Drawn[],
  failed: ReadonlySet<string>,
): readonly string[] {
  const edges = ({ boxes }: Tier): readonly [number, number] => {
    const xs = boxes.flatMap(({ x, width }) => [x, x + width])
    return [at(Math.min(...xs)), at(Math.max(...xs))]
  }
  const [[left, right], [lowLeft, lowRight]] = [edges(above), edges(below)]
  const [top, bottom] = [at(above.bottom + 3), at(below.top - 3)]
  const downs = links.filter(({ isDown }) => isDown).length
  const were = links.filter(({ name, isDown }) => !isDown && failed.has(name)).length
  const state = `${downs === 0 ? '' : `, ${count(downs)} down`}${were === 0 ? '' : `, ${count(were)} were down`}`
  const middle = at((LEFT + WIDTH) / 2)
  return [
    `<path d="M${left} ${top}L${right} ${top}L${lowRight} ${bottom}L${lowLeft} ${bottom}Z" fill="var(--faint)" opacity="0.14"/>`,
    `<text x="${middle}" y="${at((top + bottom) / 2 + 4)}" text-anchor="middle" fill="var(--ink)">${escaped(`${count(links.length)} links${state}`)}</text>`,
  ]
}

const latency = (ticks: number): string =>
  ticks < 1000 ? `${ticks} µs` : `${count(Math.round(ticks / 1000))} ms`

/** Tenths are enough for a pixel. */
const at = (value: number): number => Math.round(value * 10) / 10
