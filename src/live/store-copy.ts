/**
 * The copy of the store's word on the cluster, `cluster.json` beside the agent's
 * socket, and the rebuilding of a store that was lost under running pods.
 *
 * @module
 */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { copyParts, copyText, parseCopy, type StoreCopy } from '../../ipam/copy.ts'
import { hasLost, type LivingNode, rebuild } from '../../ipam/rebuild.ts'
import type { Store } from '../../ipam/store.ts'
import { bootId } from './boot.ts'
import type { LiveKernel } from './kernel.ts'
import { livingHere } from './living.ts'
import type { Logger } from './log.ts'
import { transact } from './transact.ts'

export interface CopyPlace {
  readonly node: string
  readonly storeUrl: string
  readonly socketPath: string
  readonly log: Logger
}

/** After a change; longer where writing takes long, so that it is a hundredth of the time at most. */
const DELAY_MS_MIN = 100
const DELAY_FACTOR = 100

const pathOf = ({ socketPath }: CopyPlace): string => join(dirname(socketPath), 'cluster.json')

/** What another process may remove under the agent is on a disk of this machine. */
const isKept = ({ storeUrl }: CopyPlace): boolean => storeUrl.startsWith('lmdb:')

/**
 * Brings back the records of running pods where the store has lost them. Before
 * the first ADD, and before anything is removed on the strength of the store.
 *
 * @throws {TriviumError} STORE when their networks are not known.
 */
export async function rebuildLost(
  place: CopyPlace,
  store: Store,
  kernel: LiveKernel,
): Promise<void> {
  if (!isKept(place)) return
  const { node, log } = place
  const { pods, blocks, endpoints, unnamed } = livingHere(kernel)
  const living: LivingNode = { node, bootId: bootId(), nowMs: Date.now(), pods, blocks, endpoints }
  const copy = readCopy(place)
  if (!store.read((reader) => hasLost(reader, living, copy))) return
  const rebuilt = await transact(store, (tx) => rebuild(tx, living, copy))
  if (rebuilt === undefined) return
  const { pods: count, networks, refused } = rebuilt
  log.warn({
    event: 'rebuilt',
    pods: count,
    networks,
    note: 'the store had lost the records of running pods: they were read back from the kernel',
  })
  for (const reason of [
    ...refused,
    ...unnamed.map((name) => `link ${name}: it does not say whose`),
  ])
    log.error({ event: 'not-rebuilt', reason })
}

/** undefined where there is none of this store. */
function readCopy(place: CopyPlace): StoreCopy | undefined {
  let text: string
  try {
    text = readFileSync(pathOf(place), 'utf8')
  } catch {
    return undefined
  }
  try {
    const copy = parseCopy(text)
    return copy.store === place.storeUrl ? copy : undefined
  } catch (thrown) {
    place.log.warn({ event: 'copy', reason: (thrown as Error).message })
    return undefined
  }
}

/** Keeps the copy true. Returns what ends it, after a last look. */
export function keepCopy(place: CopyPlace, store: Store): () => void {
  if (!isKept(place)) return () => {}
  let written: ReturnType<typeof copyParts> | undefined
  let delayMs = DELAY_MS_MIN
  let timer: NodeJS.Timeout | undefined

  function write(): void {
    timer = undefined
    const startMs = performance.now()
    try {
      const parts = store.read(copyParts)
      if (written !== undefined && parts.every((part, index) => part === written?.[index])) return
      replace(pathOf(place), copyText(place.storeUrl, parts))
      written = parts
    } catch (thrown) {
      place.log.warn({ event: 'copy', reason: (thrown as Error).message })
    }
    delayMs = Math.max(DELAY_MS_MIN, (performance.now() - startMs) * DELAY_FACTOR)
  }

  write()
  const stopWatching = store.watch(() => {
    timer ??= setTimeout(write, delayMs).unref()
  })
  return () => {
    stopWatching()
    if (timer === undefined) return
    clearTimeout(timer)
    write()
  }
}

/** A reader sees the old or the new one. */
function replace(path: string, text: string): void {
  const aside = `${path}.${process.pid}`
  try {
    writeFileSync(aside, text, { mode: 0o600 })
    renameSync(aside, path)
  } catch (thrown) {
    rmSync(aside, { force: true })
    throw thrown
  }
}
