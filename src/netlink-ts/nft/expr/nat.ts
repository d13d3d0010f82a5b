/**
 * Expressions that rewrite addresses: snat, dnat, masquerade, redirect.
 *
 * The kernel adds flags of its own to what it was told (there is an address,
 * there is a port) and repeats the lower register as the upper one; both are
 * taken off again.
 *
 * Source: include/uapi/linux/netfilter/nf_tables.h, enum nft_nat_attributes,
 * nft_masq_attributes, nft_redir_attributes; include/uapi/linux/netfilter/nf_nat.h.
 *
 * @module
 */
import { attr, attrTable } from '../../attrs.ts'
import { flags32, named32, register } from '../codecs.ts'
import { exprCodec, unlessEmpty } from './codec.ts'

/** NF_NAT_RANGE_*, by nft's names, without those that follow from the registers. */
const NAT_FLAGS = { random: 4, persistent: 8, 'fully-random': 0x10, netmap: 0x40 } as const

/** How ports and addresses are chosen, by nft's name. */
export type NatFlag = keyof typeof NAT_FLAGS

const NAT_KINDS = { snat: 0, dnat: 1 } as const
const NAT_FAMILIES = { ip: 2, ip6: 10 } as const

/** Registers that hold the new address and port; the upper ends only of ranges. */
export interface NatExpr {
  readonly type: 'snat' | 'dnat'
  readonly family: 'ip' | 'ip6'
  readonly address?: number | undefined
  readonly addressMax?: number | undefined
  readonly port?: number | undefined
  readonly portMax?: number | undefined
  readonly flags?: readonly NatFlag[] | undefined
}

const natAttrs = attrTable({
  kind: attr(1, named32(NAT_KINDS)), //      NFTA_NAT_TYPE
  family: attr(2, named32(NAT_FAMILIES)), // NFTA_NAT_FAMILY
  address: attr(3, register), //             NFTA_NAT_REG_ADDR_MIN
  addressMax: attr(4, register), //          NFTA_NAT_REG_ADDR_MAX
  port: attr(5, register), //                NFTA_NAT_REG_PROTO_MIN
  portMax: attr(6, register), //             NFTA_NAT_REG_PROTO_MAX
  flags: attr(7, flags32(NAT_FLAGS)), //     NFTA_NAT_FLAGS
})

export const nat = exprCodec<NatExpr, typeof natAttrs>(
  'nat',
  ['snat', 'dnat'],
  natAttrs,
  ({ type, flags, ...rest }) => ({ kind: type, ...rest, flags: unlessEmpty(flags) }),
  ({ kind, family, address, addressMax, port, portMax, flags }) => {
    if (typeof kind !== 'string' || typeof family !== 'string') return undefined
    return {
      type: kind,
      family,
      address: address,
      addressMax: addressMax === address ? undefined : addressMax,
      port: port,
      portMax: portMax === port ? undefined : portMax,
      flags: unlessEmpty(flags),
    }
  },
)

/** Gives packets the address of the link they leave through. */
export interface MasqExpr {
  readonly type: 'masq'
  readonly flags?: readonly NatFlag[] | undefined
  readonly port?: number | undefined
  readonly portMax?: number | undefined
}

const masqAttrs = attrTable({
  flags: attr(1, flags32(NAT_FLAGS)), // NFTA_MASQ_FLAGS
  port: attr(2, register), //            NFTA_MASQ_REG_PROTO_MIN
  portMax: attr(3, register), //         NFTA_MASQ_REG_PROTO_MAX
})

export const masq = exprCodec<MasqExpr, typeof masqAttrs>(
  'masq',
  ['masq'],
  masqAttrs,
  ({ flags, port, portMax }) => ({ flags: unlessEmpty(flags), port, portMax }),
  ({ flags, port, portMax }) => ({
    type: 'masq',
    flags: unlessEmpty(flags),
    port: port,
    portMax: portMax === port ? undefined : portMax,
  }),
)

/** Sends packets to this machine itself, to another port if there is one. */
export interface RedirExpr {
  readonly type: 'redir'
  readonly flags?: readonly NatFlag[] | undefined
  readonly port?: number | undefined
  readonly portMax?: number | undefined
}

const redirAttrs = attrTable({
  port: attr(1, register), //            NFTA_REDIR_REG_PROTO_MIN
  portMax: attr(2, register), //         NFTA_REDIR_REG_PROTO_MAX
  flags: attr(3, flags32(NAT_FLAGS)), // NFTA_REDIR_FLAGS
})

export const redir = exprCodec<RedirExpr, typeof redirAttrs>(
  'redir',
  ['redir'],
  redirAttrs,
  ({ flags, port, portMax }) => ({ flags: unlessEmpty(flags), port, portMax }),
  ({ flags, port, portMax }) => ({
    type: 'redir',
    flags: unlessEmpty(flags),
    port: port,
    portMax: portMax === port ? undefined : portMax,
  }),
)
