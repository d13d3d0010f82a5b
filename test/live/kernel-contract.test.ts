/** The real kernel under the suite that the simulated one passes. */
import { execFileSync } from 'node:child_process'
import { closeSync } from 'node:fs'
import { openNetns, warmPool } from 'netlink-ts/live'
import t from 'tap'
import { openKernel } from '../../src/live/kernel.ts'
import { type KernelUnderTest, kernelContract } from '../contract/kernel.ts'

const ip = (...args: string[]): void => {
  execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] })
}

let made = 0

/** A namespace with `under0`, whose peer gives it a carrier. */
async function real(): Promise<KernelUnderTest> {
  await warmPool()
  made += 1
  const netns = `trvk-${process.pid}-${made}`
  ip('netns', 'add', netns)
  // What a new namespace has of it is the machine's.
  for (const scope of ['all', 'default']) {
    ip('netns', 'exec', netns, 'sysctl', '-qw', `net.ipv4.conf.${scope}.promote_secondaries=0`)
  }
  const on = (...args: string[]): void => ip('-n', netns, ...args)
  try {
    on('link', 'add', 'under0', 'type', 'veth', 'peer', 'name', 'far0')
    on('addr', 'add', '192.0.2.1/24', 'dev', 'under0')
    on('addr', 'add', '2001:db8::1/64', 'dev', 'under0', 'nodad')
    on('link', 'set', 'far0', 'up')
    on('link', 'set', 'under0', 'up')
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

function hasVlan(): boolean {
  const netns = `trvk-${process.pid}-probe`
  ip('netns', 'add', netns)
  try {
    ip('-n', netns, 'link', 'add', 'veth0', 'type', 'veth', 'peer', 'name', 'veth1')
    ip('-n', netns, 'link', 'add', 'link', 'veth0', 'name', 'v', 'type', 'vlan', 'id', '2')
    return true
  } catch {
    return false
  } finally {
    ip('netns', 'del', netns)
  }
}

if (process.getuid?.() !== 0) t.pass('skipped', { skip: 'needs root for network namespaces' })
else kernelContract(t, 'Linux', real, { lacks: hasVlan() ? [] : ['vlan'] })
