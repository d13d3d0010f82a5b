/** Messages of real daemons: `test/corpus/bgp`, recorded by `test/bgp/corpus/record.ts`. */
import { readdirSync, readFileSync } from 'node:fs'
import type { Context } from '../../../src/bgp/wire/context.ts'
import { Framer } from '../../../src/bgp/wire/framing.ts'
import { decodeMessage, type Message } from '../../../src/bgp/wire/message.ts'
import { EXTERNAL, hex, INTERNAL } from './support.ts'

const FOLDER = new URL('../../corpus/bgp/', import.meta.url)

/** What the recorder announced to each kind of peer. */
const CONTEXTS: Readonly<Record<string, Context>> = {
  external: EXTERNAL,
  'two-octets': { ...EXTERNAL, fourOctetAs: false },
  'internal-add-path': { ...INTERNAL, extendedNextHop: true },
}

export interface Recording {
  readonly name: string
  readonly context: Context
  readonly messages: readonly Uint8Array[]
}

/** Paths come with identifiers where the daemon said that it sends them. */
function negotiated(messages: readonly Uint8Array[], context: Context): Context {
  const open = messages.map((each) => decoded(each, context)).find(({ kind }) => kind === 'open')
  if (open?.kind !== 'open' || context.peering !== 'internal') return context
  const sent = (open.capabilities.addPath ?? []).filter(({ direction }) => direction !== 'receive')
  const extendedNextHop = open.capabilities.extendedNextHop?.includes('ipv4') ?? false
  return { ...context, extendedNextHop, addPathReceive: sent.map(({ family }) => family) }
}

export function readCorpus(): readonly Recording[] {
  return readdirSync(FOLDER)
    .filter((file) => file.endsWith('.txt'))
    .sort()
    .map((file) => {
      const name = file.slice(0, -'.txt'.length)
      const kind = Object.keys(CONTEXTS).find((each) => name.endsWith(each)) ?? ''
      const lines = readFileSync(new URL(file, FOLDER), 'utf8').trim().split('\n')
      const messages = lines.filter((line) => !line.startsWith('#')).map(hex)
      return { name, messages, context: negotiated(messages, CONTEXTS[kind] ?? EXTERNAL) }
    })
}

/** One whole message, through a framer of its own. */
export function decoded(message: Uint8Array, context: Context): Message {
  const framer = new Framer()
  framer.push(message)
  framer.allowExtendedMessages()
  const frame = framer.next()
  if (frame === undefined) throw new Error(`cut off: ${message.length} octets`)
  return frame.kind === 'reset' ? frame : decodeMessage(frame, context)
}
