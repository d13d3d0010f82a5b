/**
 * JSON of iproute2, which is not always JSON.
 *
 * @module
 */

export type Json = Readonly<Record<string, unknown>>

/** A tunnel in a route repeats the key `dst`; the block would be lost. Seen in iproute2 6.1. */
const ENCAP = /"encap":"(ip6?)","id":(\d+),"src":"([^"]*)","dst":"([^"]*)"/g

/** Objects of `ip -j` or `bridge -j`; a route's tunnel as `encap`, `encapId`, `encapSrc`, `encapDst`. */
export function parseIpJson(text: string): readonly Json[] {
  if (text.trim() === '') return []
  const renamed = '"encap":"$1","encapId":$2,"encapSrc":"$3","encapDst":"$4"'
  return JSON.parse(text.replace(ENCAP, renamed)) as Json[]
}
