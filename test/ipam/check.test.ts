/** `checkIpam` finds what the invariants forbid, neither more nor less. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { checkIpam, confirmed, type KernelLook } from '../../ipam/check.ts'
import { keys, release } from '../../ipam/mod.ts'
import type { AttachmentRecord } from '../../ipam/records.ts'
import { holds } from '../support/property.ts'
import { add, BOOT, inhabited, NODES, RULE_SPOILS, ruled, SPOILS } from './check-world.ts'
import { checkInvariants } from './invariants.ts'

/** Read against the README's invariants: every spoiling is of the second record of its kind. */
const EXPECTED: Readonly<Record<string, readonly string[]>> = {
  'an attachment forgotten': [
    'address-without-attachment 10.1.0.2',
    'address-without-attachment fd01::2',
  ],
  'an address forgotten': ['use-count block 10.1.0.0/30', 'attachment-without-address 10.1.0.2'],
  'a use forgotten': ['claim-without-use block fd01::/126'],
  'a claim forgotten': [
    'use-without-claim block 10.1.0.4/30',
    'address-outside-block 10.1.0.5',
    'address-outside-block 10.1.0.6',
  ],
  'a wrong counter': ['use-count block fd01::/126'],
  'a claim given away': [
    'claim-without-use block 10.1.0.4/30',
    'first-twice node n1, IPv4',
    'use-without-claim block 10.1.0.4/30',
    'address-outside-block 10.1.0.5',
    'address-outside-block 10.1.0.6',
  ],
  'a first block more or less': ['first-differs block 10.1.0.4/30', 'first-missing node n2, IPv4'],
  'a claim of another pool': ['claim-outside-pool block 10.1.0.4/30'],
  'a claim over others': [
    'claim-outside-pool block 10.1.0.0/28',
    'claim-without-use block 10.1.0.0/28',
    'claim-overlap block 10.1.0.4/30',
    'use-without-claim block 10.1.0.0/30',
    'address-outside-block 10.1.0.1',
    'address-outside-block 10.1.0.2',
    'address-outside-block 10.1.0.3',
  ],
  'another number': ['attachment-without-address 10.1.0.2'],
  'another holder': ['address-without-attachment 10.1.0.2', 'address-twice 10.1.0.2'],
  'an address in another block': [
    'use-count block 10.1.0.0/30',
    'use-count block 10.1.0.4/30',
    'address-outside-block 10.1.0.2',
  ],
  'an address listed twice': ['address-twice 10.1.0.3', 'address-twice fd01::3'],
  'a tunnel endpoint for a pod': ['address-reserved 10.1.0.0'],
}

t.test('a store that nothing happened to', async (t) => {
  t.strictSame(
    inhabited().run((tx) => checkIpam(tx)),
    [],
  )
  t.strictSame(
    ruled().run((tx) => checkIpam(tx)),
    [],
  )
})

t.test('each spoiling is named', async (t) => {
  for (const [name, spoil] of Object.entries(SPOILS)) {
    const store = inhabited()
    const codes = store.run((tx) => {
      spoil(tx, 1)
      return checkIpam(tx).map(({ code, subject }) => `${code} ${subject}`)
    })
    t.strictSame(codes, EXPECTED[name], name)
  }
  t.strictSame(Object.keys(EXPECTED), Object.keys(SPOILS))
})

/** Of the second record of its kind, in `ruled`. */
const EXPECTED_RULES: Readonly<Record<string, readonly string[]>> = {
  'a held address that rests': ['cooling-wrong block 10.1.0.0/30'],
  'an address that rests twice': ['cooling-wrong block fd01::/126'],
  'a place that no block has': ['cooling-wrong block fd01::/126'],
  'a reservation forgotten': ['reservation-index pod db/later'],
  'a list of reservations forgotten': ['reservation-index pod db/later'],
  'a list of reservations with a stranger': ['reservation-index pod db/later'],
  'a reservation in another block': ['reservation-misplaced 10.1.0.18'],
  'a reservation in no pool': ['reservation-misplaced 10.9.0.9', 'reservation-index pod db/later'],
  'a reservation of what may become a tunnel endpoint': ['reservation-unusable 10.1.0.20'],
  'a second reservation of a family': ['reservation-twice pod db/later'],
  "a reservation of another's address": ['reservation-held 10.1.0.2'],
  'an excluded range outside': ['exclusion-outside-pool 10.9.0.0/24'],
  'a past in another block': ['history-misplaced network pods'],
  'a past beyond the ring': ['history-misplaced network pods'],
}

t.test('each spoiling of the rules is named', async (t) => {
  for (const [name, spoil] of Object.entries(RULE_SPOILS)) {
    const store = ruled()
    const codes = store.run((tx) => {
      spoil(tx, 1)
      return checkIpam(tx).map(({ code, subject }) => `${code} ${subject}`)
    })
    t.strictSame(codes, EXPECTED_RULES[name], name)
  }
  t.strictSame(Object.keys(EXPECTED_RULES), Object.keys(RULE_SPOILS))
})

