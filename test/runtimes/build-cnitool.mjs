/**
 * Builds cnitool, libcni's own command line, from Debian's source package: its
 * binary packages hold the library only. Once a version; silent when it is
 * there, and when Go or the library is not installed.
 *
 *     node test/runtimes/build-cnitool.mjs
 *     node test/runtimes/build-cnitool.mjs --path    where it is; builds nothing
 *
 * Fetches the source from the mirror that the machine's own apt uses, with a
 * list and an index of its own, so that nothing of apt's configuration changes.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Debian's source package of libcni, and the binary package with the library to build against. */
const SOURCE_PACKAGE = 'golang-github-appc-cni'
const LIBRARY_PACKAGE = 'golang-github-appc-cni-dev'

/** Outside the checkout, which may be fresh each time; keyed by version. */
const CACHE = '/var/cache/trivium-test'

const path = cnitoolPath()
const isBuilt = path !== undefined && existsSync(path)
if (process.argv[2] === '--path') console.log(isBuilt ? path : '')
else if (path !== undefined && !isBuilt && existsSync('/usr/bin/go')) build(path)

/** undefined when the library is not installed, or this is no Debian. */
function cnitoolPath() {
  const { stdout } = spawnSync('dpkg-query', ['-s', LIBRARY_PACKAGE], { encoding: 'utf8' })
  if (!stdout?.includes('Status: install ok installed')) return undefined
  const [, version] = /^Version: (\S+)$/m.exec(stdout) ?? []
  return join(CACHE, `cnitool-${version}`)
}

function build(path) {
  console.error('setup: building cnitool (once)')
  const work = mkdtempSync(join(tmpdir(), 'trivium-cnitool-'))
  try {
    const source = fetchSource(work)
    const fresh = `${path}.${process.pid}`
    mkdirSync(join(path, '..'), { recursive: true })
    execFileSync('/usr/bin/go', ['build', '-trimpath', '-o', fresh, source], {
      env: {
        PATH: process.env['PATH'] ?? '/usr/bin:/bin',
        HOME: work,
        GOCACHE: join(work, 'go-cache'),
        GO111MODULE: 'off',
        GOPROXY: 'off',
        GOPATH: '/usr/share/gocode',
        CGO_ENABLED: '0',
      },
      stdio: ['ignore', 'ignore', 'inherit'],
    })
    renameSync(fresh, path)
  } catch (thrown) {
    console.error(`setup: cnitool was not built, its tests will be skipped: ${thrown.message}`)
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

/** The path of cnitool.go in an unpacked source package. */
function fetchSource(work) {
  const [list, index] = [join(work, 'sources.list'), join(work, 'lists')]
  writeFileSync(list, `${sourceLines().join('\n')}\n`)
  mkdirSync(join(index, 'partial'), { recursive: true })
  const own = { 'Dir::Etc::sourcelist': list, 'Dir::State::lists': index }
  // apt fetches as a user of its own where it can; this folder is root's.
  const settings = { ...own, 'Dir::Etc::sourceparts': '-', 'APT::Sandbox::User': 'root' }
  const flags = Object.entries(settings).flatMap(([key, value]) => ['-o', `${key}=${value}`])
  const apt = (...args) =>
    execFileSync('apt-get', ['-qq', ...flags, ...args], {
      cwd: work,
      stdio: ['ignore', 'ignore', 'inherit'],
    })
  apt('update')
  apt('source', '--download-only', SOURCE_PACKAGE)
  const archive = readdirSync(work).find((file) => file.includes('.orig.tar.'))
  if (archive === undefined) throw new Error(`no archive in the source of ${SOURCE_PACKAGE}`)
  execFileSync('tar', ['-xf', archive, '--strip-components=1', '--one-top-level=source'], {
    cwd: work,
  })
  return join(work, 'source', 'cnitool', 'cnitool.go')
}

/** A `deb-src` line for each of Debian's archives that the machine takes packages from. */
function sourceLines() {
  const wanted = ['Origin: Debian', 'Created-By: Packages']
  const format = 'deb-src $(REPO_URI) $(RELEASE) $(COMPONENT)'
  const targets = execFileSync('apt-get', ['indextargets', ...wanted, '--format', format])
  return String(targets).trim().split('\n')
}
