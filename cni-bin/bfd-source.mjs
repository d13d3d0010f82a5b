/** The same as bfd.ts from sources: a thread does not take over its parent's loader. */
import { register } from 'tsx/esm/api'

register()
await import('./bfd.ts')
