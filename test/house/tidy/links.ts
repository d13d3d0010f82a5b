/**
 * Links between pages: the file is there, and so is the heading.
 *
 * @module
 */
import { existsSync } from 'node:fs'
import { posix } from 'node:path'
import type { Offense, Source } from './source.ts'

const LINK = /\]\((?!\w+:)([^)\s#]*)(?:#([^)\s]+))?\)/g

/** @param isThere Whether the repository has a file or folder of that path. */
export function deadLinks(
  tree: readonly Source[],
  isThere: (path: string) => boolean = existsSync,
): readonly Offense[] {
  const pages = tree.filter(({ path }) => path.endsWith('.md'))
  const anchors = new Map(pages.map(({ path, text }) => [path, anchorsOf(text)]))
  return pages.flatMap(({ path, text }) =>
    text.split('\n').flatMap((line, index) =>
      [...line.matchAll(LINK)].flatMap(([, to = '', anchor]): readonly Offense[] => {
        const target = to === '' ? path : posix.join(posix.dirname(path), to)
        const at = { path, line: index + 1 }
        if (target !== path && !isThere(target)) return [{ ...at, reason: `no ${target}` }]
        const isDead = anchor !== undefined && anchors.get(target)?.has(anchor) === false
        return isDead ? [{ ...at, reason: `no heading #${anchor} in ${target}` }] : []
      }),
    ),
  )
}

/** As GitHub makes them of headings. */
function anchorsOf(text: string): ReadonlySet<string> {
  const headings = [...text.matchAll(/^#+ (.*)$/gm)].map(([, title = '']) => title)
  return new Set(
    headings.map((title) =>
      title
        .toLowerCase()
        .replace(/[^\p{L}\p{N}_ -]/gu, '')
        .replaceAll(' ', '-'),
    ),
  )
}
