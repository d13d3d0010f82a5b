/**
 * Preloaded into our speaker: on SIGUSR2 it writes what Node says of its memory to
 * $TRIVIUM_MEMORY_FILE.
 */
const { renameSync, writeFileSync } = require('node:fs')
const { isMainThread } = require('node:worker_threads')

const file = process.env.TRIVIUM_MEMORY_FILE
if (file !== undefined && isMainThread) {
  process.on('SIGUSR2', () => {
    const { heapUsed, arrayBuffers } = process.memoryUsage()
    writeFileSync(`${file}.new`, JSON.stringify({ heapUsed, arrayBuffers }))
    renameSync(`${file}.new`, file)
  })
}
