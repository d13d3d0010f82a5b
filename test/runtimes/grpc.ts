/**
 * Unary gRPC calls over a Unix socket, on Node's own HTTP/2.
 *
 * Source: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
 *
 * @module
 */
import { type ClientHttp2Session, connect } from 'node:http2'
import { createConnection } from 'node:net'

/** An answer that is an error, or none. */
export class GrpcError extends Error {
  override readonly name = 'GrpcError'
  readonly method: string
  /** Source: https://grpc.github.io/grpc/core/md_doc_statuscodes.html; 14 (UNAVAILABLE) where nobody answered. */
  readonly status: number

  constructor(method: string, status: number, message: string) {
    super(message)
    this.method = method
    this.status = status
  }
}

const UNAVAILABLE = 14
const DEADLINE_EXCEEDED = 4
/** One byte that says whether the message is compressed, four of its length. */
const PREFIX_BYTES = 5

/** One call on a connection of its own: a server may have been restarted since the last one. */
export async function callUnary(
  socketPath: string,
  method: string,
  request: Uint8Array,
  timeoutMs: number,
): Promise<Uint8Array> {
  const session = connect('http://localhost', {
    createConnection: () => createConnection(socketPath),
  })
  try {
    return await exchange(session, method, request, timeoutMs)
  } finally {
    session.destroy()
  }
}

function exchange(
  session: ClientHttp2Session,
  method: string,
  request: Uint8Array,
  timeoutMs: number,
): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const fail = (status: number, message: string): void =>
      reject(new GrpcError(method, status, message))
    const lost = (error: Error): void => fail(UNAVAILABLE, error.message)
    session.on('error', lost)
    session.on('close', () => fail(UNAVAILABLE, 'the connection was closed'))
    const timer = setTimeout(() => {
      fail(DEADLINE_EXCEEDED, `no answer after ${timeoutMs} ms`)
      session.destroy()
    }, timeoutMs)
    const stream = session.request({
      ':method': 'POST',
      ':path': method,
      'content-type': 'application/grpc',
      te: 'trailers',
      'grpc-timeout': `${timeoutMs}m`,
    })
    const chunks: Buffer[] = []
    let headers: Readonly<Record<string, unknown>> = {}
    const see = (seen: object): void => {
      headers = { ...headers, ...seen }
    }
    stream.on('response', see)
    stream.on('trailers', see)
    stream.on('error', lost)
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    stream.on('close', () => {
      clearTimeout(timer)
      const status = Number(headers['grpc-status'] ?? UNAVAILABLE)
      const text = headers['grpc-message']
      if (status !== 0) fail(status, decodeURIComponent(String(text ?? 'the answer is cut off')))
      else resolve(Buffer.concat(chunks).subarray(PREFIX_BYTES))
    })
    const prefix = Buffer.alloc(PREFIX_BYTES)
    prefix.writeUInt32BE(request.length, 1)
    stream.end(Buffer.concat([prefix, request]))
  })
}
