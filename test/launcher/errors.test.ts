/**
 * What the launcher itself has to say: errors before any plugin runs, and the
 * command line.
 */

import { spawnSync } from 'node:child_process'
import { closeSync, openSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { cannotCompile, echoOf, Installation, RELEASE } from './support.ts'

const skip = cannotCompile(RELEASE)
const MIB = 1024 * 1024

t.test('launcher on its own', { skip }, async (t) => {
  const installed = new Installation(RELEASE)
  t.teardown(() => installed.remove())
  const add = { CNI_COMMAND: 'ADD' }

  await t.test('arguments go to the command line', async (t) => {
    const env = { PATH: '/nowhere', CNI_COMMAND: 'ADD' }
    const argv = ['ipam', 'show', '--pool', '', 'a b', "'$(x)'"]
    const ended = await installed.run({ argv, env })
    t.equal(ended.status, 3)
    t.match(JSON.parse(ended.stdout), { script: 'cli', argv, env })
  })

  await t.test('without CNI_COMMAND the plugin says what it is', async (t) => {
    for (const env of [{}, { CNI_COMMAND: '' }] as Record<string, string>[]) {
      const echo = echoOf(await installed.run({ name: 'trivium-ipam', env, stdin: 'left alone' }))
      t.strictSame(echo?.env, { ...env, TRIVIUM_PLUGIN: 'trivium-ipam' })
      t.equal(echo?.stdin, Buffer.from('left alone').toString('hex'))
    }
  })

  await t.test('finds its files through a link, and whatever it is called', async (t) => {
    const link = installed.path('linked')
    symlinkSync(join(installed.bin, 'trivium'), link)
    const started = spawnSync(link, [], { env: add, input: '{}', encoding: 'utf8' })
    t.match(JSON.parse(started.stdout), { env: { TRIVIUM_PLUGIN: 'trivium' } })
    const renamed = spawnSync(link, {
      argv0: '/x/trivium-ipam',
      env: add,
      input: '{}',
      encoding: 'utf8',
    })
    t.match(JSON.parse(renamed.stdout), { env: { TRIVIUM_PLUGIN: 'trivium-ipam' } })
  })

  await t.test('stdin larger than 16 MiB', async (t) => {
    const config = `{"cniVersion":"1.0.0","padding":"`
    const fits = config + ' '.repeat(16 * MIB - config.length)
    t.equal(echoOf(await installed.run({ env: add, stdin: fits }))?.stdin.length, 32 * MIB)
    const ended = await installed.run({ env: add, stdin: `${fits} ` })
    t.equal(ended.status, 1)
    t.match(JSON.parse(ended.stdout), { cniVersion: '1.0.0', code: 5, details: /16 MiB/ })
  })

  await t.test('stdin that cannot be read', async (t) => {
    const directory = openSync(installed.root, 'r')
    t.teardown(() => closeSync(directory))
    const start = (command: string) =>
      spawnSync(join(installed.bin, 'trivium'), {
        env: { CNI_COMMAND: command },
        stdio: [directory, 'pipe', 'pipe'],
        encoding: 'utf8',
      })
    t.match(JSON.parse(start('ADD').stdout), { code: 5, details: /directory/ })
    t.match(JSON.parse(start('VERSION').stdout), { script: 'plugin', stdin: '' })
  })

  await t.test('the version in its errors is the one of the configuration', async (t) => {
    rmSync(join(installed.bin, '.trivium/node'))
    t.teardown(() => symlinkSync(process.execPath, join(installed.bin, '.trivium/node')))
    const versions: readonly (readonly [string, string])[] = [
      ['{"cniVersion":"0.3.1"}', '0.3.1'],
      ['{"a":{"cniVersion":"0.2.0"}}', '1.1.0'],
      ['{"cniVersion":"1.0.0","name"', '1.0.0'],
      ['{"cniVersion":"1.0.0', '1.1.0'],
      ['{"cniVersion":"1.0.0\\",\\"x"}', '1.1.0'],
      ['{"cniVersion":"12345678901234567"}', '1.1.0'],
      ['{"cniVersion":""}', '1.1.0'],
      ['{"cniVersion":1}', '1.1.0'],
      ['', '1.1.0'],
    ]
    for (const [stdin, cniVersion] of versions) {
      const { status, stdout } = await installed.run({ env: add, stdin })
      t.equal(status, 1)
      t.match(JSON.parse(stdout), { cniVersion, code: 999 }, stdin)
    }
  })

  for (const file of ['node', 'plugin.cjs']) {
    await t.test(`${file} is missing`, async (t) => {
      const broken = new Installation(RELEASE)
      t.teardown(() => broken.remove())
      const path = join(broken.bin, '.trivium', file)
      rmSync(path)
      const ended = await broken.run({ env: add, stdin: '{}' })
      t.equal(ended.status, 1)
      const { details, ...rest } = JSON.parse(ended.stdout)
      t.strictSame(rest, { cniVersion: '1.1.0', code: 999, msg: 'cannot start the plugin' })
      t.match(details, `${path}: No such file`)
    })
  }

  await t.test('a missing command line is for a person to read', async (t) => {
    const broken = new Installation(RELEASE)
    t.teardown(() => broken.remove())
    const path = join(broken.bin, '.trivium/cli.cjs')
    rmSync(path)
    const ended = await broken.run({ argv: ['doctor'] })
    t.match(ended, { status: 1, stdout: '', stderr: `cannot start ${path}: No such file` })
  })
})
