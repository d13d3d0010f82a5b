/** What GC takes: never another network's, never another node's, never what is valid. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { garbageOf } from '../../src/cni/mod.ts'
import {
  type KernelObject,
  kernelState,
  type Link,
  podAlias,
  podLinkName,
} from '../../src/kernel/mod.ts'
import { attachment, network } from '../backend/views.ts'
import { holds } from '../support/property.ts'

const link = (name: string, alias?: string): Link => ({
  kind: 'link',
  name,
  link: { type: 'veth' },
  up: true,
  ...(alias === undefined ? {} : { alias }),
})
const podLink = (net: string, id: string): Link =>
  link(podLinkName(net, id, 'eth0'), podAlias(net, id, 'eth0', 1))
const element = (set: string, hostLink: string, ip: string): KernelObject => ({
  kind: 'nft-element',
  set,
  key: `${hostLink} . ${ip}`,
})

const record = network('route')
const ask = (
  attachments: readonly ReturnType<typeof attachment>[],
  valid: readonly string[],
  objects: readonly KernelObject[],
) => {
  const { attachments: gone, ...rest } = garbageOf({
    network: 'pods',
    record,
    attachments,
    valid: valid.map((containerId) => ({ containerId, ifname: 'eth0' })),
    kernel: kernelState(objects),
  })
  return { gone: gone.map(({ containerId }) => containerId), ...rest }
}

t.test('GC-03 attachments that are not listed; an empty list lists none', async (t) => {
  const both = [attachment('a', ['10.42.0.1']), attachment('b', ['10.42.0.2'])]
  t.strictSame(ask(both, ['a'], []).gone, ['b'])
  t.strictSame(ask(both, [], []).gone, ['a', 'b'], 'GC-02')
  t.strictSame(ask(both, ['a', 'b', 'c'], []).gone, [])
})

t.test('GC-03 links without a record go, and only ours of this network', async (t) => {
  const kept = podLink('pods', 'a')
  const leaked = podLink('pods', 'x')
  const others = [
    podLink('web', 'x'),
    link(podLinkName('pods', 'y', 'eth0')), // without alias it could be any network's
    link(podLinkName('pods', 'z', 'eth0'), 'foreign'),
    link('eth0', podAlias('pods', 'w', 'eth0', 1)),
    link('trvx.1', 'trivium pods'),
  ]
  const objects = [kept, leaked, ...others]
  t.strictSame(ask([attachment('a', ['10.42.0.1'])], [], objects).links, [leaked.name])
  t.strictSame(
    ask([], ['x'], objects).links,
    [kept.name],
    'what the runtime lists stays, even where its record was lost',
  )
})

t.test('GC-03 elements that no link of ours has any more', async (t) => {
  const { hostLink = '' } = attachment('a', ['10.42.0.1'])
  const objects = [
    element('pods4', hostLink, '10.42.0.1'),
    element('pods4', 'trv00000000001', '10.42.0.9'),
    element('pods4', 'trv00000000002', '10.99.0.9'),
    element('nodes4', 'trv00000000003', '10.42.0.9'),
  ]
  t.strictSame(
    ask([attachment('a', ['10.42.0.1'])], [], objects).elements,
    [objects[1]],
    "GC-06 another network's address stays",
  )
})

const idsArb = fc.subarray(['a', 'b', 'c', 'd', 'e'])
holds(
  t,
  'GC-06 nothing valid and nothing of others is ever taken; twice is once',
  fc.tuple(idsArb, idsArb, idsArb, idsArb),
  ([recorded, valid, linked, elsewhere]) => {
    const attachments = recorded.map((id) => attachment(id, ['10.42.0.1']))
    const objects = [
      ...linked.map((id) => podLink('pods', id)),
      ...elsewhere.map((id) => podLink('web', id)),
    ]
    const { gone, links } = ask(attachments, valid, objects)
    assert.deepEqual(
      gone,
      recorded.filter((id) => !valid.includes(id)),
    )
    const foreign = elsewhere.map((id) => podLink('web', id).name)
    const listed = valid.map((id) => podLink('pods', id).name)
    for (const name of links) assert.ok(!foreign.includes(name) && !listed.includes(name))
    const left = attachments.filter(({ containerId }) => !gone.includes(containerId))
    const taken = new Set([...links, ...gone.map((id) => podLink('pods', id).name)])
    const after = objects.filter(({ name }) => !taken.has(name))
    const again = ask(left, valid, after)
    assert.deepEqual([again.gone, again.links], [[], []])
    const missed = after.filter(({ name }) => !foreign.includes(name) && !listed.includes(name))
    assert.deepEqual(missed, [], 'GC-03')
  },
)
