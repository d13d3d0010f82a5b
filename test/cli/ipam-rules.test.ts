/** `trivium ipam reserve | unreserve | history | why`, as a person runs them. */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { ownFolder } from '../support/folder.ts'

const CLI = fileURLToPath(new URL('../../dist/cli.cjs', import.meta.url))
const store = `lmdb:${ownFolder(t)}/store`

function trivium(...args: readonly string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [CLI, ...args, '--store', store], {
    encoding: 'utf8',
  })
  return { status, stdout, stderr }
}

trivium('network', 'create', 'pods', '--mode', 'route', '--pool', '10.42.0.0/24')
const made = trivium('ipam', 'reserve', '10.42.0.7', '--pod', 'db/db-0', '-o', 'json')
t.equal(made.status, 0, made.stderr)
t.match(JSON.parse(made.stdout), [{ cidr: '10.42.0.7', network: 'pods', for: 'pod db/db-0' }])
t.match(trivium('ipam', 'reserve', '10.42.0.64/26'), { status: 0, stdout: /nobody/ })
const other = trivium('ipam', 'reserve', '10.42.0.7', '--pod', 'db/db-1')
t.match(other, { status: 1, stderr: /it is reserved for pod db\/db-0/ })
t.match(trivium('ipam', 'why', '10.42.0.7').stdout, /reservation +pod db\/db-0, MAC/)
t.match(trivium('ipam', 'why', '10.42.0.70', '-o', 'yaml').stdout, /about: exclusion/)
t.match(trivium('ipam', 'why', 'db/db-0', '--node', 'n1').stdout, /would get one on n1/)
t.match(trivium('ipam', 'history', '10.42.0.7').stdout, /nothing is remembered/)
t.equal(trivium('ipam', 'history', '10.42.0.7', '--at', 'noon').status, 2)
t.equal(trivium('ipam', 'reserve', '10.42.0.9').status, 2)
t.match(trivium('ipam', 'unreserve', '10.42.0.7', '-o', 'wide'), { status: 0, stdout: /anybody/ })
t.match(trivium('ipam', 'unreserve', '10.42.0.64/26'), { status: 0 })
t.match(trivium('ipam', 'unreserve', '10.42.0.7'), { status: 1, stderr: /it is not reserved/ })
