/**
 * Plays every peer of the daemon that is measured: a JSON line in, one out (`asks.ts`).
 * Stays on the second processor; the daemon has the first one.
 */
import { execFileSync } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Answer, Ask, Until } from './asks.ts'
import { cpuMsOf, memoryOf } from './process-figures.ts'
import { Speaker } from './speaker.ts'
import { announcements, withdrawals } from './streams.ts'
import { Tally } from './tally.ts'

const LOOK_MS = 10
const AT_ONCE = 8
/** A daemon that used less than a tenth of a processor for so long is done. */
const QUIET_MS = 500
const QUIET_SHARE = 0.1
const WAIT_MS_MAX = 150_000
/** What a daemon does when everything is told. */
const REST_MS_MAX = 5000

let pid = 0
let feeders: readonly Speaker[] = []
let monitors: readonly Speaker[] = []

const sleep = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms))

/** When the daemon was busy for the last time, in `performance.now()`. */
async function quiet(msMax = WAIT_MS_MAX): Promise<number> {
  const began = performance.now()
  let last = began
  let lastCpu = cpuMsOf(pid)
  let busy = last
  while (last - busy < QUIET_MS) {
    await sleep(LOOK_MS)
    const [now, cpu] = [performance.now(), cpuMsOf(pid)]
    if (cpu - lastCpu > QUIET_SHARE * (now - last)) busy = now
    if (now - began > msMax) break
    last = now
    lastCpu = cpu
  }
  return busy
}

const isTold = (until: Until & { kind: 'told' }): boolean =>
  monitors.every(({ tally }) => tally?.live === until.monitors) &&
  (until.feeders === undefined || feeders.every(({ tally }) => tally?.live === until.feeders))

/** The moment when `until` holds. */
function reached(until: Until): Promise<number> {
  if (until.kind === 'quiet') return quiet()
  return when(
    () => isTold(until),
    () => {
      const counts = [...monitors, ...feeders].map(
        ({ end, tally }) => `${end.address} ${tally?.live}`,
      )
      return `wanted ${JSON.stringify(until)}, have ${counts.slice(0, 5).join(', ')}`
    },
  )
}

/** Looks whenever something was read. */
function when(isSo: () => boolean, words: () => string): Promise<number> {
  return new Promise((done, fail) => {
    const all = [...monitors, ...feeders]
    const end = (): void => {
      clearTimeout(timer)
      for (const speaker of all) speaker.onRead = () => {}
    }
    const timer = setTimeout(() => {
      end()
      const lost = all.flatMap(({ end: { address }, lost: why }) =>
        why ? `${address}: ${why}` : [],
      )
      fail(new Error(`Cannot wait longer: ${[words(), ...lost.slice(0, 3)].join('; ')}`))
    }, WAIT_MS_MAX)
    const look = (): void => {
      if (!isSo()) return
      end()
      done(performance.now())
    }
    for (const speaker of all) speaker.onRead = look
    look()
  })
}

const updatesSoFar = (): number =>
  monitors.reduce((sum, { tally }) => sum + (tally?.updates ?? 0), 0)

/** Runs something and says what it cost. */
async function measured(
  act: (began: number) => Promise<Partial<Answer> & { readonly end: number }>,
): Promise<Answer> {
  const [cpu, own, updates] = [cpuMsOf(pid), process.cpuUsage(), updatesSoFar()]
  const began = performance.now()
  const { end, ...rest } = await act(began)
  const { user, system } = process.cpuUsage(own)
  // A thousand sessions are never quiet.
  await quiet(REST_MS_MAX)
  return {
    ms: end - began,
    cpuMs: cpuMsOf(pid) - cpu,
    memory: memoryOf(pid),
    ownCpuMs: (user + system) / 1000,
    updates: updatesSoFar() - updates,
    ...rest,
  }
}

/** A few at a time: BIRD lets eight wait, and drops the others' connections. */
async function openAll(all: readonly Speaker[], { to, holdSeconds }: Ask & { do: 'open' }) {
  const waiting = [...all]
  const next = async (): Promise<void> => {
    for (let each = waiting.shift(); each !== undefined; each = waiting.shift()) {
      await each.open(to, holdSeconds)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, next))
}

