/**
 * What a person would write for nft, and the same as our requests. Each row is
 * a whole ruleset, or several steps of one.
 */
import { CHAIN_ROWS } from './chains.ts'
import { CHANGE_ROWS } from './changes.ts'
import { NAT_ROWS } from './nat.ts'
import type { Row } from './row.ts'
import { RULE_ROWS } from './rules.ts'
import { SET_ROWS } from './sets.ts'

/** Every ruleset. */
export const rows: readonly Row[] = [
  ...CHAIN_ROWS,
  ...RULE_ROWS,
  ...NAT_ROWS,
  ...SET_ROWS,
  ...CHANGE_ROWS,
]
