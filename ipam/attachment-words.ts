/**
 * Reports over a million attachments want a word or two of each, and to parse the
 * whole is most of their time. In the text that `JSON.stringify` makes, a quote
 * within a string has a backslash before it: so `"name":` is nothing but the name
 * of a field, wherever it stands, and a word that ends before any backslash is all of it.
 *
 * @module
 */
import type { Ip } from '../src/net/mod.ts'
import type { AddressRecord, AttachmentRecord, PodName } from './records.ts'

/** For whom it is and how many addresses it has. */
export interface AttachmentWords {
  /** Empty: its runtime named no pod. */
  readonly namespace: string
  /** The pod's name, or the container's number where there is no pod. */
  readonly holder: string
  readonly ips: number
}

/** @param text An `AttachmentRecord` as a store keeps it. */
export function attachmentWords(text: string): AttachmentWords {
  const ips = addressCount(text)
  const at = text.indexOf(NAMESPACE)
  if (at < 0) {
    const holder = wordAt(text, text.indexOf(CONTAINER) + CONTAINER.length)
    return holder.includes('\\') ? parsedWords(text) : { namespace: '', holder, ips }
  }
  const namespace = wordAt(text, at + NAMESPACE.length)
  // The name stands behind its namespace, unless somebody wrote them in another order.
  const behind = text.indexOf(NAME, at)
  if (behind < 0 || namespace.includes('\\')) return parsedWords(text)
  const holder = wordAt(text, behind + NAME.length)
  return holder.includes('\\') ? parsedWords(text) : { namespace, holder, ips }
}

const [NAMESPACE, NAME, CONTAINER] = ['"namespace":"', '"name":"', '"containerId":"']

/** Up to the next quote, which is the word's end unless a backslash stands before it. */
const wordAt = (text: string, start: number): string => text.slice(start, text.indexOf('"', start))

function parsedWords(text: string): AttachmentWords {
  const { pod, containerId, ips } = JSON.parse(text) as AttachmentRecord
  return { namespace: pod?.namespace ?? '', holder: pod?.name ?? containerId, ips: ips.length }
}

/** When it was made, and its addresses. */
export function attachmentAge(text: string): { readonly addedMs: number; readonly ips: Ip[] } {
  const addedMs = Number.parseFloat(text.slice(after(text, '"addedMs":')))
  const start = after(text, '"ips":[')
  const list = text.slice(start + 1, text.indexOf(']', start) - 1)
  return { addedMs, ips: list === '' ? [] : (list.split('","') as Ip[]) }
}

/** Which of its node's allocations it is. */
export function attachmentPlace(text: string): {
  readonly node: string
  readonly sequence: number
} {
  const node = wordAt(text, after(text, '"node":"'))
  if (node.includes('\\')) return JSON.parse(text) as AttachmentRecord
  return { node, sequence: Number.parseFloat(text.slice(after(text, '"sequence":'))) }
}

/** @param text An `AddressRecord`: in which block of which network it is. */
export function addressPlace(text: string): { readonly network: string; readonly block: string } {
  const [network, block] = ['"network":"', '"block":"'].map((field) =>
    wordAt(text, after(text, field)),
  )
  if (network === undefined || block === undefined || network.includes('\\')) {
    return JSON.parse(text) as AddressRecord
  }
  return { network, block }
}

/** Whether a record that mentions the pod, as any of its fields, may be this text. */
export function mayMention({ namespace, name }: PodName): (text: string) => boolean {
  const words = [`"namespace":${JSON.stringify(namespace)}`, `"name":${JSON.stringify(name)}`]
  return (text) => words.every((each) => text.includes(each))
}

/** Addresses hold neither comma nor bracket. */
function addressCount(text: string): number {
  const start = after(text, '"ips":[')
  const end = text.indexOf(']', start)
  if (end === start) return 0
  let count = 1
  for (let at = text.indexOf(',', start); at >= 0 && at < end; at = text.indexOf(',', at + 1)) {
    count++
  }
  return count
}

const after = (text: string, field: string): number => text.indexOf(field) + field.length
