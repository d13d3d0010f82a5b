/** Policies: every condition and change in a line, ranges against containment. */
import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import type { Attributes } from '../../../src/bgp/attributes.ts'
import { CompiledPolicy, type PolicyContext } from '../../../src/bgp/policy/compiled.ts'
import { community, type Policy, type Rule } from '../../../src/bgp/policy/policy.ts'
import { PrefixTable } from '../../../src/bgp/rib/prefix-table.ts'
import {
  containsPrefix,
  type Ip,
  ipFromInteger,
  type Prefix,
  prefixLength,
  prefixOf,
} from '../../../src/net/mod.ts'
import { holds } from '../../support/property.ts'

const BASE: Attributes = {
  origin: 'igp',
  asPath: [{ kind: 'sequence', asns: [65_001, 65_002] }],
  nextHop: '192.0.2.1' as Ip,
  linkLocal: 'fe80::1' as Ip,
  med: 5,
  communities: [community(1, 1), community(2, 2)],
  largeCommunities: [[1, 2, 3]],
}
const CONTEXT: PolicyContext = {
  source: 'ebgp',
  asn: 64_512,
  hops: {
    self: { nextHop: '192.0.2.9' as Ip },
    unchanged: { nextHop: '192.0.2.1' as Ip, linkLocal: 'fe80::1' as Ip },
  },
}
const policyOf = (...rules: Rule[]): Policy => ({ name: 'test', rules, otherwise: 'reject' })

function decide(policy: Policy, prefix = '10.1.2.0/24' as Prefix): string | Attributes {
  const family = prefix.includes(':') ? 'ipv6' : 'ipv4'
  const compiled = new CompiledPolicy(policy, family)
  const table = new PrefixTable(family)
  table.readPrefix(prefix)
  const verdict = compiled.decide(BASE, compiled.classOf(table, table.add()), CONTEXT)
  return verdict.kind === 'reject' ? verdict.rule : verdict.attributes
}

const CONDITIONS: readonly (readonly [Rule['when'] & object, boolean])[] = [
  [{}, true],
  [{ sources: ['own', 'ebgp'] }, true],
  [{ sources: ['ibgp'] }, false],
  [{ communities: [community(9, 9), community(2, 2)] }, true],
  [{ communities: [community(2, 1)] }, false],
  [{ largeCommunities: [[1, 2, 3]] }, true],
  [{ largeCommunities: [[1, 2, 4]] }, false],
  [{ nextHops: ['192.0.2.1' as Ip] }, true],
  [{ nextHops: ['192.0.2.2' as Ip] }, false],
  [{ passes: [65_001] }, true],
  [{ passes: [65_003] }, false],
  [{ originatesIn: [65_002] }, true],
  [{ originatesIn: [65_001] }, false],
  [{ asPathLengthMax: 2 }, true],
  [{ asPathLengthMax: 1 }, false],
  [{ asPathLengthMax: 2, passes: [65_003] }, false],
  [{ prefixes: [] }, false],
]
for (const [when, holds] of CONDITIONS) {
  t.equal(decide(policyOf({ when })) === BASE, holds, JSON.stringify(when))
}

