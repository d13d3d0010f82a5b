/**
 * A TCP connection that must not end: `server` echoes, `client IP` sends a piece every
 * 20 ms and ends with what came back, one line, at the end of its standard input.
 */
import { connect, createServer } from 'node:net'

const PORT = 7007
const PIECE = Buffer.alloc(20_000, 'x')
const [, , role, ip] = process.argv

if (role === 'server') {
  createServer((socket) => socket.on('error', () => {}).pipe(socket)).listen(PORT, '::', () =>
    process.stdout.write('ready\n'),
  )
  process.stdin.on('end', () => process.exit(0)).resume()
} else {
  let [sent, back, problem] = [0, 0, '']
  const socket = connect(PORT, ip, () => process.stdout.write('ready\n'))
  socket.on('data', ({ length }) => {
    back += length
  })
  socket.on('error', ({ message }) => {
    problem = message
  })
  const beat = setInterval(() => {
    if (socket.writableLength > 0) return
    sent += PIECE.length
    socket.write(PIECE)
  }, 20)
  process.stdin.on('end', () => {
    clearInterval(beat)
    // What was sent comes back however long that takes: TCP sends again.
    const wait = setInterval(() => {
      if (back < sent && problem === '') return
      clearInterval(wait)
      process.stdout.write(`${JSON.stringify({ sent, back, problem })}\n`)
      process.exit(0)
    }, 20)
    setTimeout(() => {
      problem = 'nothing comes back any more'
    }, 20_000)
  })
  process.stdin.resume()
}
