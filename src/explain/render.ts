/**
 * An explanation as text: a line a hop, then why, then what to do.
 *
 * @module
 */
import type { Explanation, Path, Unseen } from './explain.ts'
import type { Hop, HopStatus } from './hop.ts'

const MARKS: Readonly<Record<HopStatus, string>> = {
  ok: 'ok',
  assumed: 'unseen',
  suspect: 'MAYBE',
  broken: 'BROKEN',
}

const HEADS = {
  reachable: 'reaches',
  broken: 'cannot reach',
  unknown: 'may reach',
} as const

/**
 * @param all Every path hop by hop; otherwise the one with the cause, or the first.
 */
export function renderExplanation(explanation: Explanation, all = false): string {
  const { from, to, verdict, paths, unseen, cause } = explanation
  const told = paths.find(({ hops }) => cause !== undefined && hops.includes(cause)) ?? paths[0]
  const full = paths.filter((path) => all || path === told)
  const wide = Math.max(0, ...full.flatMap(({ hops }) => hops.map(({ place }) => place.length)))
  const blocks = [
    `${from} ${HEADS[verdict]} ${to}\n`,
    ...full.map((path) => pathText(path, wide)),
    paths
      .filter((path) => !full.includes(path))
      .map(pathLine)
      .join(''),
    paragraph('why', why(explanation)),
    paragraph('do', advice(explanation)),
  ]
  if (unseen.length > 0 && verdict !== 'broken') blocks.push(paragraph('seen', unseenText(unseen)))
  return blocks.filter((block) => block !== '').join('\n')
}

const title = ({ family, direction, from, to }: Path): string =>
  `IPv${family} ${direction}: ${from} -> ${to}`

function pathText(path: Path, wide: number): string {
  const lines = path.hops.map(
    ({ status, place, object }) => `  ${MARKS[status].padEnd(6)}  ${place.padEnd(wide)}  ${object}`,
  )
  return [title(path), ...lines, ''].join('\n')
}

/** The path in one line. */
function pathLine(path: Path): string {
  const { hops } = path
  const last = hops.find(({ status }) => status === 'broken')
  const maybe = hops.find(({ status }) => status === 'suspect')
  const unseen = hops.filter(({ status }) => status === 'assumed').length
  const words =
    last !== undefined
      ? `BROKEN at ${last.place}, ${last.object}`
      : maybe !== undefined
        ? `MAYBE at ${maybe.place}, ${maybe.object}`
        : `${hops.length} hops${unseen > 0 ? `, ${unseen} of them unseen` : ' ok'}`
  return `${title(path)}: ${words}\n`
}

function advice({ cause }: Explanation): string {
  if (cause?.byAgent !== true) return cause?.command ?? ''
  return `start the agent of ${cause.node}, which repairs this; by hand, ${cause.command}`
}

function why({ verdict, cause }: Explanation): string {
  if (cause !== undefined) return `${cause.place}, ${cause.object}: ${causeText(cause)}`
  if (verdict === 'reachable') return 'nothing that was seen stops a packet, there or back'
  return 'nothing that was seen stops a packet, but not everything was seen'
}

const causeText = ({ found = '', wanted = '' }: Hop): string =>
  `found ${found}; wanted ${wanted}`.replace(/^found it is/, 'it is')

const unseenText = (unseen: readonly Unseen[]): string =>
  unseen
    .map(
      ({ node, reason }) =>
        `node ${node} was not seen: ${reason}; there, run "trivium node snapshot > ${node}.json", then add --snapshot ${node}.json`,
    )
    .join('\n      ')

const paragraph = (title: string, text: string): string =>
  text === '' ? '' : `${title.padEnd(4)}  ${text}\n`
