/**
 * One command in a machine of its own: QEMU without hardware support, which is
 * slow and works everywhere, also inside a virtual machine.
 *
 * @module
 */
import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { BUSYBOX, initramfs } from './initramfs.ts'
import { type GuestKernel, guestKernel, hasKernel } from './kernel.ts'

const QEMU = '/usr/bin/qemu-system-x86_64'
/** Serves a folder to a guest. */
const VIRTIOFSD = '/usr/lib/qemu/virtiofsd'

/** Debian's package and the file of it that is used. */
export const GUEST_PROGRAMS: Readonly<Record<string, string>> = {
  'qemu-system-x86': QEMU,
  'qemu-system-common': VIRTIOFSD,
  'busybox-static': BUSYBOX,
  kmod: '/sbin/modprobe',
}

/** Exit status when the time was up, as timeout(1) has it. */
export const TIME_IS_UP = 124

/** From QEMU's start to the command's, with much else to do: measured 2 to 3 s on a quiet machine. */
const BOOT_SECONDS_MAX = 180
/** Before the command has run, nothing is lost by another try. */
const BOOTS_MAX = 2

/** Serial ports, by what goes through them. */
const PORTS = ['control', 'output', 'errors'] as const

const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/**
 * Documentation/admin-guide/kernel-parameters.txt. An address that is random in each
 * process makes the emulation translate its code anew: fork and exec take 30 ms instead of 8.
 *
 * Nothing vouches for the TSC: on a loaded machine the kernel may take its frequency for a
 * fifth of what it is, and all clocks run five times too fast until its watchdog sees it.
 */
const KERNEL_PARAMETERS = [
  'console=ttyS0',
  'quiet',
  'panic=-1',
  'norandmaps',
  'nokaslr',
  'mitigations=off',
  'nowatchdog',
  'audit=0',
  'random.trust_cpu=on',
  'rcupdate.rcu_expedited=1',
  'rcupdate.rcu_cpu_stall_suppress=1',
]

export interface GuestCommand {
  readonly command: readonly string[]
  /** Where it runs; the only folder of the host that it can write to. */
  readonly folder: string
  readonly env: Readonly<Record<string, string | undefined>>
  /** Counts from the command's start. @default no limit */
  readonly secondsMax?: number
  /** @default 2048 */
  readonly memoryMebibytes?: number
  /** @default 1 */
  readonly processors?: number
  onOutput(bytes: Buffer): void
  onErrors(bytes: Buffer): void
}

/** Why no guest can run here; undefined when one can. */
export function unableToGuest(): string | undefined {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    return `a guest is made for Linux on x64, this is ${process.platform} on ${process.arch}`
  }
  if (process.getuid?.() !== 0) return 'not root'
  const missing = Object.keys(GUEST_PROGRAMS).filter(
    (name) => !existsSync(GUEST_PROGRAMS[name] ?? ''),
  )
  if (missing.length > 0) return `not installed: ${missing.join(' ')}`
  return hasKernel() ? undefined : 'no kernel for it is kept, and TRIVIUM_NO_APT=1'
}

/**
 * Exit status of the command, or `TIME_IS_UP`.
 * @throws Error when the guest did not start, or died before the command had ended
 */
export async function runInGuest(options: GuestCommand): Promise<number> {
  const kernel = guestKernel()
  for (let boot = 1; ; boot++) {
    const ended = await booted(kernel, options)
    if (ended.kind === 'status') return ended.status
    if (ended.kind === 'died' || boot === BOOTS_MAX) throw new Error(ended.reason)
    console.error(`guest: ${ended.reason}\nguest: trying once more`)
  }
}

type Ended =
  | { readonly kind: 'status'; readonly status: number }
  /** Before the command ran, or while it did. */
  | { readonly kind: 'not started' | 'died'; readonly reason: string }

/** One start of the machine; nothing of it is left afterwards. */
async function booted(kernel: GuestKernel, options: GuestCommand): Promise<Ended> {
  const place = mkdtempSync(join(tmpdir(), 'trivium-guest-'))
  const children: ChildProcess[] = []
  const servers: Server[] = []
  const end = (): void => {
    for (const child of children) child.kill('SIGKILL')
    for (const server of servers) server.close()
    rmSync(place, { recursive: true, force: true })
  }
  process.once('exit', end)
  try {
    const texts = { settings: settings(kernel, options), command: script(options) }
    writeFileSync(join(place, 'initramfs'), initramfs(kernel, texts))
    const sockets = PORTS.map((name) => {
      const server = createServer().listen(join(place, name))
      servers.push(server)
      return once(server, 'connection') as Promise<[Socket]>
    })
    children.push(await filesServer(place))
    const stdio: StdioOptions = ['ignore', 'ignore', 'pipe']
    const qemu = spawn(QEMU, machine(kernel, place, options), { stdio })
    children.push(qemu)
    return await followed(qemu, sockets, options, () => lastWords(place))
  } finally {
    process.removeListener('exit', end)
    end()
  }
}

