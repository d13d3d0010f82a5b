/**
 * Preloaded into an agent: how long its main thread is busy with one thing.
 *
 * A timer every millisecond looks how long it is since the last look. What the
 * thread waited for a processor in between is not its own doing and is taken
 * off; what it waited for the kernel (a lock, a disk) stays in.
 *
 * On SIGUSR2 it writes {longestMs, over5} to $TRIVIUM_STRETCH_FILE, and begins anew.
 */
const { openSync, readSync, renameSync, writeFileSync } = require('node:fs')
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
  let longestMs = 0
  let over5 = 0
  setInterval(() => {
    const now = performance.now()
    const waited = waitedMs()
    const busy = now - last - LOOK_MS - (waited - lastWaited)
    if (busy > longestMs) longestMs = busy
    if (busy > LONG_MS) over5 += 1
    last = now
    lastWaited = waited
  }, LOOK_MS)
  process.on('SIGUSR2', () => {
    writeFileSync(`${file}.new`, JSON.stringify({ longestMs, over5 }))
    renameSync(`${file}.new`, file)
    longestMs = 0
    over5 = 0
  })
}
