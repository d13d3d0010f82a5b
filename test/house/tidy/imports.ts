/**
 * Import rules and import cycles.
 */
import { posix } from 'node:path'
import ts from 'typescript'
import { IMPORT_RULES, type ImportRule, NOBODY_IMPORTS, STRANGERS } from './import-rules.ts'
import { eachNode, lineOf, type Offense, type Source } from './source.ts'

interface Import {
  readonly from: Source
  readonly line: number
  /** As written. */
  readonly specifier: string
  /** Path in the repository; undefined for a package. */
  readonly target: string | undefined
}

/** Every offense against the table. */
export function importOffenses(sources: readonly Source[]): readonly Offense[] {
  return sources.flatMap(importsOf).flatMap((each) => {
    const reason = refusal(each)
    return reason === undefined ? [] : [{ path: each.from.path, line: each.line, reason }]
  })
}

/** Units that reach themselves through others, each loop once, e.g. `src/a -> src/b -> src/a`. */
export function unitCycles(sources: readonly Source[]): readonly string[] {
  const edges = new Map<string, Set<string>>()
  for (const { from, target } of sources.flatMap(importsOf)) {
    const [left, right] = [unitOf(from.path)?.unit, target && unitOf(target)?.unit]
    if (left === undefined || right === undefined || right === '' || left === right) continue
    // A file taken out of its folder for its imports still belongs to it.
    if (isFileOf(left, right) || isFileOf(right, left)) continue
    edges.set(left, (edges.get(left) ?? new Set()).add(right))
  }
  return cyclesOf(edges)
}

function cyclesOf(edges: ReadonlyMap<string, ReadonlySet<string>>): readonly string[] {
  const found = new Set<string>()
  const done = new Set<string>()
  const walk = (unit: string, path: readonly string[]): void => {
    const at = path.indexOf(unit)
    if (at >= 0) {
      found.add([...path.slice(at), unit].join(' -> '))
      return
    }
    if (done.has(unit)) return
    for (const next of edges.get(unit) ?? []) walk(next, [...path, unit])
    done.add(unit)
  }
  for (const unit of edges.keys()) walk(unit, [])
  return [...found]
}

const isFileOf = (file: string, folder: string): boolean => file.startsWith(`${folder}/`)

function importsOf(from: Source): readonly Import[] {
  const { ast } = from
  if (ast === undefined) return []
  const imports: Import[] = []
  eachNode(ast, (node) => {
    const literal = specifierOf(node)
    if (literal === undefined) return
    const specifier = literal.text
    const isRelative = specifier.startsWith('.')
    const target = isRelative ? posix.join(posix.dirname(from.path), specifier) : undefined
    imports.push({ from, line: lineOf(ast, literal), specifier, target })
  })
  return imports
}

/** Static, dynamic and type imports alike. */
function specifierOf(node: ts.Node): ts.StringLiteral | undefined {
  const literal =
    ts.isImportDeclaration(node) || ts.isExportDeclaration(node)
      ? node.moduleSpecifier
      : ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)
        ? node.argument.literal
        : ts.isCallExpression(node) && isLoader(node.expression)
          ? node.arguments[0]
          : undefined
  return literal !== undefined && ts.isStringLiteral(literal) ? literal : undefined
}

const isLoader = (callee: ts.Expression): boolean =>
  callee.kind === ts.SyntaxKind.ImportKeyword ||
  (ts.isIdentifier(callee) && callee.text === 'require')

function unitOf(path: string): ImportRule | undefined {
  return IMPORT_RULES.filter(({ unit }) => path === unit || isFileOf(path, unit)).sort(
    (a, b) => b.unit.length - a.unit.length,
  )[0]
}

function refusal(each: Import): string | undefined {
  const { from, specifier, target } = each
  const rule = unitOf(from.path)
  if (rule === undefined) return `no import rule for this file: add its folder to the table`
  if (target === undefined) {
    const { packages = [] } = rule
    const allowed = packages.some(
      (name) =>
        name === '*' || name === specifier || (name === 'node:*' && specifier.startsWith('node:')),
    )
    return allowed ? undefined : `${rule.unit} must not import the package ${specifier}`
  }
  const unit = unitOf(target)?.unit
  if (unit === undefined) return `imports ${target}, which is in no unit of the table`
  if (unit === rule.unit) return strangers(from.path, target)
  if (rule.files?.includes(target)) return undefined
  const isEnd = NOBODY_IMPORTS.some((end) => end === unit)
  const allowed = rule.units.includes(unit) || (rule.units.includes('*') && !isEnd)
  return allowed ? undefined : `${rule.unit} must not import ${unit} (${target})`
}

function strangers(path: string, target: string): string | undefined {
  for (const folder of STRANGERS) {
    const sub = (file: string): string =>
      file
        .slice(folder.length + 1)
        .split('/')
        .slice(0, -1)
        .join('/')
    if (!isFileOf(path, folder) || !isFileOf(target, folder)) continue
    if (sub(path) !== '' && sub(target) !== '' && sub(path) !== sub(target)) {
      return `${folder}/${sub(path)} must not know ${folder}/${sub(target)}`
    }
  }
  return undefined
}
