/** OUT-03: codes of the specification: runtimes act on the numbers, people on the words. */
import t from 'tap'
import { cniError } from '../../src/cni/mod.ts'
import { type ErrorCode, TriviumError } from '../../src/errors.ts'

const CODES: Readonly<Record<ErrorCode, number>> = {
  INCOMPATIBLE_VERSION: 1,
  UNSUPPORTED_FIELD: 2,
  BAD_ENVIRONMENT: 4,
  BAD_JSON: 6,
  BAD_CONFIG: 7,
  NOT_FOUND: 7,
  UNKNOWN_NODE: 7,
  USAGE: 7,
  BAD_NETNS: 8,
  TRY_LATER: 11,
  EXHAUSTED: 11,
  UNAVAILABLE: 50,
  CUT_OFF: 51,
  CONFLICT: 100,
  KERNEL: 101,
  STORE: 102,
  CHECK_FAILED: 103,
  INTERNAL: 999,
}

for (const [code, number] of Object.entries(CODES)) {
  const error = cniError(new TriviumError(code as ErrorCode, 'what', 'what to do'), '0.4.0')
  t.strictSame(
    error,
    { cniVersion: '0.4.0', code: number, msg: 'what', details: 'what to do' },
    `${code} is ${number}`,
  )
  t.not(number, 3, `${code}: "container unknown" would tell the runtime to skip DEL`)
}

t.strictSame(cniError(new RangeError('boom'), '1.1.0'), {
  cniVersion: '1.1.0',
  code: 999,
  msg: 'boom',
  details: '',
})
t.match(cniError('text', '1.1.0'), { code: 999, msg: 'text' })
t.match(cniError(undefined, '1.1.0'), { code: 999, msg: 'undefined' })
