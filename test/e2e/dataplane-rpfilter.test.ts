/**
 * A strict reverse-path filter with two roads side by side: what it breaks, who
 * says so, and that the advice helps. Nobody changes it for the admin.
 */
import t from 'tap'
import { inNetns, must, run } from '../../src/lab/exec.ts'
import { type RunningPod, reaches, world } from '../support/dataplane.ts'
import { settle, skip, TRIVIUM } from '../support/e2e.ts'

const FILTER = 'net.ipv4.conf.all.rp_filter'

t.test('a strict filter is reported by name, and left as it is', { skip }, async (t) => {
  const networks = { tunnelled: ['--mode', 'vxlan'], routed: ['--mode', 'route'] }
  const all = await world(t, { nodes: 2, networks })
  const caller = await all.pod(1, 'tunnelled')
  const called = await all.pod(2, 'routed')
  await all.settled()
  const set = async (value: string): Promise<void> => {
    for (const { netns } of all.nodes)
      await must(inNetns(netns, ['sysctl', '-qw', `${FILTER}=${value}`]))
  }
  const reach = () => reaches([caller], [called], true)

  await set('2')
  // What calls goes directly, what answers by the tunnel: the filter sees another road.
  await all.trivium('network', 'allow', 'tunnelled', 'routed')
  t.strictSame(await settle(reach), [], 'loose: the roads differ, packets pass')

  await set('1')
  const four = [{ ...called, ips: [called.v4] }] as readonly RunningPod[]
  t.strictSame(await reaches([caller], four, false), [], 'strict: IPv4 is cut')
  for (const [index, { name, netns, socketPath }] of all.nodes.entries()) {
    const untold = await settle(() =>
      all.agents[index]?.log().includes(`${FILTER} is 1`) === true ? [] : [name],
    )
    t.strictSame(untold, [], `${name}: the agent says it`)
    const flags = ['--node', name, '--store', all.lab.storeUrl, '--socket', socketPath]
    const doctor = [...TRIVIUM, 'doctor', ...flags, '-o', 'json']
    const { stdout } = await run(inNetns(netns, doctor))
    const findings = JSON.parse(stdout) as readonly Record<string, string>[]
    t.match(
      findings.find(({ check }) => check === 'rp_filter'),
      { severity: /warn|fail/, found: new RegExp(FILTER), command: `sysctl -w ${FILTER}=2` },
      `${name}: the doctor says it and what to do`,
    )
    const left = await must(inNetns(netns, ['sysctl', '-n', FILTER]))
    t.equal(left.trim(), '1', `${name}: nobody changed it`)
  }

  await set('2')
  t.strictSame(await reach(), [], 'as advised: packets pass again')
})
