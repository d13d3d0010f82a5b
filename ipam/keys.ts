/**
 * The store's key space. Addresses are written in fixed-width hexadecimal, so
 * that key order is address order.
 *
 *     schema                                   version of this layout
 *     network/NAME                             NetworkRecord
 *     node/NAME                                NodeRecord
 *     allow/FROM/TO                            AllowRecord
 *     bgp/settings, bgp/rack/LABEL, bgp/node/NAME, bgp/peer/SCOPE/NAME/FAMILY/HEX   see bgp-records.ts
 *     claim/NETWORK/FAMILY/HEX                 BlockClaim      cluster: who owns a block
 *     use/NODE/NETWORK/FAMILY/HEX              BlockUse        node: how full it is
 *     address/NETWORK/FAMILY/HEX               AddressRecord
 *     reservation/NETWORK/FAMILY/BLOCK/HEX     Reservation     HEX within the block that begins with BLOCK
 *     reserved-for/NETWORK/NAMESPACE/NAME      its addresses
 *     history/NETWORK/FAMILY/BLOCK/PLACE       HistoryRecord   a ring a block
 *     attachment/NODE/NETWORK/CONTAINER/IFNAME AttachmentRecord
 *     sequence/NODE                            last sequence number
 *     snapshot-request/NODE                    SnapshotRequest  somebody asks what NODE's kernel holds
 *     snapshot/NODE                            SnapshotAnswer   until the asker has read it
 *     member/NODE                              MemberRecord     cluster: which machine is NODE
 *     dispute/NETWORK/FAMILY/HEX/NODE          Dispute          cluster: NODE has pods in a block that another claimed
 *     membership                               Membership       on a node of a cluster: its standing there
 *     restore                                  RestoreMark     a backup that is restored half
 *     beat                                     Beat             below a node's own prefix of the cluster
 *     knock                                    Knock            there, too
 *     request/NODE/ID                          OwnerRequest     cluster: somebody asks NODE for what only it may do
 *     carried                                  Carried[]        on a node of a cluster: requests that it has answered
 *
 * Names hold no slash (CNI specification and `checkName`), so keys are unambiguous.
 *
 * @module
 */
import {
  ADDRESS_BITS,
  type Ip,
  type IpFamily,
  ipToSortable,
  networkAddress,
  type Prefix,
} from '../src/net/mod.ts'
import type { BgpNode, BgpPeer, BgpRack, BgpRecord, BgpScope, BgpSettings } from './bgp-records.ts'
import type { Beat, Dispute, Knock, MemberRecord, Membership } from './cluster/records.ts'
import type { Carried, OwnerRequest } from './cluster/requests.ts'
import type {
  AddressRecord,
  AllowRecord,
  AttachmentKey,
  AttachmentRecord,
  BlockClaim,
  BlockUse,
  HistoryRecord,
  NetworkRecord,
  NodeRecord,
  PodName,
  Reservation,
  RestoreMark,
  SnapshotAnswer,
  SnapshotRequest,
} from './records.ts'
import type { Key, KeyRange } from './store.ts'

/** Version of the layout above. */
export const SCHEMA_VERSION = 2

/**
 * Whether a store that says `found` needs only the new number. All that layouts add
 * to each other is optional; the number keeps programs away that would not look for it.
 */
export const isOlderLayout = (found: unknown): boolean =>
  typeof found === 'number' && Number.isInteger(found) && found >= 1 && found < SCHEMA_VERSION

const block = (cidr: Prefix): string => ipToSortable(networkAddress(cidr))

/** As `ipToSortable`, for loops that count through a block without making addresses. */
const place = (family: IpFamily, integer: bigint): string =>
  `${family}/${integer.toString(16).padStart(ADDRESS_BITS[family] / 4, '0')}`

/** First address of the block whose claim or use has this key. */
export const blockStart = (key: Key<unknown>): bigint =>
  BigInt(`0x${key.slice(key.lastIndexOf('/') + 1)}`)

