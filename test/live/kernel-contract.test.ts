/** The real kernel under the suite that the simulated one passes. */
import { execFileSync } from 'node:child_process'
import { closeSync } from 'node:fs'
import { openNetns, warmPool } from 'netlink-ts/live'
import t from 'tap'
import { openKernel } from '../../src/live/kernel.ts'
import { type KernelUnderTest, kernelContract } from '../contract/kernel.ts'
import { hasVlan } from '../support/kernel-parts.ts'

const ip = (...args: string[]): void => {
  execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] })
}

let made = 0

/** One program: a fork of Node is dear in a guest. The sysctls of a new namespace are the machine's. */
const GROUND = `
for scope in all default; do echo 0 >/proc/sys/net/ipv4/conf/$scope/promote_secondaries; done
exec ip -batch - <<END
link add under0 type veth peer name far0
addr add 192.0.2.1/24 dev under0
addr add 2001:db8::1/64 dev under0 nodad
link set far0 up
link set under0 up
END
`

/** A namespace with `under0`, whose peer gives it a carrier. */
async function real(): Promise<KernelUnderTest> {
  await warmPool()
  made += 1
  const netns = `trvk-${process.pid}-${made}`
  ip('netns', 'add', netns)
  try {
    execFileSync('nsenter', [`--net=/run/netns/${netns}`, '--', 'sh', '-ec', GROUND])
    const fd = openNetns(`/run/netns/${netns}`)
    const pod = podNetns(`${netns}-pod`)
    const kernel = openKernel(fd, true)
    const close = (): void => {
      kernel.close()
      closeSync(fd)
      ip('netns', 'del', netns)
      pod.close()
    }
    return {
      port: kernel,
      settle: () => {},
      podNetns: pod.path,
      setSysctl: (name, value) => ip('netns', 'exec', netns, 'sysctl', '-qw', `${name}=${value}`),
      addPair: (object) => kernel.applyNow([{ kind: 'add', object }], pod.fd())[0],
      peerMtuBytes: pod.mtuBytes,
      close,
    }
  } catch (thrown) {
    ip('netns', 'del', netns)
    throw thrown
  }
}

/** A namespace for the other end of a pair; most cases need none. */
function podNetns(name: string) {
  const path = `/run/netns/${name}`
  let fd: number | undefined
  return {
    path,
    fd(): number {
      if (fd === undefined) ip('netns', 'add', name)
      fd ??= openNetns(path)
      return fd
    },
    mtuBytes(): number | undefined {
      const text = execFileSync('ip', ['-n', name, '-j', 'link', 'show', 'eth0'], {
        encoding: 'utf8',
      })
      const [link] = JSON.parse(text) as readonly { readonly mtu?: number }[]
      return link?.mtu
    },
    close(): void {
      if (fd === undefined) return
      closeSync(fd)
      ip('netns', 'del', name)
    },
  }
}

if (process.getuid?.() !== 0) t.pass('skipped', { skip: 'needs root for network namespaces' })
else kernelContract(t, 'Linux', real, { lacks: hasVlan() ? [] : ['vlan'] })
