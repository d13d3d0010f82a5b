/**
 * Where a speaker listens: peers that it knows are let in, others are closed at once.
 *
 * MD5 keys are on a socket before it is bound, so no connection of such a peer is ever
 * taken without a signature.
 *
 * @module
 */
import { createServer, type Server, type Socket } from 'node:net'
import { openTcpSocket, setMd5Key } from 'netlink-ts/live'
import type { PeerConfig, SpeakerConfig } from '../../bgp/config.ts'
import { ipOctets } from '../../bgp/wire/octets.ts'
import { asTriviumError, TriviumError } from '../../errors.ts'
import { type Ip, ipFamily } from '../../net/mod.ts'
import { addressOf } from './transport.ts'

export interface ListenAddress {
  /** `0.0.0.0` and `::` for all of a family. */
  readonly address: Ip
  /** @default 179 */
  readonly port?: number
}

export interface Listener {
  /** Keys of peers that were added, changed or removed. */
  configure(config: SpeakerConfig): void
  close(): Promise<void>
}

export interface ListenerOptions {
  readonly addresses: readonly ListenAddress[]
  readonly config: SpeakerConfig
  /** Whether connections of this address are taken. */
  readonly isPeer: (address: Ip) => boolean
  readonly accept: (peer: Ip, socket: Socket) => void
  /** Told once for each address that is no peer's. */
  readonly refused: (address: string) => void
}

const BGP_PORT = 179
const BACKLOG = 512
/** Strangers that are told of, before it is quiet. */
const STRANGERS_MAX = 256
/** What a peer with RFC 5082 takes. */
const TTL = 255

interface Bound {
  readonly fd: number
  readonly family: 4 | 6
  readonly server: Server
}

/** @throws {TriviumError} BAD_CONFIG: an address that cannot be bound. */
export async function listen(options: ListenerOptions): Promise<Listener> {
  const bound: Bound[] = []
  const strangers = new Set<string>()
  const take = (socket: Socket): void => {
    const shown = socket.remoteAddress
    const address = addressOf(shown)
    if (address !== undefined && options.isPeer(address)) {
      options.accept(address, socket)
      return
    }
    socket.on('error', () => {})
    socket.resetAndDestroy()
    if (shown === undefined || strangers.has(shown) || strangers.size >= STRANGERS_MAX) return
    strangers.add(shown)
    options.refused(shown)
  }
  let keys = keysOf(options.config)
  const close = async (): Promise<void> => {
    await Promise.all(bound.map(({ server }) => new Promise((done) => server.close(done))))
  }
  try {
    for (const address of options.addresses) bound.push(await bindOne(address, keys, take))
  } catch (thrown) {
    await close()
    throw thrown
  }
  return {
    configure(config) {
      const after = keysOf(config)
      for (const [peer, key] of changed(keys, after)) {
        for (const { fd, family } of bound) {
          if (ipFamily(peer) === family) setMd5Key(fd, ipOctets(peer), key)
        }
      }
      keys = after
    },
    close,
  }
}

async function bindOne(
  { address, port = BGP_PORT }: ListenAddress,
  keys: ReadonlyMap<Ip, string>,
  take: (socket: Socket) => void,
): Promise<Bound> {
  const family = ipFamily(address)
  const server = createServer(take)
  try {
    const fd = openTcpSocket(family, {
      isListener: true,
      local: { address: ipOctets(address), port },
      md5: [...keys]
        .filter(([peer]) => ipFamily(peer) === family)
        .map(([peer, key]) => ({ address: ipOctets(peer), key })),
      ttl: TTL,
    })
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen({ fd, backlog: BACKLOG }, resolve)
    })
    server.removeAllListeners('error')
    // A connection that cannot be accepted (ENFILE, say) is no reason to end.
    server.on('error', () => {})
    return { fd, family, server }
  } catch (thrown) {
    throw new TriviumError(
      'BAD_CONFIG',
      `Cannot listen on ${address} port ${port}: ${asTriviumError(thrown).message}`,
      'Another daemon may have it, or it is no address of this host',
      thrown,
    )
  }
}

const keysOf = ({ peers }: SpeakerConfig): ReadonlyMap<Ip, string> =>
  new Map(
    peers.flatMap(({ address, password }: PeerConfig) =>
      password === undefined ? [] : [[address, password] as const],
    ),
  )

function* changed(
  before: ReadonlyMap<Ip, string>,
  after: ReadonlyMap<Ip, string>,
): Generator<readonly [Ip, string | undefined]> {
  for (const [peer, key] of after) if (before.get(peer) !== key) yield [peer, key]
  for (const peer of before.keys()) if (!after.has(peer)) yield [peer, undefined]
}