function open(ask: Ask & { do: 'open' }): Promise<Answer> {
  pid = ask.pid
  const added = ask.feeders.map((end) => new Speaker(end))
  const watching = ask.monitors.map((end) => new Speaker(end))
  for (const speaker of added) speaker.tally = new Tally(false, false)
  for (const speaker of watching) speaker.tally = new Tally(true, true)
  feeders = [...feeders, ...added]
  monitors = [...monitors, ...watching]
  return measured(async (began) => {
    await openAll([...added, ...watching], ask)
    const upMs = performance.now() - began
    return { end: await reached({ kind: 'told', monitors: ask.told ?? 0 }), upMs }
  })
}

function say({ what, each, perUpdate, version, until }: Ask & { do: 'say' }): Promise<Answer> {
  const streams = feeders.map(({ end }, index) => {
    const said = { first: index * each, count: each, perUpdate }
    return what === 'announce' ? announcements(said, end, version) : withdrawals(said)
  })
  return measured(async (began) => {
    const written = feeders.map((feeder, index) => feeder.write(streams[index] ?? Buffer.alloc(0)))
    let sentMs = 0
    const sent = Promise.all(written).then(() => {
      sentMs = performance.now() - began
    })
    const end = await reached(until)
    await sent
    return { end, sentMs }
  })
}

function churn(ask: Ask & { do: 'churn' }): Promise<Answer> {
  const [feeder] = feeders
  if (feeder === undefined) throw new Error('Cannot churn: no feeder')
  const { perTick, tickMs, ticks, version } = ask
  const streams = Array.from({ length: ticks }, (_, tick) => {
    const said = { first: (tick * perTick) % ask.prefixes, count: perTick, perUpdate: 100 }
    return announcements(said, feeder.end, version + tick)
  })
  return measured(async (began) => {
    const saidAt: number[] = []
    const delaysMs: number[] = []
    let open = 0
    const look = (): boolean => {
      const isThere = (tick: number): boolean =>
        monitors.every(({ tally }) => (tally?.byVersion?.[version + tick] ?? 0) >= perTick)
      while (open < saidAt.length && isThere(open)) {
        delaysMs.push(performance.now() - (saidAt[open] ?? 0))
        open++
      }
      return open === ticks
    }
    const seen = when(look, () => `${open} of ${ticks} ticks`)
    for (const [tick, stream] of streams.entries()) {
      const wait = began + tick * tickMs - performance.now()
      if (wait > 0) await sleep(wait)
      saidAt.push(performance.now())
      await feeder.write(stream)
    }
    return { end: await seen, delaysMs }
  })
}

function idle({ seconds }: Ask & { do: 'idle' }): Promise<Answer> {
  return measured(async () => {
    await sleep(seconds * 1000)
    const lost = [...monitors, ...feeders].find((each) => each.lost !== undefined)
    if (lost !== undefined) throw new Error(`Cannot idle: ${lost.end.address}: ${lost.lost}`)
    return { end: performance.now() }
  })
}

function close(): void {
  for (const speaker of [...monitors, ...feeders]) speaker.close()
  monitors = []
  feeders = []
}

function answered(ask: Ask): Promise<Answer> | undefined {
  if (ask.do === 'open') return open(ask)
  if (ask.do === 'say') return say(ask)
  if (ask.do === 'churn') return churn(ask)
  if (ask.do === 'idle') return idle(ask)
  close()
  return undefined
}

execFileSync('taskset', ['-a', '-c', '-p', '1', String(process.pid)], { stdio: 'ignore' })
for await (const line of createInterface({ input: process.stdin })) {
  const ask: Ask = JSON.parse(line)
  try {
    console.log(JSON.stringify((await answered(ask)) ?? {}))
  } catch (error) {
    console.log(JSON.stringify({ problem: error instanceof Error ? error.message : String(error) }))
  }
}
