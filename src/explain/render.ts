/**
 * An explanation as text: a line a hop, then why, then what to do.
 *
 * @module
 */
import type { Explanation, Path } from './explain.ts'
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

export function renderExplanation(explanation: Explanation): string {
  const { from, to, verdict, paths, unseen } = explanation
  const hops = paths.flatMap((path) => path.hops)
  const wide = Math.max(0, ...hops.map(({ place }) => place.length))
  const blocks = [
    `${from} ${HEADS[verdict]} ${to}\n`,
    ...paths.map((path) => pathText(path, wide)),
    paragraph('why', why(explanation)),
    paragraph('do', advice(explanation)),
  ]
  if (unseen.length > 0 && verdict !== 'broken') blocks.push(paragraph('seen', unseenText(unseen)))
  return blocks.filter((block) => block !== '').join('\n')
}

function pathText({ family, direction, from, to, hops }: Path, wide: number): string {
  const lines = hops.map(
    ({ status, place, object }) => `  ${MARKS[status].padEnd(6)}  ${place.padEnd(wide)}  ${object}`,
  )
  return [`IPv${family} ${direction}: ${from} -> ${to}`, ...lines, ''].join('\n')
}

function why({ verdict, cause }: Explanation): string {
  if (cause !== undefined) return `${cause.place}, ${cause.object}: ${causeText(cause)}`
  if (verdict === 'reachable') return 'nothing that was seen stops a packet, there or back'
  return 'nothing that was seen stops a packet, but not everything was seen'
}

const causeText = ({ found = '', wanted = '' }: Hop): string =>
  `found ${found}; wanted ${wanted}`.replace(/^found it is/, 'it is')

function advice({ cause }: Explanation): string {
  if (cause?.command === undefined) return ''
  return cause.command
}

const unseenText = (unseen: readonly string[]): string =>
  unseen
    .map(
      (node) =>
        `node ${node} was not seen: run "trivium node snapshot > ${node}.json" there, then add --snapshot ${node}.json`,
    )
    .join('\n      ')

const paragraph = (title: string, text: string): string =>
  text === '' ? '' : `${title.padEnd(4)}  ${text}\n`
