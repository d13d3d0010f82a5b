/**
 * What an agent does for uplinks that are taken: it puts a port back that left its bridge, and says
 * what others have put on the link again, which it leaves alone.
 *
 * @module
 */
import * as nl from 'netlink-ts'
import { asTriviumError } from '../../errors.ts'
import { uplinkOfAlias } from '../../kernel/take-over/plan.ts'
import type { Logger } from '../log.ts'
import { readJournals } from './journal.ts'
import { openWays, type Ways } from './perform.ts'
import { recover } from './uplink.ts'

/** Puts right what a process that died has left, before anything else looks at the underlay. */
export async function recoverUplinks(socketPath: string, log: Logger): Promise<void> {
  const ways = openWays()
  try {
    for (const each of await recover({ ways, socketPath }, false)) {
      log.warn({ event: 'uplink', ...each })
    }
  } catch (thrown) {
    // Somebody is at work on it just now, or the journal is not ours to read.
    log.warn({ event: 'uplink', reason: asTriviumError(thrown).message })
  } finally {
    ways.close()
  }
}

/** @returns A look, for whenever the link may be another. */
export function keepUplinks(socketPath: string, log: Logger): () => void {
  let told = ''
  return () => {
    try {
      const taken = readJournals(socketPath).filter(({ state }) => state === 'taken')
      if (taken.length > 0) told = look(taken, told, log)
    } catch (thrown) {
      log.warn({ event: 'uplink', reason: asTriviumError(thrown).message })
    }
  }
}

function look(
  taken: readonly { readonly link: string; readonly bridge: string }[],
  told: string,
  log: Logger,
): string {
  const ways = openWays()
  try {
    const addresses = taken.flatMap(({ link, bridge }) => {
      rejoin(ways, link, bridge, log)
      return straysOn(ways, link).map((address) => `${address} on ${link}`)
    })
    const text = addresses.join(', ')
    if (text !== told && text !== '') {
      const note = 'not ours: left as it is; tell what put it there of the bridge'
      log.warn({ event: 'uplink', what: 'stray', addresses, note })
    }
    return text
  } finally {
    ways.close()
  }
}

function rejoin(ways: Ways, link: string, bridge: string, log: Logger): void {
  const [port, above] = [link, bridge].map((name) => ways.conn.get(nl.link.get({ name })))
  if (port === undefined || above === undefined || uplinkOfAlias(above.alias) !== link) return
  if (port.master !== undefined) return
  const change = { master: above.index, up: true }
  const [refused] = ways.conn.execute([nl.link.set({ name: link }, change)])
  const reason = refused && { reason: refused.message }
  log.warn({ event: 'uplink', what: 'rejoined', link, bridge, ...reason })
}

function straysOn({ conn, indexOf }: Ways, link: string): readonly string[] {
  const index = indexOf(link)
  const on = conn.dump(nl.addr.list()).filter((each) => each.index === index)
  return on.map(({ address, prefixLength }) => `${address}/${prefixLength}`)
}