const ALL = { ...SPOILS, ...RULE_SPOILS }

const step = fc.oneof(
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constantFrom(...Object.keys(ALL)), at: fc.nat(20) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('add', 'release'), at: fc.nat(20) }) },
)

holds(
  t,
  'the same verdict as the invariants, after any history and any spoiling',
  fc.array(step, { maxLength: 4 }),
  (steps) => {
    ruled().run((tx) => {
      for (const [index, { do: what, at }] of steps.entries()) {
        try {
          if (what === 'add') add(tx, NODES[at % 2] ?? 'n1', `more${index}`)
          else if (what === 'release') {
            const all = [...tx.range(keys.allAttachments)].map(([, each]) => each)
            const one = all[at % all.length]
            if (one !== undefined) release(tx, one.node, one, 4)
          } else ALL[what]?.(tx, at)
        } catch {
          // Nothing left to spoil, or the allocator saw it itself.
        }
      }
      const findings = checkIpam(tx).filter(({ code }) => code !== 'sequence-behind')
      let broken: string | undefined
      try {
        checkInvariants(tx, NODES)
      } catch (thrown) {
        broken = (thrown as Error).message
      }
      assert.equal(findings.length > 0, broken !== undefined, JSON.stringify({ findings, broken }))
    })
  },
  { numRuns: 400 },
)

t.test('a node against its kernel', async (t) => {
  const store = inhabited()
  const look = (change: Partial<KernelLook> = {}): KernelLook => ({
    node: 'n1',
    bootId: BOOT,
    links: store.run((tx) =>
      [...tx.range(keys.attachments('n1'))].map(([, each]) => ({
        name: each.hostLink ?? '',
        owner: {
          network: 'pods',
          containerId: each.containerId,
          ifname: 'eth0',
          sequence: each.sequence,
        },
      })),
    ),
    namespace: () => true,
    ...change,
  })
  const codes = (change: Partial<KernelLook>): readonly string[] =>
    store.run((tx) => checkIpam(tx, look(change)).map(({ code, subject }) => `${code} ${subject}`))
  const { links } = look()

  t.strictSame(codes({}), [], 'nothing')
  t.strictSame(codes({ links: links.slice(1) }), ['record-without-link eth0 of container n1c0'])
  const gone = { links: links.slice(1), namespace: () => false }
  t.strictSame(codes(gone), ['namespace-gone eth0 of container n1c0'])
  t.strictSame(codes({ links: [...links, { name: 'trv00000000000' }] }), [
    'link-without-record link trv00000000000',
  ])
  const older = links.map((link) => ({ ...link, owner: { ...link.owner!, sequence: 99 } }))
  t.equal(codes({ links: older }).length, 3, 'a link of another number is not the record’s')
  t.strictSame(
    codes({ bootId: 'boot-2', links: [] }),
    ['n1c0', 'n1c1', 'n1c2'].map((id) => `earlier-boot eth0 of container ${id}`),
  )
  store.run((tx) => tx.put(keys.sequence('n1'), 1))
  t.strictSame(codes({}), ['sequence-behind sequence of node n1'])
})

t.test('an ADD under way is no finding', async (t) => {
  const store = inhabited()
  const bare: KernelLook = { node: 'n1', bootId: BOOT, links: [], namespace: () => true }
  const early = store.run((tx) => checkIpam(tx, bare))
  t.equal(early.length, 3)
  t.strictSame(
    confirmed(
      early,
      store.run((tx) => checkIpam(tx)),
    ),
    [],
  )
  t.equal(confirmed(early, early).length, 3)
})

t.test('records of a network that is gone', async (t) => {
  const store = inhabited()
  const found = store.run((tx) => {
    tx.remove(keys.network('pods'))
    return new Set(checkIpam(tx).map(({ code }) => code))
  })
  t.ok(found.has('unknown-network'))
  const listed = store.run((tx) => [...tx.range<AttachmentRecord>('attachment/')].length)
  t.equal(listed, 5, 'and looking changes nothing')
})

t.test('a block that two nodes have pods in', async (t) => {
  const findings = inhabited().run((tx) => {
    const [claim] = [...tx.range(keys.claims('pods'))].map(([, each]) => each)
    assert.ok(claim)
    const { network, cidr } = claim
    tx.put(keys.dispute(network, cidr, 'n9'), { network, cidr, node: 'n9', first: false })
    return checkIpam(tx)
  })
  t.match(findings, [
    {
      code: 'block-disputed',
      severity: 'fail',
      node: 'n9',
      subject: /^block /,
      found: /node n9 has/,
    },
  ])
  t.equal(findings.length, 1)
})
