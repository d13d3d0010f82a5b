/** A thread of `trivium sim sweep`. */
import { parentPort } from 'node:worker_threads'
import { serveRuns } from '../src/cli/sim-thread.ts'

if (parentPort !== null) serveRuns(parentPort)
