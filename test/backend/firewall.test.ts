/**
 * The nftables table of a node, in nft's words.
 *
 * ```
 *   n0 (plans)   n1   n2        web: vxlan, both families    db: route, IPv4
 * ```
 */
import t from 'tap'
import { firewall, podElements } from '../../src/backend/firewall.ts'
import { planNode } from '../../src/backend/plan.ts'
import type { AllowRecord, ClusterView, Pool } from '../../src/cluster/view.ts'
import { type KernelObject, kernelState, renderState } from '../../src/kernel/mod.ts'
import { parseIp, parsePrefix } from '../../src/net/mod.ts'
import { golden } from '../support/golden.ts'
import { attachment, network, networkView, node, POOL_4, POOL_6, viewOf } from './views.ts'

const POOL_DB: Pool = { cidr: parsePrefix('10.43.0.0/16'), blockLength: 26 }
const POOL_LAN: Pool = { cidr: parsePrefix('10.44.0.0/16'), blockLength: 26 }
const web = network('vxlan', { name: 'web', pools: [POOL_4, POOL_6] })
const db = network('route', { name: 'db', pools: [POOL_DB] })
const lan = network('vlan', { name: 'lan', pools: [POOL_LAN] })
const both = viewOf([networkView(web, 3), networkView(db, 3)], 3)

const allow = (from: string, to: string, ...ports: AllowRecord['ports']): AllowRecord => ({
  from,
  to,
  ports,
  createdMs: 0,
})

const ELEMENT = 'nft add element inet trivium '

/** Elements of the table, `set { key }`, sorted. */
const elements = (objects: readonly KernelObject[]): readonly string[] =>
  renderState(kernelState(objects))
    .split('\n')
    .filter((line) => line.startsWith(ELEMENT))
    .map((line) => line.slice(ELEMENT.length))

const withAllows = (view: ClusterView, ...allows: readonly AllowRecord[]) =>
  elements(firewall({ ...view, allows }))

/** What `more` says and `less` does not. */
const added = (less: readonly string[], more: readonly string[]): readonly string[] =>
  more.filter((line) => !less.includes(line))

t.test('the whole table of two networks', async (t) => {
  const pod = attachment('c0ffee', ['10.42.0.7', 'fd42::7'], { network: 'web' })
  const view = viewOf([networkView(web, 3, [pod]), networkView(db, 3)], 3)
  const port = { protocol: 'tcp', port: 5432 } as const
  const { desired } = planNode({ ...view, allows: [allow('web', 'db', port)] })
  const lines = renderState(desired).split('\n')
  golden(t, 'backend-firewall', `${lines.filter((line) => line.startsWith('nft ')).join('\n')}\n`)
})

t.test('closed: each network reaches itself', async (t) => {
  t.strictSame(
    withAllows(both).filter((line) => /^(reach|tunnelled)/.test(line)),
    [
      'reach4 { 10.42.0.0/16 . 10.42.0.0/16 }',
      'reach4 { 10.43.0.0/16 . 10.43.0.0/16 }',
      'reach6 { fd42::/48 . fd42::/48 }',
      'tunnelled4 { trvx.1 . 10.42.0.0/16 }',
      'tunnelled6 { trvx.1 . fd42::/48 }',
    ],
  )
})

t.test('an opening: one way for calls, both ways through tunnels', async (t) => {
  const closed = withAllows(both)
  t.strictSame(added(closed, withAllows(both, allow('web', 'db'))), [
    'reach4 { 10.42.0.0/16 . 10.43.0.0/16 }',
    'tunnelled4 { trvx.1 . 10.43.0.0/16 }',
  ])
  t.strictSame(added(closed, withAllows(both, allow('db', 'web'))), [
    'reach4 { 10.43.0.0/16 . 10.42.0.0/16 }',
    'tunnelled4 { trvx.1 . 10.43.0.0/16 }',
  ])
  t.strictSame(withAllows(both, allow('web', 'gone')), closed, 'to a network that is gone: nothing')
})

t.test('an opening by port: no more than these ports', async (t) => {
  const ports = [
    { protocol: 'tcp', port: 5432 },
    { protocol: 'sctp', port: 3868 },
  ] as const
  t.strictSame(
    added(withAllows(both), withAllows(both, allow('web', 'db', ...ports))).filter((line) =>
      line.startsWith('reach'),
    ),
    [
      'reach_port4 { 10.42.0.0/16 . 10.43.0.0/16 . sctp . 3868 }',
      'reach_port4 { 10.42.0.0/16 . 10.43.0.0/16 . tcp . 5432 }',
    ],
  )
})

t.test('masquerade: by network, and never inside', async (t) => {
  const open = network('route', { ...db, options: { ...db.options, masquerade: false } })
  const lines = withAllows(viewOf([networkView(web, 1), networkView(open, 1)], 1))
  t.strictSame(
    lines.filter((line) => /^(masquerade|inside)/.test(line)),
    [
      'inside4 { 10.42.0.0/16 }',
      'inside4 { 10.43.0.0/16 }',
      'inside6 { fd42::/48 }',
      'masquerade4 { 10.42.0.0/16 }',
      'masquerade6 { fd42::/48 }',
    ],
  )
})

t.test('vlan: nothing of ours routes there', async (t) => {
  t.strictSame(firewall(viewOf([networkView(lan, 3)], 3)), [], 'no table for bridges alone')
  const lines = withAllows(viewOf([networkView(lan, 3), networkView(db, 3)], 3))
  t.ok(lines.includes('pools4 { 10.44.0.0/16 }'), 'but routed networks are closed to it')
  t.notOk(lines.includes('inside4 { 10.44.0.0/16 }'), 'and its addresses are translated to')
})

t.test('nodes: every address of the others, none of its own', async (t) => {
  const lone = node(2, { underlayIps: [parseIp('192.0.2.2')] })
  const lines = elements(firewall(viewOf([networkView(web, 3)], 3, [lone])))
  t.strictSame(
    lines.filter((line) => line.startsWith('nodes')),
    ['nodes4 { 192.0.2.1 }', 'nodes4 { 192.0.2.2 }', 'nodes6 { 2001:db8::1 }'],
  )
})

t.test('tunnels: port and VNI of each', async (t) => {
  const options = { vni: 16_777_215, vxlanPort: 4790, vlanId: 1, flavour: 'lightweight' } as const
  const light = network('vxlan', { name: 'light', pools: [POOL_DB], options })
  const lines = elements(firewall(viewOf([networkView(web, 1), networkView(light, 1)], 1)))
  t.strictSame(
    lines.filter((line) => line.startsWith('tunnel')),
    [
      'tunnelled4 { trvx.1 . 10.42.0.0/16 }',
      'tunnelled4 { trvx.16777215 . 10.43.0.0/16 }',
      'tunnelled6 { trvx.1 . fd42::/48 }',
      'tunnels { 4790 . 16777215 }',
      'tunnels { 8472 . 1 }',
    ],
  )
})

t.test('a pod: one element an address', async (t) => {
  const ips = ['10.42.0.7', 'fd42::7']
  t.strictSame(
    elements(
      podElements(
        'trv0123456789a',
        ips.map((each) => parseIp(each)),
      ),
    ),
    ['pods4 { trv0123456789a . 10.42.0.7 }', 'pods6 { trv0123456789a . fd42::7 }'],
  )
})
