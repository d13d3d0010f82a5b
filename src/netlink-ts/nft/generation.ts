/**
 * The ruleset's generation: a number that every transaction raises. A plan made
 * from generation 7 and sent "on 7" is refused (ERESTART) when somebody was faster.
 *
 * Source: include/uapi/linux/netfilter/nf_tables.h, enum nft_gen_attributes.
 *
 * @module
 */
import { attr, attrTable, readAttrs } from '../attrs.ts'
import { u32be } from '../codecs.ts'
import { type Message, NLM_F } from '../message.ts'
import type { GetRequest } from '../request.ts'
import { NFT_MSG } from './constants.ts'
import { NFGEN_BYTES, nfgenOf, nftMessage } from './request.ts'

const genAttrs = attrTable({ id: attr(1, u32be) }) // NFTA_GEN_ID

/** Reads the generation of the namespace's ruleset. */
export const generation = (): GetRequest<number> => ({
  kind: 'get',
  message: nftMessage(NFT_MSG.getGen, NLM_F.ack, undefined, () => {}),
  text: 'read the generation of the ruleset',
  missing: new Set(),
  decode: decodeGeneration,
})

/**
 * Reads NFT_MSG_NEWGEN; undefined for any other message.
 *
 * @throws {DecodeError} The bytes break the format.
 */
export function decodeGeneration(message: Message): number | undefined {
  if (message.type !== NFT_MSG.newGen) return undefined
  const { view } = nfgenOf(message)
  return readAttrs(genAttrs, view, NFGEN_BYTES, view.byteLength).id
}