export const keys = {
  schema: 'schema' as Key<number>,
  network: (name: string): Key<NetworkRecord> => `network/${name}`,
  networks: 'network/' as KeyRange<NetworkRecord>,
  node: (name: string): Key<NodeRecord> => `node/${name}`,
  nodes: 'node/' as KeyRange<NodeRecord>,
  allow: (from: string, to: string): Key<AllowRecord> => `allow/${from}/${to}`,
  allows: 'allow/' as KeyRange<AllowRecord>,
  bgp: 'bgp/' as KeyRange<BgpRecord>,
  bgpSettings: 'bgp/settings' as Key<BgpSettings>,
  bgpRack: (label: string): Key<BgpRack> => `bgp/rack/${label}`,
  bgpNode: (name: string): Key<BgpNode> => `bgp/node/${name}`,
  bgpPeer: (scope: BgpScope, address: Ip): Key<BgpPeer> =>
    `bgp/peer/${scope.kind}/${scope.kind === 'all' ? '-' : scope.name}/${ipToSortable(address)}`,
  claim: (network: string, cidr: Prefix): Key<BlockClaim> => `claim/${network}/${block(cidr)}`,
  claims: (network: string): KeyRange<BlockClaim> => `claim/${network}/`,
  /** The claim of the block whose first address is `integer`. */
  claimAt: (network: string, family: IpFamily, integer: bigint): Key<BlockClaim> =>
    `claim/${network}/${place(family, integer)}`,
  familyClaims: (network: string, family: IpFamily): KeyRange<BlockClaim> =>
    `claim/${network}/${family}/`,
  use: (node: string, network: string, cidr: Prefix): Key<BlockUse> =>
    `use/${node}/${network}/${block(cidr)}`,
  uses: (node: string, network: string): KeyRange<BlockUse> => `use/${node}/${network}/`,
  familyUses: (node: string, network: string, family: IpFamily): KeyRange<BlockUse> =>
    `use/${node}/${network}/${family}/`,
  nodeUses: (node: string): KeyRange<BlockUse> => `use/${node}/`,
  address: (network: string, ip: Ip): Key<AddressRecord> =>
    `address/${network}/${ipToSortable(ip)}`,
  addressAt: (network: string, family: IpFamily, integer: bigint): Key<AddressRecord> =>
    `address/${network}/${place(family, integer)}`,
  addresses: (network: string): KeyRange<AddressRecord> => `address/${network}/`,
  reservation: (network: string, cidr: Prefix, ip: Ip): Key<Reservation> =>
    `reservation/${network}/${block(cidr)}/${ipToSortable(ip).slice(2)}`,
  blockReservations: (network: string, cidr: Prefix): KeyRange<Reservation> =>
    `reservation/${network}/${block(cidr)}/`,
  reservations: (network: string): KeyRange<Reservation> => `reservation/${network}/`,
  reservedFor: (network: string, { namespace, name }: PodName): Key<readonly Ip[]> =>
    `reserved-for/${network}/${namespace}/${name}`,
  networkReserved: (network: string): KeyRange<readonly Ip[]> => `reserved-for/${network}/`,
  historySlot: (network: string, cidr: Prefix, place: number): Key<HistoryRecord> =>
    `history/${network}/${block(cidr)}/${String(place).padStart(3, '0')}`,
  blockHistory: (network: string, cidr: Prefix): KeyRange<HistoryRecord> =>
    `history/${network}/${block(cidr)}/`,
  networkHistory: (network: string): KeyRange<HistoryRecord> => `history/${network}/`,
  attachment: (node: string, key: AttachmentKey): Key<AttachmentRecord> =>
    `attachment/${node}/${key.network}/${key.containerId}/${key.ifname}`,
  attachments: (node: string): KeyRange<AttachmentRecord> => `attachment/${node}/`,
  networkAttachments: (node: string, network: string): KeyRange<AttachmentRecord> =>
    `attachment/${node}/${network}/`,
  sequence: (node: string): Key<number> => `sequence/${node}`,
  allSequences: 'sequence/' as KeyRange<number>,
  // Whole kinds, also those whose network or node is gone: for `check`.
  allClaims: 'claim/' as KeyRange<BlockClaim>,
  allUses: 'use/' as KeyRange<BlockUse>,
  allAddresses: 'address/' as KeyRange<AddressRecord>,
  allAttachments: 'attachment/' as KeyRange<AttachmentRecord>,
  allReservations: 'reservation/' as KeyRange<Reservation>,
  allReserved: 'reserved-for/' as KeyRange<readonly Ip[]>,
  allHistory: 'history/' as KeyRange<HistoryRecord>,
  snapshotRequest: (node: string): Key<SnapshotRequest> => `snapshot-request/${node}`,
  snapshot: (node: string): Key<SnapshotAnswer> => `snapshot/${node}`,
  member: (node: string): Key<MemberRecord> => `member/${node}`,
  members: 'member/' as KeyRange<MemberRecord>,
  dispute: (network: string, cidr: Prefix, node: string): Key<Dispute> =>
    `dispute/${network}/${block(cidr)}/${node}`,
  disputes: 'dispute/' as KeyRange<Dispute>,
  membership: 'membership' as Key<Membership>,
  beat: 'beat' as Key<Beat>,
  knock: 'knock' as Key<Knock>,
  request: (node: string, id: string): Key<OwnerRequest> => `request/${node}/${id}`,
  nodeRequests: (node: string): KeyRange<OwnerRequest> => `request/${node}/`,
  carried: 'carried' as Key<readonly Carried[]>,
  restore: 'restore' as Key<RestoreMark>,
} as const
