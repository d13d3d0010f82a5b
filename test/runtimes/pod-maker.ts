/** A test that has a pod running until its standard input is closed. Says first what it made. */
import t from 'tap'
import { cluster } from '../support/e2e.ts'
import { startContainerd } from './containerd.ts'
import { linkPlugins } from './networks.ts'
import { processesOf, runPod } from './pods.ts'

t.test('a pod', async (t) => {
  const { lab, nodes } = await cluster(t, { nodes: 1 })
  const [node] = nodes
  if (node === undefined) throw new Error('There is no node')
  linkPlugins(node)
  const containerd = await startContainerd(t, lab, node)
  const pod = await runPod(containerd, 'orphan')
  t.comment(`running ${lab.id} ${lab.dir} ${processesOf(pod).join(' ')}`)
  await new Promise((resolve) => process.stdin.resume().once('end', resolve))
})
