/**
 * A client of the Container Runtime Interface, version 1: the calls by which a
 * kubelet makes a pod, looks at it and removes it. Of each message only the
 * fields that we send or read.
 *
 * Source: k8s.io/cri-api, pkg/apis/runtime/v1/api.proto
 *
 * @module
 */
import { callUnary } from './grpc.ts'
import {
  bool,
  int,
  type Message,
  message,
  nested,
  repeated,
  string,
  stringMap,
} from './protobuf.ts'

const PodSandboxMetadata = message({
  name: string(1),
  uid: string(2),
  namespace: string(3),
  attempt: int(4),
})
const DnsConfig = message({
  servers: repeated(string(1)),
  searches: repeated(string(2)),
  options: repeated(string(3)),
})
/** `protocol` is 0 for TCP, 1 for UDP, 2 for SCTP. */
const PortMapping = message({ protocol: int(1), containerPort: int(2), hostPort: int(3) })
const PodSandboxConfig = message({
  metadata: nested(1, PodSandboxMetadata),
  hostname: string(2),
  dnsConfig: nested(4, DnsConfig),
  portMappings: repeated(nested(5, PortMapping)),
  labels: stringMap(6),
  annotations: stringMap(7),
  linux: nested(8, message({ cgroupParent: string(1) })),
})
const PodSandboxId = message({ podSandboxId: string(1) })
const PodSandboxNetworkStatus = message({
  ip: string(1),
  additionalIps: repeated(nested(2, message({ ip: string(1) }))),
})
/** Of a sandbox; 0 is ready. */
export const NOT_READY = 1

const PodSandboxStatus = message({
  id: string(1),
  metadata: nested(2, PodSandboxMetadata),
  state: int(3),
  network: nested(5, PodSandboxNetworkStatus),
})
const PodSandbox = message({
  id: string(1),
  metadata: nested(2, PodSandboxMetadata),
  state: int(3),
})
const ImageSpec = message({ image: string(1) })
const ContainerConfig = message({
  metadata: nested(1, message({ name: string(1), attempt: int(2) })),
  image: nested(2, ImageSpec),
  command: repeated(string(3)),
  args: repeated(string(4)),
})
/** Of a container; 0 is created, 1 running. */
export const EXITED = 2

const ContainerId = message({ containerId: string(1) })
const RuntimeCondition = message({
  type: string(1),
  status: bool(2),
  reason: string(3),
  message: string(4),
})
const Nothing = message({})

interface Method<In, Out> {
  readonly path: string
  readonly request: Message<In, unknown>
  readonly response: Message<never, Out>
}

const method = <In, Out>(
  service: 'RuntimeService' | 'ImageService',
  name: string,
  request: Message<In, unknown>,
  response: Message<never, Out>,
): Method<In, Out> => ({ path: `/runtime.v1.${service}/${name}`, request, response })

const METHODS = {
  version: method(
    'RuntimeService',
    'Version',
    message({ version: string(1) }),
    message({ runtimeName: string(2), runtimeVersion: string(3) }),
  ),
  status: method(
    'RuntimeService',
    'Status',
    message({ verbose: bool(1) }),
    message({
      status: nested(1, message({ conditions: repeated(nested(1, RuntimeCondition)) })),
      /** JSON, by topic; only where `verbose` was asked for. */
      info: stringMap(2),
    }),
  ),
  imageStatus: method(
    'ImageService',
    'ImageStatus',
    message({ image: nested(1, ImageSpec) }),
    message({ image: nested(1, message({ id: string(1) })) }),
  ),
  runPodSandbox: method(
    'RuntimeService',
    'RunPodSandbox',
    message({ config: nested(1, PodSandboxConfig) }),
    PodSandboxId,
  ),
  podSandboxStatus: method(
    'RuntimeService',
    'PodSandboxStatus',
    PodSandboxId,
    message({ status: nested(1, PodSandboxStatus) }),
  ),
  listPodSandbox: method(
    'RuntimeService',
    'ListPodSandbox',
    Nothing,
    message({ items: repeated(nested(1, PodSandbox)) }),
  ),
  stopPodSandbox: method('RuntimeService', 'StopPodSandbox', PodSandboxId, Nothing),
  removePodSandbox: method('RuntimeService', 'RemovePodSandbox', PodSandboxId, Nothing),
  createContainer: method(
    'RuntimeService',
    'CreateContainer',
    message({
      podSandboxId: string(1),
      config: nested(2, ContainerConfig),
      sandboxConfig: nested(3, PodSandboxConfig),
    }),
    ContainerId,
  ),
  startContainer: method('RuntimeService', 'StartContainer', ContainerId, Nothing),
  containerStatus: method(
    'RuntimeService',
    'ContainerStatus',
    ContainerId,
    message({ status: nested(1, message({ state: int(3) })) }),
  ),
  execSync: method(
    'RuntimeService',
    'ExecSync',
    message({ containerId: string(1), cmd: repeated(string(2)), timeout: int(3) }),
    message({ stdout: string(1), stderr: string(2), exitCode: int(3) }),
  ),
} as const

type Methods = typeof METHODS
type InOf<K extends keyof Methods> = Methods[K] extends Method<infer In, infer _Out> ? In : never
type OutOf<K extends keyof Methods> = Methods[K] extends Method<infer _In, infer Out> ? Out : never

export type PodConfig = NonNullable<InOf<'runPodSandbox'>['config']>

/** A call that takes longer than this is stuck: a kubelet's own deadline is two minutes. */
const TIMEOUT_MS = 30_000

/** Calls of a runtime, each on its own connection. @throws {GrpcError} The runtime's error, word for word. */
export class Cri {
  readonly socketPath: string

  constructor(socketPath: string) {
    this.socketPath = socketPath
  }

  async call<K extends keyof Methods>(name: K, request: InOf<K>): Promise<OutOf<K>> {
    const {
      path,
      request: writer,
      response,
    } = METHODS[name] as unknown as Method<InOf<K>, OutOf<K>>
    const answer = await callUnary(this.socketPath, path, writer.encode(request), TIMEOUT_MS)
    return response.decode(answer)
  }
}
