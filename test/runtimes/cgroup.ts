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
  for (const folder of hierarchies().map((hierarchy) => join(hierarchy, cgroup))) {
    removeTree(folder)
  }
}

/** Groups whose maker is dead, e.g. killed. */
export function deadCgroups(): readonly string[] {
  const names = hierarchies().flatMap((hierarchy) => readdirSync(hierarchy))
  return [...new Set(names)].flatMap((name) => {
    const maker = NAME.exec(name)?.[1]
    return maker === undefined || existsSync(`/proc/${maker}`) ? [] : [`/${name}`]
  })
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
    .filter((name) => /^\d+$/.test(name) && groupsOf(name).includes(`:${cgroup}/`))
    .map(Number)
}

function groupsOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cgroup`, 'utf8')
  } catch {
    return ''
  }
}

/** Deepest first: a group with others in it cannot go. */
function removeTree(folder: string): void {
  if (!existsSync(folder)) return
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) removeTree(join(folder, entry.name))
  }
  rmdirSync(folder)
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // it ended by itself
  }
}
