/**
 * An uplink is taken over: the host's link becomes a port of a bridge, and
 * everything that made it the host's moves to the bridge. And back.
 *
 * Both links have the addresses for a moment, so that these hold between any two
 * steps: every address is on the link that frames come in by (the bridge, once
 * the link is its port); every route exists by one of the two; nothing else is touched.
 *
 * - Sending and receiving change over apart. A port still sends what is routed by
 *   it, and an address is the host's on whatever link its packets come in.
 * - A route goes behind its like before that goes, for IPv4 removes what prefers
 *   a source address with the last one of that address, and all routes of a
 *   link with its last address.
 *
 * @module
 */
import type { Act, Entry, Laden, LinkName, Step, TakeOver } from './model.ts'

/** A link's IPv6 goes by its own ways: no link-local address is made by itself. */
export const GEN_MODE_NONE = 1

/** What the bridge of a taken link says. */
export const uplinkAlias = (link: string): string => `trivium uplink ${link}`

/** The link that the bridge was made for; undefined: it is none of ours. */
export const uplinkOfAlias = (alias: string | undefined): string | undefined =>
  /^trivium uplink (\S+)$/.exec(alias ?? '')?.[1]

/** The link becomes a port of a bridge of that name. */
export function planTake(link: Laden, bridge: string): TakeOver {
  const { name, mac, mtuBytes } = link
  const alias = uplinkAlias(name)
  const add: Act = { act: 'bridge.add', bridge, mac, mtuBytes, alias }
  const steps: readonly Step[] = [
    ...settledBack(link),
    { run: add, undo: { act: 'bridge.remove', bridge } },
    ...early(link).map(({ name: setting, value }) => ({ run: settingOf(setting, bridge, value) })),
    ...puts(link, bridge, isReady),
    ...genMode(name, link.genMode, GEN_MODE_NONE),
    {
      run: { act: 'join', link: name, bridge },
      undo: { act: 'leave', link: name, bridge },
    },
    { run: { act: 'await', bridge } },
    ...riders(link, bridge),
    ...puts(link, bridge, isRoute),
    ...drops(link, isRoute),
    ...drops(link, isReady),
    ...settles(link, bridge),
    ...genMode(bridge, GEN_MODE_NONE, link.genMode),
    ...late(link).map(({ name: setting, value }) => ({ run: settingOf(setting, bridge, value) })),
  ]
  return { steps, commit: [] }
}

/** The bridge's only port gets back what is on the bridge now, and the bridge goes. */
export function planGive(bridge: Laden, link: string): TakeOver {
  const steps: readonly Step[] = [
    ...settledBack(bridge),
    ...early(bridge).flatMap((each) => changed(each, link)),
    ...puts(bridge, link, isReady),
    ...riders(bridge, link),
    ...puts(bridge, link, isRoute),
    ...drops(bridge, isRoute),
    {
      run: { act: 'leave', link, bridge: bridge.name },
      undo: { act: 'join', link, bridge: bridge.name },
    },
    ...drops(bridge, isReady),
    ...settles(bridge, link),
    ...genMode(link, GEN_MODE_NONE, bridge.genMode),
    ...late(bridge).flatMap((each) => changed(each, link)),
  ]
  return { steps, commit: [{ act: 'bridge.remove', bridge: bridge.name }] }
}

/** What takes everything back, from wherever it stopped. */
export const undoing = ({ steps }: TakeOver): readonly Act[] =>
  steps.flatMap(({ undo }) => undo ?? []).reverse()

/** What does the rest, from wherever it stopped. */
export const doing = ({ steps }: TakeOver): readonly Act[] => steps.flatMap(({ run }) => run ?? [])

type Choice = (entry: Entry) => boolean

const isRoute: Choice = ({ kind }) => kind === 'route'
/** What the other link may have before anything is sent by it. */
const isReady: Choice = ({ kind }) => kind !== 'route'

const nameOf = ({ name, index }: Laden): LinkName => ({ name, index })

/** Addresses before what they are needed for; routes by another machine behind the ways to it. */
function inOrder(entries: readonly Entry[]): readonly Entry[] {
  const rank = ({ kind, isVia }: Entry): number =>
    kind === 'addr' ? 0 : kind === 'route' ? (isVia === true ? 3 : 2) : 1
  return [...entries].sort((a, b) => rank(a) - rank(b))
}

function puts(link: Laden, on: string, choice: Choice): readonly Step[] {
  const from = nameOf(link)
  return inOrder(link.entries.filter(choice)).map((entry) => ({
    run: { act: 'put', entry, from, on },
    undo: { act: 'drop', entry, from, on },
  }))
}

/**
 * In the order in which they came, backwards: a first address takes the others of its
 * prefix along. Hints go by themselves.
 */
function drops(link: Laden, choice: Choice): readonly Step[] {
  const from = nameOf(link)
  const chosen = link.entries.filter((entry) => choice(entry) && entry.isHint !== true)
  return [...inOrder(chosen)].reverse().map((entry) => ({
    run: { act: 'drop', entry, from, on: link.name },
    undo: { act: 'put', entry, from, on: link.name },
  }))
}

const probed = ({ entries }: Laden): readonly Entry[] =>
  entries.filter(({ kind, isProbed }) => kind === 'addr' && isProbed === true)

/** An address that came without a look for others gets its own flags again. */
const settles = (link: Laden, on: string): readonly Step[] =>
  probed(link).map((entry) => ({ run: { act: 'settle', entry, from: nameOf(link), on } }))

/** The same where everything was taken back: the last thing of all. */
const settledBack = (link: Laden): readonly Step[] =>
  probed(link).map((entry) => ({
    undo: { act: 'settle', entry, from: nameOf(link), on: link.name },
  }))

function riders(link: Laden, on: string): readonly Step[] {
  return link.riders.map((rider) => ({
    run: { act: 'rider', link: rider, on },
    undo: { act: 'rider', link: rider, on: link.name },
  }))
}

function genMode(
  link: string,
  before: number | undefined,
  after: number | undefined,
): readonly Step[] {
  if (before === undefined || after === undefined || before === after) return []
  return [
    {
      run: { act: 'genmode', link, mode: after },
      undo: { act: 'genmode', link, mode: before },
    },
  ]
}

/**
 * Temporary addresses are made beside every address that is added while they are
 * on, and what advertisements bring is brought again: these come last.
 */
const LATE = /^ipv6\.conf\.%\.(?:use_tempaddr|accept_ra|autoconf)$/

const early = ({ settings }: Laden): Laden['settings'] =>
  settings.filter(({ name }) => !LATE.test(name))

const late = ({ settings }: Laden): Laden['settings'] =>
  settings.filter(({ name }) => LATE.test(name))

const settingOf = (name: string, link: string, value: string): Act => ({
  act: 'setting',
  name: name.replace('%', link),
  value,
})

const changed = (
  { name, value, was }: Laden['settings'][number],
  link: string,
): readonly Step[] => [{ run: settingOf(name, link, value), undo: settingOf(name, link, was) }]
