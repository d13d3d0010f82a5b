/** ADD and CHECK as data. */
import t from 'tap'
import {
  addResult,
  checkPod,
  checkPrevResult,
  planAdd,
  planPod,
  renderResult,
} from '../../src/cni/mod.ts'
import {
  identity,
  isNft,
  type KernelObject,
  type KernelState,
  kernelState,
  NFT_TABLE,
  renderOp,
} from '../../src/kernel/mod.ts'
import { parseIp, parseMac } from '../../src/net/mod.ts'
import { attachment, network, node, POOL_4, POOL_6 } from '../backend/views.ts'

const POD = attachment('c0ffee', ['10.42.0.7', 'fd42::7'])
const DUAL = { pools: [POOL_4, POOL_6] }
const LINK = POD.hostLink
const plan = planPod(POD, network('route', DUAL), node(0))

t.test(
  'ADD-01 ADD: the pair, then what leads to it; the pod with a gateway nobody has',
  async (t) => {
    const { node: host, pod } = planAdd(plan, 'eth0')
    t.strictSame(host.map(renderOp), [
      `ip link add name ${LINK} address 02:74:72:69:76:01 mtu 1500 alias "trivium pods c0ffee eth0 1" up type veth peer name eth0`,
      `ip addr add fe80::1/64 dev ${LINK} nodad`,
      `nft add element inet trivium pods4 { ${LINK} . 10.42.0.7 }`,
      `nft add element inet trivium pods6 { ${LINK} . fd42::7 }`,
      `ip route add 10.42.0.7/32 dev ${LINK} proto 84`,
      `ip -6 route add fd42::7/128 dev ${LINK} proto 84`,
    ])
    t.strictSame(pod.map(renderOp), [
      'ip link set dev eth0 mtu 1500 up',
      'ip addr add 10.42.0.7/32 dev eth0',
      'ip neigh add 169.254.1.1 lladdr 02:74:72:69:76:01 dev eth0 nud permanent',
      'ip route add 169.254.1.1/32 dev eth0 proto 84',
      'ip route add 0.0.0.0/0 via 169.254.1.1 dev eth0 proto 84',
      'ip addr add fd42::7/128 dev eth0 nodad',
      'ip -6 neigh add fe80::1 lladdr 02:74:72:69:76:01 dev eth0 nud permanent',
      'ip -6 route add ::/0 via fe80::1 dev eth0 proto 84 onlink',
    ])
  },
)

t.test("ADD-05 ADD's result lists both ends, host first", async (t) => {
  const result = addResult(plan, POD, '/run/netns/c0ffee')
  t.match(renderResult(result, '1.1.0'), {
    interfaces: [
      { name: LINK, mac: '02:74:72:69:76:01', mtu: 1500, sandbox: undefined },
      { name: 'eth0', mac: /^02:/, mtu: 1500, sandbox: '/run/netns/c0ffee' },
    ],
    ips: [
      { interface: 1, address: '10.42.0.7/32', gateway: '169.254.1.1' },
      { interface: 1, address: 'fd42::7/128', gateway: 'fe80::1' },
    ],
    routes: [
      { dst: '0.0.0.0/0', gw: '169.254.1.1' },
      { dst: '::/0', gw: 'fe80::1' },
    ],
  })
})

/** Both namespaces right after ADD, as dumps show them. */
function afterAdd(): { host: KernelState; pod: KernelState } {
  const seen = (object: KernelObject): KernelObject => {
    if (object.kind !== 'link') return object
    const { adopt: _never, ...link } = object
    return { ...link, link: { type: 'veth' } }
  }
  const eth0: KernelObject = { kind: 'link', name: 'eth0', link: { type: 'veth' }, up: true }
  const table: KernelObject = { kind: 'nft-table', name: NFT_TABLE }
  return {
    host: kernelState([table, ...plan.node.map(seen)]),
    pod: kernelState([eth0, ...plan.pod]),
  }
}

const without = (state: KernelState, key: string): KernelState =>
  new Map([...state].filter(([each]) => each !== key))
const withObject = (state: KernelState, object: KernelObject): KernelState =>
  new Map([...state, [identity(object), object]])

t.test('CHK-06 CHECK passes right after ADD', async () => {
  const { host, pod } = afterAdd()
  checkPod(plan, 'eth0', host, pod)
})

t.test('CHK-04 CHECK misses each object that ADD made', async (t) => {
  const { host, pod } = afterAdd()
  for (const key of host.keys()) {
    // Without any table there is nothing to check: the agent makes it.
    if (key === `nft-table ${NFT_TABLE}`) continue
    t.throws(
      () => checkPod(plan, 'eth0', without(host, key), pod),
      {
        code: 'CHECK_FAILED',
        message: `Cannot find ${key} in the node: it was made by ADD and is gone`,
      },
      key,
    )
  }
  for (const key of pod.keys()) {
    const what = key === 'link eth0' ? 'interface eth0' : key
    t.throws(
      () => checkPod(plan, 'eth0', host, without(pod, key)),
      {
        code: 'CHECK_FAILED',
        message: `Cannot find ${what} in the pod: it was made by ADD and is gone`,
      },
      key,
    )
  }
})

