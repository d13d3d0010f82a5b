/**
 * Words, shapes and lengths. Each check looks at one file and knows no other.
 */
import ts from 'typescript'
import { synchronousInNetns } from './namespaces.ts'
import { eachNode, lineOf, type Offense, offenseAt, type Source } from './source.ts'

export type Check = (source: Source) => readonly Offense[]

const FUNCTION_LINES_MAX = 70
const FILE_LINES_MAX = 500
/** Beyond this many a file is worth splitting. */
export const FILE_LINES_SOFT = 400

/** Code that decides: told what happened, answers with data, never waits. */
const PURE =
  /^(src\/(net|wire|cluster|kernel|backend|agent|cni|explain|bgp|netlink-ts)\/|src\/[a-z-]+\.ts$|ipam\/|simulator\/|bench\/dataplane\/)/
const IMPURE =
  /^(src\/netlink-ts\/live\/|ipam\/(lmdb|etcd)-store\.ts$|ipam\/(lmdb|etcd)\/|simulator\/(main|files|other-seeds|sweep|sweep-folder|incidents)\.ts$)/

export const isPure = (path: string): boolean => PURE.test(path) && !IMPURE.test(path)

/** Names of the world outside. */
const WORLD = new Set([
  'Promise',
  'setTimeout',
  'setInterval',
  'setImmediate',
  'queueMicrotask',
  'Date',
  'performance',
  'process',
  'console',
  'fetch',
])

/** No clock, no chance, no waiting, no world in pure code. */
export const pureWords: Check = (source) => {
  const { ast, path } = source
  if (ast === undefined || !isPure(path)) return []
  const offenses: Offense[] = []
  eachNode(ast, (node) => {
    const word = worldly(node)
    if (word === undefined) return
    offenses.push(offenseAt(source, ast, node, `${word} is banned in pure code`))
  })
  return offenses
}

function worldly(node: ts.Node): string | undefined {
  if (node.kind === ts.SyntaxKind.AsyncKeyword) return 'async'
  if (node.kind === ts.SyntaxKind.AwaitKeyword || ts.isAwaitExpression(node)) return 'await'
  if (ts.isStringLiteral(node) && /^node:/.test(node.text)) return node.text
  if (ts.isPropertyAccessExpression(node) && node.getText() === 'Math.random') return 'Math.random'
  if (!ts.isIdentifier(node) || !WORLD.has(node.text)) return undefined
  const { parent } = node
  const isMember =
    (ts.isPropertyAccessExpression(parent) && parent.name === node) ||
    ((ts.isPropertyAssignment(parent) || ts.isPropertySignature(parent)) && parent.name === node)
  return isMember ? undefined : node.text
}

/** Of Math, what every engine must give the same bits for. */
const EXACT = new Set([
  'abs',
  'ceil',
  'clz32',
  'floor',
  'fround',
  'imul',
  'max',
  'min',
  'round',
  'sign',
  'sqrt',
  'trunc',
])

/** No arithmetic in a simulation whose last bit is the engine's choice. */
export const exactMath: Check = (source) => {
  const { ast, path } = source
  if (ast === undefined || !path.startsWith('simulator/') || path === 'simulator/math.ts') return []
  const offenses: Offense[] = []
  eachNode(ast, (node) => {
    const reason = inexact(node)
    if (reason !== undefined) offenses.push(offenseAt(source, ast, node, reason))
  })
  return offenses
}

function inexact(node: ts.Node): string | undefined {
  if (ts.isIdentifier(node) && node.text === 'Math') {
    const { parent } = node
    if (ts.isPropertyAccessExpression(parent) && parent.name === node) return undefined
    const name = ts.isPropertyAccessExpression(parent) ? parent.name.text : ''
    return EXACT.has(name) ? undefined : `Math.${name} may differ between engines`
  }
  if (!ts.isBinaryExpression(node)) return undefined
  const { kind } = node.operatorToken
  const isPower =
    kind === ts.SyntaxKind.AsteriskAsteriskToken ||
    kind === ts.SyntaxKind.AsteriskAsteriskEqualsToken
  // Of two alone a power has no digits to round.
  return !isPower || node.left.getText() === '2' ? undefined : '** may differ between engines'
}

/** What nobody may write anywhere. */
export const bannedEverywhere: Check = (source) => {
  const { ast, path, text } = source
  if (ast === undefined) return []
  const offenses: Offense[] = []
  const mark = ['FIX', 'ME'].join('')
  for (const [index, line] of text.split('\n').entries()) {
    if (line.includes(mark)) offenses.push({ path, line: index + 1, reason: `${mark} left behind` })
  }
  eachNode(ast, (node) => {
    const reason = bannedNode(node, source, ast)
    if (reason !== undefined) offenses.push(offenseAt(source, ast, node, reason))
  })
  return offenses
}

