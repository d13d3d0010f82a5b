/**
 * The far end of `probe.ts`: runs inside a network namespace, takes one JSON
 * order a line and answers each with one line. Only Node's own modules.
 */
import dgram from 'node:dgram'
import net from 'node:net'
import { createInterface } from 'node:readline'

const say = (message) => process.stdout.write(`${JSON.stringify(message)}\n`)
const plain = (address) => String(address).replace(/^::ffff:/, '')
const connections = new Map()

const ORDERS = {
  listenUdp: ({ port }, done) => {
    const socket = dgram.createSocket('udp6')
    socket.on('message', (data, { address }) => {
      say({ heard: { text: data.toString('latin1'), from: plain(address) } })
    })
    socket.on('error', (error) => done({ error: error.code }))
    socket.bind(port, '::', () => done({}))
  },
  sendUdp: ({ from, fromPort, to, port, hex }, done) => {
    const socket = dgram.createSocket(to.includes(':') ? 'udp6' : 'udp4')
    socket.on('error', (error) => done({ error: error.code }))
    socket.bind(fromPort, from, () => {
      socket.send(Buffer.from(hex, 'hex'), port, to, (error) => {
        socket.close()
        done(error ? { error: error.code } : {})
      })
    })
  },
  /** Tells each caller its address. */
  serveUdp: ({ port }, done) => {
    const socket = dgram.createSocket('udp6')
    socket.on('message', (_data, { address, port: back }) => {
      socket.send(plain(address), back, address)
    })
    socket.on('error', (error) => done({ error: error.code }))
    socket.bind(port, '::', () => done({}))
  },
  /** Asks a few times, as UDP must, and answers with the first answer. */
  callUdp: ({ to, port, msMax }, done) => {
    const socket = dgram.createSocket(to.includes(':') ? 'udp6' : 'udp4')
    const ask = () => socket.send('?', port, to)
    const again = setInterval(ask, 200)
    const end = (answer) => {
      clearInterval(again)
      clearTimeout(patience)
      socket.close()
      done(answer)
    }
    const patience = setTimeout(() => end({ error: 'ETIMEDOUT' }), msMax)
    socket.on('error', (error) => end({ error: error.code }))
    socket.once('message', (data) => end({ line: data.toString() }))
    socket.connect(port, to, () => ask())
  },
  /** Counts what one caller sends: bytes, and milliseconds from the first to the last. */
  measureTcp: ({ port }, done) => {
    const server = net.createServer({ allowHalfOpen: true }, (socket) => {
      let [bytes, first, last] = [0, 0, 0]
      socket.on('data', (data) => {
        last = performance.now()
        if (bytes === 0) first = last
        bytes += data.length
      })
      socket.on('error', () => {})
      socket.on('end', () => socket.end(JSON.stringify({ bytes, ms: last - first })))
    })
    server.on('error', (error) => done({ error: error.code }))
    server.listen(port, '::', () => done({}))
  },
  /** Sends so many bytes and answers with what the far end counted. */
  pourTcp: ({ to, port, bytes, msMax }, done) => {
    const socket = net.connect({ host: to, port })
    const patience = setTimeout(() => socket.destroy(new Error('ETIMEDOUT')), msMax)
    socket.once('error', (error) => done({ error: error.code ?? error.message }))
    socket.once('data', (data) => {
      clearTimeout(patience)
      done({ line: data.toString() })
    })
    socket.end(Buffer.alloc(bytes))
  },
  /** Says who called, then repeats whatever it is told. */
  serveTcp: ({ port }, done) => {
    const server = net.createServer((socket) => {
      socket.on('error', () => {})
      socket.write(`${plain(socket.remoteAddress)}\n`)
      socket.pipe(socket)
    })
    server.on('error', (error) => done({ error: error.code }))
    server.listen(port, '::', () => done({}))
  },
  /** Answers with the first line the server says; the connection stays open. */
  callTcp: ({ id, to, port, msMax }, done) => {
    const socket = net.connect({ host: to, port })
    const patience = setTimeout(() => socket.destroy(new Error('ETIMEDOUT')), msMax)
    socket.once('error', (error) => done({ error: error.code ?? error.message }))
    socket.once('data', (data) => {
      clearTimeout(patience)
      connections.set(id, socket)
      done({ line: data.toString().trim() })
    })
  },
  /** Says something on the connection of an earlier call and answers with what comes back. */
  talkTcp: ({ call, text, msMax }, done) => {
    const socket = connections.get(call)
    const patience = setTimeout(() => done({ error: 'ETIMEDOUT' }), msMax)
    socket.once('data', (data) => {
      clearTimeout(patience)
      done({ line: data.toString().trim() })
    })
    socket.write(`${text}\n`)
  },
}

createInterface({ input: process.stdin })
  .on('line', (line) => {
    const order = JSON.parse(line)
    ORDERS[order.verb](order, (answer) => say({ id: order.id, ...answer }))
  })
  .on('close', () => process.exit(0))
