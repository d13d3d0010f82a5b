/**
 * How far long work is, on a terminal; elsewhere nothing is shown.
 *
 * @module
 */

/** Between two looks. */
const EVERY_MS = 100

export interface Progress {
  /** Says what is going on; `part` from 0 to 1, where it is known. */
  readonly tell: (what: string, part?: number) => void
  /** Takes the line away. */
  readonly end: () => void
}

/** A line on standard error that is written over and over. Works inside synchronous code, too. */
export function startProgress(stream: NodeJS.WriteStream = process.stderr): Progress {
  let lastMs = 0
  let shown = false
  return {
    tell(what, part) {
      const nowMs = Date.now()
      if (stream.isTTY !== true || nowMs - lastMs < EVERY_MS) return
      lastMs = nowMs
      shown = true
      const percent = part === undefined ? '' : `${barOf(part)} ${Math.floor(part * 100)} %  `
      stream.write(`\r\u001b[K${percent}${what.slice(0, 80)}`)
    },
    end() {
      if (shown) stream.write('\r\u001b[K')
      shown = false
    },
  }
}

const BAR_LENGTH = 30

function barOf(part: number): string {
  const full = Math.round(Math.min(1, Math.max(0, part)) * BAR_LENGTH)
  return `${'█'.repeat(full)}${'░'.repeat(BAR_LENGTH - full)}`
}
