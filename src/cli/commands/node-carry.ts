/**
 * `trivium node carry`: the process by which an agent carries out what somebody
 * asked of its node. Reads the request on standard input; not for people.
 *
 * @module
 */
import { text } from 'node:stream/consumers'
import { Command } from 'commander'
import { parseDeed } from '../../../ipam/cluster/deed.ts'
import { ANSWER_BYTES_MAX, type DeedAnswer, noteCarried } from '../../../ipam/cluster/requests.ts'
import type { Store } from '../../../ipam/store.ts'
import { TriviumError } from '../../errors.ts'
import { lookTwice } from '../../live/ipam-look.ts'
import { mendAtOnce } from '../../live/ipam-repair.ts'
import { print, storeOption, withStore } from '../common.ts'
import { mustKnowNode, type NodeFlags, nodeFlags } from '../this-node.ts'

export function carryCommand(): Command {
  const command = new Command('carry')
    .description('carry out a request that another node sent; the agent calls it')
    .addOption(storeOption())
  for (const flag of nodeFlags()) command.addOption(flag)
  return command.action(async (flags: NodeFlags & { readonly store: string }) => {
    const request = parseDeed(await text(process.stdin))
    const answer = await withStore(flags.store, (store) => carry(store, request, flags))
    print(JSON.stringify(answer))
  })
}

async function carry(
  store: Store,
  { id, deed }: ReturnType<typeof parseDeed>,
  flags: NodeFlags,
): Promise<DeedAnswer> {
  const node = mustKnowNode(flags)
  if (deed.kind === 'look') return shortened(await lookTwice(store, node))
  const { repairs, force } = deed
  const place = { store, node, socketPath: flags.socket, force }
  const results = await mendAtOnce(repairs, place, (tx, all) => {
    const before = noteCarried(tx, id, { kind: 'mended', results: all })
    if (before === undefined) return
    const found = 'it was answered before'
    throw new TriviumError('CONFLICT', `Cannot carry out request ${id}: ${found}, wanted a new one`)
  })
  return { kind: 'mended', results }
}

/** As many findings as an answer holds. */
function shortened(findings: Awaited<ReturnType<typeof lookTwice>>): DeedAnswer {
  let bytes = 0
  const kept = findings.filter((finding) => {
    bytes += Buffer.byteLength(JSON.stringify(finding)) + 1
    return bytes < ANSWER_BYTES_MAX / 2
  })
  return { kind: 'found', findings: kept, left: findings.length - kept.length }
}
