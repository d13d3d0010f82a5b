/**
 * Gets a fresh checkout ready: npm packages, dist/, and on Debian as root the
 * programs that tests compare us with. Idempotent; silent when all is there.
 *
 *     node cni-bin/setup.mjs --build     npm packages and dist/
 *     node cni-bin/setup.mjs --guest     the same, and what runs a guest kernel, through apt
 *     node cni-bin/setup.mjs --test      the same, and the test peers
 *
 * TRIVIUM_NO_APT=1 leaves apt alone; tests that miss a peer say so and skip.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import {
  accessSync,
  constants,
  existsSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'

const root = join(import.meta.dirname, '..')
const wants = new Set(process.argv.slice(2))
const say = (text) => console.error(`setup: ${text}`)

/** Debian package and a file of it. */
const NEEDED = {
  iproute2: '/usr/sbin/ip',
  'iputils-ping': '/usr/bin/ping',
  gcc: '/usr/bin/gcc',
  'libc6-dev': '/usr/include/stdio.h',
}
/** For test/guest: another kernel, emulated. */
const GUEST = {
  'busybox-static': '/var/lib/dpkg/info/busybox-static.list', // busybox has the same executable
  kmod: '/usr/sbin/modprobe',
  ...(process.arch === 'x64' ? { 'qemu-system-x86': '/usr/bin/qemu-system-x86_64' } : {}),
}
const PEERS = {
  ...NEEDED,
  ...GUEST,
  // BGP daemons, which test/bgp/interop holds our speaker against.
  bgpdump: '/usr/bin/bgpdump',
  bird2: '/usr/sbin/bird',
  exabgp: '/usr/sbin/exabgp',
  frr: '/usr/lib/frr/bgpd',
  gobgpd: '/usr/bin/gobgpd',
  chromium: '/usr/bin/chromium',
  containerd: '/usr/bin/containerd',
  'containernetworking-plugins': '/usr/lib/cni/bridge',
  'etcd-client': '/usr/bin/etcdctl',
  'etcd-server': '/usr/bin/etcd',
  ethtool: '/usr/sbin/ethtool',
  faketime: '/usr/bin/faketime',
  fish: '/usr/bin/fish',
  'gcc-aarch64-linux-gnu': '/usr/bin/aarch64-linux-gnu-gcc',
  // For cnitool, which is built from source.
  'golang-github-appc-cni-dev': '/usr/share/gocode/src/github.com/containernetworking/cni',
  'golang-go': '/usr/bin/go',
  iperf3: '/usr/bin/iperf3',
  iptables: '/usr/sbin/iptables',
  'libc6-dev-arm64-cross': '/usr/aarch64-linux-gnu/include/stdio.h',
  nftables: '/usr/sbin/nft',
  openssl: '/usr/bin/openssl',
  prometheus: '/usr/bin/promtool',
  runc: '/usr/sbin/runc',
  systemd: '/usr/bin/systemd-analyze',
  zsh: '/usr/bin/zsh',
}

function npmPackages() {
  const stamp = join(root, 'node_modules', '.package-lock.json')
  const lock = join(root, 'package-lock.json')
  if (existsSync(stamp) && statSync(stamp).mtimeMs >= statSync(lock).mtimeMs) return
  say('npm ci')
  execFileSync('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: root,
    stdio: ['ignore', 2, 2],
  })
}

function aptPackages(packages) {
  const missing = Object.entries(packages)
    .filter(([, file]) => !existsSync(file))
    .map(([name]) => name)
  if (missing.length === 0) return
  const why = aptRefusal()
  if (why !== undefined) {
    say(`not installed: ${missing.join(' ')} (${why})`)
    return
  }
  say(`apt-get install ${missing.join(' ')} (no service is started)`)
  withoutServices(() => {
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
    const apt = (...args) =>
      spawnSync('apt-get', ['-qq', ...args], { env, stdio: ['ignore', 'ignore', 2] })
    apt('update')
    const { status } = apt('install', '-y', '--no-install-recommends', ...missing)
    if (status !== 0) say(`apt-get exited ${status}: what is missing will be skipped`)
  })
}

function aptRefusal() {
  if (process.env['TRIVIUM_NO_APT'] === '1') return 'TRIVIUM_NO_APT=1'
  if (process.getuid?.() !== 0) return 'not root'
  return existsSync('/usr/bin/apt-get') ? undefined : 'no apt-get'
}

/** Debian starts servers as it installs them, unless this file says no (exit 101). */
function withoutServices(work) {
  const policy = '/usr/sbin/policy-rc.d'
  if (existsSync(policy)) return work()
  writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 })
  try {
    work()
  } finally {
    rmSync(policy, { force: true })
  }
}

/** Whether any source is newer than the bundle. */
function isStale() {
  const built = join(root, 'dist', 'cli.cjs')
  if (!existsSync(built)) return true
  const since = statSync(built).mtimeMs
  const files = execFileSync('git', [
    '-C',
    root,
    'ls-files',
    '-co',
    '--exclude-standard',
    'src',
    'ipam',
    'simulator',
    'cni-bin',
    'package-lock.json',
  ])
  return String(files)
    .trim()
    .split('\n')
    .some((file) => existsSync(join(root, file)) && statSync(join(root, file)).mtimeMs > since)
}

function checkNode() {
  const [major] = process.versions.node.split('.').map(Number)
  if (major >= 20) return
  say(`Cannot run on Node ${process.versions.node}: wanted 20 or newer`)
  process.exit(2)
}

checkNode()
accessSync(join(root, 'package.json'), constants.R_OK)
if (readFileSync('/proc/sys/kernel/ostype', 'utf8').trim() !== 'Linux')
  say('not Linux: only the unit tests will run')
npmPackages()
if (wants.has('--test')) aptPackages(PEERS)
else aptPackages(wants.has('--guest') ? { ...NEEDED, ...GUEST } : NEEDED)
if (wants.has('--test') && aptRefusal() === undefined)
  execFileSync(process.execPath, [join(root, 'test', 'runtimes', 'build-cnitool.mjs')], {
    stdio: ['ignore', 2, 2],
  })
if (isStale())
  execFileSync(process.execPath, [join(root, 'cni-bin', 'build.mjs')], { stdio: ['ignore', 2, 2] })