t.test(
  'CHK-05 CHECK minds the guards: where an agent keeps the table, its absence too',
  async (t) => {
    const { host, pod } = afterAdd()
    const bare = new Map([...host].filter(([, object]) => !isNft(object)))
    checkPod(plan, 'eth0', bare, pod)
    t.throws(() => checkPod(plan, 'eth0', bare, pod, true), {
      code: 'CHECK_FAILED',
      message: `Cannot find nft-element pods4 ${LINK} . 10.42.0.7 in the node: it was made by ADD and is gone`,
    })
  },
)

t.test('CHK-04 CHECK sees what is wrong', async (t) => {
  const { host, pod } = afterAdd()
  const down: KernelObject = { kind: 'link', name: 'eth0', link: { type: 'veth' }, up: false }
  t.throws(() => checkPod(plan, 'eth0', host, withObject(pod, down)), {
    message: 'Cannot vouch for interface eth0 in the pod: it is down, wanted up',
  })
  const bridge: KernelObject = { ...down, link: { type: 'bridge' }, up: true }
  t.throws(() => checkPod(plan, 'eth0', host, withObject(pod, bridge)), {
    message: 'Cannot vouch for interface eth0 in the pod: it is of type bridge, wanted veth',
  })
  const hostEnd = host.get(`link ${LINK}`)
  if (hostEnd?.kind !== 'link') throw new Error('the plan has a host end')
  t.throws(() => checkPod(plan, 'eth0', withObject(host, { ...hostEnd, up: false }), pod), {
    message: `Cannot vouch for link ${LINK} in the node: it is down, wanted up`,
  })
  const route = pod.get('route 0.0.0.0/0 metric 0')
  if (route?.kind !== 'route') throw new Error('the plan has a default route')
  const elsewhere = { ...route, via: parseIp('10.9.9.9') }
  t.throws(() => checkPod(plan, 'eth0', host, withObject(pod, elsewhere)), {
    message:
      /^Cannot vouch for route 0\.0\.0\.0\/0 metric 0 in the pod: found .*10\.9\.9\.9.*, wanted .*169\.254\.1\.1/,
  })
})

t.test('CHK-04 CHECK tells a changed MAC from a lost neighbour', async (t) => {
  const { host, pod } = afterAdd()
  const renamed: KernelObject = {
    kind: 'link',
    name: 'eth0',
    link: { type: 'veth' },
    up: true,
    mac: parseMac('02:00:00:00:00:77'),
  }
  const flushed = withObject(without(pod, 'neigh eth0 169.254.1.1'), renamed)
  t.throws(() => checkPod(plan, 'eth0', host, flushed), {
    code: 'CHECK_FAILED',
    message:
      /^Cannot vouch for interface eth0: its MAC was changed from 02:\S+ to 02:00:00:00:00:77/,
    details: /belongs to trivium/,
  })
  checkPod(plan, 'eth0', host, withObject(pod, renamed))
})

t.test('CHK-03 CHECK allows what later plugins of the chain may do', async () => {
  const { host, pod } = afterAdd()
  const tuned: KernelObject = {
    kind: 'link',
    name: 'eth0',
    link: { type: 'veth' },
    up: true,
    mac: parseMac('02:00:00:00:00:99'),
    mtuBytes: 900,
  }
  const more: KernelObject = {
    kind: 'addr',
    link: 'eth0',
    ip: parseIp('10.9.9.9'),
    prefixLength: 24,
  }
  checkPod(plan, 'eth0', host, withObject(withObject(pod, tuned), more))
})

t.test('CHK-02 CHECK holds the earlier result against the store', async (t) => {
  const ips = [{ address: '10.42.0.7/32' }, { address: 'fd42::7/128' }]
  checkPrevResult({ ips }, POD)
  checkPrevResult({ ip4: { ip: '10.42.0.7/32' }, ip6: { ip: 'fd42::7/128' } }, POD)
  checkPrevResult({ ips: [...ips, { address: '10.9.9.9/24' }] }, POD)
  t.throws(() => checkPrevResult(undefined, POD), {
    code: 'BAD_CONFIG',
    message: 'required prevResult missing',
  })
  checkPrevResult({ ips, interfaces: [{ name: LINK }, { name: 'eth0' }] }, POD)
  t.throws(() => checkPrevResult({ ips, interfaces: [{ name: 'net1' }] }, POD), {
    message: 'Cannot vouch for interface eth0: prevResult names [net1], wanted it among them',
  })
  t.throws(() => checkPrevResult({ ips: ips.slice(0, 1) }, POD), {
    code: 'CHECK_FAILED',
    message:
      'Cannot vouch for fd42::7: prevResult names [10.42.0.7], the store gave this attachment [10.42.0.7, fd42::7]',
  })
})
