/**
 * A headless Chromium, driven over a pipe (`--remote-debugging-pipe`): messages
 * of the Chrome DevTools Protocol as JSON, each ended by a zero byte.
 *
 * No port, no package. Every host name resolves to nothing, so that a page that
 * wants something from elsewhere is seen failing.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { pathToFileURL } from 'node:url'

const PATHS = ['/usr/lib/chromium/chromium', '/usr/bin/chromium', '/usr/bin/chromium-browser']

/** Why there is no browser; undefined: there is. */
export const noBrowser: string | undefined = PATHS.some(existsSync)
  ? undefined
  : 'no chromium (apt-get install chromium)'

export interface Look {
  readonly width: number
  readonly theme: 'light' | 'dark'
}

/** What a page asked for and said while it loaded. */
export interface Page {
  /** Addresses, the page's own left out. */
  readonly requests: readonly string[]
  /** What the console would show. */
  readonly complaints: readonly string[]
  /** The value of an expression, which must be JSON. */
  evaluate<T>(expression: string): Promise<T>
  /** A PNG of the whole page, or of the element that an expression names. */
  screenshot(element?: string): Promise<Buffer>
  close(): Promise<void>
}

export interface Browser {
  open(file: string, look: Look): Promise<Page>
  close(): Promise<void>
}

type Params = Readonly<Record<string, unknown>>
interface Message {
  readonly id?: number
  readonly method?: string
  readonly sessionId?: string
  readonly params?: Params
  readonly result?: Params
  readonly error?: { readonly message: string }
}
type Listener = (method: string, params: Params) => void

export async function startBrowser(): Promise<Browser> {
  const profile = mkdtempSync(join(tmpdir(), 'trivium-browser-'))
  const child = spawn(
    PATHS.find(existsSync) ?? '',
    [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--hide-scrollbars',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-dev-shm-usage',
      '--host-resolver-rules=MAP * ~NOTFOUND',
      '--remote-debugging-pipe',
      `--user-data-dir=${profile}`,
    ],
    { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] },
  )
  const wire = new Wire(child)
  return {
    open: (file, look) => openPage(wire, file, look),
    close: async () => {
      const ended = new Promise((resolve) => child.once('exit', resolve))
      wire.send('Browser.close').catch(() => child.kill('SIGKILL'))
      await ended
      rmSync(profile, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
    },
  }
}

async function openPage(wire: Wire, file: string, { width, theme }: Look): Promise<Page> {
  const { targetId } = await wire.send('Target.createTarget', { url: 'about:blank' })
  const { sessionId } = await wire.send('Target.attachToTarget', { targetId, flatten: true })
  const session = String(sessionId)
  const send = (method: string, params: Params = {}) => wire.send(method, params, session)
  const url = pathToFileURL(file).href
  const requests: string[] = []
  const complaints: string[] = []
  let onLoad = (): void => {}
  const loaded = new Promise<void>((resolve) => {
    onLoad = resolve
  })
  wire.listen(session, (method, params) => {
    if (method === 'Page.loadEventFired') onLoad()
    const { request, entry, exceptionDetails, args } = params as {
      readonly request?: { readonly url: string }
      readonly entry?: { readonly text: string }
      readonly exceptionDetails?: { readonly text: string }
      readonly args?: unknown
    }
    if (method === 'Network.requestWillBeSent' && request !== undefined && request.url !== url) {
      requests.push(request.url)
    }
    if (method === 'Log.entryAdded') complaints.push(entry?.text ?? '')
    if (method === 'Runtime.exceptionThrown') complaints.push(exceptionDetails?.text ?? '')
    if (method === 'Runtime.consoleAPICalled') complaints.push(JSON.stringify(args))
  })
  for (const domain of ['Page', 'Network', 'Log', 'Runtime']) await send(`${domain}.enable`)
  await send('Emulation.setDeviceMetricsOverride', {
    width,
    height: 900,
    deviceScaleFactor: 1,
    mobile: width < 600,
  })
  const features = [{ name: 'prefers-color-scheme', value: theme }]
  await send('Emulation.setEmulatedMedia', { features })
  await send('Page.navigate', { url })
  await loaded
  return {
    requests,
    complaints,
    evaluate: async <T>(expression: string): Promise<T> => {
      const { result } = await send('Runtime.evaluate', { expression, returnByValue: true })
      return (result as { readonly value: T }).value
    },
    screenshot: async (element = 'document.documentElement') => {
      const box = `(() => {
        const { x, y, width, height } = (${element}).getBoundingClientRect()
        return { x: x + scrollX, y: y + scrollY, width, height, scale: 1 }
      })()`
      const { result } = await send('Runtime.evaluate', { expression: box, returnByValue: true })
      const { value: clip } = result as { readonly value: Params }
      const { data } = await send('Page.captureScreenshot', {
        clip,
        captureBeyondViewport: true,
        optimizeForSpeed: true,
      })
      return Buffer.from(String(data), 'base64')
    },
    close: async () => {
      await wire.send('Target.closeTarget', { targetId })
    },
  }
}

/** Requests out, answers and events in. */
class Wire {
  readonly #out: Writable
  readonly #waiting = new Map<number, (message: Message) => void>()
  readonly #listeners = new Map<string, Listener>()
  #next = 1
  #rest = ''

  constructor(child: ChildProcess) {
    this.#out = child.stdio[3] as Writable
    const input = child.stdio[4] as Readable
    input.setEncoding('utf8')
    input.on('data', (text: string) => this.#take(text))
    this.#out.on('error', () => {})
    child.once('exit', () => this.#end('the browser is gone'))
    child.once('error', (error) => this.#end(error.message))
  }

  listen(session: string, listener: Listener): void {
    this.#listeners.set(session, listener)
  }

  send(method: string, params: Params = {}, sessionId?: string): Promise<Params> {
    const id = this.#next++
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, ({ error, result }) => {
        if (error !== undefined) reject(new Error(`${method}: ${error.message}`))
        else resolve(result ?? {})
      })
      this.#out.write(`${JSON.stringify({ id, method, params, sessionId })}\0`)
    })
  }

  #take(text: string): void {
    const parts = (this.#rest + text).split('\0')
    this.#rest = parts.pop() ?? ''
    for (const part of parts) {
      const message = JSON.parse(part) as Message
      if (message.id === undefined) {
        const { sessionId = '', method = '', params = {} } = message
        this.#listeners.get(sessionId)?.(method, params)
        continue
      }
      const answer = this.#waiting.get(message.id)
      this.#waiting.delete(message.id)
      answer?.(message)
    }
  }

  #end(message: string): void {
    for (const [id, answer] of this.#waiting) answer({ id, error: { message } })
    this.#waiting.clear()
  }
}
