/**
 * Acts of a take-over on the kernel: as few batches as there can be.
 *
 * @module
 */
import { setTimeout as pause } from 'node:timers/promises'
import * as nl from 'netlink-ts'
import { NetlinkSocket } from 'netlink-ts/live'
import { TriviumError } from '../../errors.ts'
import type { Act } from '../../kernel/take-over/model.ts'
import { GEN_MODE_NONE } from '../../kernel/take-over/plan.ts'
import { renderAct } from '../../kernel/take-over/render.ts'
import { writeSetting } from './settings.ts'

/** A namespace's kernel. */
export interface Ways {
  readonly conn: nl.Conn
  /** undefined when there is no link of that name. */
  readonly indexOf: (name: string) => number | undefined
}

/** Of the namespace of this process. */
export function openWays(): Ways & { readonly close: () => void } {
  const socket = NetlinkSocket.open()
  return {
    conn: socket,
    indexOf: (name) => socket.indexOf(name),
    close: () => socket.close(),
  }
}

/** Why an act did not happen. */
export interface ActFailure {
  readonly act: Act
  readonly reason: string
}

/** The kernel says so when it is so already. Anything else is a refusal. */
const DONE: Readonly<Record<'put' | 'drop' | 'settle', ReadonlySet<string>>> = {
  put: new Set(['EEXIST']),
  drop: new Set(['ESRCH', 'ENOENT', 'EADDRNOTAVAIL', 'ENODEV']),
  settle: new Set(),
}

/** Most that a bridge needs after its first port; then it goes on without. */
const CARRIER_MS_MAX = 1000
const LOOK_MS = 1

/**
 * Does them in order.
 *
 * @param whole Stop at the first refusal; otherwise all that can be done is done.
 * @returns what was refused.
 */
export async function perform(
  ways: Ways,
  acts: readonly Act[],
  whole: boolean,
): Promise<readonly ActFailure[]> {
  const failures: ActFailure[] = []
  for (let next = 0; next < acts.length; ) {
    const end = runEnd(acts, next)
    const run = acts.slice(next, end)
    const [first] = run
    if (first !== undefined && isAside(first)) failures.push(...(await aside(ways, first)))
    else failures.push(...batch(ways, run))
    if (whole && failures.length > 0) return failures
    next = end
  }
  return failures
}

/** One alone, or as many as need nothing but netlink and no link that is made among them. */
function runEnd(acts: readonly Act[], start: number): number {
  const alone = (act: Act | undefined): boolean =>
    act === undefined || isAside(act) || act.act === 'bridge.add'
  if (alone(acts[start])) return start + 1
  let end = start + 1
  while (end < acts.length && !alone(acts[end])) end++
  return end
}

const isAside = ({ act }: Act): boolean => act === 'setting' || act === 'await'

async function aside(ways: Ways, act: Act): Promise<readonly ActFailure[]> {
  if (act.act === 'await') await carrier(ways, act.bridge)
  if (act.act !== 'setting') return []
  try {
    writeSetting(act.name, act.value)
    return []
  } catch (thrown) {
    const gone = (thrown as NodeJS.ErrnoException).code === 'ENOENT'
    return gone ? [] : [{ act, reason: (thrown as Error).message }]
  }
}

async function carrier({ conn }: Ways, name: string): Promise<void> {
  for (const end = performance.now() + CARRIER_MS_MAX; performance.now() < end; ) {
    if (conn.get(nl.link.get({ name }))?.operState === 'up') return
    await pause(LOOK_MS)
  }
}

function batch(ways: Ways, acts: readonly Act[]): readonly ActFailure[] {
  const asked = acts.flatMap((act) => requestsOf(ways, act).map((request) => ({ act, request })))
  const results = ways.conn.execute(asked.map(({ request }) => request))
  return asked.flatMap(({ act }, at): readonly ActFailure[] => {
    const error = results[at]
    return error === undefined || isDone(act, error) ? [] : [{ act, reason: error.message }]
  })
}

function isDone(act: Act, { code }: nl.NetlinkError): boolean {
  switch (act.act) {
    case 'put':
    case 'drop':
    case 'settle':
      return act.entry.isHint === true || DONE[act.act].has(code)
    // A kernel without IPv6 knows no such setting.
    case 'genmode':
      return code === 'EAFNOSUPPORT' || code === 'EOPNOTSUPP' || code === 'ENODEV'
    case 'bridge.remove':
    case 'leave':
      return code === 'ENODEV'
    default:
      return false
  }
}

/** None for a link that is not there: what was on it went with it. */
function requestsOf(ways: Ways, act: Act): readonly nl.Request[] {
  switch (act.act) {
    case 'bridge.add':
      return bridgeRequests(act)
    case 'bridge.remove':
      return [nl.link.remove({ name: act.bridge })]
    case 'join': {
      const master = ways.indexOf(act.bridge)
      return master === undefined ? [] : [nl.link.set({ name: act.link }, { master })]
    }
    case 'leave':
      return [nl.link.set({ name: act.link }, { master: 0 })]
    case 'genmode':
      return [nl.link.set({ name: act.link }, { addrGenMode: act.mode })]
    case 'rider': {
      const link = ways.indexOf(act.on)
      if (link === undefined) return []
      return [nl.link.set({ name: act.link }, { kind: { type: 'vxlan', link } })]
    }
    case 'put':
    case 'drop':
    case 'settle':
      return entryRequests(ways, act)
    default:
      return []
  }
}

/** The name first: what it is for tells whose it is. Up last, so that it makes no address of its own. */
function bridgeRequests({
  bridge: name,
  mac,
  mtuBytes: mtu,
  alias,
}: Act & { act: 'bridge.add' }): readonly nl.Request[] {
  const kind: nl.LinkKind = {
    type: 'bridge',
    stp: false,
    forwardDelaySeconds: 0,
    mcastSnooping: false,
  }
  return [
    nl.link.add({ name, mac, mtu, kind }),
    nl.link.set({ name }, { alias }),
    nl.link.set({ name }, { addrGenMode: GEN_MODE_NONE }),
    nl.link.set({ name }, { up: true }),
  ]
}

function entryRequests(
  ways: Ways,
  { act, entry, from, on }: Act & { act: 'put' | 'drop' | 'settle' },
): readonly nl.Request[] {
  const told = nl.told.read(entry.kind, new Uint8Array(Buffer.from(entry.told, 'base64')))
  const index = ways.indexOf(on)
  if (told === undefined) {
    throw new TriviumError(
      'INTERNAL',
      `Cannot read ${entry.words}: it is no ${entry.kind} of netlink`,
    )
  }
  // Rules name links that need not be there.
  if (index === undefined && entry.kind !== 'rule') return []
  const there = nl.told.moved(told, from, { index: index ?? 0, name: on })
  if (act === 'drop') return [nl.told.drop(there)]
  if (entry.kind !== 'addr') return [nl.told.put(there)]
  return [
    act === 'settle' ? nl.told.put(there, { replace: true }) : nl.told.put(there, { nodad: true }),
  ]
}

/** A refusal as an error. */
export function refusedAct({ act, reason }: ActFailure): TriviumError {
  return new TriviumError('KERNEL', `Cannot run ${renderAct(act).join('; ')}: ${reason}`)
}
