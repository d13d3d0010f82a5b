// Loaded into an agent before its own code (node --require): at SIGUSR2 it collects
// garbage and writes what is left to $TRIVIUM_HEAP_FILE, so that growth can be told
// from a collector's moods.
const { renameSync, writeFileSync } = require('node:fs')
const { setFlagsFromString } = require('node:v8')
const { runInNewContext } = require('node:vm')

setFlagsFromString('--expose-gc')
const gc = runInNewContext('gc')
let count = 0

process.on('SIGUSR2', () => {
  // What a first collection finalises, a second one frees.
  gc()
  setImmediate(() => {
    gc()
    const file = process.env.TRIVIUM_HEAP_FILE
    count += 1
    writeFileSync(`${file}.new`, JSON.stringify({ ...process.memoryUsage(), count }))
    renameSync(`${file}.new`, file)
  })
})
