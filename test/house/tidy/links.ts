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

/** Tests that a page names, as `test/FOLDER`, a file, or a file without its ending: they exist. */
export function missingTests(
  tree: readonly Source[],
  isThere: (path: string) => boolean = existsSync,
): readonly Offense[] {
  const pages = tree.filter(({ path }) => path.endsWith('.md'))
  return pages.flatMap(({ path, text }) =>
    text.split('\n').flatMap((line, index) =>
      [...line.matchAll(/`(test\/[\w./-]+)`/g)].flatMap(([, name = '']): readonly Offense[] => {
        const isKnown = ['', '.test.ts', '.live.test.ts'].some((end) => isThere(name + end))
        return isKnown ? [] : [{ path, line: index + 1, reason: `no ${name}` }]
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
