/**
 * Who reaches whom: pings between namespaces.
 *
 * @module
 */
import { inNetns, run } from './exec.ts'

/** One end: a namespace and the addresses it answers on. */
export interface Endpoint {
  readonly name: string
  readonly netns: string
  readonly ips: readonly string[]
}

export interface Reached {
  readonly from: string
  readonly to: string
  readonly ip: string
  readonly ok: boolean
  /** Round-trip time in milliseconds of the echo that came back. */
  readonly rttMs?: number
}

/** Echo requests under way at once: enough to be quick, few enough for a small machine. */
const PARALLEL = 12

/** Every endpoint pings every address of every other one: both directions, all pairs. */
export async function pingAll(endpoints: readonly Endpoint[]): Promise<readonly Reached[]> {
  const jobs = endpoints.flatMap((from) =>
    endpoints.filter((to) => to !== from).flatMap((to) => to.ips.map((ip) => ({ from, to, ip }))),
  )
  const reached: Reached[] = []
  const worker = async (): Promise<void> => {
    for (let job = jobs.shift(); job !== undefined; job = jobs.shift()) {
      reached.push({
        from: job.from.name,
        to: job.to.name,
        ip: job.ip,
        ...(await ping(job.from.netns, job.ip)),
      })
    }
  }
  await Promise.all(Array.from({ length: PARALLEL }, worker))
  return reached
}

/** Echo requests until the first answer: some are lost to address resolution. */
export async function ping(netns: string, ip: string): Promise<{ ok: boolean; rttMs?: number }> {
  const until = ['-c', '1', '-w', '3', '-i', '0.1']
  const { status, stdout } = await run(inNetns(netns, ['ping', '-n', ...until, ip]))
  const rtt = /time[=<]([\d.]+) ms/.exec(stdout)?.[1]
  return { ok: status === 0, ...(rtt === undefined ? {} : { rttMs: Number(rtt) }) }
}
