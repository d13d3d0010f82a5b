/**
 * When two sets of path attributes are the same, and a hash that agrees.
 *
 * @module
 */
import type { Ip } from '../../net/mod.ts'
import type { Attributes, Origin } from '../attributes.ts'
import { mixed } from './columns.ts'

/** In the order of preference: RFC 4271 section 9.1.2.2 b. */
export const ORIGINS: readonly Origin[] = ['igp', 'egp', 'incomplete']

export function hashOfAttributes(attributes: Attributes): number {
  let hash = ORIGINS.indexOf(attributes.origin)
  const add = (value: number): void => {
    hash = Math.imul(hash ^ value, 0x9e3779b1)
    hash ^= hash >>> 15
  }
  for (const { asns } of attributes.asPath) for (const asn of asns) add(asn)
  addText(add, attributes.nextHop)
  add(attributes.med ?? -1)
  add(attributes.localPref ?? -1)
  for (const each of attributes.communities ?? []) add(each)
  for (const each of attributes.extendedCommunities ?? []) add(Number(each & 0xffff_ffffn))
  for (const [, high, low] of attributes.largeCommunities ?? []) add(high ^ low)
  if (attributes.originatorId !== undefined) addText(add, attributes.originatorId)
  for (const each of attributes.clusterList ?? []) addText(add, each)
  return mixed(hash)
}

function addText(add: (value: number) => void, text: Ip): void {
  for (let at = 0; at < text.length; at++) add(text.charCodeAt(at))
}

export function sameAttributes(left: Attributes, right: Attributes): boolean {
  return (
    left === right ||
    (left.origin === right.origin &&
      left.nextHop === right.nextHop &&
      left.linkLocal === right.linkLocal &&
      left.med === right.med &&
      left.localPref === right.localPref &&
      left.atomicAggregate === right.atomicAggregate &&
      left.originatorId === right.originatorId &&
      left.onlyToCustomer === right.onlyToCustomer &&
      left.aggregator?.asn === right.aggregator?.asn &&
      left.aggregator?.id === right.aggregator?.id &&
      sameLists(left.communities, right.communities) &&
      sameLists(left.extendedCommunities, right.extendedCommunities) &&
      sameLists(left.clusterList, right.clusterList) &&
      sameLists(
        left.asPath,
        right.asPath,
        (a, b) => a.kind === b.kind && sameLists(a.asns, b.asns),
      ) &&
      sameLists(left.largeCommunities, right.largeCommunities, sameLists) &&
      sameLists(
        left.unknown,
        right.unknown,
        (a, b) => a.code === b.code && a.flags === b.flags && sameLists(a.bytes, b.bytes),
      ))
  )
}

/** A list that is not there is an empty one. */
function sameLists<T>(
  left: ArrayLike<T> | undefined,
  right: ArrayLike<T> | undefined,
  same?: (left: T, right: T) => boolean,
): boolean {
  const length = left?.length ?? 0
  if (length !== (right?.length ?? 0)) return false
  if (left === undefined || right === undefined) return true
  for (let at = 0; at < length; at++) {
    const [a, b] = [left[at]!, right[at]!]
    if (same === undefined ? a !== b : !same(a, b)) return false
  }
  return true
}