/** Waits for the command's end, and for all that it said. */
async function followed(
  qemu: ChildProcess,
  sockets: readonly Promise<[Socket]>[],
  options: GuestCommand,
  consoleEnd: () => string,
): Promise<Ended> {
  let complaint = ''
  qemu.stderr?.on('data', (bytes: Buffer) => {
    complaint += String(bytes)
  })
  const gone = once(qemu, 'exit').then(() => undefined)
  const connected = await Promise.race([Promise.all(sockets), gone])
  if (connected === undefined) {
    return { kind: 'not started', reason: `QEMU ended at once: ${complaint.trim()}` }
  }
  const [[control], [output], [errors]] = connected as [[Socket], [Socket], [Socket]]
  output.on('data', options.onOutput)
  errors.on('data', options.onErrors)
  const said = Promise.all([once(output, 'close'), once(errors, 'close')])
  const seconds = { boot: BOOT_SECONDS_MAX, command: options.secondsMax }
  const ended = await outcome(control, gone, seconds, () =>
    [complaint.trim(), 'its console ends:', consoleEnd()].join('\n'),
  )
  qemu.kill('SIGKILL')
  await said
  return ended
}

/** What the guest tells of itself: that it is up, and the exit status. */
function outcome(
  control: Socket,
  gone: Promise<void>,
  seconds: { readonly boot: number; readonly command: number | undefined },
  details: () => string,
): Promise<Ended> {
  return new Promise((resolve) => {
    let told = ''
    let timer: NodeJS.Timeout | undefined
    const end = (ended: Ended): void => {
      clearTimeout(timer)
      resolve(ended)
    }
    const isUp = (): boolean => told.includes('up\n')
    const fail = (why: string): void =>
      end({ kind: isUp() ? 'died' : 'not started', reason: `${why}; ${details()}` })
    timer = setTimeout(() => fail(`no guest after ${seconds.boot} s`), seconds.boot * 1000)
    gone.then(() => fail('the guest died'))
    control.on('data', (bytes: Buffer) => {
      const wasUp = isUp()
      told += String(bytes)
      const status = /^exit (\d+)$/m.exec(told)?.[1]
      if (status !== undefined) end({ kind: 'status', status: Number(status) })
      if (wasUp || !isUp()) return
      clearTimeout(timer)
      if (status !== undefined || seconds.command === undefined) return
      const timeIsUp = (): void => end({ kind: 'status', status: TIME_IS_UP })
      timer = setTimeout(timeIsUp, seconds.command * 1000)
    })
  })
}

function lastWords(place: string): string {
  const file = join(place, 'console')
  return existsSync(file) ? readFileSync(file, 'utf8').split('\n').slice(-25).join('\n') : ''
}

/** virtiofsd, which gives the guest this machine's files; ready when its socket is there. */
async function filesServer(place: string): Promise<ChildProcess> {
  const socket = join(place, 'files')
  const args = [`--socket-path=${socket}`, '-o', 'source=/', '-o', 'cache=always']
  const server = spawn(VIRTIOFSD, [...args, '-o', 'sandbox=chroot'], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let complaint = ''
  server.stderr?.on('data', (bytes: Buffer) => {
    complaint = `${complaint}${String(bytes)}`.slice(-1000)
  })
  for (let tries = 0; !existsSync(socket); tries++) {
    if (server.exitCode !== null || tries > 3000) {
      server.kill('SIGKILL')
      throw new Error(`${VIRTIOFSD} did not start: ${complaint.trim()}`)
    }
    await sleep(10)
  }
  return server
}

/** QEMU's command line. */
function machine(kernel: GuestKernel, place: string, options: GuestCommand): readonly string[] {
  const { memoryMebibytes = 2048, processors = 1 } = options
  const memory = `memory-backend-memfd,id=memory,share=on,size=${memoryMebibytes}M`
  const ports = PORTS.flatMap((name) => [
    ...['-chardev', `socket,id=${name},path=${join(place, name)}`],
    ...['-device', `virtserialport,chardev=${name},name=${name}`],
  ])
  return [
    ...['-machine', 'q35,memory-backend=memory,usb=off,sata=off,smbus=off'],
    ...['-nodefaults', '-no-user-config', '-no-reboot', '-display', 'none', '-nic', 'none'],
    // Five-level page tables and protection keys cost emulation without end.
    ...['-accel', 'tcg', '-cpu', 'max,-la57,-pku', '-smp', String(processors)],
    ...['-m', String(memoryMebibytes), '-object', memory],
    ...['-kernel', kernel.image, '-initrd', join(place, 'initramfs')],
    ...['-append', KERNEL_PARAMETERS.join(' ')],
    ...['-serial', `file:${join(place, 'console')}`],
    ...['-device', 'virtio-serial-pci', ...ports],
    ...['-chardev', `socket,id=files,path=${join(place, 'files')}`],
    ...['-device', 'vhost-user-fs-pci,chardev=files,tag=host'],
  ]
}

/** What `init.sh` has to know. */
function settings(kernel: GuestKernel, { folder }: GuestCommand): string {
  const { release, modules } = kernel
  const all = { RELEASE: release, MODULES: realpathSync(modules), SHARED: realpathSync(folder) }
  return Object.entries(all)
    .map(([name, value]) => `${name}=${quoted(value)}\n`)
    .join('')
}

/** The command with its environment and folder, for a shell. */
function script({ command, env, folder }: GuestCommand): string {
  const exports = Object.entries({ PATH, HOME: '/root', ...env })
    .filter(([name, value]) => value !== undefined && /^[A-Za-z_]\w*$/.test(name))
    .map(([name, value]) => `export ${name}=${quoted(value ?? '')}\n`)
  return `${exports.join('')}cd ${quoted(folder)} || exit 126\nexec ${command.map(quoted).join(' ')}\n`
}

const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`
