/** A test that has a pod running and waits to be killed. Says what it is called first. */
import t from 'tap'
import { cluster } from '../support/e2e.ts'
import { startContainerd } from './containerd.ts'
import { linkPlugins } from './networks.ts'
import { processesOf, runPod } from './pods.ts'

const { lab, nodes } = await cluster(t, { nodes: 1 })
const [node] = nodes
if (node === undefined) throw new Error('There is no node')
linkPlugins(node)
const containerd = await startContainerd(t, lab, node)
const pod = await runPod(containerd, 'orphan')
console.log(`running ${lab.id} ${lab.dir} ${processesOf(pod).join(' ')}`)
await new Promise((resolve) => setTimeout(resolve, 600_000))
