/**
 * BFD by itself, in whatever namespace it is started: `bfd-program.ts '[PEERS]'`. Prints
 * a line of JSON for each change; reads `busy MS`, `peers [PEERS]` and `stop`.
 *
 * @module
 */
import { createInterface } from 'node:readline'
import { startBfd } from '../../../src/live/bgp/bfd.ts'

const say = (line: unknown): void => void process.stdout.write(`${JSON.stringify(line)}\n`)

const bfd = startBfd({
  onState: say,
  onProblem: (subject, problem) => say({ kind: 'problem', subject, problem }),
})
bfd.configure(JSON.parse(process.argv[2] ?? '[]'))
createInterface({ input: process.stdin }).on('line', (line) => {
  const [word, rest = ''] = line.split(/ (.*)/)
  if (word === 'busy') {
    for (const end = performance.now() + Number(rest); performance.now() < end; );
    say({ kind: 'idle' })
  } else if (word === 'peers') bfd.configure(JSON.parse(rest))
  else void bfd.stop().then(() => process.exit())
})
