/**
 * What programs and the kernel print, as numbers.
 */
import t from 'tap'
import {
  busyShare,
  cpuPerGigabit,
  readCpuTime,
  readIperf,
  readRate,
  readRoundTrip,
  readRunSeconds,
} from '../../bench/dataplane/read.ts'

/** Of iperf3 3.12; what is not read is left out. UDP has the receiver's figures in `sum_received`, too. */
const IPERF = {
  end: {
    sum_sent: { seconds: 2, bytes: 500_000_000 },
    sum_received: { seconds: 2.5, bytes: 250_000_000 },
    cpu_utilization_percent: { host_total: 40, remote_total: 20 },
  },
}

t.test('a stream is what arrived, in the time in which it arrived', async (t) => {
  const stream = readIperf(JSON.stringify(IPERF))
  t.strictSame(stream, { gigabits: 2, gigabitsPerSecond: 0.8, senderSeconds: 0.8 })
  t.equal(cpuPerGigabit(stream, 0.4).toFixed(6), '600.000000', 'ms a gigabit')
})

t.test('an iperf3 that failed is no stream', async (t) => {
  const error = { end: {}, error: 'unable to connect to server: Connection refused' }
  t.throws(() => readIperf(JSON.stringify(error)), /Connection refused/)
  t.throws(() => readIperf('{"end":{}}'), /what arrived/)
  const stopped = { end: { ...IPERF.end, sum_received: { seconds: 0, bytes: 0 } } }
  t.throws(() => readIperf(JSON.stringify(stopped)), /what arrived/)
})

t.test('lines of echo', async (t) => {
  t.equal(readRate('29302 500000000\n'), 58_604)
  t.throws(() => readRate('0 500000000\n'), /Cannot tell a rate/)
  t.throws(() => readRate(''), /Cannot tell a rate/)
  t.equal(readRoundTrip('74189 500011068 6069 0\n'), 6.069)
  t.throws(() => readRoundTrip('0 500011068 0 12\n'), /Cannot tell a round trip/)
})

t.test('processors: what is idle is not busy, what is stolen is not ours', async (t) => {
  const text = 'cpu  100 20 30 1000 50 4 6 40 90 9\ncpu0 1 1 1 1 1 1 1 1 1 1\nintr 5\n'
  const now = readCpuTime(text)
  t.strictSame(now, { busySeconds: 1.6, stolenSeconds: 0.4, allSeconds: 12.5 })
  const then = readCpuTime('cpu  0 0 0 600 50 0 0 0 0 0\n')
  t.equal(busyShare(then, now).toFixed(4), (2 / 6).toFixed(4))
  t.equal(readRunSeconds('2500000000 17 4\n'), 2.5)
  t.throws(() => readRunSeconds(''), /Cannot tell/)
})
