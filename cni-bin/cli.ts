#!/usr/bin/env node
/** The admin's command line; `trivium agent` runs the node's agent. */
import '../src/cli/threads.ts'

import { runCli } from '../src/cli/program.ts'

runCli(process.argv).then((status) => {
  process.exitCode = status
})
