/**
 * What is known of a link that is to be taken over, and the steps of a take-over.
 *
 * @module
 */
import type { Ip, IpFamily, Mac } from '../../net/mod.ts'

/**
 * Something that hangs on a link. It is carried whole, as the kernel told it;
 * here is only what decides where in the order it stands.
 */
export interface Entry {
  readonly kind: 'addr' | 'route' | 'neigh' | 'rule'
  readonly family: IpFamily
  /** iproute2's words after the verb; `%` stands for the link. */
  readonly words: string
  /** The kernel's own words: nothing of them is looked at here. */
  readonly told: string
  readonly ip?: Ip
  /** IPv6: usually looked for on the wire before it is used; here it is the same host's. */
  readonly isProbed?: boolean
  /** Routes: by way of another machine, to which there has to be a way already. */
  readonly isVia?: boolean
  /** A neighbour that the kernel found by itself and may have forgotten by now. */
  readonly isHint?: boolean
}

/** A setting of a link that is a file: `ipv6.conf.%.accept_ra`. */
export interface LinkSetting {
  readonly name: string
  readonly value: string
  /** What the other link has. */
  readonly was: string
}

/** A link and everything that hangs on it. */
export interface Laden {
  readonly name: string
  readonly index: number
  readonly mac: Mac
  readonly mtuBytes: number
  /** How it gets IPv6 link-local addresses, as the kernel numbers it; undefined without IPv6. */
  readonly genMode: number | undefined
  /** In the order of the kernel. */
  readonly entries: readonly Entry[]
  /** Settings in which the other link differs. */
  readonly settings: readonly LinkSetting[]
  /** VXLAN links of ours that send by it. */
  readonly riders: readonly string[]
}

/** One thing to do. */
export type Act =
  | {
      readonly act: 'bridge.add'
      readonly bridge: string
      readonly mac: Mac
      readonly mtuBytes: number
      readonly alias: string
    }
  | { readonly act: 'bridge.remove'; readonly bridge: string }
  | { readonly act: 'join'; readonly link: string; readonly bridge: string }
  | { readonly act: 'leave'; readonly link: string; readonly bridge: string }
  /** Wait until the bridge sends: the kernel starts it a moment after its first port. */
  | { readonly act: 'await'; readonly bridge: string }
  /** `from` is the link of which the entry was told. */
  | {
      readonly act: 'put' | 'drop' | 'settle'
      readonly entry: Entry
      readonly from: LinkName
      readonly on: string
    }
  | { readonly act: 'genmode'; readonly link: string; readonly mode: number }
  | { readonly act: 'setting'; readonly name: string; readonly value: string }
  | { readonly act: 'rider'; readonly link: string; readonly on: string }

export interface LinkName {
  readonly name: string
  readonly index: number
}

/** What is done, and what takes it back whether or not it was done. */
export interface Step {
  readonly run?: Act
  readonly undo?: Act
}

/** Order matters in both: from any place in `steps` on, all `undo` backwards restore the start. */
export interface TakeOver {
  readonly steps: readonly Step[]
  /** What is done when the gateway still answers; there is no way back from here. */
  readonly commit: readonly Act[]
}
