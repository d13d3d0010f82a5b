/**
 * `trivium doctor`: what is wrong with this node.
 *
 * @module
 */
import { Command } from 'commander'
import { apartBecause, leaseLeftMs } from '../../../ipam/cluster/membership.ts'
import type { Incarnation } from '../../../ipam/cluster/records.ts'
import { keys } from '../../../ipam/keys.ts'
import type { Reader } from '../../../ipam/store.ts'
import { readView } from '../../cluster/read-view.ts'
import { asTriviumError } from '../../errors.ts'
import {
  type ClusterLook,
  type Examined,
  examine,
  type Finding,
  type Severity,
  worst,
} from '../../explain/mod.ts'
import { callAgent } from '../../live/agent-client.ts'
import { bootId, uptimeMs } from '../../live/boot.ts'
import { openAnyStore } from '../../live/cluster-store.ts'
import { markPath, newestMark } from '../../live/mark-file.ts'
import { print, storeOption } from '../common.ts'
import { type Column, type OutputFormat, outputOption, renderRows } from '../output.ts'
import { answering, mustKnowNode, type NodeFlags, nodeFlags, snapshotHere } from '../this-node.ts'

const STATUS: Readonly<Record<Severity, number>> = { ok: 0, warn: 1, fail: 2 }
const AGENT_MS = 2000

const HELP = `
Looks at the agent, the store, the kernel against what the store asks for, and settings
of this node that stop packets or will. Changes nothing.

Examples:
  trivium doctor
  trivium doctor -o wide      with what was wanted
  trivium doctor --node n1 --store lmdb:/var/lib/trivium/store -o json

Exit status:
  0  everything is well
  1  warnings: it works, but something may bite
  2  something is broken, or there is no answer
`

interface DoctorFlags extends NodeFlags {
  readonly store: string
  readonly output: OutputFormat
}

export function doctorCommand(): Command {
  const command = new Command('doctor')
    .description('what is wrong with this node, and what to do')
    .addOption(storeOption())
    .addOption(outputOption())
    .addHelpText('after', HELP)
  for (const flag of nodeFlags()) command.addOption(flag)
  return command.action((flags: DoctorFlags) => answering(() => run(flags)))
}

const COLUMNS: readonly Column<Finding>[] = [
  { title: 'STATE', value: ({ severity }) => (severity === 'fail' ? 'FAIL' : severity) },
  { title: 'CHECK', value: ({ check }) => check },
  { title: 'FOUND', value: ({ found }) => found },
  { title: 'WANTED', value: ({ wanted = '' }) => wanted, wide: true },
  { title: 'DO', value: ({ command = '' }) => command },
]

async function run(flags: DoctorFlags): Promise<void> {
  const findings = examine(await look(flags))
  print(renderRows(findings, COLUMNS, flags.output, 'nothing to look at'))
  process.exitCode = STATUS[worst(findings)]
}

async function look(flags: DoctorFlags): Promise<Examined> {
  const node = mustKnowNode(flags)
  const agentProblem = await agentSilence(flags.socket)
  const base = { node, agentProblem, socketPath: flags.socket }
  try {
    const store = await openAnyStore(flags.store, { mustExist: true })
    try {
      const view = store.read((reader) => readView(reader, node))
      const cluster = store.read((reader) => clusterLook(reader, node, flags.socket))
      return {
        ...base,
        storeProblem: undefined,
        view,
        cluster,
        snapshot: snapshotHere(store, node),
      }
    } finally {
      store.close()
    }
  } catch (thrown) {
    const storeProblem = asTriviumError(thrown).message
    return { ...base, storeProblem, view: undefined, snapshot: snapshotHere(undefined, node) }
  }
}

function clusterLook(reader: Reader, node: string, socket: string): ClusterLook | undefined {
  const membership = reader.get(keys.membership)
  if (membership === undefined) return undefined
  const newest = (of: Incarnation): number => newestMark(markPath(socket), of)
  return {
    refusal: apartBecause(reader, node, bootId(), uptimeMs, newest)?.message,
    leaseLeftMs: leaseLeftMs(membership, bootId(), uptimeMs()) ?? 0,
    leaseMs: membership.lease?.lengthMs ?? 0,
  }
}

/** Why the agent does not answer a question that changes nothing; undefined: it does. */
async function agentSilence(socketPath: string): Promise<string | undefined> {
  const call = {
    plugin: 'trivium',
    callerPid: process.pid,
    netns: undefined,
    env: { CNI_COMMAND: 'VERSION' },
    config: '{"cniVersion":"1.1.0"}',
  } as const
  try {
    const { exitStatus, stdout } = await callAgent(socketPath, call, { acceptMs: AGENT_MS })
    return exitStatus === 0 ? undefined : `it answers with an error: ${stdout.trim()}`
  } catch (thrown) {
    return (thrown as Error).message
  }
}
