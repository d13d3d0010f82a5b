/**
 * A pod's namespace, as the runtime names it.
 *
 * @module
 */
import { closeSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import * as live from 'netlink-ts/live'
import { asTriviumError, TriviumError } from '../errors.ts'
import { type LiveKernel, openKernel } from './kernel.ts'

/** What the launcher saw at CNI_NETNS, from the runtime's side. */
export interface NetnsIdentity {
  readonly dev: bigint
  readonly ino: bigint
}

/** An open namespace: closed by `close`, whatever happened. */
export interface PodNetns {
  readonly fd: number
  readonly kernel: LiveKernel
  /** Lets the kernel give the link IPv6 addresses where a runtime has switched that off. */
  enableIpv6(ifname: string): void
  close(): void
}

export interface NetnsQuestion {
  /** CNI_NETNS. */
  readonly path: string
  /** Whether our own namespace is allowed (CNI_NETNS_OVERRIDE). */
  readonly allowOwn: boolean
  /** Absent when there is no launcher in between. */
  readonly identity?: NetnsIdentity
  /** Process whose mount namespace `path` is meant in. */
  readonly callerPid?: number
}

/**
 * Opens the namespace. Where the runtime sees another file system, the path is
 * looked up from the caller's root.
 *
 * @throws {TriviumError} BAD_NETNS
 */
export function openPodNetns(question: NetnsQuestion): PodNetns {
  const fd = openSame(question)
  try {
    if (!question.allowOwn && sameNetns(live.netnsIdentity(fd), live.selfNetnsIdentity())) {
      throw new TriviumError(
        'BAD_NETNS',
        "plugin's netns and netns from CNI_NETNS should not be the same",
        question.path,
      )
    }
    const kernel = openKernel(fd, false, false)
    return {
      fd,
      kernel,
      enableIpv6: (ifname) => live.inNetns(fd, () => switchOn(ifname)),
      close() {
        kernel.close()
        closeSync(fd)
      },
    }
  } catch (thrown) {
    closeSync(fd)
    throw asTriviumError(thrown, 'BAD_NETNS')
  }
}

function openSame({ path, identity, callerPid }: NetnsQuestion): number {
  const seen = tryOpen(path)
  if (identity === undefined) return orThrow(seen)
  if (typeof seen === 'number') {
    if (sameNetns(live.netnsIdentity(seen), identity)) return seen
    closeSync(seen)
  }
  const theirs = tryOpen(pathBelow(`/proc/${callerPid}/root`, path))
  if (typeof theirs === 'number') {
    if (sameNetns(live.netnsIdentity(theirs), identity)) return theirs
    closeSync(theirs)
  }
  throw new TriviumError(
    'BAD_NETNS',
    `Cannot open the namespace ${path}: what the agent sees there is not what the runtime named`,
    path.startsWith('/proc/')
      ? "The agent needs the host's PID namespace (hostPID: true): the path names a process of the host"
      : `The agent needs the host's PID namespace (hostPID: true), or the host's ${dirname(path)} mounted at the same path with propagation HostToContainer`,
  )
}

/** As many as the kernel follows: MAXSYMLINKS in include/linux/namei.h. */
const LINKS_MAX = 40

/**
 * A path as a process with another root means it. The kernel takes absolute
 * links to our root instead, and /var/run is one almost everywhere.
 */
function pathBelow(root: string, path: string): string {
  const done: string[] = []
  let left = path.split('/')
  for (let links = 0; left.length > 0; ) {
    const [name = '', ...rest] = left
    left = rest
    if (name === '' || name === '.') continue
    if (name === '..') {
      done.pop()
      continue
    }
    const target = linkTarget([root, ...done, name].join('/'))
    if (target === undefined) {
      done.push(name)
      continue
    }
    links += 1
    if (links > LINKS_MAX) break // opening it will fail, and say why
    if (target.startsWith('/')) done.length = 0
    left = [...target.split('/'), ...left]
  }
  return [root, ...done, ...left].join('/')
}

/** Nothing for what is no link, or one that only the kernel can follow, such as /proc/1/ns/net. */
function linkTarget(path: string): string | undefined {
  try {
    const target = readlinkSync(path)
    return /^\w+:\[\d+\]$/.test(target) ? undefined : target
  } catch {
    return undefined
  }
}

function tryOpen(path: string): number | Error {
  try {
    return live.openNetns(path)
  } catch (thrown) {
    return thrown instanceof Error ? thrown : new Error(String(thrown))
  }
}

function orThrow(opened: number | Error): number {
  if (typeof opened === 'number') return opened
  throw new TriviumError('BAD_NETNS', opened.message, '', opened)
}

const sameNetns = (left: NetnsIdentity, right: NetnsIdentity): boolean =>
  left.dev === right.dev && left.ino === right.ino

function switchOn(ifname: string): void {
  const path = `/proc/sys/net/ipv6/conf/${ifname}/disable_ipv6`
  if (readFileSync(path, 'utf8').trim() !== '0') writeFileSync(path, '0')
}
