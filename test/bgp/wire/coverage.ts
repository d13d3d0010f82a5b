/** Which branches of some files ran, as V8 counts blocks; c8 reads the same. */
import { type Profiler, Session } from 'node:inspector'

export interface Coverage {
  /** Ends it; a line a file and one for all. */
  stop(): readonly string[]
}

export function startCoverage(part: string): Coverage {
  const session = new Session()
  session.connect()
  session.post('Profiler.enable')
  session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true })
  return {
    stop() {
      let scripts: Profiler.ScriptCoverage[] = []
      // With a session of this process's own the answer is there at once.
      session.post('Profiler.takePreciseCoverage', (_error, { result }) => {
        scripts = result
      })
      session.post('Profiler.stopPreciseCoverage')
      session.disconnect()
      return linesOf(scripts.filter(({ url }) => url.includes(part)))
    },
  }
}

function linesOf(scripts: readonly Profiler.ScriptCoverage[]): readonly string[] {
  let [metAll, all] = [0, 0]
  const lines = scripts.map(({ url, functions }) => {
    const ranges = functions.flatMap((each) => each.ranges)
    const met = ranges.filter(({ count }) => count > 0).length
    metAll += met
    all += ranges.length
    return `branches of ${url.slice(url.lastIndexOf('/') + 1)}: ${met} of ${ranges.length}`
  })
  return [...lines, `branches met: ${metAll} of ${all} (${((100 * metAll) / all).toFixed(1)} %)`]
}
