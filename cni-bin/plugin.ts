/** The CNI executable: environment and standard input to standard output and exit status. */
import { endPlugin, runPlugin } from '../src/live/plugin.ts'

runPlugin(process.env, process.argv).then((status) => endPlugin(status, process.env))
