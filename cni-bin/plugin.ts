/** The CNI executable: environment and standard input to standard output and exit status. */
import { runPlugin } from '../src/live/plugin.ts'

runPlugin(process.env, process.argv).then((status) => {
  // All is written and committed; closing one thing after another would only take time.
  process.exit(status)
})
