/**
 * What the guest's kernel unpacks first: a shell, the modules that it needs to
 * see the host's files, the first process, and the command to run.
 *
 * @module
 */
import { existsSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import type { GuestKernel } from './kernel.ts'

/** Debian: busybox-static, which needs no library. */
export const BUSYBOX = '/bin/busybox'

/** How the guest gets at files, and talks. What they need comes along. */
const MODULES = ['virtio_pci', 'virtio_console', 'virtiofs', 'overlay']

/** File types of `st_mode`, as inode(7) has them. */
const FOLDER = 0o040755
const PROGRAM = 0o100755
const FILE = 0o100644

/** An archive for `-initrd`. The kernel's own may be compressed; this one is small. */
export function initramfs(kernel: GuestKernel, texts: Readonly<Record<string, string>>): Buffer {
  const modules = modulePaths(kernel)
  const folders = ['bin', 'modules', 'proc', 'sys', 'dev', 'host', 'scratch', 'merged']
  const order = modules.map((path) => `/modules/${basename(path)}\n`).join('')
  return Buffer.concat([
    ...folders.map((name) => entry(name, FOLDER)),
    entry('bin/busybox', PROGRAM, readFileSync(BUSYBOX)),
    entry('init', PROGRAM, readFileSync(join(import.meta.dirname, 'init.sh'))),
    entry('modules/order', FILE, Buffer.from(order)),
    ...modules.map((path) => entry(`modules/${basename(path)}`, FILE, readFileSync(path))),
    ...Object.entries(texts).map(([name, text]) => entry(name, FILE, Buffer.from(text))),
    entry('TRAILER!!!', 0),
  ])
}

/** Files of the modules, each behind those it needs. What is part of the kernel itself has none. */
function modulePaths({ modules }: GuestKernel): readonly string[] {
  const needs = new Map<string, readonly string[]>()
  for (const line of readFileSync(join(modules, 'modules.dep'), 'utf8').split('\n')) {
    const [file = '', others = ''] = line.split(':')
    needs.set(nameOf(file), [file, ...others.split(' ').filter((other) => other !== '')])
  }
  const ordered = MODULES.flatMap((name) => [...(needs.get(name) ?? [])].reverse())
  return [...new Set(ordered)].map((file) => join(modules, file)).filter((path) => existsSync(path))
}

const nameOf = (file: string): string =>
  basename(file)
    .replace(/\.ko.*$/, '')
    .replaceAll('-', '_')

/** One member of a `newc` archive: Documentation/driver-api/early-userspace/buffer-format.rst. */
function entry(name: string, mode: number, content: Buffer = Buffer.alloc(0)): Buffer {
  const hex = (value: number): string => value.toString(16).padStart(8, '0')
  const inode = 0
  const fields = [inode, mode, 0, 0, 1, 0, content.length, 0, 0, 0, 0, name.length + 1, 0]
  const head = Buffer.from(`070701${fields.map(hex).join('')}${name}\0`)
  return Buffer.concat([padded(head), padded(content)])
}

/** Filled up to a multiple of four bytes. */
const padded = (bytes: Buffer): Buffer =>
  Buffer.concat([bytes, Buffer.alloc((4 - (bytes.length % 4)) % 4)])
