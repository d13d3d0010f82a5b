/**
 * An OCI image with a static busybox and nothing else, as one tar: the pods'
 * and the containers' image, built without any tool or registry.
 *
 * Source: OCI image specification 1.0 (image-layout, manifest, config, layer);
 * tar: POSIX.1-1988 ustar.
 *
 * @module
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'

export const BUSYBOX = '/bin/busybox'

/** Whether a 64-bit little-endian executable needs no loader: no PT_INTERP. Source: elf(5). */
export function isStatic(path: string): boolean {
  const elf = readFileSync(path)
  const [at, size, count] = [
    Number(elf.readBigUInt64LE(32)),
    elf.readUInt16LE(54),
    elf.readUInt16LE(56),
  ]
  const types = Array.from({ length: count }, (_, index) => elf.readUInt32LE(at + index * size))
  return !types.includes(3)
}

/** A file, a folder or a symbolic link of an archive. */
interface Entry {
  readonly path: string
  readonly mode: number
  readonly content?: Uint8Array
  readonly target?: string
}

const APPLETS = ['cat', 'httpd', 'ip', 'nc', 'ping', 'sh', 'sleep']

/** The archive that `ctr images import` takes; `name` is the image's reference. */
export function busyboxImage(name: string): Buffer {
  const layer = tar([
    ...['bin/', 'dev/', 'etc/', 'proc/', 'sys/', 'tmp/'].map((path) => ({ path, mode: 0o755 })),
    { path: 'bin/busybox', mode: 0o755, content: readFileSync(BUSYBOX) },
    ...APPLETS.map((applet) => ({ path: `bin/${applet}`, mode: 0o777, target: 'busybox' })),
  ])
  const architecture = process.arch === 'x64' ? 'amd64' : process.arch
  const config = json({
    architecture,
    os: 'linux',
    config: { Env: ['PATH=/bin'], Entrypoint: ['/bin/sleep', '2147483647'] },
    rootfs: { type: 'layers', diff_ids: [digest(layer)] },
  })
  const manifest = json({
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: descriptor('application/vnd.oci.image.config.v1+json', config),
    layers: [descriptor('application/vnd.oci.image.layer.v1.tar', layer)],
  })
  const index = json({
    schemaVersion: 2,
    manifests: [
      {
        ...descriptor('application/vnd.oci.image.manifest.v1+json', manifest),
        annotations: { 'io.containerd.image.name': name },
        platform: { architecture, os: 'linux' },
      },
    ],
  })
  const blob = (content: Uint8Array): Entry => ({
    path: `blobs/${digest(content).replace(':', '/')}`,
    mode: 0o644,
    content,
  })
  return tar([
    { path: 'oci-layout', mode: 0o644, content: json({ imageLayoutVersion: '1.0.0' }) },
    { path: 'index.json', mode: 0o644, content: index },
    ...[manifest, config, layer].map(blob),
  ])
}

const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value))

const digest = (content: Uint8Array): string =>
  `sha256:${createHash('sha256').update(content).digest('hex')}`

const descriptor = (mediaType: string, content: Uint8Array) => ({
  mediaType,
  digest: digest(content),
  size: content.length,
})

const BLOCK_BYTES = 512

function tar(entries: readonly Entry[]): Buffer {
  const end = Buffer.alloc(2 * BLOCK_BYTES)
  return Buffer.concat([...entries.flatMap(entryBlocks), end])
}

function entryBlocks(entry: Entry): readonly Uint8Array[] {
  const { content = new Uint8Array() } = entry
  const padding = -content.length & (BLOCK_BYTES - 1)
  return [header(entry, content.length), content, Buffer.alloc(padding)]
}

/** Type flags: 0 a file, 2 a symbolic link, 5 a folder. */
function header({ path, mode, target }: Entry, sizeBytes: number): Buffer {
  const block = Buffer.alloc(BLOCK_BYTES)
  const octal = (value: number, digits: number): string =>
    `${value.toString(8).padStart(digits, '0')}\0`
  block.write(path, 0)
  block.write(octal(mode, 7), 100)
  block.write(octal(0, 7), 108)
  block.write(octal(0, 7), 116)
  block.write(octal(sizeBytes, 11), 124)
  block.write(octal(0, 11), 136)
  block.write(' '.repeat(8), 148)
  block.write(target !== undefined ? '2' : path.endsWith('/') ? '5' : '0', 156)
  block.write(target ?? '', 157)
  block.write('ustar\x0000', 257, 'latin1')
  const sum = block.reduce((total, byte) => total + byte, 0)
  block.write(`${octal(sum, 6)} `, 148)
  return block
}
