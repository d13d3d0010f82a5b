/**
 * GC: what no attachment on the runtime's list stands for goes.
 *
 * @module
 */
import { keys } from '../../../ipam/keys.ts'
import { isLinkOurs } from '../../../ipam/records.ts'
import { type CniRequest, type Garbage, garbageOf } from '../../cni/mod.ts'
import { asTriviumError, TriviumError } from '../../errors.ts'
import type { KernelState } from '../../kernel/mod.ts'
import { counted } from '../../words.ts'
import { del } from './del.ts'
import type { CniCallInput, CniHost } from './host.ts'

/** Removals under way at once: the end of a link waits for the kernel, the end of a record for the disk. */
const AT_ONCE = 32

/**
 * Only this node's attachments of this network; a missing list is refused, an
 * empty one is not. What fails is told at the end, after everything else was tried.
 */
export async function collect(
  request: CniRequest,
  { steps }: CniCallInput,
  host: CniHost,
): Promise<undefined> {
  const { validAttachments } = request.config
  if (validAttachments === undefined) {
    throw new TriviumError(
      'BAD_CONFIG',
      'Cannot collect garbage: "cni.dev/valid-attachments" is missing, wanted a list, empty if none is valid',
      'Without a list nothing is removed; runtimes send one with CNI 1.1.0',
    )
  }
  const garbage = await look(request, validAttachments, host)
  steps.mark('look')
  const failures = await removeAll(garbage, host)
  steps.mark('unlink')
  if (failures.length === 0) return undefined
  throw new TriviumError(
    'KERNEL',
    `Cannot collect ${counted(failures.length, 'leftover')} of network ${request.config.name}: the rest is gone, wanted all`,
    failures.join('; '),
  )
}

/** The kernel first: a link that is made meanwhile has a record by the time records are read. */
async function look(
  { config, plugin }: CniRequest,
  valid: NonNullable<CniRequest['config']['validAttachments']>,
  { kernel, store, nodeName, unrecorded }: CniHost,
): Promise<Garbage> {
  // Links of a delegated plugin's pods are another's.
  const seen: KernelState = plugin === 'trivium' ? await kernel.stateSoon() : new Map()
  const state = unrecorded?.past(seen) ?? seen
  const network = config.name
  return store.read((reader) =>
    garbageOf({
      network,
      record: reader.get(keys.network(network)),
      attachments: [...reader.range(keys.networkAttachments(nodeName, network))].map(
        ([, attachment]) => attachment,
      ),
      valid,
      kernel: state,
    }),
  )
}

/** @returns what went wrong, in words. */
async function removeAll(
  { attachments, links, elements }: Garbage,
  host: CniHost,
): Promise<readonly string[]> {
  const failures: string[] = []
  const attempt = async (work: () => Promise<unknown>): Promise<void> => {
    await work().catch((thrown: unknown) => failures.push(asTriviumError(thrown).message))
  }
  const jobs = [
    ...attachments.map(
      (each) => () => host.locks.hold(each, () => del(each, isLinkOurs(each), host)),
    ),
    ...links.map((name) => () => removeLink(name, host)),
  ]
  const waiting = jobs.values()
  const worker = async (): Promise<void> => {
    for (const job of waiting) await attempt(job)
  }
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, jobs.length) }, worker))
  if (elements.length > 0) await attempt(() => host.kernel.removeElements(elements))
  return failures
}

async function removeLink(name: string, { kernel, hold }: CniHost): Promise<void> {
  const letGo = hold(name)
  try {
    const failure = await kernel.removeOwnLink(name)
    if (failure !== undefined) throw new TriviumError('KERNEL', failure.message)
  } finally {
    letGo()
  }
}
