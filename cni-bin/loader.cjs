#!/usr/bin/env node
/**
 * Runs the -main.cjs of its own name, with V8's code from the build where this
 * Node accepts it. `TRIVIUM_CODE_CACHE=write` writes that code: the build does.
 */
const { readFileSync, writeFileSync } = require('node:fs')
const { basename } = require('node:path')
const { Script } = require('node:vm')

const name = `${basename(__filename, '.cjs')}-main`
const path = `${__dirname}/${name}.cjs`
/** The same wherever it is installed: V8's code remembers the name it was compiled under. */
const filename = `trivium/${name}.cjs`
const cachePath = `${__dirname}/${name}-${process.versions.v8}-${process.arch}.cache`

function compiled() {
  try {
    return readFileSync(cachePath)
  } catch {
    return undefined
  }
}

const script = new Script(readFileSync(path, 'utf8'), { filename, cachedData: compiled() })
if (process.env['TRIVIUM_CODE_CACHE'] === 'write') {
  process.on('exit', () => writeFileSync(cachePath, script.createCachedData()))
}
script.runInThisContext()(exports, require, module, path, __dirname)
