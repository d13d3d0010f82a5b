/**
 * A network of BIRD processes whose sessions have latencies, and what happened in it on
 * the machine's own clock.
 *
 * All of it is one network namespace. A router knows its peers by addresses that lead to a
 * TUN device, behind which `delay.c` hands packets on when they are due; the connections
 * are the kernel's, with all that TCP does.
 */
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { Ip } from '../../src/net/mod.ts'
import { birdConfig, ownRoutes, protocolName } from '../../test/bgp/differential/bird-config.ts'
import { BirdLab, LINKS } from '../../test/bgp/differential/bird-lab.ts'
import { endAddress, routerOf, type Topology } from '../../test/bgp/differential/topology.ts'
import { type Log, parseLog, WATCHERS } from './choices.ts'
import type { TimedEvent } from './events.ts'

/** Undone: everything is as it was. */
export type Way = 'happens' | 'is undone'

const SEEN_LINKS = `${LINKS}tuntap add dev t0 mode tun
link set t0 up
route add 10.2.0.0/16 dev t0
route add fd02::/64 dev t0
`

/** BIRDs and delay come before others on a busy machine: they need little of it, at once. */
const script = (delay: string): string => `
chrt -f -p 2 $$
ip -batch links && echo 1 >/proc/sys/net/ipv6/ip_nonlocal_bind || exit 3
chrt -f 3 '${delay}' t0 delays >late & delay=$!
begin() {
  chrt -f 1 bird -f -c "r$1.conf" -s "r$1.ctl" </dev/null >>"r$1.err" 2>&1 & eval "pid$1=$!"
}
for file in *.conf; do name=\${file%.conf}; begin "\${name#r}"; done
while read -r what id; do
  case $what in
    begin) begin "$id" ;;
    kill) eval "kill -9 \\$pid$id" ;;
    *) kill -TERM $delay; wait $delay; break ;;
  esac
done
`

const seenAs = (address: Ip): Ip =>
  address.replace(/^10\.0\./, '10.2.').replace(/^fd00:/, 'fd02:') as Ip

const pause = (milliseconds: number): Promise<void> =>
  new Promise((done) => setTimeout(done, milliseconds))

const POLL_MS = 50
const UP_POLLS_MAX = 800

export class TimedLab extends BirdLab {
  readonly #quietMs: number

  /**
   * @param delay The program.
   * @param events Whose own routes are there, switched off.
   */
  constructor(
    topology: Topology,
    options: {
      readonly scratch: string
      readonly delay: string
      readonly latenciesMs: ReadonlyMap<number, number>
      readonly events: readonly TimedEvent[]
    },
  ) {
    const { latenciesMs, events } = options
    super(topology, options.scratch, {
      links: SEEN_LINKS,
      script: script(options.delay),
      files: { delays: delays(topology, latenciesMs) },
      configOf: (id) => config(topology, id, events),
    })
    // Nagle's rule and a delayed acknowledgement may come on top of a way and back.
    this.#quietMs = 250 + 3 * Math.max(...latenciesMs.values())
  }

  async becomesUp(): Promise<boolean> {
    for (let poll = 0; poll < UP_POLLS_MAX; poll++) {
      if (await this.isUp()) return true
      await pause(100)
    }
    return false
  }

  /** Until no log has grown for a while. */
  async rest(): Promise<void> {
    let [size, since] = [-1, 0]
    while (since < this.#quietMs) {
      await pause(POLL_MS)
      const now = this.topology.routers.reduce((sum, { id }) => sum + this.#sizeOf(id), 0)
      since = now === size ? since + POLL_MS : 0
      size = now
    }
  }

  /** @returns When, in milliseconds since 1970. */
  async carryOutTimed(event: TimedEvent, way: Way): Promise<number> {
    const ms = performance.timeOrigin + performance.now()
    if (event.kind === 'death') this.tell(`${way === 'happens' ? 'kill' : 'begin'} ${event.router}`)
    else {
      const { verb, at } = commandOf(this.topology, event, way)
      await Promise.all(at.map(({ router, name }) => this.ask(router, `${verb} ${name}`)))
    }
    return ms
  }

  log(router: number): Log {
    return parseLog(router, readFileSync(join(this.folder, `r${router}.log`), 'utf8'))
  }

  /** Ends `delay`; how late packets were: number, median, 99th percentile and the latest, in µs. */
  async lateness(): Promise<readonly number[]> {
    this.tell('end')
    for (let poll = 0; poll < 40; poll++) {
      const text = readFileSync(join(this.folder, 'late'), 'utf8').trim()
      if (text !== '') return text.split(' ').map(Number)
      await pause(POLL_MS)
    }
    return []
  }

  #sizeOf(router: number): number {
    return statSync(join(this.folder, `r${router}.log`), { throwIfNoEntry: false })?.size ?? 0
  }
}

/** What to tell BIRDs. */
function commandOf(
  topology: Topology,
  event: Exclude<TimedEvent, { kind: 'death' }>,
  way: Way,
): { readonly verb: string; readonly at: readonly { router: number; name: string }[] } {
  const isEnd = event.kind !== 'announced' && event.kind !== 'ten announced'
  const verb = isEnd === (way === 'happens') ? 'disable' : 'enable'
  switch (event.kind) {
    case 'cut': {
      const session = topology.sessions.find(({ id }) => id === event.session)!
      const at = session.ends.map((end) => ({
        router: end.router,
        name: protocolName(session, end),
      }))
      return { verb, at }
    }
    case 'failover': {
      const own = ownRoutes(topology, routerOf(topology, event.router))
      const { name } = own.find(({ route }) => route.prefix === event.prefix)!
      return { verb, at: [{ router: event.router, name }] }
    }
    default:
      return { verb, at: [{ router: event.router, name: nameOf(event) }] }
  }
}

/** Of the protocol with the routes of an event. */
const nameOf = (event: Extract<TimedEvent, { routes: unknown }>): string =>
  event.routes.length === 1 ? 'one' : 'ten'

function config(topology: Topology, id: number, events: readonly TimedEvent[]): string {
  const own = new Map(
    events.flatMap((event) =>
      'routes' in event && event.router === id ? [[nameOf(event), event.routes] as const] : [],
    ),
  )
  const statics = [...own].map(([name, routes]) => {
    const lines = routes.map(
      ({ prefix, attributes }) =>
        `route ${prefix} blackhole { bgp_local_pref = ${attributes?.localPref}; };`,
    )
    return `protocol static ${name} { disabled; ipv4; ${lines.join(' ')} }`
  })
  const head = [`log "r${id}.log" { info, trace };`, 'timeformat log iso long us;']
  const more = [...WATCHERS, ...statics]
  return [...head, birdConfig(topology, id, { seenAs, more })].join('\n')
}

/** Both directions of every session. */
function delays(topology: Topology, latenciesMs: ReadonlyMap<number, number>): string {
  return topology.sessions
    .flatMap((session) => {
      const [one, other] = session.ends.map((end) => endAddress(session, end))
      const micros = Math.round(1000 * (latenciesMs.get(session.id) ?? 0))
      return [`${one} ${other} ${micros}`, `${other} ${one} ${micros}`]
    })
    .map((line) => `${line}\n`)
    .join('')
}
