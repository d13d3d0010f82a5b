/** A real etcd on loopback, of one member or several, with its data in a folder of the test. */
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, existsSync, mkdirSync, openSync, writeFileSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { inNetns, must, run } from '../../src/lab/exec.ts'

const PROGRAM = '/usr/bin/etcd'
const STARTS_MS_MAX = 60_000

/** Why there is none, or undefined. */
export const etcdMissing = (): string | undefined =>
  existsSync(PROGRAM) ? undefined : `no ${PROGRAM} (Debian: etcd-server)`

export interface EtcdMember {
  /** HOST:PORT. */
  readonly client: string
  /** Its data folder. */
  readonly data: string
  /** Ends it at once, as a power cut does. */
  kill(): Promise<void>
  /** It stands still, with its connections open; until `thaw`. */
  freeze(): void
  thaw(): void
  /** Starts it again on its own data. */
  start(): void
}

export interface EtcdCluster {
  readonly members: readonly EtcdMember[]
  /** A store's URL below a prefix. */
  url(prefix: string): string
  /** Resolves when every member says so. */
  healthy(): Promise<void>
  end(): Promise<void>
}

/** A network namespace of a member's own, and its address there. */
export interface EtcdPlace {
  readonly netns: string
  readonly ip: string
}

/** PEM files, as made by `certificates`. */
export interface EtcdTls {
  readonly ca: string
  readonly cert: string
  readonly key: string
}

/** A CA of its own, and a certificate for servers and clients at these addresses. */
export async function certificates(folder: string, ips: readonly string[]): Promise<EtcdTls> {
  mkdirSync(folder, { recursive: true })
  const file = (name: string): string => join(folder, name)
  const [ca, cert, key] = [file('ca.pem'), file('cert.pem'), file('key.pem')]
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  const self = [
    'req',
    '-x509',
    ...newKey,
    '-days',
    '2',
    '-subj',
    '/CN=ca',
    '-keyout',
    file('ca.key'),
  ]
  await must(['openssl', ...self, '-out', ca])
  const asked = ['req', ...newKey, '-subj', '/CN=etcd', '-keyout', key, '-out', file('csr.pem')]
  await must(['openssl', ...asked])
  writeFileSync(file('ext'), `subjectAltName=${ips.map((ip) => `IP:${ip}`).join(',')}\n`)
  const signed = ['-CA', ca, '-CAkey', file('ca.key'), '-CAcreateserial', '-days', '2']
  const request = ['x509', '-req', '-in', file('csr.pem'), '-extfile', file('ext')]
  await must(['openssl', ...request, ...signed, '-out', cert])
  return { ca, cert, key }
}

/**
 * Starts `count` members and waits until they answer.
 *
 * @param places On loopback where absent.
 * @param tls Clients must show a certificate, and see one.
 */
export async function startEtcd(
  folder: string,
  count = 1,
  places: readonly EtcdPlace[] = [],
  tls?: EtcdTls,
): Promise<EtcdCluster> {
  mkdirSync(folder, { recursive: true })
  const ports = places.length > 0 ? [] : await freePorts(3 * count)
  const names = Array.from({ length: count }, (_, n) => `m${n}`)
  const host = (n: number): string => bracketed(places[n]?.ip ?? '127.0.0.1')
  const client = (n: number): string => `${host(n)}:${ports[3 * n] ?? 2379}`
  const peer = (n: number): string => `http://${host(n)}:${ports[3 * n + 1] ?? 2380}`
  // Health is asked in plain words.
  const metrics = (n: number): string => `${host(n)}:${ports[3 * n + 2] ?? 2381}`
  const scheme = tls === undefined ? 'http' : 'https'
  const secure = tls && [
    ...['--cert-file', tls.cert, '--key-file', tls.key],
    ...['--client-cert-auth', '--trusted-ca-file', tls.ca],
  ]
  const members = names.map((name, n) =>
    member(join(folder, name), client(n), places[n]?.netns, [
      ...['--name', name, '--data-dir', join(folder, name)],
      ...['--listen-client-urls', `${scheme}://${client(n)}`],
      ...['--advertise-client-urls', `${scheme}://${client(n)}`],
      ...['--listen-metrics-urls', `http://${metrics(n)}`],
      ...(secure ?? []),
      ...['--listen-peer-urls', peer(n), '--initial-advertise-peer-urls', peer(n)],
      ...['--initial-cluster', names.map((other, m) => `${other}=${peer(m)}`).join(',')],
    ]),
  )
  for (const each of members) each.start()
  const cluster = {
    members,
    url(prefix: string) {
      const hosts = members.map((each) => each.client).join(',')
      if (tls === undefined) return `etcd://${hosts}/${prefix}`
      return `etcds://${hosts}/${prefix}?ca=${tls.ca}&cert=${tls.cert}&key=${tls.key}`
    },
    async healthy() {
      await Promise.all(members.map((_each, n) => healthy(metrics(n), places[n]?.netns)))
    },
    async end() {
      await Promise.all(members.map((each) => each.kill()))
    },
  }
  try {
    await cluster.healthy()
  } catch (thrown) {
    await cluster.end()
    throw thrown
  }
  return cluster
}

