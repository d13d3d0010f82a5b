/**
 * The truth from outside: `nft -f` in one namespace, our requests in another,
 * and `nft -j list ruleset` must say the same of both.
 */
import { execFileSync } from 'node:child_process'
import t from 'tap'
import { NftSocket } from '../../src/netlink-ts/live/mod.ts'
import { nft } from '../../src/netlink-ts/mod.ts'
import { rows } from './nft-rows/mod.ts'
import { type Lab, lab, notRoot } from './support.ts'

/** Why there is nothing to compare with; false when there is. */
function noNft(): string | false {
  try {
    execFileSync('nft', ['--version'])
    return notRoot
  } catch {
    return 'needs nft'
  }
}

/** A ruleset without what differs between two equal ones: handles, the order of elements. */
function ruleset(l: Lab): readonly string[] {
  const { nftables } = l.json('nft', 'list', 'ruleset') as { nftables: readonly object[] }
  return nftables.slice(1).map((object) => JSON.stringify(object, tidied))
}

function tidied(key: string, value: unknown): unknown {
  if (key === 'handle') return undefined
  if (key !== 'elem' || !Array.isArray(value)) return value
  return value.map((each) => JSON.stringify(each)).sort()
}

const feed = (l: Lab, text: string): void => {
  execFileSync('ip', ['netns', 'exec', l.name, 'nft', '-f', '-'], { input: text, stdio: 'pipe' })
}

t.test('nft -f and our requests make the same ruleset', { skip: noNft() }, async (t) => {
  const [theirs, ours] = [lab(t), lab(t)]
  const socket = NftSocket.open({ netnsFd: ours.fd })
  t.teardown(() => socket.close())
  for (const { name, text, ours: transactions, optional } of rows) {
    feed(theirs, 'flush ruleset')
    socket.commit([nft.flushRuleset()])
    try {
      for (const each of [text].flat()) feed(theirs, each)
    } catch (error) {
      if (optional !== true) throw error
      t.comment(`skipped: ${name}: ${String(error).split('\n')[1]}`)
      continue
    }
    const errors = transactions.flatMap((requests) => socket.transact(requests))
    const refused = errors.filter((error) => error !== undefined)
    t.strictSame(
      refused.map(({ message }) => message),
      [],
      `${name}: accepted`,
    )
    t.strictSame(ruleset(ours), ruleset(theirs), name)
    t.ok(ruleset(theirs).length > 0, `${name}: there is something to compare`)
  }
})
