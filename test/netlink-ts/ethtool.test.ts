/** The checksum switch of a link, seen by nobody's word but the kernel's own netlink answer. */
import { execFileSync } from 'node:child_process'
import { closeSync } from 'node:fs'
import { NetlinkSocket, openNetns } from 'netlink-ts/live'
import t from 'tap'

const skip = process.getuid?.() === 0 ? false : 'needs root'

t.test('checksum offload of a tunnel', { skip }, async (t) => {
  const name = `nlth${process.pid}`
  const ip = (...args: readonly string[]): string => execFileSync('ip', args, { encoding: 'utf8' })
  ip('netns', 'add', name)
  t.teardown(() => ip('netns', 'del', name))
  ip('-n', name, 'link', 'add', 'u0', 'type', 'veth', 'peer', 'name', 'u1')
  ip('-n', name, 'link', 'add', 'vx0', 'type', 'vxlan', 'id', '5', 'dstport', '8472', 'dev', 'u0')
  const netnsFd = openNetns(`/run/netns/${name}`)
  const socket = NetlinkSocket.open({ netnsFd })
  closeSync(netnsFd)
  t.teardown(() => socket.close())
  const told = (): boolean =>
    /^tx-checksumming: on/m.test(
      execFileSync('ip', ['netns', 'exec', name, 'ethtool', '-k', 'vx0'], { encoding: 'utf8' }),
    )
  t.equal(socket.txChecksum('vx0'), true)
  for (const on of [false, false, true]) {
    socket.setTxChecksum('vx0', on)
    t.equal(socket.txChecksum('vx0'), on)
    t.equal(told(), on, 'ethtool says the same')
  }
  t.throws(() => socket.txChecksum('nobody'), { code: 'ENODEV' })
  t.throws(() => socket.setTxChecksum('a-name-too-long-for-it', false), RangeError)
})
