/**
 * Reads PNG pictures of 8 bits a channel without interlace, which is what a browser
 * takes. Source: W3C, Portable Network Graphics, sections 5, 9 and 11.
 */
import { inflateSync } from 'node:zlib'

export interface Picture {
  readonly width: number
  readonly height: number
  /** 0xrrggbb, line by line. */
  readonly pixels: Uint32Array
}

export function readPng(data: Buffer): Picture {
  const width = data.readUInt32BE(16)
  const height = data.readUInt32BE(20)
  const channels = data[25] === 6 ? 4 : 3
  const raw = inflateSync(Buffer.concat(chunks(data, 'IDAT')))
  const stride = width * channels
  const pixels = new Uint32Array(width * height)
  let before: Uint8Array = new Uint8Array(stride)
  for (let y = 0; y < height; y++) {
    const start = y * (stride + 1)
    const line = unfiltered(
      raw[start] ?? 0,
      raw.subarray(start + 1, start + 1 + stride),
      before,
      channels,
    )
    for (let x = 0; x < width; x++) {
      const at = x * channels
      pixels[y * width + x] = (line[at]! << 16) | (line[at + 1]! << 8) | line[at + 2]!
    }
    before = line
  }
  return { width, height, pixels }
}

/** A part of a picture, in its pixels. */
export interface Region {
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
}

/** How many pixels are not of the most frequent color, from 0 to 1, and how many colors there are. */
export function inkOf(
  { width, height, pixels }: Picture,
  region: Region = { x: 0, y: 0, width, height },
): { readonly share: number; readonly colors: number } {
  const counts = new Map<number, number>()
  let [all, most] = [0, 0]
  let [last, run] = [-1, 0]
  const settle = (): void => {
    const total = (counts.get(last) ?? 0) + run
    if (run > 0) counts.set(last, total)
    most = Math.max(most, total)
  }
  const bottom = Math.min(height, Math.floor(region.y + region.height))
  const right = Math.min(width, Math.floor(region.x + region.width))
  for (let y = Math.ceil(region.y); y < bottom; y++) {
    for (let x = Math.ceil(region.x); x < right; x++) {
      const pixel = pixels[y * width + x] ?? 0
      all++
      if (pixel === last) {
        run++
        continue
      }
      settle()
      last = pixel
      run = 1
    }
  }
  settle()
  return { share: 1 - most / Math.max(1, all), colors: counts.size }
}

function chunks(data: Buffer, wanted: string): readonly Buffer[] {
  const found: Buffer[] = []
  for (let at = 8; at + 8 <= data.length; ) {
    const length = data.readUInt32BE(at)
    if (data.toString('latin1', at + 4, at + 8) === wanted) {
      found.push(data.subarray(at + 8, at + 8 + length))
    }
    at += 12 + length
  }
  return found
}

function unfiltered(filter: number, line: Uint8Array, above: Uint8Array, step: number): Uint8Array {
  if (filter === 0) return line
  const out = new Uint8Array(line.length)
  for (let at = 0; at < line.length; at++) {
    const left = at < step ? 0 : out[at - step]!
    const up = above[at]!
    let guess = 0
    if (filter === 1) guess = left
    else if (filter === 2) guess = up
    else if (filter === 3) guess = (left + up) >> 1
    else guess = paeth(left, up, at < step ? 0 : above[at - step]!)
    out[at] = line[at]! + guess
  }
  return out
}

function paeth(left: number, up: number, corner: number): number {
  const guess = left + up - corner
  const a = Math.abs(guess - left)
  const b = Math.abs(guess - up)
  const c = Math.abs(guess - corner)
  if (a <= b && a <= c) return left
  return b <= c ? up : corner
}
