/**
 * A network of BIRD processes, one a router, in a network namespace of its own: all
 * addresses are local to it (`ip route add local`), so every session is one over `lo`.
 *
 * Processes and namespace have no names and end with one process, which ends when this
 * one does.
 *
 * @module
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createConnection } from 'node:net'
import { join } from 'node:path'
import { birdConfig, ownRoutes, protocolName } from './bird-config.ts'
import { parseRoutes } from './bird-routes.ts'
import type { Outcome } from './outcome.ts'
import { type Event, endAddress, routerOf, sidesOf, type Topology } from './topology.ts'

export const LINKS = `link set lo up
link add d0 type veth peer name d1
link set d0 up
link set d1 up
address add 198.18.0.1/24 dev d0
address add fd01::1/64 dev d0 nodad
route add local 10.0.0.0/16 dev lo
route add local fd00::/64 dev lo
`

/** Ends when nobody holds its input any more. */
const SCRIPT = `
ip -batch links && echo 1 >/proc/sys/net/ipv6/ip_nonlocal_bind || exit 3
for file in *.conf; do
  bird -f -c "$file" -s "\${file%.conf}.ctl" </dev/null >>"\${file%.conf}.log" 2>&1 &
done
read -r _
`

/** What another lab of BIRDs has in place of this one's. */
export interface LabOptions {
  /** The text of a router's configuration. */
  readonly configOf?: (router: number) => string
  /** A batch of `ip`. */
  readonly links?: string
  /** For a shell in the namespaces; ends with its input. */
  readonly script?: string
  /** Other files of its folder. */
  readonly files?: Readonly<Record<string, string>>
}

export class BirdLab {
  readonly topology: Topology
  protected readonly folder: string
  readonly #child: ChildProcess
  #said = ''

  /** `scratch` is a folder for configurations and sockets. */
  constructor(topology: Topology, scratch: string, options: LabOptions = {}) {
    const { links = LINKS, script = SCRIPT, files = {} } = options
    const configOf = options.configOf ?? ((id) => birdConfig(topology, id))
    this.topology = topology
    mkdirSync(scratch, { recursive: true })
    this.folder = mkdtempSync(join(scratch, `seed-${topology.seed}-`))
    const configs = topology.routers.map(({ id }) => [`r${id}.conf`, configOf(id)] as const)
    for (const [name, text] of [...configs, ...Object.entries({ ...files, links })]) {
      writeFileSync(join(this.folder, name), text)
    }
    const inside = ['--net', '--pid', '--mount', '--fork', '--kill-child', 'sh', '-c', script]
    this.#child = spawn('unshare', inside, {
      cwd: this.folder,
      env: { ...process.env, TZ: 'UTC' },
      stdio: ['pipe', 'ignore', 'pipe'],
    })
    this.#child.stderr?.on('data', (chunk: Buffer) => {
      this.#said += chunk.toString()
    })
    this.#child.stdin?.on('error', () => {})
  }

  /** Whether every session that is to be there is established. */
  async isUp(cut: ReadonlySet<number> = new Set()): Promise<boolean> {
    const answers = await this.#each('show protocols')
    return this.topology.routers.every(({ id }, index) => {
      const wanted = sidesOf(this.topology, id).filter(({ session }) => !cut.has(session.id))
      const lines = (answers[index] ?? '').split('\n')
      return wanted.every(({ session, near }) => {
        const name = protocolName(session, near)
        return lines.some((line) => line.split(/\s+/)[0] === name && line.includes('Established'))
      })
    })
  }

  async outcome(): Promise<Outcome> {
    const answers = await this.#each('show route all')
    return new Map(
      this.topology.routers.map(({ id }, index) => [id, parseRoutes(answers[index] ?? '')]),
    )
  }

  async carryOut(event: Event): Promise<void> {
    if (event.kind === 'cut') {
      const session = this.topology.sessions.find(({ id }) => id === event.session)!
      for (const end of session.ends) {
        await this.ask(end.router, `disable ${protocolName(session, end)}`)
      }
      return
    }
    const prefix = event.kind === 'announce' ? event.route.prefix : event.prefix
    for (const { name, route } of ownRoutes(this.topology, routerOf(this.topology, event.router))) {
      const isMeant = event.kind === 'announce' ? route === event.route : route.prefix === prefix
      if (isMeant)
        await this.ask(event.router, `${event.kind === 'announce' ? 'enable' : 'disable'} ${name}`)
    }
  }

  /** Ends the session that taught a path, and begins it again. */
  async relearn(router: number, from: string): Promise<void> {
    for (const { session, near, far } of sidesOf(this.topology, router)) {
      if (endAddress(session, far) !== from) continue
      await this.ask(router, `restart ${protocolName(session, near)}`)
    }
  }

  /** What a router's BIRD answers; empty while it is not there yet. */
  ask(router: number, command: string): Promise<string> {
    return new Promise((done) => {
      const socket = createConnection(join(this.folder, `r${router}.ctl`))
      let text = ''
      let isAsked = false
      socket.on('error', () => done(''))
      socket.on('data', (chunk) => {
        text += chunk.toString()
        // A greeting, then answers; each ends with a line that begins with a code and a space.
        if (!isAsked && /^0001 .*\n/.test(text)) {
          text = ''
          isAsked = true
          socket.write(`${command}\n`)
        } else if (isAsked && /(^|\n)\d{4} [^\n]*\n$/.test(text)) {
          socket.end()
          done(plain(text))
        }
      })
      socket.on('close', () => done(plain(text)))
    })
  }

  /** A line for the script. */
  protected tell(line: string): void {
    this.#child.stdin?.write(`${line}\n`)
  }

  /** Text of its errors, for a failure. */
  get said(): string {
    return this.#said
  }

  async stop(): Promise<void> {
    const isOver = new Promise((done) => this.#child.once('close', done))
    this.#child.stdin?.end()
    if (this.#child.exitCode === null) await isOver
    rmSync(this.folder, { recursive: true, force: true })
  }

  #each(command: string): Promise<readonly string[]> {
    return Promise.all(this.topology.routers.map(({ id }) => this.ask(id, command)))
  }
}

/** Without the codes that the protocol puts in front of lines: `1007-`, or a space. */
const plain = (text: string): string =>
  text
    .split('\n')
    .map((line) => line.replace(/^(\d{4}[- ]| )/, ''))
    .join('\n')
