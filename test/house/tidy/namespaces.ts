/**
 * Between entering a namespace and leaving it the thread must not be given
 * away: another task would run in the pod's namespace.
 */
import ts from 'typescript'
import { eachNode, type Offense, offenseAt, type Source } from './source.ts'

/** The one file that may change a thread's namespace, and the one that declares how. */
const HOME = /^src\/netlink-ts\/live\/(netns|libc)\.ts$/

/** Calls that put something off until after the way back. */
const LATER =
  /^(setTimeout|setInterval|setImmediate|queueMicrotask|nextTick|then|catch|finally|async|executeAsync)$/

/** setns in one place only, and nothing that waits in the work that runs inside. */
export function synchronousInNetns(source: Source): readonly Offense[] {
  const { ast, path } = source
  if (ast === undefined || !path.startsWith('src/')) return []
  const offenses: Offense[] = []
  eachNode(ast, (node) => {
    if (!ts.isCallExpression(node)) return
    if (calleeName(node) === 'setns' && !HOME.test(path)) {
      offenses.push(offenseAt(source, ast, node, 'setns: only inNetns enters a namespace'))
    }
    if (!/^(inNetns|visit)$/.test(calleeName(node))) return
    for (const argument of node.arguments) {
      const work = functionOf(argument, ast)
      if (work === undefined || !waits(work, ast, new Set())) continue
      offenses.push(offenseAt(source, ast, argument, 'waits inside another namespace'))
    }
  })
  return offenses
}

function calleeName({ expression }: ts.CallExpression): string {
  if (ts.isPropertyAccessExpression(expression)) return expression.name.text
  return ts.isIdentifier(expression) ? expression.text : ''
}

/** The function literal, or the function of that name in the same file. */
function functionOf(expression: ts.Expression, ast: ts.SourceFile): ts.Node | undefined {
  if (ts.isArrowFunction(expression) || ts.isFunctionExpression(expression)) return expression
  if (!ts.isIdentifier(expression)) return undefined
  let found: ts.Node | undefined
  eachNode(ast, (node) => {
    if (ts.isFunctionDeclaration(node) && node.name?.text === expression.text) found = node
    if (!ts.isVariableDeclaration(node) || !ts.isIdentifier(node.name)) return
    const { initializer } = node
    const isFunction =
      initializer !== undefined &&
      (ts.isArrowFunction(initializer) || ts.isFunctionExpression(initializer))
    if (isFunction && node.name.text === expression.text) found = initializer
  })
  return found
}

/** Whether a function, or one of this file that it calls, waits or puts something off. */
function waits(work: ts.Node, ast: ts.SourceFile, seen: Set<ts.Node>): boolean {
  if (seen.has(work)) return false
  seen.add(work)
  let found = false
  const look = (node: ts.Node): void => {
    if (node.kind === ts.SyntaxKind.AsyncKeyword || ts.isAwaitExpression(node)) found = true
    if (ts.isIdentifier(node) && node.text === 'Promise') found = true
    if (!ts.isCallExpression(node)) return
    if (LATER.test(calleeName(node))) found = true
    const callee = functionOf(node.expression, ast)
    if (callee !== undefined && waits(callee, ast, seen)) found = true
  }
  look(work)
  eachNode(work, look)
  return found
}
