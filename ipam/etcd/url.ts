/**
 * `etcd://HOST:PORT[,HOST:PORT]/prefix` and
 * `etcds://HOST:PORT[,…]/prefix?ca=FILE&cert=FILE&key=FILE`.
 *
 * @module
 */
import { TriviumError } from '../../src/errors.ts'

export interface EtcdAddress {
  /** `http://HOST:PORT` or `https://HOST:PORT`, at least one. */
  readonly hosts: readonly string[]
  /** Every key starts with it; ends with a slash. */
  readonly prefix: string
  /** Files, absolute. Undefined: no TLS. */
  readonly tls?: { readonly ca: string; readonly cert?: string; readonly key?: string }
}

const HOST = /^(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]):([0-9]{1,5})$/
const PREFIX = /^\/[A-Za-z0-9._/-]{1,200}$/
const HOSTS_MAX = 16

/** The part of a cluster that is one node's, beside what all share: `/prefix~/NODE/`. */
export const partOf = (address: EtcdAddress, node: string): EtcdAddress => ({
  ...address,
  prefix: `${partsOf(address).prefix}${node}/`,
})

/** All nodes' parts: `/prefix~/`. */
export const partsOf = (address: EtcdAddress): EtcdAddress => ({
  ...address,
  prefix: `${address.prefix.slice(0, -1)}~/`,
})

export const isEtcdUrl = (url: string): boolean => /^etcds?:\/\//.test(url)

/**
 * @throws {TriviumError} USAGE when it is anything else.
 */
export function parseEtcdUrl(url: string): EtcdAddress {
  const [, scheme, authority = '', path = '', query] =
    /^(etcds?):\/\/([^/?#]+)(\/[^?#]*)?(?:\?([^#]*))?$/.exec(url) ?? []
  if (scheme === undefined) throw malformed(url, 'neither hosts nor a prefix')
  const hosts = authority.split(',')
  if (hosts.length > HOSTS_MAX) throw malformed(url, `${hosts.length} hosts`)
  for (const host of hosts) {
    const port = Number(HOST.exec(host)?.[1] ?? 0)
    if (port < 1 || port > 65_535) throw malformed(url, `host ${JSON.stringify(host)}`)
  }
  const prefix = path.replace(/\/+$/, '')
  if (!PREFIX.test(prefix) || prefix.includes('//')) throw malformed(url, `prefix "${path}"`)
  const secure = scheme === 'etcds'
  const tls = tlsOf(url, secure, new URLSearchParams(query ?? ''))
  return {
    hosts: hosts.map((host) => `${secure ? 'https' : 'http'}://${host}`),
    prefix: `${prefix}/`,
    ...(tls !== undefined && { tls }),
  }
}

function tlsOf(url: string, secure: boolean, query: URLSearchParams): EtcdAddress['tls'] {
  for (const name of query.keys()) {
    if (!secure || !['ca', 'cert', 'key'].includes(name)) throw malformed(url, `option "${name}"`)
    if (query.getAll(name).length > 1) throw malformed(url, `option "${name}" twice`)
    if (!query.get(name)?.startsWith('/')) throw malformed(url, `"${name}" is no absolute path`)
  }
  if (!secure) return undefined
  const [ca, cert, key] = ['ca', 'cert', 'key'].map((name) => query.get(name) ?? undefined)
  if (ca === undefined) throw malformed(url, 'no ca')
  if (cert === undefined || key === undefined) {
    if (cert !== key) throw malformed(url, 'one of cert and key')
    return { ca }
  }
  return { ca, cert, key }
}

const malformed = (url: string, found: string): TriviumError =>
  new TriviumError(
    'USAGE',
    `Cannot open store ${JSON.stringify(url.slice(0, 300))}: ${found}, wanted etcd://HOST:PORT[,HOST:PORT]/prefix`,
    'With TLS: etcds://HOST:PORT/prefix?ca=/FILE&cert=/FILE&key=/FILE',
  )
