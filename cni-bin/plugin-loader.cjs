/**
 * Runs plugin-main.cjs, with V8's code from the build where this Node accepts it.
 * `TRIVIUM_CODE_CACHE=write` writes that code: the build does.
 */
const { readFileSync, writeFileSync } = require('node:fs')
const { Script } = require('node:vm')

const path = `${__dirname}/plugin-main.cjs`
/** The same wherever it is installed: V8's code remembers the name it was compiled under. */
const filename = 'trivium/plugin-main.cjs'
const cachePath = `${__dirname}/plugin-main-${process.versions.v8}-${process.arch}.cache`

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
