/**
 * What editors complete scenario files by.
 *
 * @module
 */
import { scenarioSchema } from './scenario.ts'
import { describedSchema } from './scenario-json-schema.ts'
import { SCENARIO_WORDS } from './scenario-words.ts'

/** Beside the built-in scenarios. */
export const SCENARIO_SCHEMA_FILE = 'scenario.schema.json'

/** JSON Schema (draft 7) of scenario files. */
export const scenarioJsonSchema = (): Readonly<Record<string, unknown>> =>
  describedSchema(scenarioSchema, SCENARIO_WORDS)
