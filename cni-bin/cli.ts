/** The admin's command line; `trivium agent` runs the node's agent. */
import '../src/cli/threads.ts'

import { runCli } from '../src/cli/program.ts'

// Who read the answer has gone, as `head` does: nothing to say, and nobody to say it to.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
  process.exit()
})

runCli(process.argv).then((status) => {
  process.exitCode = status
})
