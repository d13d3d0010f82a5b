/**
 * Every rule, in the order of the report.
 *
 * @module
 */
import type { Rule } from '../model.ts'
import { ADD_RULES } from './add.ts'
import { CHECK_RULES } from './check.ts'
import { CONFIGURATION_RULES } from './configuration.ts'
import { DEL_RULES } from './del.ts'
import { ENVIRONMENT_RULES } from './environment.ts'
import { HABIT_RULES } from './habits.ts'
import { OUTPUT_RULES } from './output.ts'
import { GC_RULES, STATUS_RULES } from './status-gc.ts'
import { VERSION_RULES } from './version.ts'

export const RULES: readonly Rule[] = [
  ...ENVIRONMENT_RULES,
  ...CONFIGURATION_RULES,
  ...OUTPUT_RULES,
  ...ADD_RULES,
  ...DEL_RULES,
  ...CHECK_RULES,
  ...STATUS_RULES,
  ...GC_RULES,
  ...VERSION_RULES,
  ...HABIT_RULES,
]
