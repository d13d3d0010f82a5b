/**
 * Numbers of nfnetlink and nf_tables.
 *
 * Source: include/uapi/linux/netfilter/nfnetlink.h, nf_tables.h and
 * include/uapi/linux/netfilter.h, v6.12.
 *
 * @module
 */
import { namesOf } from '../codecs.ts'

/** The netlink family of netfilter. Source: include/uapi/linux/netlink.h. */
export const NETLINK_NETFILTER = 12

/** NFNL_SUBSYS_NFTABLES. */
export const NFNL_SUBSYS_NFTABLES = 10

/** NFNLGRP_NFTABLES: the multicast group of every change. */
export const NFNLGRP_NFTABLES = 7

/** Messages that open and close a transaction: NFNL_MSG_BATCH_*. */
export const NFNL_MSG = { batchBegin: 0x10, batchEnd: 0x11 } as const

const nft = (operation: number): number => (NFNL_SUBSYS_NFTABLES << 8) | operation

/** Message types: subsystem and NFT_MSG_*. */
export const NFT_MSG = {
  newTable: nft(0),
  getTable: nft(1),
  delTable: nft(2),
  newChain: nft(3),
  getChain: nft(4),
  delChain: nft(5),
  newRule: nft(6),
  getRule: nft(7),
  delRule: nft(8),
  newSet: nft(9),
  getSet: nft(10),
  delSet: nft(11),
  newSetElem: nft(12),
  getSetElem: nft(13),
  delSetElem: nft(14),
  newGen: nft(15),
  getGen: nft(16),
  newObj: nft(18),
  delObj: nft(20),
  newFlowtable: nft(22),
  delFlowtable: nft(24),
  destroyTable: nft(26),
  destroyChain: nft(27),
  destroyRule: nft(28),
  destroySet: nft(29),
  destroySetElem: nft(30),
} as const

/** NFPROTO_*, by nft's names of table families. */
export const NFPROTO = { inet: 1, ip: 2, arp: 3, netdev: 5, bridge: 7, ip6: 10 } as const

/** A table's family: which packets it sees. */
export type Family = keyof typeof NFPROTO

const FAMILY_NAMES = namesOf(NFPROTO)

/** The family of a number; undefined when nf_tables has none. */
export const familyName = (number: number): Family | undefined => FAMILY_NAMES.get(number)

/** NF_INET_* (ip, ip6, inet; bridges use the same numbers), and those of netdev. */
const INET_HOOKS = { prerouting: 0, input: 1, forward: 2, output: 3, postrouting: 4, ingress: 5 }
const NETDEV_HOOKS = { ingress: 0, egress: 1 }

/** Where in the stack a base chain hangs, by nft's names. */
export type Hook =
  | 'prerouting'
  | 'input'
  | 'forward'
  | 'output'
  | 'postrouting'
  | 'ingress'
  | 'egress'

/** The hooks of a family: names to numbers. */
export const hooksOf = (family: Family): Readonly<Record<string, number>> =>
  family === 'netdev' ? NETDEV_HOOKS : INET_HOOKS