const bracketed = (ip: string): string => (ip.includes(':') ? `[${ip}]` : ip)

function member(
  data: string,
  client: string,
  netns: string | undefined,
  args: string[],
): EtcdMember {
  let child: ChildProcess | undefined
  // Should the test die, it must not stay.
  process.once('exit', () => child?.kill('SIGKILL'))
  return {
    client,
    data,
    start() {
      const out = openSync(`${data}.log`, 'a')
      const [program = '', ...rest] = netns === undefined ? [PROGRAM] : inNetns(netns, [PROGRAM])
      child = spawn(program, [...rest, ...args], { stdio: ['ignore', out, out] })
      closeSync(out)
    },
    freeze: () => void child?.kill('SIGSTOP'),
    thaw: () => void child?.kill('SIGCONT'),
    async kill() {
      const ending = child
      child = undefined
      if (ending === undefined || ending.exitCode !== null) return
      const ended = new Promise((resolve) => ending.once('exit', resolve))
      ending.kill('SIGKILL')
      await ended
    },
  }
}

async function healthy(client: string, netns: string | undefined): Promise<void> {
  const endMs = performance.now() + STARTS_MS_MAX
  while (performance.now() < endMs) {
    if ((await healthAt(client, netns)).includes('"true"')) return
    await sleep(50)
  }
  throw new Error(`Cannot start etcd at ${client}: not healthy after ${STARTS_MS_MAX} ms`)
}

async function healthAt(client: string, netns: string | undefined): Promise<string> {
  if (netns === undefined) {
    const answer = await fetch(`http://${client}/health`).catch(() => undefined)
    return (await answer?.text()) ?? ''
  }
  const [, host, port] = /^\[?(.*?)\]?:([0-9]+)$/.exec(client) ?? []
  const ask = 'exec 3<>/dev/tcp/$0/$1 && printf "GET /health HTTP/1.0\\r\\n\\r\\n" >&3 && cat <&3'
  const asked = await run(inNetns(netns, ['bash', '-c', ask, host ?? '', port ?? '']))
  return asked.stdout
}

async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer()
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      return server
    }),
  )
  return await Promise.all(
    servers.map(async (server) => {
      const address = server.address()
      await new Promise((resolve) => server.close(resolve))
      return typeof address === 'object' && address !== null ? address.port : 0
    }),
  )
}

interface Pipe {
  readonly client: Socket
  readonly member: Socket
  /** Requests that stay here; undefined: they go through. */
  held: Buffer[] | undefined
}

export interface Proxy {
  /** HOST:PORT. */
  readonly client: string
  /** From now on requests go through and answers do not. */
  swallow(): void
  /** From now on requests stay here, on the connections there are. */
  hold(): void
  /** Breaks the clients' ends of those; `release` lets through what was held. */
  cutHeld(): void
  release(): void
  /** Breaks every connection; new ones are whole. */
  cut(): void
  close(): void
}

/** Something between a client and a member that can lose answers. */
export async function proxyTo(target: string): Promise<Proxy> {
  const [host = '', port = ''] = target.split(':')
  const sockets = new Set<Socket>()
  let swallowing = false
  let pairs: Pipe[] = []
  const server = createServer((client) => {
    const member = connect(Number(port), host)
    const pipe: Pipe = { client, member, held: undefined }
    pairs.push(pipe)
    for (const socket of [client, member]) {
      sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => {
        client.destroy()
        if (pipe.held === undefined) member.destroy()
        sockets.delete(socket)
      })
    }
    client.on('data', (bytes) => {
      if (pipe.held === undefined) member.write(bytes)
      else pipe.held.push(bytes)
    })
    member.on('data', (bytes) => void (swallowing || client.write(bytes)))
  })
  const cut = (): void => {
    swallowing = false
    for (const socket of sockets) socket.destroy()
  }
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  return {
    client: `127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`,
    swallow() {
      swallowing = true
    },
    hold() {
      for (const pipe of pairs) pipe.held = []
    },
    cutHeld() {
      for (const { client, held } of pairs) if (held !== undefined) client.destroy()
    },
    release() {
      for (const { member, held } of pairs) for (const bytes of held ?? []) member.write(bytes)
      pairs = pairs.filter(({ held }) => held === undefined)
    },
    cut,
    close() {
      server.close()
      cut()
    },
  }
}
