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

/** Keys that `schema` knows at a path, in its order; none where there is no map. */
export function keysAt(schema: z.ZodType, path: readonly string[]): readonly string[] {
  let places: readonly JsonSchema[] = [jsonOf(schema)]
  for (const key of path) places = places.flatMap((place) => below(place, key))
  const forms = places.flatMap(formsOf)
  return [...new Set(forms.flatMap(({ properties }) => Object.keys(properties ?? {})))]
}
