/** `trivium ipam configure` and `trivium ipam pool`, as a person runs them. */
import t from 'tap'
import { allocate, keepBlocks, keys } from '../../ipam/mod.ts'
import type { NetworkRecord } from '../../ipam/records.ts'
import { cliOnStore } from '../support/store-cli.ts'

const { trivium, inStore } = cliOnStore(t)

const network = (): Promise<NetworkRecord | undefined> =>
  inStore((tx) => tx.get(keys.network('pods')))

const [OLD, NEW] = ['10.42.0.0/24', '10.43.0.0/24']
trivium('network', 'create', 'pods', '--mode', 'route', '--pool', `${OLD},block=28`)

t.test('configure', async (t) => {
  t.match(trivium('ipam', 'configure'), { status: 0, stdout: /^pods +60 s +no +600 s$/m })
  const strict = trivium('ipam', 'configure', '--cooldown', 'strict', '--idle', '3600')
  t.match(strict, { status: 0, stdout: /^pods +60 s +yes +3600 s$/m })
  t.equal(trivium('ipam', 'configure', '--cooldown', '120').status, 0)
  t.match((await network())?.options, {
    cooldownSeconds: 120,
    cooldownStrict: true,
    idleSeconds: 3600,
  })
  const json = trivium('ipam', 'configure', '--cooldown', 'soft', '-o', 'json')
  t.strictSame(JSON.parse(json.stdout), [
    { network: 'pods', cooldownSeconds: 120, cooldownStrict: false, idleSeconds: 3600 },
  ])
  t.equal(trivium('ipam', 'configure', '--cooldown', 'never').status, 2)
  t.match(trivium('ipam', 'configure', '--network', 'x'), { status: 1, stderr: /x: the store has/ })
  const again = trivium('network', 'create', 'pods', '--mode', 'route', '--pool', `${OLD},block=28`)
  t.match(again, { status: 0, stdout: /unchanged/ }, 'whoever creates it says nothing of these')
})

t.test('pool', async (t) => {
  t.match(trivium('ipam', 'pool', 'drain', OLD), { status: 1, stderr: /nowhere else/ })
  const made = trivium('ipam', 'pool', 'create', `${NEW},block=28`, '-o', 'json')
  t.match(JSON.parse(made.stdout), [{ did: 'created', cidr: NEW, blockLength: 28, blocks: 0 }])
  t.equal(
    trivium('ipam', 'pool', 'edit', `${NEW},rack=r1,nodes=n1+n2,namespaces=shop+till`).status,
    0,
  )
  t.match((await network())?.pools[1], {
    rack: 'r1',
    nodes: ['n1', 'n2'],
    namespaces: ['shop', 'till'],
  })
  t.equal(trivium('ipam', 'pool', 'edit', `${NEW},rack=,nodes=,namespaces=`).status, 0)
  t.strictSame((await network())?.pools[1], { cidr: NEW, blockLength: 28 })

  const key = { network: 'pods', containerId: 'c1', ifname: 'eth0' }
  const asked = { key, node: 'n1', netns: '', mayClaim: true, nowMs: 1, bootId: 'b' }
  await inStore((tx) => allocate(tx, asked))
  const drained = trivium('ipam', 'pool', 'drain', OLD, '--wait', '0')
  t.match(drained, { status: 1, stdout: /draining +1 +1 +1/, stderr: /1 address in use/ })
  t.match(trivium('ipam', 'show', '-o', 'wide').stdout, /10.42.0.0\/24 .*draining/)
  const refused = trivium('ipam', 'pool', 'delete', OLD, '--yes')
  t.match(refused, { status: 1, stderr: /1 address in use \(1 on node n1\).*\n.*drain/ })
  t.equal(trivium('ipam', 'pool', 'drain', OLD, '--undo').status, 0)
  t.notOk((await network())?.pools[0]?.draining)

  t.equal(trivium('ipam', 'pool', 'drain', OLD).status, 0)
  t.equal(trivium('ipam', 'release', '--ip', '10.42.0.1', '--force', '--yes').status, 0)
  const later = Date.now() + 3_600_000
  await inStore((tx) => keepBlocks(tx, tx.get(keys.network('pods'))!, 'n1', later))
  t.match(trivium('ipam', 'pool', 'drain', OLD, '--wait', '9'), { status: 0 }, 'nothing is left')
  const asking = trivium('ipam', 'pool', 'delete', OLD)
  t.match(asking, { status: 2, stderr: /draining[\s\S]*Cannot ask "Delete pool 10.42.0.0\/24/ })
  t.equal((await network())?.pools.length, 2, 'without --yes and a terminal nothing happens')
  t.match(trivium('ipam', 'pool', 'delete', OLD, '--yes', '-o', 'yaml'), { stdout: /did: deleted/ })
  t.strictSame(
    (await network())?.pools.map(({ cidr }) => cidr),
    [NEW],
  )
  t.match(trivium('ipam', 'pool', '--help'), { status: 0, stdout: /create[\s\S]*drain/ })
})
