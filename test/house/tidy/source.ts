/**
 * The tree as the checks see it: text, and a syntax tree where there is one, so
 * that a banned word in a comment or a string is no offense.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import ts from 'typescript'

export interface Source {
  /** From the root of the repository, e.g. `src/net/ip.ts`. */
  readonly path: string
  readonly text: string
  /** Undefined for anything but TypeScript and JavaScript. */
  readonly ast: ts.SourceFile | undefined
}

/** One broken rule in the words of the person who has to mend it. */
export interface Offense {
  readonly path: string
  /** Counted from 1. */
  readonly line: number
  readonly reason: string
}

const CODE = /\.(ts|mjs|js|cjs)$/

/** Makes a source of text that need not be on disk: planted snippets, too. */
export function sourceOf(path: string, text: string): Source {
  const isScript = path.endsWith('.ts') ? ts.ScriptKind.TS : ts.ScriptKind.JS
  const ast = CODE.test(path)
    ? ts.createSourceFile(path, text, ts.ScriptTarget.ES2023, true, isScript)
    : undefined
  return { path, text, ast }
}

/** Every file that is, or is about to be, in the repository. */
export function readTree(): readonly Source[] {
  const listed = execFileSync('git', ['ls-files', '-co', '--exclude-standard', '-z'])
  return String(listed)
    .split('\0')
    .filter((path) => path !== '' && existsSync(path))
    .map((path) => sourceOf(path, readFileSync(path, 'utf8')))
}

export const lineOf = (ast: ts.SourceFile, node: ts.Node): number =>
  ast.getLineAndCharacterOfPosition(node.getStart(ast)).line + 1

/** An offense at a node. */
export const offenseAt = (
  { path }: Source,
  ast: ts.SourceFile,
  node: ts.Node,
  reason: string,
): Offense => ({ path, line: lineOf(ast, node), reason })

/** Calls `visit` for every node below `root`, outermost first. */
export function eachNode(root: ts.Node, visit: (node: ts.Node) => void): void {
  ts.forEachChild(root, (node) => {
    visit(node)
    eachNode(node, visit)
  })
}

export const offenseLine = ({ path, line, reason }: Offense): string => `${path}:${line}: ${reason}`
