/** CNI_ARGS, as Kubernetes, podman and people write them. */
import t from 'tap'
import { parseCniArgs } from '../../src/cni/args.ts'
import { cniError } from '../../src/cni/mod.ts'

const KUBE =
  'IgnoreUnknown=1;K8S_POD_NAMESPACE=web;K8S_POD_NAME=a-0;K8S_POD_INFRA_CONTAINER_ID=c0ffee;K8S_POD_UID=7f'

const GOOD = [
  ['', {}],
  [KUBE, { pod: { namespace: 'web', name: 'a-0', uid: '7f' } }],
  [KUBE.split(';').reverse().join(';'), { pod: { namespace: 'web', name: 'a-0', uid: '7f' } }],
  ['IgnoreUnknown=true;FOO=bar', {}],
  ['IgnoreUnknown=1;FOO=', {}],
  ['IP=10.42.0.7', { ip: '10.42.0.7' }],
  ['IP=10.42.0.7/24;MAC=02:54:72:00:00:01', { ip: '10.42.0.7/24', mac: '02:54:72:00:00:01' }],
  ['K8S_POD_NAME=a;IgnoreUnknown=0', {}],
] as const

for (const [text, expected] of GOOD) {
  t.strictSame(parseCniArgs(text), expected, `ENV-08 ${text || 'nothing'}`)
}

const BAD = [
  ['FOO=bar', 4, 'CNI_ARGS: unknown args ["FOO"]'],
  ['IgnoreUnknown=0;FOO=bar;BAR=x', 4, 'CNI_ARGS: unknown args ["FOO","BAR"]'],
  ['FOO', 4, 'CNI_ARGS: invalid pair "FOO"'],
  ['A=B=C', 4, 'CNI_ARGS: invalid pair "A=B=C"'],
  ['IgnoreUnknown=1;', 4, 'CNI_ARGS: invalid pair ""'],
  [';', 4, 'CNI_ARGS: invalid pair ""'],
] as const

for (const [text, code, msg] of BAD) {
  let error: unknown
  try {
    parseCniArgs(text)
  } catch (thrown) {
    error = cniError(thrown, '1.1.0')
  }
  t.match(error, { code, msg }, `ENV-08 ${text}: ${msg}`)
}
