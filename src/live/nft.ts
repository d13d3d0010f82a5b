/**
 * Our nftables table in one namespace.
 *
 * @module
 */
import { NftSocket } from 'netlink-ts/live'
import type { KernelFailure, KernelOp, NftObject } from '../kernel/mod.ts'
import { nftRequests, readNft } from '../kernel/nft.ts'
import { failureOf } from './kernel-apply.ts'

export interface LiveNft {
  /** Applies all that the kernel accepts; in one transaction when it accepts everything. */
  apply(ops: readonly KernelOp[]): readonly (KernelFailure | undefined)[]
  state(): readonly NftObject[]
  /** What notifications of our own changes carry. */
  readonly portId: number
  close(): void
}

/** Opens the namespace of `netnsFd`, or the process's own. */
export function openNft(netnsFd?: number): LiveNft {
  const socket = NftSocket.open(netnsFd === undefined ? {} : { netnsFd })
  return {
    apply: (ops) => applyAll(socket, ops),
    state: () => readNft(socket),
    portId: socket.portId,
    close: () => socket.close(),
  }
}

/**
 * A transaction with one bad operation changes nothing. Then each goes alone, so
 * that the good ones happen: a guard that cannot be had does not take the
 * others along.
 */
function applyAll(
  socket: NftSocket,
  ops: readonly KernelOp[],
): readonly (KernelFailure | undefined)[] {
  if (transact(socket, ops) === undefined) return ops.map(() => undefined)
  return ops.map((op) => transact(socket, [op]))
}

function transact(socket: NftSocket, ops: readonly KernelOp[]): KernelFailure | undefined {
  const refused = socket.transact(nftRequests(ops)).find((error) => error !== undefined)
  return refused === undefined ? undefined : failureOf(refused)
}
