/**
 * What becomes of a packet.
 *
 * @module
 */

export type Delivery =
  /** `software`: a switch without room forwarded it by its processor. */
  | ({ readonly kind: 'delivered' } & Readonly<Trail>)
  /**
   * `overflow`: the switch had heard of it and had no room, or had not programmed it yet.
   * `cut`: something is down. `divided`: the two are in data centres that the mode does not join.
   */
  | {
      readonly kind: 'lost'
      readonly reason: string
      readonly overflow: boolean
      readonly cut?: true
      readonly divided?: true
    }

export const newTrail = (): Trail => ({
  software: false,
  latencyTicks: 0,
  lossPpm: 0,
  mbps: undefined,
})
export const DELIVERED: Delivery = { kind: 'delivered', ...newTrail() }
/** What happened to a packet on its way. */
export interface Trail {
  /** A switch had no room and forwarded it by its processor. */
  software: boolean
  /** Of the links it went over. */
  latencyTicks: number
  /** Chance that one of them loses it. */
  lossPpm: number
  /** Of the narrowest. */
  mbps: number | undefined
}

export const lost = (reason: string, overflow = false): Delivery => ({
  kind: 'lost',
  reason,
  overflow,
})

export const cut = (reason: string): Delivery => ({
  kind: 'lost',
  reason,
  overflow: false,
  cut: true,
})
