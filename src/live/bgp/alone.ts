/**
 * A speaker that is a process of its own: with the kernel's routes, if they are asked for.
 *
 * @module
 */
import type { SpeakerConfig } from '../../bgp/config.ts'
import type { Logger } from '../log.ts'
import { type KernelRoutes, openKernelRoutes } from './kernel-routes.ts'
import type { ListenAddress } from './listener.ts'
import { type RunningSpeaker, startSpeaker } from './speaker.ts'

export interface AloneOptions {
  readonly config: SpeakerConfig
  readonly listen: readonly ListenAddress[]
  /** The kernel's table that learned routes go into. */
  readonly kernel: false | { readonly table: number }
  readonly log: Logger
  readonly socketPath: string
  /** Peers kept what an earlier run said, and this host what it learned: RFC 4724. */
  readonly isRestarting: boolean
  readonly record?: (record: Uint8Array) => void
  /** Takes peers' UPDATEs and states as MRT. */
  readonly writeMrt?: (record: Uint8Array) => void
}

export interface Alone {
  readonly speaker: RunningSpeaker
  /** Graceful: routes stay in the kernel, and peers keep ours. */
  stop(isGraceful: boolean): Promise<void>
}

/** @throws {TriviumError} BAD_CONFIG: an address or the control socket's path cannot be used. */
export async function startAlone({ kernel, ...options }: AloneOptions): Promise<Alone> {
  if (kernel === false) {
    const speaker = await startSpeaker(options)
    return { speaker, stop: (isGraceful) => speaker.stop(isGraceful) }
  }
  const { log } = options
  let speaker: RunningSpeaker | undefined
  const routes = await openKernelRoutes({
    table: kernel.table,
    nextHopChanged: (nextHop) => speaker?.feed({ kind: 'next-hop.changed', nextHop }),
    report: (report) => log.warn({ ...report, event: `bgp.routes.${report.event}` }),
  })
  try {
    speaker = await startSpeaker({
      ...options,
      isRestarting: options.isRestarting || hasStale(routes),
      costOf: routes.costOf,
      onRoutes(effect) {
        if (effect.kind === 'routes') routes.set(effect.nextHops, effect.prefixes)
        else routes.complete(effect.family)
      },
    })
  } catch (thrown) {
    await routes.close('keep')
    throw thrown
  }
  const running = speaker
  return {
    speaker: running,
    async stop(isGraceful) {
      await running.stop(isGraceful)
      await routes.close(isGraceful ? 'keep' : 'remove')
    },
  }
}

/** Whether an earlier run went without removing what it had written. */
const hasStale = (routes: KernelRoutes): boolean =>
  routes.counts('ipv4').installed + routes.counts('ipv6').installed > 0
