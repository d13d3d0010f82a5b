/**
 * The agent in a container, the runtime outside: mount and PID namespaces of
 * their own, as a DaemonSet has them; or the other way round. What CNI_NETNS
 * means to the runtime must be found, or the error says what to mount.
 */
import { existsSync, mkdirSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { pluginConfig } from '../../src/lab/cni.ts'
import { run } from '../../src/lab/exec.ts'
import type { Lab, LabAgent, LabNode, LabPod } from '../../src/lab/lab.ts'
import { spawnAgent } from '../../src/lab/lab.ts'
import { ping } from '../../src/lab/reach.ts'
import { builtCli, callsLogged, cluster, errorOf, ipsOf, resultOf, skip } from '../support/e2e.ts'
import { type Holder, holdNetns } from '../support/holder.ts'

interface Container {
  readonly hostPid: boolean
  /** Whether the host's /run/netns is mounted, with what comes into it later. */
  readonly hasNetns: boolean
}

/** An agent in namespaces of its own; SIGKILL for unshare ends it, too. */
function startContained(lab: Lab, node: LabNode, container: Container): Promise<LabAgent> {
  const pid = container.hostPid ? [] : ['--pid', '--fork', '--kill-child', '--mount-proc']
  // Before the shell hides the host's, the mounts of later go there; afterwards nowhere.
  const hide = container.hasNetns ? '' : 'mount -t tmpfs none /run/netns && '
  return spawnAgent([
    ...['nsenter', `--net=/run/netns/${node.netns}`],
    ...['unshare', '--mount', '--propagation', 'slave', ...pid],
    ...['sh', '-c', `${hide}exec "$@"`, 'sh', ...builtCli(), 'agent', '--node', node.name],
    ...['--store', lab.storeUrl, '--state-dir', join(lab.dir, node.name), '--underlay', 'eth0'],
    ...['--socket', node.socketPath],
  ])
}

interface Spelling {
  readonly title: string
  path(pod: LabPod, holder: Holder): string
}

const UNDER_RUN: Spelling = { title: '/run/netns', path: ({ netnsPath }) => netnsPath }
const UNDER_VAR: Spelling = {
  title: '/var/run/netns',
  path: ({ netnsPath }) => netnsPath.replace('/run/', '/var/run/'),
}
const BY_PROCESS: Spelling = {
  title: '/proc/PID/ns/net',
  path: (_pod, { pid }) => `/proc/${pid}/ns/net`,
}

const hasVarRun = existsSync('/var/run/netns') && statSync('/var/run').ino === statSync('/run').ino

interface Expectation extends Container {
  readonly found: readonly Spelling[]
  readonly refused: readonly (readonly [Spelling, RegExp])[]
}

const EXPECTED: readonly Expectation[] = [
  { hostPid: true, hasNetns: false, found: [UNDER_RUN, UNDER_VAR, BY_PROCESS], refused: [] },
  {
    hostPid: false,
    hasNetns: true,
    found: [UNDER_RUN, UNDER_VAR],
    refused: [[BY_PROCESS, /hostPID: true\): the path names a process of the host/]],
  },
  {
    hostPid: false,
    hasNetns: false,
    found: [],
    refused: [
      [UNDER_RUN, /hostPID: true\), or the host's \/run\/netns mounted.*HostToContainer/],
      [BY_PROCESS, /hostPID: true/],
    ],
  },
]

async function tryEach(t: Test, lab: Lab, node: LabNode, expectation: Expectation): Promise<void> {
  const { found, refused } = expectation
  // Made after the container: it has to arrive there.
  const pod = await lab.addPod(node)
  const holder = await holdNetns(pod.netns)
  try {
    const call = (verb: string, spelling: Spelling) =>
      lab.cni(verb, { ...pod, netnsPath: spelling.path(pod, holder) })
    for (const spelling of found) {
      if (spelling === UNDER_VAR && !hasVarRun) continue
      const result = resultOf(await call('ADD', spelling))
      const [address = ''] = ipsOf(result)
      t.ok((await ping(node.netns, address)).ok, `${spelling.title}: the pod answers`)
      const del = await call('DEL', spelling)
      t.equal(del.status, 0, `${spelling.title}: DEL`)
    }
    for (const [spelling, hint] of refused) {
      const { code, msg, details } = errorOf(await call('ADD', spelling))
      t.equal(code, 8, `${spelling.title}: ${msg}`)
      t.match(details, hint)
      t.equal((await call('DEL', spelling)).status, 0, `${spelling.title}: DEL all the same`)
    }
    const inside = await run(['ip', '-n', pod.netns, '-br', 'link', 'show', 'type', 'veth'])
    t.equal(inside.stdout, '', 'nothing is left in the pod')
  } finally {
    await holder.end()
  }
}

t.test('agent in a container', { skip }, async (t) => {
  const { lab, nodes } = await cluster(t, { nodes: 1, agents: false })
  const [node] = nodes
  if (node === undefined) throw new Error('There is no node')
  for (const expectation of EXPECTED) {
    const { hostPid, hasNetns } = expectation
    const title = `hostPID ${hostPid}, /run/netns ${hasNetns ? 'mounted' : 'not mounted'}`
    await t.test(title, async (t) => {
      const agent = await startContained(lab, node, expectation)
      try {
        await tryEach(t, lab, node, expectation)
        t.ok((await callsLogged(agent, 1)) >= 1, 'the agent was asked')
      } finally {
        await agent.kill()
      }
    })
  }
})

/** Mounts the namespace where nobody else sees it, and runs the rest of the words. */
const HIDDEN_NETNS = `
mount -t tmpfs none "$2" && touch "$2/pod" && mount --bind "$1" "$2/pod" || exit 70
shift 2
exec "$@"
`

t.test('runtime in a container', { skip }, async (t) => {
  const { lab, nodes, agents } = await cluster(t, { nodes: 1 })
  const [node] = nodes
  const [agent] = agents
  if (node === undefined || agent === undefined) throw new Error('There is no node')
  const pod = await lab.addPod(node)
  const [file = ''] = readdirSync(node.confDir)
  const hidden = join(lab.dir, 'hidden')
  mkdirSync(hidden)
  // The launcher is process 1 there, which is another one to the agent.
  const said = await run(
    [
      ...['nsenter', `--net=/run/netns/${node.netns}`],
      ...['unshare', '--mount', '--propagation', 'private', '--pid', '--fork', '--mount-proc'],
      ...['sh', '-c', HIDDEN_NETNS, 'sh', pod.netnsPath, hidden, join(node.binDir, 'trivium')],
    ],
    {
      input: JSON.stringify(pluginConfig(join(node.confDir, file))),
      env: {
        PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
        CNI_COMMAND: 'ADD',
        CNI_CONTAINERID: pod.containerId,
        CNI_NETNS: join(hidden, 'pod'),
        CNI_IFNAME: 'eth0',
        CNI_PATH: node.binDir,
      },
    },
  )
  const [address = ''] = ipsOf(resultOf(said))
  t.ok((await ping(node.netns, address)).ok, 'the pod answers')
  t.equal(await callsLogged(agent, 1), 1, 'the agent was asked')
  t.equal((await lab.cni('DEL', pod)).status, 0)
})
