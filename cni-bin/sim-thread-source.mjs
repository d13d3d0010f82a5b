/** The same as sim-thread.ts from sources: a thread does not take over its parent's loader. */
import { register } from 'tsx/esm/api'

register()
await import('./sim-thread.ts')
