/**
 * One turn of the bench: nodes start over ten seconds, pods come, a top-of-rack switch
 * loses its power for five minutes. Prints what each phase took as one line of JSON.
 */
import { ScaledBgp } from '../../simulator/scaled/bgp/announcements.ts'
import { ScaledQueue } from '../../simulator/scaled/queue.ts'
import { routingSchema } from '../../simulator/scenario-routing.ts'
import { prng } from '../../src/prng.ts'

const [nodes = 0, racks = 0, spines = 0, pods = 0] = process.argv.slice(2).map(Number)
const words = routingSchema.parse({ protocol: 'bgp', sessions: process.argv[6] ?? 'reflectors' })
const SECOND = 1_000_000
const START = 1
const POD = 2
const KNOWN = 3
const LOST = 7 % racks

const queue = new ScaledQueue()
const clock = {
  tick: 0,
  post: (ticks: number, kind: number, a: number, b: number) =>
    queue.post(clock.tick + ticks, clock.tick, kind, a, b),
}
let told = 0
const bgp = new ScaledBgp({
  shape: { nodes, racks, spines, linkTicks: 5, words, hasHosts: true },
  clock,
  onRoute: () => {
    told++
  },
  onRoutes: ({ length }) => {
    told += length
  },
  onReset: () => {},
})
let left = 0
let podsTick = 0
let events = 0
const startMs = performance.now()

function serve(kind: number, a: number, b: number): void {
  if (kind > KNOWN) bgp.serve(kind, a, b)
  else {
    left--
    if (kind === START) bgp.agent(a, true)
    else if (kind === POD) addPod(a)
    else bgp.follow({ kind: 'device', index: a, up: b === 1 }, 'known')
  }
}

/** One after the other: a million events that wait would be in everybody's way. */
function postPod(pod: number): void {
  queue.post(podsTick + pod * 100, podsTick, POD, pod, 0)
  left++
}

function addPod(pod: number): void {
  const node = pod % nodes
  bgp.send(node, bgp.prefixes.add(node, 32), true)
  if (pod + 1 < pods) postPod(pod + 1)
}

function phase(name: string, untilTick = 0): void {
  while (left > 0 || bgp.pending > 0 || clock.tick < untilTick) {
    if (!queue.pop()) break
    const { kind, a, b } = queue
    if (kind > KNOWN && !bgp.isCurrent(kind, a, b)) continue
    clock.tick = queue.tick
    events++
    serve(kind, a, b)
  }
  const { established, routes, sent, learnedTick, ended } = bgp.figure()
  const flocks = [...bgp.flocks.all()].map(({ members }) => members.size)
  const { user, system } = process.cpuUsage()
  const said = {
    ...{ name, ms: performance.now() - startMs, cpuMs: (user + system) / 1000, events, told },
    ...{ rssBytes: process.resourceUsage().maxRSS * 1024, virtualMs: clock.tick / 1000 },
    ...{ established, ended, routes, updates: sent.update, bytes: sent.bytes, flocks },
    ...{ learnedMs: learnedTick / 1000, tableBytes: bgp.bytes, speakers: bgp.plan.speakers },
  }
  process.stdout.write(`${JSON.stringify(said)}\n`)
}

const chance = prng(1).fork('start')
for (let node = 0; node < nodes; node++) {
  queue.post(chance.below(10 * SECOND + 1), 0, START, node, 0)
  left++
}
bgp.start()
phase('cold start')

function follow(up: boolean): void {
  bgp.follow({ kind: 'device', index: LOST, up }, 'happened')
  left++
  clock.post(50_000, KNOWN, LOST, up ? 1 : 0)
}

// Without pods the cold start is all.
if (pods > 0) {
  podsTick = clock.tick
  postPod(0)
  phase('pods')
  const lostTick = clock.tick
  follow(false)
  phase('ToR lost', lostTick + 300 * SECOND)
  follow(true)
  phase('ToR back')
}
