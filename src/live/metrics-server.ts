/**
 * HTTP for one page: `GET /metrics`, for a scraper on this node.
 *
 * Whoever asks anything else, asks at length, or reads slowly is shown the
 * door: the page must never cost a pod its network.
 *
 * @module
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { TriviumError } from '../errors.ts'
import { TEXT_FORMAT } from '../metrics/text.ts'
import { tryParseIp } from '../net/mod.ts'
import { publishSocket, withdrawSocket } from './socket-file.ts'

/** Where the page is served. */
export type MetricsAddress =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string }

export interface MetricsServer {
  /** As `--metrics` takes it, with the port that was chosen for port 0. */
  readonly address: string
  close(): Promise<void>
}

/** A scraper's request is a few hundred bytes. */
const HEADER_BYTES_MAX = 8192
const CONNECTIONS_MAX = 16
/** From the connection to the last byte read; scrapers give up after ten seconds. */
const EXCHANGE_MS_MAX = 10_000

/**
 * Reads `ADDRESS:PORT`, `[IPV6]:PORT` or `unix:/PATH`.
 *
 * @throws {TriviumError} USAGE
 */
export function parseMetricsAddress(text: string): MetricsAddress {
  const path = /^unix:(\/.+)$/.exec(text)?.[1]
  if (path !== undefined) return { kind: 'unix', path }
  const [, bracketed, plain, digits] = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text) ?? []
  const host = tryParseIp(bracketed ?? plain ?? '')
  const port = Number(digits)
  const isRight = host !== undefined && host.includes(':') === (bracketed !== undefined)
  if (isRight && port <= 65535) return { kind: 'tcp', host, port }
  throw new TriviumError(
    'USAGE',
    `Cannot serve metrics on ${JSON.stringify(text)}: wanted ADDRESS:PORT, [IPV6]:PORT or unix:/PATH`,
    'For example: --metrics 127.0.0.1:9478',
  )
}

/** @throws {TriviumError} The address cannot be bound. */
export async function serveMetrics(
  where: MetricsAddress,
  page: () => string,
  limits: { readonly exchangeMs?: number } = {},
): Promise<MetricsServer> {
  const options = { maxHeaderSize: HEADER_BYTES_MAX, keepAlive: false }
  const server = createServer(options, (request, response) => answer(request, response, page))
  server.maxConnections = CONNECTIONS_MAX
  server.on('connection', (socket) => {
    const timer = setTimeout(() => socket.destroy(), limits.exchangeMs ?? EXCHANGE_MS_MAX)
    socket.once('close', () => clearTimeout(timer))
  })
  const inode = await bind(server, where)
  // A connection that cannot be accepted (ENFILE, say) is no reason for the agent to end.
  server.on('error', () => {})
  return {
    address: where.kind === 'unix' ? `unix:${where.path}` : shown(server.address() as AddressInfo),
    async close() {
      if (where.kind === 'unix' && inode !== undefined) await withdrawSocket(where.path, inode)
      const closed = new Promise((resolve) => server.close(resolve))
      server.closeAllConnections()
      await closed
    },
  }
}

async function bind(
  server: ReturnType<typeof createServer>,
  where: MetricsAddress,
): Promise<bigint | undefined> {
  if (where.kind === 'unix') return publishSocket(server, where.path)
  const { host, port } = where
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => {
      const reason = `Cannot serve metrics on ${shown({ address: host, port })}: ${error.message}`
      reject(new TriviumError('BAD_CONFIG', reason, 'Choose another address: --metrics', error))
    })
    server.listen({ host, port, exclusive: true }, resolve)
  })
  server.removeAllListeners('error')
  return undefined
}

const shown = ({ address, port }: Pick<AddressInfo, 'address' | 'port'>): string =>
  address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`

function answer(request: IncomingMessage, response: ServerResponse, page: () => string): void {
  const { status, text, headers = {} } = replyTo(request, page)
  response.writeHead(status, { Connection: 'close', ...headers })
  response.end(text)
}

interface Reply {
  readonly status: number
  readonly text: string
  readonly headers?: Readonly<Record<string, string>>
}

function replyTo({ url, method }: IncomingMessage, page: () => string): Reply {
  if (url?.split('?')[0] !== '/metrics') return { status: 404, text: 'There is only /metrics\n' }
  if (method !== 'GET') return { status: 405, text: 'Only GET\n', headers: { Allow: 'GET' } }
  try {
    return { status: 200, text: page(), headers: { 'Content-Type': TEXT_FORMAT } }
  } catch (thrown) {
    return { status: 500, text: `Cannot count: ${(thrown as Error).message}\n` }
  }
}