function bannedNode(node: ts.Node, { text }: Source, ast: ts.SourceFile): string | undefined {
  if (ts.isEnumDeclaration(node)) return 'enum: use a union or a const object'
  if (node.kind === ts.SyntaxKind.EqualsEqualsToken) return '==: use ==='
  if (node.kind === ts.SyntaxKind.ExclamationEqualsToken) return '!=: use !=='
  if (ts.isExportAssignment(node) || node.kind === ts.SyntaxKind.DefaultKeyword) {
    return ts.isDefaultClause(node.parent) ||
      ts.isImportClause(node.parent) ||
      ts.isDefaultClause(node)
      ? undefined
      : 'default export: name it'
  }
  if (ts.isCallExpression(node) && ts.isPropertyAccessExpression(node.expression)) {
    if (node.expression.name.text === 'only') return '.only( leaves every other test out'
    if (node.expression.name.text === 'testdir') return 'testdir( is shared by runs: ownFolder('
  }
  if (!ts.isAsExpression(node) || node.type.kind !== ts.SyntaxKind.AnyKeyword) return undefined
  const line = lineOf(ast, node.type)
  const near = text.split('\n').slice(Math.max(0, line - 2), line)
  return near.some((each) => each.includes('//'))
    ? undefined
    : 'as any without a comment that says why'
}

/** Functions that fit on a screen, files that fit in a head. */
export const lengths: Check = (source) => {
  const { ast, path, text } = source
  if (ast === undefined) return []
  const offenses: Offense[] = []
  const lines = text.split('\n').length - 1
  if (lines > FILE_LINES_MAX) {
    offenses.push({ path, line: 1, reason: `${lines} lines, at most ${FILE_LINES_MAX}` })
  }
  eachNode(ast, (node) => {
    if (!ts.isFunctionLike(node)) return
    const own = ownLines(node, ast)
    if (own <= FUNCTION_LINES_MAX) return
    offenses.push(
      offenseAt(source, ast, node, `a function of ${own} lines, at most ${FUNCTION_LINES_MAX}`),
    )
  })
  return offenses
}

/**
 * Lines of a function without the declarations, methods and subtests inside
 * it, which are measured on their own: a factory may hold a machine's whole
 * state, and a group of tests is a list. Other callbacks belong to the function
 * that passes them.
 */
function ownLines(node: ts.Node, ast: ts.SourceFile): number {
  let inner = 0
  const walk = (child: ts.Node): void => {
    if (ts.isFunctionDeclaration(child) || ts.isMethodDeclaration(child) || isSubtest(child)) {
      inner += linesOf(child, ast) - 1
    } else ts.forEachChild(child, walk)
  }
  ts.forEachChild(node, walk)
  return linesOf(node, ast) - inner
}

/** A case in a list of cases: `t.test('name', …, () => {})`, `check('name', () => {})`. */
function isSubtest(node: ts.Node): boolean {
  if (!ts.isCallExpression(node)) return false
  const statement = ts.isAwaitExpression(node.parent) ? node.parent.parent : node.parent
  if (!ts.isExpressionStatement(statement)) return false
  if (!node.getSourceFile().fileName.startsWith('test/')) return false
  const [name, ...rest] = node.arguments
  const work = rest.at(-1)
  if (name === undefined || work === undefined) return false
  const isNamed = ts.isStringLiteral(name) || ts.isTemplateLiteral(name)
  return isNamed && (ts.isArrowFunction(work) || ts.isFunctionExpression(work))
}

function linesOf(node: ts.Node, ast: ts.SourceFile): number {
  return ast.getLineAndCharacterOfPosition(node.getEnd()).line + 2 - lineOf(ast, node)
}

/** Every library file says first what it decides. */
export const moduleComment: Check = ({ path, text }) => {
  if (!/^(src|ipam|simulator)\/.*\.ts$/.test(path)) return []
  const comment = /^\/\*\*[\s\S]*?\*\//.exec(text)?.[0] ?? ''
  if (/@module\b/.test(comment)) return []
  return [{ path, line: 1, reason: 'does not start with a doc comment that holds @module' }]
}

/** One title a page; `#` in a code block is a comment there. */
export const oneTitle: Check = ({ path, text }) => {
  if (!path.endsWith('.md')) return []
  const prose = text.replace(/^(```|~~~)[\s\S]*?^\1/gm, '')
  const titles = prose.split('\n').filter((line) => line.startsWith('# ')).length
  if (titles === 1) return []
  return [{ path, line: 1, reason: `${titles} titles ("# …"), wanted one` }]
}

/** Somebody's machine. */
const HOMES = /(?:^|[\s'"`(=:])(\/(?:home|root|work|Users|mnt)\/[\w.-]+)/
const SCRATCH = /(?:^|[\s'"`(=:])(\/(?:var\/)?tmp\/[\w.-]+)/

/** No path that exists only where somebody wrote the code. */
export const machinePaths: Check = ({ path, text }) => {
  if (path === 'package-lock.json') return []
  const offenses: Offense[] = []
  for (const [index, line] of text.split('\n').entries()) {
    const found = HOMES.exec(line) ?? (path.startsWith('test/') ? null : SCRATCH.exec(line))
    if (found === null) continue
    offenses.push({ path, line: index + 1, reason: `names ${found[1]}, a path of one machine` })
  }
  return offenses
}

export const CHECKS: Readonly<Record<string, Check>> = {
  'pure code knows no clock, chance or world': pureWords,
  'a simulation computes exactly': exactMath,
  'banned everywhere': bannedEverywhere,
  'nothing waits inside another namespace': synchronousInNetns,
  'lengths of functions and files': lengths,
  'library files start with @module': moduleComment,
  'one title a page': oneTitle,
  'no path of one machine': machinePaths,
}
