/**
 * Control groups of the pods of a lab: one parent a node, named after the lab,
 * in every hierarchy there is.
 *
 * @module
 */
import { existsSync, readdirSync, readFileSync, rmdirSync } from 'node:fs'
import { join } from 'node:path'
import { settle } from '../support/e2e.ts'

const ROOT = '/sys/fs/cgroup'
/** A lab's id, which holds the process id of its maker, and a node's name. */
const NAME = /^trv-(\d+)-[0-9a-f]{4}-n\d+$/

/** As a runtime is told it. */
export const cgroupOf = (labId: string, node: string): string => `/${labId}-${node}`

/** Kills what runs in a group or below it, and removes the group. */
export async function endCgroup(cgroup: string): Promise<void> {
  const left = await settle(() => {
    const pids = members(cgroup)
    for (const pid of pids) kill(pid)
    return pids.map(String)
  })
  if (left.length > 0) throw new Error(`Cannot end ${left.join(' ')} of ${cgroup}`)
  for (const folder of foldersOf(cgroup)) removeTree(folder)
}

/** One a hierarchy. */
export const foldersOf = (cgroup: string): readonly string[] =>
  hierarchies()
    .map((hierarchy) => join(hierarchy, cgroup))
    .filter(existsSync)

/** The same for groups whose maker is dead, e.g. killed. */
export async function sweepDeadCgroups(): Promise<void> {
  const names = hierarchies().flatMap((hierarchy) => readdirSync(hierarchy))
  for (const name of new Set(names)) {
    const maker = NAME.exec(name)?.[1]
    if (maker !== undefined && !existsSync(`/proc/${maker}`)) await endCgroup(`/${name}`)
  }
}

/** Version 2 has one hierarchy at the root; version 1 has one a controller below it. */
function hierarchies(): readonly string[] {
  const isOne = (path: string): boolean => existsSync(join(path, 'cgroup.procs'))
  const below = readdirSync(ROOT).map((name) => join(ROOT, name))
  return isOne(ROOT) ? [ROOT] : below.filter(isOne)
}

/** Processes in a group or below it. */
export function members(cgroup: string): readonly number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => groupsOf(pid).some((group) => `${group}/`.startsWith(`${cgroup}/`)))
    .map(Number)
}

/** One path a hierarchy. */
function groupsOf(pid: string): readonly string[] {
  try {
    const lines = readFileSync(`/proc/${pid}/cgroup`, 'utf8').trim().split('\n')
    return lines.map((line) => line.split(':').slice(2).join(':'))
  } catch {
    return []
  }
}

/** Deepest first: a group with others in it cannot go. Another test may be sweeping, too. */
function removeTree(folder: string): void {
  try {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      if (entry.isDirectory()) removeTree(join(folder, entry.name))
    }
    rmdirSync(folder)
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code !== 'ENOENT') throw thrown
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // it ended by itself
  }
}
