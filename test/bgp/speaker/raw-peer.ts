/** A peer of octets for one speaker: what no speaker of ours would say. */

import type { SpeakerConfig } from '../../../src/bgp/config.ts'
import type { SessionInput } from '../../../src/bgp/session/types.ts'
import {
  createSpeaker,
  type SpeakerEffect,
  type SpeakerInput,
  type SpeakerOptions,
  type SpeakerReport,
} from '../../../src/bgp/speaker.ts'
import { type Context, PLAIN_CONTEXT } from '../../../src/bgp/wire/context.ts'
import { encodeKeepalive, Framer } from '../../../src/bgp/wire/framing.ts'
import { decodeMessage } from '../../../src/bgp/wire/message.ts'
import { encodeOpen, type OpenFields } from '../../../src/bgp/wire/open.ts'
import { messageLines } from '../../../src/bgp/wire/text.ts'
import type { Instant } from '../../../src/machine.ts'
import { ip } from './support.ts'

export const CONTEXT: Context = {
  ...PLAIN_CONTEXT,
  families: ['ipv4', 'ipv6'],
  fourOctetAs: true,
}

/** A speaker with one session, established with capabilities of RFC 4760, 6793 and 2918. */
export function rawPeer(
  config: SpeakerConfig,
  options: SpeakerOptions = {},
  open: Partial<OpenFields> = {},
) {
  const speaker = createSpeaker(options)
  const effects: SpeakerEffect[] = []
  const framer = new Framer()
  const [{ address, asn } = { address: ip('192.0.2.2'), asn: 65002 }] = config.peers
  let now = 0 as Instant
  const take = (all: readonly SpeakerEffect[]): void => {
    for (const effect of all) {
      effects.push(effect)
      if (effect.kind === 'turn.give') feed({ kind: 'turn.given' })
      if (effect.kind === 'send') framer.push(effect.bytes)
    }
  }
  const feed = (input: SpeakerInput): void => take(speaker.handle(input, now))
  const session = (input: SessionInput): void => feed({ kind: 'session', peer: address, input })
  const say = (bytes: Uint8Array): void => session({ kind: 'received', connection: 2, bytes })
  feed({ kind: 'configure', config })
  session({ kind: 'connected', connection: 2, local: ip('192.0.2.1') })
  const capabilities = { families: ['ipv4', 'ipv6'], fourOctetAs: asn, routeRefresh: true } as const
  say(encodeOpen({ asn, holdSeconds: 0, id: ip('192.0.2.2'), capabilities, ...open }))
  say(encodeKeepalive())
  return {
    speaker,
    effects,
    feed,
    session,
    say,
    at(ms: number) {
      now = ms as Instant
      take(speaker.wake(now))
    },
    /** What the speaker has said since the last call, a line a message. */
    heard(): readonly string[] {
      const lines: string[] = []
      for (let frame = framer.next(); frame !== undefined; frame = framer.next()) {
        if (frame.kind === 'reset') throw new Error(frame.reason)
        lines.push(messageLines(decodeMessage(frame, CONTEXT), CONTEXT)[0] ?? '')
      }
      return lines
    },
    /** Reports since the last call. */
    reports(): readonly SpeakerReport[] {
      const found = effects.flatMap((effect) => (effect.kind === 'report' ? [effect.report] : []))
      effects.length = 0
      return found
    },
  }
}
