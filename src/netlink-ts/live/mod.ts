/**
 * The part of netlink-ts that talks to the kernel: sockets, notifications, network
 * namespaces, TCP sockets for routing, locks between processes, who connects to a socket, and a quick
 * end. It needs Linux, 64 bits, and koffi.
 *
 * @module
 */
export { attachFilter, type Instruction, ignoreRoutes, ttlFilter } from './bpf.ts'
export { type Pace, pacer } from './dump.ts'
export { endProcess } from './end.ts'
export { lockByte, lockByteInPool, tryLockByte, unlockByte } from './file-lock.ts'
export { type Drained, type Group, Monitor, type MonitorOptions } from './monitor.ts'
export {
  inNetns,
  type NetnsIdentity,
  type NetnsRef,
  netnsIdentity,
  openNetns,
  selfNetns,
  selfNetnsIdentity,
  warmPool,
} from './netns.ts'
export { NftSocket } from './nft-socket.ts'
export { openPacketSocket, type PacketSocket } from './packet.ts'
export { peerPid, shutReading } from './peer.ts'
export { sendNow } from './send.ts'
export { NetlinkSocket, type RouteSocketOptions, type SocketOptions } from './socket.ts'
export {
  type AddressFamily,
  openTcpSocket,
  setHops,
  setMd5Key,
  type TcpOptions,
} from './tcp.ts'
export { openUdpSocket, type UdpOptions } from './udp.ts'
