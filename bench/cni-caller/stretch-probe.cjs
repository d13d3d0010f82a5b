/**
 * Preloaded into an agent: how long its main thread is busy with one thing.
 *
 * A timer every millisecond looks how long it is since the last look. What the
 * thread waited for a processor in between is not its own doing and is taken
 * off, and so is what it slept with nothing to do: a guest's processor may be
 * taken away. What it waited for the kernel (a lock, a disk) stays in.
 *
 * On SIGUSR2 it writes {longestMs, over5} to $TRIVIUM_STRETCH_FILE, and begins anew.
 *
 * With TRIVIUM_STRETCH_NAMES a sampling profiler runs as well, which costs some
 * itself, and `ran` says what the stretches over 5 ms spent their time in.
 */
const { openSync, readSync, renameSync, writeFileSync } = require('node:fs')
const { Session } = require('node:inspector')
const { threadId } = require('node:worker_threads')

const file = process.env.TRIVIUM_STRETCH_FILE
if (file !== undefined && threadId === 0 && process.argv.includes('agent')) {
  const LOOK_MS = 1
  const LONG_MS = 5
  /** Nanoseconds on a processor, nanoseconds waiting for one, slices. Source: Linux Documentation/scheduler/sched-stats.rst. */
  const schedstat = openSync(`/proc/self/task/${process.pid}/schedstat`, 'r')
  const room = Buffer.alloc(128)
  const waitedMs = () =>
    Number(room.toString('latin1', 0, readSync(schedstat, room, 0, 128, 0)).split(' ')[1]) / 1e6
  let last = performance.now()
  let lastWaited = waitedMs()
  let lastIdle = performance.eventLoopUtilization().idle
  let longestMs = 0
  let over5 = 0
  /** When it began and ended, in microseconds of the profiler's clock. */
  let stretches = []
  const named = process.env.TRIVIUM_STRETCH_NAMES === undefined ? undefined : profiler()
  setInterval(() => {
    const now = performance.now()
    const waited = waitedMs()
    const idle = performance.eventLoopUtilization().idle
    // Waking up late is in both.
    const busy = now - last - Math.max(idle - lastIdle, LOOK_MS + waited - lastWaited)
    if (busy > longestMs) longestMs = busy
    if (busy > LONG_MS) {
      over5 += 1
      const end = Number(process.hrtime.bigint() / 1000n)
      if (stretches.length < 500) stretches.push({ start: end - (now - last) * 1000, end, busy })
    }
    last = now
    lastWaited = waited
    lastIdle = idle
  }, LOOK_MS)
  process.on('SIGUSR2', () => {
    const ran = named?.(stretches)
    writeFileSync(`${file}.new`, JSON.stringify({ longestMs, over5, ran }))
    renameSync(`${file}.new`, file)
    longestMs = 0
    over5 = 0
    stretches = []
    last = performance.now()
    lastWaited = waitedMs()
    lastIdle = performance.eventLoopUtilization().idle
  })
}

/** Starts one; returns a function that names what ran in the stretches given, and goes on. */
function profiler() {
  const SAMPLE_US = 200
  const session = new Session()
  session.connect()
  session.post('Profiler.enable')
  session.post('Profiler.setSamplingInterval', { interval: SAMPLE_US })
  session.post('Profiler.start')
  return (stretches) => {
    let ran = []
    session.post('Profiler.stop', (_, { profile }) => {
      ran = stretches.map((stretch) => nameOf(profile, stretch))
    })
    session.post('Profiler.start')
    return ran.sort((left, right) => right.ms - left.ms).slice(0, 8)
  }
}

function nameOf({ nodes, samples, timeDeltas, startTime }, { start, end, busy }) {
  const byId = new Map(nodes.map((node) => [node.id, node]))
  const parentOf = new Map(
    nodes.flatMap(({ id, children = [] }) => children.map((child) => [child, id])),
  )
  const whole = new Map()
  const own = new Map()
  const add = (map, name, ms) => map.set(name, (map.get(name) ?? 0) + ms)
  let at = startTime
  for (const [index, id] of samples.entries()) {
    at += timeDeltas[index]
    // What is sampled lasts until the next one.
    const ms = (timeDeltas[index + 1] ?? 0) / 1000
    if (at < start || at > end) continue
    const seen = new Set()
    for (let each = id; each !== undefined; each = parentOf.get(each)) {
      const { functionName, lineNumber } = byId.get(each).callFrame
      const name = `${functionName || 'anonymous'}:${lineNumber + 1}`
      if (each === id) add(own, name, ms)
      if (!seen.has(name)) add(whole, name, ms)
      seen.add(name)
    }
  }
  const most = (map, count) =>
    [...map]
      .sort(([, left], [, right]) => right - left)
      .slice(0, count)
      .map(([name, ms]) => `${name} ${ms.toFixed(1)}`)
      .join(', ')
  return { ms: busy, whole: most(whole, 24), own: most(own, 8) }
}
