/**
 * Links on the way: there, up, wide enough.
 *
 * @module
 */
import type { Link } from '../kernel/mod.ts'
import { broken, commandOf, fine, type Place, type Steps, wordsOf } from './hop.ts'

/** The link, if it is there and up. */
export function* linkUp(place: Place, name: string): Steps<Link> {
  const found = place.tables.link(name)
  const planned = place.planned.link(name)
  const show = `ip -d link show dev ${name}`
  if (found === undefined) {
    const command =
      planned === undefined || planned.adopt === true
        ? show
        : commandOf({ kind: 'add', object: planned })
    const wanted = planned === undefined ? 'a link of this name' : wordsOf(planned)
    const own = planned?.adopt === true ? undefined : planned
    const object = `link ${name}`
    yield broken(place, { object, found: 'no such link', wanted, command, planned: own })
    return undefined
  }
  if (!found.up) {
    yield broken(place, {
      object: `link ${name}`,
      found: 'it is down',
      wanted: 'up',
      command: `ip link set dev ${name} up`,
      planned,
    })
    return undefined
  }
  yield fine(place, `link ${name}${found.mtuBytes === undefined ? '' : ` mtu ${found.mtuBytes}`}`)
  return found
}

/** Whether a packet of `bytes` goes through. */
export function* fits(place: Place, link: Link, bytes: number, what: string): Steps<true> {
  const { name, mtuBytes } = link
  if (mtuBytes === undefined || bytes <= mtuBytes) return true
  const wanted = Math.max(bytes, place.planned.link(name)?.mtuBytes ?? 0)
  yield broken(place, {
    object: `link ${name}`,
    found: `mtu ${mtuBytes}: ${what} of ${bytes} bytes does not fit; smaller ones pass`,
    wanted: `mtu ${wanted}`,
    command: `ip link set dev ${name} mtu ${wanted}`,
    planned: place.planned.link(name),
  })
  return undefined
}
