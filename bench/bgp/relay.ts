/**
 * In the place of a daemon: lets every peer in, and hands what feeders say on to
 * monitors, octet by octet; one feeder, so that messages stay whole. What this takes is
 * the bench's own, not BGP's.
 *
 *     node … bench/bgp/relay.ts SETTING
 */
import { readFileSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { encodeKeepalive, Framer, HEADER_OCTETS } from '../../src/bgp/wire/framing.ts'
import { MESSAGE } from '../../src/bgp/wire/iana.ts'
import { encodeOpen } from '../../src/bgp/wire/open.ts'
import type { Setting } from './daemons.ts'

const { address, asn, holdSeconds, monitors }: Setting = JSON.parse(
  readFileSync(process.argv[2] ?? '', 'utf8'),
)
const addresses = new Set<string>(monitors.map((end) => end.address))
const listening = new Set<Socket>()
const KEEPALIVE = encodeKeepalive()

createServer({ noDelay: true }, (socket) => {
  const isMonitor = addresses.has(socket.remoteAddress ?? '')
  const framer = new Framer()
  let isUp = false
  socket.on('error', () => {})
  socket.on('close', () => listening.delete(socket))
  const capabilities = { families: ['ipv4'], fourOctetAs: asn } as const
  socket.write(encodeOpen({ asn, holdSeconds, id: address, capabilities }))
  socket.on('data', (chunk) => {
    if (isUp) {
      if (!isMonitor) for (const each of listening) each.write(chunk)
      return
    }
    framer.push(chunk)
    for (let frame = framer.next(); frame?.kind === 'frame'; frame = framer.next()) {
      if (frame.type === MESSAGE.OPEN) socket.write(KEEPALIVE)
      if (frame.type !== MESSAGE.KEEPALIVE) continue
      isUp = true
      if (isMonitor) listening.add(socket)
      const rest = chunk.subarray(chunk.length - framer.waitingOctets)
      if (rest.length > HEADER_OCTETS) for (const each of listening) each.write(rest)
    }
  })
}).listen(179, address)
