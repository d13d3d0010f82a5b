/**
 * The schema of scenario files as JSON Schema: for editors, and to tell which
 * keys may be where.
 *
 * @module
 */
import { z } from 'zod'

/** As much of JSON Schema (draft 7) as is read here. */
interface JsonSchema {
  description?: string
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly items?: JsonSchema | readonly JsonSchema[]
  readonly anyOf?: readonly JsonSchema[]
  readonly oneOf?: readonly JsonSchema[]
}

const jsonOf = (schema: z.ZodType): JsonSchema =>
  z.toJSONSchema(schema, { io: 'input', target: 'draft-7', unrepresentable: 'any' }) as JsonSchema

/** What may be written, in either form of a choice. */
const formsOf = (schema: JsonSchema): readonly JsonSchema[] => {
  const choices = [...(schema.anyOf ?? []), ...(schema.oneOf ?? [])]
  return choices.length === 0 ? [schema] : choices.flatMap(formsOf)
}

function below(schema: JsonSchema, key: string): readonly JsonSchema[] {
  return formsOf(schema).flatMap(({ properties, items }) => {
    const own = properties?.[key]
    if (own !== undefined) return [own]
    if (items === undefined || !/^\d+$/.test(key)) return []
    return 'length' in items ? items : [items]
  })
}

/**
 * JSON Schema of what may be written, with words beside each key.
 *
 * @param words By path, e.g. `times.storeMs`; lists have no place of their own in it.
 */
export function describedSchema(
  schema: z.ZodType,
  words: Readonly<Record<string, string>>,
): Readonly<Record<string, unknown>> {
  const json = jsonOf(schema)
  visit(json, '', (place, path) => {
    const said = words[path]
    if (said !== undefined) place.description = said
  })
  return { ...json }
}

/** Paths of every key, in the schema's order. */
export function pathsOf(schema: z.ZodType): readonly string[] {
  const seen = new Set<string>()
  visit(jsonOf(schema), '', (_place, path) => seen.add(path))
  return [...seen]
}

/** Every place that has a key, and the top. */
function visit(
  place: JsonSchema,
  path: string,
  tell: (place: JsonSchema, path: string) => void,
): void {
  tell(place, path)
  visitKeys(place, path, tell)
}

function visitKeys(
  place: JsonSchema,
  path: string,
  tell: (place: JsonSchema, path: string) => void,
): void {
  for (const form of formsOf(place)) {
    for (const [key, value] of Object.entries(form.properties ?? {})) {
      visit(value, path === '' ? key : `${path}.${key}`, tell)
    }
    const items = form.items ?? []
    for (const item of 'length' in items ? items : [items]) visitKeys(item, path, tell)
  }
}

/** Keys that `schema` knows at a path, in its order; none where there is no map. */
export function keysAt(schema: z.ZodType, path: readonly string[]): readonly string[] {
  let places: readonly JsonSchema[] = [jsonOf(schema)]
  for (const key of path) places = places.flatMap((place) => below(place, key))
  const forms = places.flatMap(formsOf)
  return [...new Set(forms.flatMap(({ properties }) => Object.keys(properties ?? {})))]
}