const CHANGES: readonly (readonly [Rule['set'] & object, Partial<Attributes>])[] = [
  [{ localPref: 7 }, { localPref: 7 }],
  [{ med: 0 }, { med: 0 }],
  [{ origin: 'egp' }, { origin: 'egp' }],
  [
    { addCommunities: [community(1, 5), community(2, 2)] },
    { communities: [0x1_0001, 0x1_0005, 0x2_0002] },
  ],
  [{ removeCommunities: [community(1, 1)] }, { communities: [0x2_0002] }],
  [{ removeCommunities: 'all', addCommunities: [9] }, { communities: [9] }],
  [
    {
      addLargeCommunities: [
        [1, 0, 9],
        [1, 2, 3],
      ],
    },
    {
      largeCommunities: [
        [1, 0, 9],
        [1, 2, 3],
      ],
    },
  ],
  [{ prepend: 2 }, { asPath: [{ kind: 'sequence', asns: [64_512, 64_512, 65_001, 65_002] }] }],
  [{ nextHop: 'unchanged' }, {}],
]
for (const [set, expected] of CHANGES) {
  t.strictSame(decide(policyOf({ set })), { ...BASE, ...expected }, JSON.stringify(set))
}
const { linkLocal: _link, ...without } = BASE
t.strictSame(decide(policyOf({ set: { nextHop: 'self' } })), { ...without, nextHop: '192.0.2.9' })
t.strictSame(decide(policyOf({ set: { nextHop: '192.0.2.3' as Ip } })), {
  ...without,
  nextHop: '192.0.2.3',
})
const removed = decide(
  policyOf({ set: { med: 'remove', removeCommunities: 'all', removeLargeCommunities: 'all' } }),
)
t.strictSame(Object.keys(removed as Attributes), ['origin', 'asPath', 'nextHop', 'linkLocal'])

t.test('the first rule that matches ends it, unless it says continue', async (t) => {
  const policy = policyOf(
    { set: { med: 1 }, action: 'continue' },
    { when: { prefixes: [{ prefix: '10.9.0.0/16' as Prefix }] }, action: 'reject' },
    {
      name: 'tens',
      when: { prefixes: [{ prefix: '10.0.0.0/8' as Prefix, le: 24 }] },
      set: { localPref: 3 },
    },
    { set: { localPref: 4 } },
  )
  t.match(decide(policy), { med: 1, localPref: 3 })
  t.match(decide(policy, '10.9.0.0/16' as Prefix), 'rule 2')
  t.match(decide(policy, '11.0.0.0/8' as Prefix), { med: 1, localPref: 4 })
  t.match(
    decide(policy, 'fd00::/8' as Prefix),
    { localPref: 4 },
    'a list of the other family holds nothing',
  )
  t.equal(decide(policyOf()), 'no rule')
})

t.test('ranges that hold nothing are refused with what would do', async (t) => {
  const bad = (ge: number, le: number): (() => void) => {
    const prefixes = [{ prefix: '10.0.0.0/8' as Prefix, ge, le }]
    return () => new CompiledPolicy(policyOf({ when: { prefixes } }), 'ipv6')
  }
  t.throws(bad(7, 9), {
    code: 'BAD_CONFIG',
    message: /rule 1 of policy test: 10\.0\.0\.0\/8 with ge 7 and le 9, wanted 8 <= ge <= le <= 32/,
  })
  t.throws(bad(24, 23), { code: 'BAD_CONFIG' })
  t.throws(bad(24, 33), { code: 'BAD_CONFIG' })
  const many = Array.from({ length: 31 }, () => ({ when: { prefixes: [] } }))
  t.throws(() => new CompiledPolicy(policyOf(...many), 'ipv4'), {
    message: /31 rules with prefixes, at most 30/,
  })
})

const prefix = fc
  .tuple(fc.nat({ max: 255 }), fc.integer({ min: 0, max: 32 }))
  .map(([middle, length]) =>
    prefixOf(ipFromInteger(4, BigInt(0x0a00_0000 + (middle << 16) + (middle << 6))), length),
  )
const range = fc.tuple(prefix, fc.nat({ max: 32 }), fc.nat({ max: 32 })).map(([of, more, most]) => {
  const ge = Math.min(32, prefixLength(of) + more)
  return { prefix: of, ge, le: Math.min(32, ge + most) }
})
holds(
  t,
  'a range holds what lies inside of it and has such a length',
  fc.tuple(fc.array(range), prefix),
  ([prefixes, asked]) => {
    const length = prefixLength(asked)
    const wanted = prefixes.some(
      (each) => containsPrefix(each.prefix, asked) && each.ge <= length && length <= each.le,
    )
    assert.equal(decide(policyOf({ when: { prefixes } }), asked) === BASE, wanted)
  },
)
